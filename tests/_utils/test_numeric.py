"""Whole numbers of every integer type are one number wherever they come in, and nothing else is a whole number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tables import DEEP, TWO_BY_SEED, write_made_accuracies

from nasbench_rl import NasbenchError, load
from nasbench_rl._utils.numeric import as_int, as_integers, whole_column, whole_number
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError
from nasbench_rl.spaces import KERNEL_SPACES
from nasbench_rl.spaces.nsc.space import nsc_space

IMAGES = "nsc-chain/digits@lite"
NAMES = ("conv1", "conv3", "conv5 maxpool2")
TYPES = sorted({np.dtype(code).name for code in np.typecodes["AllInteger"]})
integer_types = st.sampled_from(TYPES)
scalar_types = st.sampled_from(["int", "0-d", *TYPES])
few = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def bench(made_tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=made_tables)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """A task whose fidelities, 1 to 12 epochs, fit into every integer type."""
    folder = tmp_path_factory.mktemp("images")
    write_made_accuracies(folder, IMAGES, list(NAMES), seeds=3)
    return load(IMAGES, tables=folder)


def as_type(number: int, kind: str) -> Any:
    """``number`` as a scalar of some type: Python's own, an array without dimensions, or NumPy's."""
    if kind == "int":
        return number
    return np.array(number) if kind == "0-d" else np.dtype(kind).type(number)


def forms(numbers: list[int], kind: str) -> list[Any]:
    """The same numbers as an array, a series, a strided view, and a list of NumPy's scalars."""
    array = np.array(numbers, dtype=kind)
    return [array, pd.Series(array), np.repeat(array, 2)[::2], list(array), tuple(list(array)), numbers]


# -- indices and rows


@few
@given(kind=integer_types, indices=st.lists(st.integers(0, 24), max_size=40))
def test_indices_of_every_type_name_the_same_networks(bench: Benchmark, kind: str, indices: list[int]) -> None:
    scores = [bench.query(bench.space[i]).score for i in indices]
    given = forms(indices, kind)
    for form in given[:4] + given[5:]:
        found = bench.query_many(form)
        assert found["score"].tolist() == scores and found["fidelity"].dtype == np.int64
        assert [arch.choices for arch in bench.parse_many(form)] == [bench.space[i].choices for i in indices]


@few
@given(kind=scalar_types, index=st.integers(0, 24))
def test_an_index_of_every_type_is_a_place_in_a_space(kind: str, index: int) -> None:
    for space in (KERNEL_SPACES["minatar-ss1"], nsc_space("nsc-chain")):
        assert space[as_type(index, kind)] == space[index]
        assert space.index(space[as_type(index, kind)]) == index


@few
@given(kind=integer_types, data=st.data())
def test_rows_of_choices_of_every_type_are_the_same_networks(made_tables: Path, kind: str, data: st.DataObject) -> None:
    bench = load(data.draw(st.sampled_from([TWO_BY_SEED, DEEP])), tables=made_tables)
    indices = data.draw(st.lists(st.integers(0, len(bench.space) - 1), min_size=1, max_size=10))
    rows = np.array([bench.space[i].choices for i in indices], dtype=kind)
    scores = bench.query_many(indices)["score"].tolist()
    for form in (rows, pd.DataFrame(rows), list(rows), list(map(tuple, rows)), rows.tolist(), rows.astype(object)):
        assert bench.query_many(form)["score"].tolist() == scores
    for row, score in zip(rows, scores, strict=True):
        assert bench.query(row).score == bench.query(tuple(row)).score == score
        assert bench.space.parse(list(row)).choices == tuple(row.tolist())
        assert all(type(kernel) is int for kernel in bench.space.parse(tuple(row)).choices)


@few
@given(kind=integer_types, index=st.integers(0, 400))
def test_nsc_rows_of_every_type_are_the_same_network(kind: str, index: int) -> None:
    space = nsc_space("nsc-chain")
    rows = np.array(space[index].choices, dtype=kind)
    for form in (rows, list(rows), [tuple(row) for row in rows], rows.tolist()):
        assert space.parse(form) == space[index]
    assert np.array_equal(space.encode_state(space.state(rows).astype(kind)), space.encode(space[index]))


