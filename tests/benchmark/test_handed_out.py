"""Whoever edits what a benchmark, run, table or space hands out changes no later answer of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tables import (
    TWO_BY_SEED,
    made_mixture,
    write_made_darts,
    write_made_latencies,
    write_made_supernets,
    write_made_table,
)

from nasbench_rl import load, methods, tasks
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import MissingCellError
from nasbench_rl.tables.published import published
from nasbench_rl.testing import check_own

NSC = "nsc-chain/animals@lite"
FRAMES_AND_ARRAYS = {
    "TabularBenchmark": {"coverage", "curve", "query_many"},
    "SurrogateBenchmark": {"coverage", "curve", "query_many"},
    "LiveBenchmark": {"coverage", "curve", "query_many"},
    "Run": {"curve", "darts", "trajectory"},
    "WeightSharing": {"proxies", "proxies_of"},
    "OneShotScores": {
        "cpu_seconds", "final_env_steps", "final_seconds", "fit_seconds", "games", "proxies", "variances",
    },
    "ScoreTable": {"columns", "complete", "curve", "fidelities", "flops", "full_seeds", "gather", "params", "seeds"},
    "View": {"mean", "used", "values"},
    "KernelSpace": {"encode", "indices"},
    "NscChain": {"encode", "encode_state", "state"},
    "Surrogate": {"curves", "predict"},
}  # fmt: skip
"""What is known to hand out an array or a frame; the walk over all public names has to find these and no others."""
CHANGES = set(
    "charge fit save load env supernet start inheritance fit_supernet training_slot "
    "prefetch prepare close name_approximation search_by_gradient supernets configspace".split()
)
"""Methods that do something or hand out an object which the walk goes over by itself."""
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "proxies_of": ([(1, 1), (2, 2)],),
    "gather": (np.arange(3), None, None, "test", None),
    "view": ("test",),
    "indices": (np.array([[1, 2], [3, 4]]),),
    "column": ("return_last100", "test"),
    "split_seeds": ("test",),
    "seeds_behind": ("test",),
    "scored": ("test",),
    "resource": ("arch", "params"),
    "network": ("arch", 4, 3),
    "from_configuration": ({"kernel_0": 1, "kernel_1": 2},),
    "encode_state": (np.zeros((10, 5), dtype=np.int64),),
    "is_valid": ("arch", 28, 28),
    "shapes": ("arch", (28, 28, 1)),
    "size": ("arch", (28, 28, 1), 10),
    "up_to_depth": (1,),
    "sample": ("rng",),
    "mutate": ("arch", "rng"),
    "recommend": (["arch"],),
    "query_many": (["arch"],),
    "parse_many": (["arch"],),
    "predict": (["arch"],),
    "curves": (["arch"],),
    "row": ("arch",),
    "has": ("arch", 1),
    "seeds_at": (0, "view", None, "test"),
    "evaluation": ("arch", None, None, "test", None),
    "check_measured": ("view", 19),
}
"""What to call public methods with, where that is not one architecture or nothing."""


def walk(thing: Any, arch: Any) -> set[str]:
    """Go over everything public of ``thing``, edit every array and frame in it; the names that handed one out."""
    found = set()
    for name in dir(thing):
        if name.startswith("_") or name in CHANGES:
            continue
        if check_own(f"{type(thing).__name__}.{name}", asking(thing, name, arch)):
            found.add(name)
    return found


def asking(thing: Any, name: str, arch: Any) -> Callable[[], Any]:
    def filled(argument: Any) -> Any:
        if isinstance(argument, list):
            return [filled(one) for one in argument]
        if isinstance(argument, str) and argument in ("arch", "rng", "view"):
            return {"arch": arch, "rng": np.random.default_rng(0)}.get(argument) or thing.view("test")
        return argument

    def ask() -> Any:
        value = getattr(thing, name)
        if not callable(value):
            return value
        needed = [
            parameter
            for parameter in inspect.signature(value).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        assert name in ARGUMENTS or len(needed) < 2, f"say in ARGUMENTS what {name} is called with"
        given = ARGUMENTS.get(name, ("arch",) if needed else ())
        try:
            return value(*map(filled, given))
        except MissingCellError:  # of a network that no table holds
            return None

    return ask


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_supernets(folder, TWO_BY_SEED, 3)
    write_made_darts(folder, TWO_BY_SEED, 3)
    write_made_latencies(folder, TWO_BY_SEED)
    return folder


@pytest.mark.parametrize("mode", ["tabular", "live"])
def test_of_benchmarks_runs_and_tables_nothing_can_be_changed_from_outside(mode: Any, folder: Path) -> None:
    bench = load(TWO_BY_SEED, mode, folder)
    arch = bench.space.parse((3, 3))
    table, scores = bench.table, bench.supernets()
    run = load(TWO_BY_SEED, "tabular", folder).start(10**8, 0)
    run.evaluate(arch, 100_000)
    run.prepare([arch])
    supernet = run.supernet()
    supernet.fit()
    part = run.supernet()
    part.fit(score_all=False)
    for thing in (bench, run, supernet, scores, table, table.view("test"), bench.space):
        kind = type(thing).__name__
        assert walk(thing, arch) == FRAMES_AND_ARRAYS[kind], f"say in FRAMES_AND_ARRAYS what {kind} hands out"
    assert check_own("proxies_of", lambda: part.proxies_of([(1, 1), (2, 2)]))
    assert check_own("query_many", lambda: bench.query_many(np.arange(25), [50_000] * 25, [1] * 25))


def test_of_guesses_nothing_can_be_changed_from_outside() -> None:
    bench: Any = load(NSC, "surrogate")
    for arch in (bench.space.parse(bench.table.names[0]), bench.space.parse("conv1 conv3 conv1 conv1 conv1")):
        for thing in (bench, bench.surrogate, bench.space):
            kind = type(thing).__name__
            assert walk(thing, arch) == FRAMES_AND_ARRAYS[kind], f"say in FRAMES_AND_ARRAYS what {kind} hands out"


@pytest.mark.parametrize("ask", [tasks, methods, published])
def test_frames_of_functions_are_the_callers_own(ask: Callable[[], Any]) -> None:
    assert check_own(ask.__name__, ask)


def test_a_search_by_gradient_that_was_edited_changes_no_later_search(folder: Path) -> None:
    bench = load(TWO_BY_SEED, tables=folder)
    first = bench.start(10**6, 0).darts()
    first /= first.max()
    task: Any = bench.task
    expected = made_mixture(task, 0, 19)
    assert bench.start(10**6, 0).darts()[0] == pytest.approx(expected[:, 0].prod())


def test_proxies_that_were_edited_change_no_later_search(folder: Path) -> None:
    bench = load(TWO_BY_SEED, tables=folder)

    def proxies() -> Any:
        supernet = bench.start(10**6, 0).supernet()
        supernet.fit()
        assert supernet.proxies() is not supernet.proxies()
        return supernet.proxies()

    first = proxies()
    kept = first.copy()
    first[:] = 0.0
    assert np.array_equal(proxies(), kept)


def test_coverage_owns_its_data(folder: Path) -> None:
    bench = load(TWO_BY_SEED, tables=folder)
    assert not np.shares_memory(bench.coverage().to_numpy(), bench.table.complete)
    frame = bench.coverage()
    frame.iloc[:, :] = False
    assert bench.coverage().to_numpy().all()


def test_what_is_kept_is_read_only_and_what_is_returned_is_not(folder: Path) -> None:
    bench = load(TWO_BY_SEED, tables=folder)
    assert isinstance(bench, Benchmark)
    for array in (bench.table.complete, bench.table.view("test").mean, bench.supernets().proxies):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    for column in bench.query_many([0, 1]).values():
        column[...] = 0
    fidelities, scores = bench.curve((1, 1))
    fidelities[:], scores[:] = 0, 0
    assert bench.curve((1, 1))[0][-1] == 10**6


def test_the_walk_notices_what_can_be_edited() -> None:
    kept = np.arange(3)
    with pytest.raises(AssertionError, match="mine answers otherwise"):
        check_own("mine", lambda: {"scores": [kept]})
    assert check_own("mine", lambda: kept.copy()) == 1
