from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.tables import SINGLE_SEED, TWO_BY_SEED, made_return, made_rows, write_made_table

from nasbench_rl import load, query, tasks
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    MissingCellError,
    RecipeMismatchError,
    TableError,
    UnknownNameError,
)
from nasbench_rl.tables import table_io
from nasbench_rl.tables.score_table import ScoreTable
from nasbench_rl.task import get_task


@pytest.fixture(scope="module")
def bench(made_tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=made_tables)


def expected(arch: str, seeds: tuple[int, ...], at: int = 19) -> float:
    return float(np.mean([made_return(get_task(TWO_BY_SEED), arch, seed, at) for seed in seeds]))


def test_validation_and_test_scores_come_from_different_seeds(bench: Benchmark) -> None:
    validation, test = bench.query((3, 3), split="validation"), bench.query((3, 3))
    assert validation.seeds == (0, 2) and test.seeds == (1, 3)
    assert validation.score == pytest.approx(expected("k3-k3", (0, 2)))
    assert test.score == pytest.approx(expected("k3-k3", (1, 3)))
    assert test.score != validation.score


def test_one_seed_is_that_seeds_score(bench: Benchmark) -> None:
    one = bench.query("k3-k3", seed=0, split="validation")
    assert one.score == pytest.approx(expected("k3-k3", (0,)))
    assert one.seeds == (0,) and np.isnan(one.score_std)


@pytest.mark.parametrize("arch", [(2, 5), [2, 5], "k2-k5", np.array([2, 5])])
def test_every_way_to_name_an_architecture_gives_the_same_row(bench: Benchmark, arch: object) -> None:
    assert bench.query(arch) == bench.query(bench.space.parse((2, 5)))  # type: ignore[arg-type]
    of_one_seed = bench.query(arch, seed=0, split="validation")  # type: ignore[arg-type]
    same = bench.query(bench.space.parse((2, 5)), seed=0, split="validation")
    assert np.isnan(of_one_seed.score_std) and of_one_seed == same and hash(of_one_seed) == hash(same)


def test_fidelity_metric_and_cost(bench: Benchmark) -> None:
    low = bench.query((1, 2), fidelity=100_000, metric="return_all")
    assert low.score == pytest.approx(0.6 * expected("k1-k2", (1, 3), at=1))
    assert low.cost.amount == 100_000 and low.cost.cpu_seconds == pytest.approx(20.0)
    assert "return_eval" not in low.metrics, "it is stored at the end only and must not appear before"
    assert bench.query((1, 2)).metrics["return_eval"] == pytest.approx(expected("k1-k2", (1, 3)) + 0.25)


@pytest.mark.parametrize("seed", [0, 9, 98, -1])
def test_query_many_says_of_a_seed_what_query_says(bench: Benchmark, seed: int) -> None:
    with pytest.raises((InvalidValueError, MissingCellError)) as one:
        bench.query("k1-k2", seed=seed)
    for seeds in (seed, [1, seed]):
        with pytest.raises(one.type, match=re.escape(str(one.value))):
            bench.query_many(["k1-k2", "k1-k2"], seeds=seeds)


def test_query_many_agrees_with_query(bench: Benchmark) -> None:
    archs = [a.name for a in bench.space]
    scores = [bench.query(a).score for a in archs]
    for many in (archs, np.arange(25), np.array([a.choices for a in bench.space])):
        assert bench.query_many(many)["score"] == pytest.approx(scores)
    columns = bench.query_many(np.array([3, 7]), fidelities=[50_000, 1_000_000], seeds=[1, 3])
    assert columns["score"] == pytest.approx([expected("k1-k4", (1,), 0), expected("k2-k3", (3,), 19)])
    assert columns["fidelity"].tolist() == [50_000, 1_000_000]