def test_categories_of_pandas_are_indices(bench: Benchmark) -> None:
    names = pd.Series([arch.name for arch in bench.space] * 2)
    codes = pd.Categorical(names, categories=[arch.name for arch in bench.space])
    scores = [bench.query(name).score for name in names]
    assert pd.Series(codes).cat.codes.dtype == np.int8
    for form in (pd.Series(codes).cat.codes, codes.codes, names, names.to_numpy(), list(names),
                 pd.Series(codes.codes, dtype="Int8")):  # fmt: skip
        assert bench.query_many(form)["score"].tolist() == scores


def test_physical_categories_of_polars_are_indices(bench: Benchmark) -> None:
    polars = pytest.importorskip("polars")
    names = [arch.name for arch in bench.space]
    physical = polars.Series(names, dtype=polars.Enum(names)).to_physical()
    scores = [bench.query(name).score for name in names]
    for form in (physical, physical.to_numpy(), polars.Series(range(25), dtype=polars.UInt8)):
        assert bench.query_many(form)["score"].tolist() == scores


# -- fidelities, train seeds, budgets


@few
@given(
    kind=integer_types, rows=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12), st.integers(0, 2)), min_size=1)
)
def test_fidelities_and_seeds_of_every_type_are_the_same(
    images: Benchmark, kind: str, rows: list[tuple[int, int, int]]
) -> None:
    archs, fidelities, seeds = ([row[at] for row in rows] for at in range(3))
    names = [NAMES[at] for at in archs]
    asked = list(zip(names, fidelities, seeds, strict=True))
    scores = [images.query(name, fidelity=fidelity, seed=seed).score for name, fidelity, seed in asked]
    for efforts, train_seeds in zip(forms(fidelities, kind), forms(seeds, kind), strict=True):
        found = images.query_many(names, fidelities=efforts, seeds=train_seeds)
        assert found["score"].tolist() == scores and found["fidelity"].tolist() == fidelities


@few
@given(kind=scalar_types, fidelity=st.integers(1, 12), seed=st.integers(0, 2))
def test_one_fidelity_and_seed_of_every_type_are_the_same(
    images: Benchmark, kind: str, fidelity: int, seed: int
) -> None:
    expected = images.query("conv3", fidelity=fidelity, seed=seed)
    effort, train_seed = as_type(fidelity, kind), as_type(seed, kind)
    assert images.query("conv3", fidelity=effort, seed=train_seed) == expected
    assert images.query_many(["conv3"], fidelities=effort, seeds=train_seed)["score"].tolist() == [expected.score]
    assert images.curve("conv3", seed=train_seed)[1][fidelity - 1] == expected.score


@few
@given(
    budget=st.integers(12, 120), seed=st.integers(0, 100), kinds=st.tuples(scalar_types, scalar_types, scalar_types),
    steps=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 12)), max_size=12),
)  # fmt: skip
def test_a_run_charges_the_same_in_every_type(
    images: Benchmark, budget: int, seed: int, kinds: tuple[str, str, str], steps: list[tuple[str, int]]
) -> None:
    plain = images.start(budget, seed)
    other = images.start(as_type(budget, kinds[0]), as_type(seed, kinds[1]))
    assert (type(other.budget), type(other.seed)) == (int, int)
    for (arch, fidelity), kind in zip(steps, itertools.cycle((kinds[2], *TYPES))):
        outcomes = []
        for run, effort in ((plain, fidelity), (other, as_type(fidelity, kind))):
            try:
                outcomes.append(run.evaluate(arch, effort))
            except NasbenchError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
    assert other.spent == plain.spent and type(other.spent) is int and 0 <= other.spent <= budget
    assert repr(other.points) == repr(plain.points)


def test_a_small_type_neither_wraps_around_nor_charges_more(images: Benchmark) -> None:
    run = images.start(100, 0)
    run.evaluate("conv3", np.uint8(12))
    run.evaluate("conv3", np.uint8(6))
    assert run.spent == 12, "half of a training that was paid for is free"
    run.charge(np.uint8(2))  # type: ignore[arg-type]
    assert run.spent == 14 and type(run.spent) is int