def test_curve_optimum_and_coverage(bench: Benchmark) -> None:
    fidelities, scores = bench.curve("k5-k5", seed=2, split="validation")
    assert fidelities[0] == 50_000 and len(fidelities) == 20
    assert scores[4] == pytest.approx(expected("k5-k5", (2,), 4))
    best = bench.optimum()
    assert best.score == max(bench.query(a).score for a in bench.space)
    coverage = bench.coverage()
    assert coverage.shape == (25, 4) and coverage.to_numpy().all()


def test_a_single_seed_table_tests_on_fresh_games(made_tables: Path) -> None:
    bench = load(SINGLE_SEED, tables=made_tables)
    validation, test = bench.query((4, 3), split="validation"), bench.query((4, 3))
    assert test.score == pytest.approx(validation.score + 0.25)
    assert test.score == test.metrics["return_eval"]
    assert test.metric == "return_eval" and "(return_eval)" in repr(test) and "(return_last100)" in repr(validation)
    for ask in (lambda: bench.query((4, 3), fidelity=25_000), lambda: bench.curve((4, 3))):
        with pytest.raises(InvalidValueError, match="return_eval at 500,000.*split='validation'"):
            ask()
    assert not np.isnan(bench.curve((4, 3), metric="return_all")[1][-1])


def test_seeds_that_only_some_architectures_have_do_not_enter_the_mean(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    write_made_table(tmp_path, TWO_BY_SEED, 4, archs=["k1-k1"])
    bench = load(TWO_BY_SEED, tables=tmp_path)
    assert bench.query((1, 1)).seeds == (1,) == bench.query((5, 5)).seeds
    assert bench.query((1, 1), seed=3).seeds == (3,), "but they are there when asked for"
    assert bench.train_seeds("validation") == (0,)


def test_a_missing_cell_raises_and_names_the_command(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2, archs=["k1-k1"])
    bench = load(TWO_BY_SEED, tables=tmp_path)
    with pytest.raises(MissingCellError, match="python -m nasbench_rl.build minatar-ss1/breakout@lite"):
        bench.query((2, 2))
    with pytest.raises(MissingCellError, match="k2-k2"):
        bench.query_many([(1, 1), (2, 2)])


@pytest.mark.parametrize("mask", [[True, False], np.array([True, False])])
def test_a_mask_is_no_list_of_architectures(bench: Benchmark, mask: object) -> None:
    with pytest.raises(InvalidArchitectureError):
        bench.query_many(mask)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_there_is_not_is_refused_before_the_first_training(device: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=device):
        load(TWO_BY_SEED, mode="live", tables=tmp_path, device=device)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"arch": (3, 6)}, InvalidArchitectureError, "did you mean 'k3-k5'"),
        ({"arch": "k3k3"}, InvalidArchitectureError, "did you mean 'k3-k3'"),
        ({"arch": (3, 3, 3)}, InvalidArchitectureError, "2 kernel sizes"),
        ({"arch": None}, InvalidArchitectureError, "None is no architecture"),
        ({"arch": (3, 3), "fidelity": 60_000}, InvalidValueError, "did you mean 50,000"),
        ({"arch": (3, 3), "split": "tset"}, InvalidValueError, "did you mean 'test'"),
        ({"arch": (3, 3), "seed": 0}, InvalidValueError, "not of the test split"),
        ({"arch": (3, 3), "seed": 9}, MissingCellError, "train seed 9.*--seeds 10 "),
        ({"arch": (3, 3), "seed": 98}, InvalidValueError, "98 is not of the test split"),
        ({"arch": (3, 3), "seed": -1}, InvalidValueError, "-1 of .* is negative; allowed: 1, 3"),
        ({"arch": (3, 3), "seed": "a"}, InvalidValueError, "train seed of .* 'a' is not a whole number"),
        ({"arch": (3, 3), "fidelity": "max"}, InvalidValueError, "'max' is not a number; allowed: 50,000"),
        ({"arch": (3, 3), "metric": "return"}, UnknownNameError, "return_all"),
        ({"arch": (3, 3), "metric": ""}, UnknownNameError, "return_all"),
        ({"arch": (3, 3), "metric": ["return_all"]}, UnknownNameError, "unknown metric"),
        ({"arch": (3, 3), "split": ["test"]}, InvalidValueError, "unknown split.*validation, test"),
        ({"arch": (3, 3), "fidelity": 10**30}, InvalidValueError, "did you mean 1,000,000"),
        ({"arch": (3, 3), "fidelity": 50_000.5}, InvalidValueError, "did you mean 50,000"),
        ({"arch": (3, 3), "fidelity": float("nan")}, InvalidValueError, "nan is not finite"),
    ],
)
def test_bad_input_says_what_is_allowed(
    bench: Benchmark, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        bench.query(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("archs", [np.array([25]), np.array([-1]), np.array([0.5]), [(0, 0)], np.array([[1, 6]]),
                                   np.zeros((2, 2, 2), dtype=int)])  # fmt: skip
def test_query_many_refuses_what_query_refuses(bench: Benchmark, archs: object) -> None:
    with pytest.raises(InvalidArchitectureError):
        bench.query_many(archs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "column",
    [{"fidelities": [50_000, 100_000]}, {"fidelities": "a"}, {"fidelities": [[50_000], [1, 2]]}, {"seeds": [1, 1]},
     {"seeds": "1"}],
)  # fmt: skip
def test_a_column_of_another_length_or_kind_is_refused(bench: Benchmark, column: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match=r"(fidelities|seeds)=.* does not fit.* 3 for as many"):
        bench.query_many([0, 1, 2], **column)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fidelity", [50_000.5, [50_000.5], float("nan"), [float("nan")], float("inf"), 60_000, [60_000]]
)
def test_many_at_a_fidelity_that_is_not_stored_are_refused(bench: Benchmark, fidelity: float) -> None:
    with pytest.raises(InvalidValueError, match=r"fidelity"):
        bench.query_many([(3, 3)], fidelities=fidelity)  # type: ignore[arg-type]


def test_a_test_seed_of_a_table_without_one_names_what_it_takes(made_tables: Path) -> None:
    with pytest.raises(MissingCellError, match=r"no train seed 1 of k3-k3 .* --seeds 2 --archs 'k3-k3' --tables"):
        load(SINGLE_SEED, tables=made_tables).query((3, 3), seed=1)


def test_many_before_the_end_have_no_fresh_games(bench: Benchmark, made_tables: Path) -> None:
    with pytest.raises(InvalidValueError, match="return_eval at 1,000,000"):
        bench.query_many([0, 1], fidelities=[1_000_000, 50_000], metric="return_eval")
    with pytest.raises(InvalidValueError, match="no odd train seed is complete"):
        load(SINGLE_SEED, tables=made_tables).query_many([0], fidelities=25_000)


@pytest.mark.parametrize("archs", [5, "k1-k1", None, np.array(3), (3, 3)])
def test_one_architecture_is_no_list(bench: Benchmark, archs: object) -> None:
    with pytest.raises(InvalidArchitectureError, match="takes a list"):
        bench.query_many(archs)  # type: ignore[arg-type]


def test_cpu_seconds_are_no_metric_whatever_was_asked_before(bench: Benchmark) -> None:
    bench.query_many([0, 1])
    with pytest.raises(UnknownNameError):
        bench.query((3, 3), metric="cpu_seconds")


@pytest.mark.parametrize("task", [["minatar-ss1/breakout@lite"], None, 3])
def test_a_task_that_is_no_name_is_refused(task: object) -> None:
    with pytest.raises(UnknownNameError, match="unknown task"):
        query(task, (1, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "value"), [("fidelity", 75_001), ("fidelity", None), ("seed", None), ("arch", None)]
)
def test_rows_that_are_none_of_the_task_s_are_refused(column: str, value: object) -> None:
    task = get_task(TWO_BY_SEED)
    rows = table_io.encode_rows(task, [*made_rows(task, "k1-k1", 0), {**made_rows(task, "k1-k2", 0)[0], column: value}])
    with pytest.raises(TableError, match=column):
        ScoreTable(task, rows)


def test_indices_may_be_numpys_own(bench: Benchmark) -> None:
    assert bench.query_many(list(np.arange(3)))["score"].tolist() == bench.query_many([0, 1, 2])["score"].tolist()


def test_absent_tables_list_every_place_tried(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=str(tmp_path)):
        load(TWO_BY_SEED, tables=tmp_path)


def test_a_record_is_frozen_readable_and_pickles(bench: Benchmark) -> None:
    record = bench.query((3, 3))
    with pytest.raises(AttributeError):
        record.score = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        record.metrics["return_all"] = 0.0  # type: ignore[index]
    assert pickle.loads(pickle.dumps(record)) == record == copy.deepcopy(record) and hash(record) == hash(record)
    assert pd.DataFrame([record, bench.query((1, 1))])["arch"].tolist() == ["k3-k3", "k1-k1"]
    assert (record.cost.env_steps, record.cost.epochs) == (1_000_000, None)
    assert "k3-k3" in repr(record) and "1,000,000 env steps" in repr(record)


def test_the_shipped_table_answers_without_torch() -> None:
    covered = load(TWO_BY_SEED).coverage().any(axis=1)
    arch = covered.index[covered][-1]
    code = (
        f"import sys; from nasbench_rl import query; print(query({TWO_BY_SEED!r}, {arch!r}).score);"
        "assert not {'torch', 'gymnasium', 'ale_py', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


def test_tasks_shows_coverage(made_tables: Path) -> None:
    frame = tasks(made_tables).set_index("task")
    assert frame.loc[TWO_BY_SEED, "cells"] == 100 and frame.loc[TWO_BY_SEED, "train_seeds"] == 4
    assert frame.loc["atari-ss2/freeway@paper", "cells"] == 0


def test_tasks_says_even_and_odd_only_when_an_odd_seed_is_complete(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 1)
    write_made_table(tmp_path, TWO_BY_SEED, 2, archs=["k1-k1"])
    assert tasks(tmp_path).set_index("task").loc[TWO_BY_SEED, "split"].startswith("one seed")
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    assert tasks(tmp_path).set_index("task").loc[TWO_BY_SEED, "split"] == "even and odd train seeds"


def test_a_folder_that_was_named_is_named_in_what_to_run(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 1, archs=["k1-k1"])
    with pytest.raises(TableError, match=f"build {SINGLE_SEED} --tables {tmp_path}"):
        load(SINGLE_SEED, tables=tmp_path)
    with pytest.raises(MissingCellError, match=f"--archs 'k3-k3' --tables {tmp_path}"):
        load(TWO_BY_SEED, tables=tmp_path).query((3, 3))


def test_query_reads_a_table_once(made_tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nasbench_rl.benchmark import load as loading

    monkeypatch.setenv("NASBENCH_RL_TABLES", str(made_tables))
    monkeypatch.setattr(loading, "_loaded", {})
    assert query(TWO_BY_SEED, (1, 1)) is query(TWO_BY_SEED, (1, 1))


def test_a_task_of_ones_own_does_not_answer_for_the_registered_one(
    made_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nasbench_rl.benchmark import load as loading

    monkeypatch.setenv("NASBENCH_RL_TABLES", str(made_tables))
    monkeypatch.setattr(loading, "_loaded", {})
    known = get_task(TWO_BY_SEED)
    own = dataclasses.replace(known, recipe=dataclasses.replace(known.recipe, gamma=0.5))
    assert query(known, (1, 1)) is query(known, (1, 1)), "read once"
    with pytest.raises(RecipeMismatchError):
        query(own, (1, 1))
    assert query(TWO_BY_SEED, (1, 1)).score == query(known, (1, 1)).score