@pytest.mark.parametrize("kind", TYPES)
def test_sizes_do_not_wrap_around(kind: str) -> None:
    space, chain = KERNEL_SPACES["minatar-ss2"], nsc_space("nsc-chain")
    small: Callable[[int], Any] = np.dtype(kind).type
    assert space.network((5,) * 5, small(10), small(6)).params == space.network((5,) * 5, 10, 6).params
    image = (84, 84, 3)
    expected = chain.size("conv5 conv5", image, 100)
    assert chain.size("conv5 conv5", tuple(map(small, image)), small(100)) == expected  # type: ignore[arg-type]
    assert chain.is_valid("maxpool3", small(2), small(2)) is False


# -- what is no whole number


NO_NUMBERS = [True, np.bool_(True), np.array(True), 1.0, np.float32(1), np.array(1.0), 1.5, math.nan, math.inf, "1",
              b"1", Fraction(1), 1j, None, pytest.param(object(), id="object"), [1], np.array([1, 1])]  # fmt: skip


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=repr)
def test_what_is_no_whole_number_is_refused_everywhere_alike(bench: Benchmark, images: Benchmark, wrong: Any) -> None:
    for known in (1, 50_000):  # so that the memo holds what equals a wrong key
        bench.query((1, 1), seed=1, fidelity=known if known > 1 else None)
    asks: list[Callable[[], object]] = [
        lambda: bench.space[wrong],
        lambda: bench.start(wrong, 0),
        lambda: bench.start(10**6, wrong),
        lambda: bench.start(10**6, 0).charge(wrong),
        lambda: bench.query_many([0, 1, 2], seeds=[wrong, 1, 1]),
        lambda: bench.query_many([0, 1, 2], fidelities=[wrong, 1, 1]),
        lambda: bench.latency((1, 1), wrong),
    ]
    if wrong is not None:
        asks += [
            lambda: bench.query((1, 1), seed=wrong),
            lambda: bench.curve((1, 1), seed=wrong),
            lambda: images.query("conv3", fidelity=wrong),
            lambda: images.start(100, 0).evaluate("conv3", wrong),
            lambda: bench.query_many([0, 1, 2], seeds=wrong),
            lambda: images.query_many(["conv3"] * 3, fidelities=wrong),
        ]
    for ask in asks:
        with pytest.raises(InvalidValueError, match="whole number|is not a number|not finite"):
            ask()
    for arch in ((wrong, 1), [1, wrong], ((1, wrong, 3, 0, 0),)):
        for space in (bench.space, images.space):
            with pytest.raises(InvalidArchitectureError):
                space.parse(arch)
    with pytest.raises(InvalidArchitectureError):
        bench.query_many([0, (wrong, 1)])


@pytest.mark.parametrize("kind", ["bool", "float16", "float64", "complex128", "datetime64[s]", "O"])
def test_arrays_of_anything_else_are_refused(bench: Benchmark, kind: str) -> None:
    ones: Any = np.array([1.0, 1.0], dtype="O") if kind == "O" else np.ones(2).astype(kind)
    with pytest.raises(InvalidArchitectureError):
        bench.query_many(ones)
    with pytest.raises(InvalidArchitectureError):
        bench.query_many(np.stack([ones, ones]))
    for column in ("seeds", "fidelities"):
        with pytest.raises(InvalidValueError, match=f"{column}=.* whole number"):
            bench.query_many([0, 1], **{column: ones})


@pytest.mark.parametrize("wrong", [-1, -(2**63), 2**63, 2**64 - 1, 10**30])
def test_numbers_outside_are_refused_by_name(bench: Benchmark, wrong: int) -> None:
    def arrays() -> list[Any]:
        kind = "int64" if wrong < 0 else "uint64" if wrong < 2**64 else "O"
        return [[wrong, 1], np.array([wrong, 1], dtype=kind)]

    for archs in arrays():
        with pytest.raises(InvalidArchitectureError, match="outside"):
            bench.query_many(archs)
        for column in ("seeds", "fidelities"):
            with pytest.raises(InvalidValueError):
                bench.query_many([0, 1], **{column: archs})
        with pytest.raises(InvalidArchitectureError):
            bench.query_many(np.array([archs, archs]))
    with pytest.raises(IndexError, match=f"{wrong} is outside"):
        bench.space[wrong]
    for ask in (
        lambda: bench.query((1, 1), seed=wrong), lambda: bench.query((1, 1), fidelity=wrong),
        lambda: bench.query_many([0], seeds=wrong), lambda: bench.query_many([0], fidelities=wrong),
    ):  # fmt: skip
        with pytest.raises(NasbenchError):
            ask()


# -- the memo of queries


def test_the_memo_answers_no_equal_of_another_meaning(bench: Benchmark, images: Benchmark) -> None:
    vectors = ((1, 1, 3, 0, 0),)
    first = bench.query((1, 1), seed=1, fidelity=50_000), images.query(vectors)
    for arch in ((True, True), (1.0, 1.0), (True, 1), (np.float64(1), 1)):
        with pytest.raises(InvalidArchitectureError):
            bench.query(arch, seed=1, fidelity=50_000)
    for seed, fidelity in ((True, 50_000), (1.0, 50_000), (1, 50_000.0)):
        with pytest.raises(InvalidValueError):
            bench.query((1, 1), seed=seed, fidelity=fidelity)  # type: ignore[arg-type]
    for rows in (((True, True, 3, 0, 0),), ((1, 1, 3.0, 0, 0),), ((1, 1, 3, False, 0),)):
        with pytest.raises(InvalidArchitectureError):
            images.query(rows)
    assert bench.query((1, 1), seed=1, fidelity=50_000) is first[0]
    assert bench.query((np.int8(1), np.uint64(1)), seed=np.int16(1), fidelity=np.int32(50_000)) is first[0]  # type: ignore[arg-type]
    assert images.query(vectors) is first[1], "rows are known again too"


def test_the_memo_keeps_nothing_that_changes(bench: Benchmark) -> None:
    torch = pytest.importorskip("torch")
    arch = torch.tensor([1, 1], dtype=torch.int8)
    assert bench.query(arch).arch == "k1-k1"
    arch[0] = 5
    assert bench.query(arch).arch == "k5-k1"


# -- the border itself


@given(number=st.integers(), kind=scalar_types)
@settings(deadline=None)
def test_a_whole_number_comes_in_as_python_s_own(number: int, kind: str) -> None:
    bounds = np.iinfo("int64" if kind in ("int", "0-d") else kind)
    number = max(int(bounds.min), min(int(bounds.max), number))
    taken = whole_number("n", as_type(number, kind), "any")
    assert taken == number and type(taken) is int and as_int(as_type(number, kind)) == number


@given(numbers=st.lists(st.integers(-(2**63), 2**64 - 1), max_size=5))
@settings(deadline=None)
def test_arrays_come_in_as_int64_or_not_at_all(numbers: list[int]) -> None:
    fits = all(-(2**63) <= number < 2**63 for number in numbers)
    for form in (numbers, tuple(numbers), np.array(numbers, dtype="O")):
        taken = as_integers(form)
        assert (taken is not None) == fits
        assert taken is None or (taken.dtype == np.int64 and taken.tolist() == numbers)


def test_a_column_is_one_number_or_as_many_as_rows() -> None:
    assert whole_column("seeds", "train seed", None, 3) is None
    assert whole_column("seeds", "train seed", np.uint64(7), 3) == 7
    column = whole_column("seeds", "train seed", range(3), 3)
    assert isinstance(column, np.ndarray) and column.tolist() == [0, 1, 2]
    for wrong in ([1, 2], [[1], [2], [3]], "123", {1: 2}, np.zeros((3, 1), dtype=int)):
        with pytest.raises(InvalidValueError, match="seeds=.* does not fit.* 3 for as many rows"):
            whole_column("seeds", "train seed", wrong, 3)
