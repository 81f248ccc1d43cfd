"""Guesses where a table has no row, and what they are never an answer to."""

from __future__ import annotations

import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.tables import write_made_accuracies

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl.benchmark.surrogate import SurrogateBenchmark
from nasbench_rl.build.command import main as build_main
from nasbench_rl.compare.command import main as compare_main
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, TableError, UnknownNameError
from nasbench_rl.leaderboard.summary import Tables
from nasbench_rl.tables.parquet import read_frame
from nasbench_rl.task import ImageTask, get_task

ID = "nsc-chain/digits@lite"
KNOWN, NEW, INVALID = "conv3 maxpool2", "conv1 conv3 conv1 conv1", "conv5 conv3 conv5"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    task = get_task(ID)
    assert isinstance(task, ImageTask)
    names = [arch.name for arch in task.space.up_to_depth(2) if task.is_valid(arch)]
    write_made_accuracies(folder, ID, names, seeds=1)
    assert cli.run(build_main, ["surrogate", ID, "--tables", str(folder), "--folds", "2"]) == 0
    return folder


@pytest.fixture
def bench(tables: Path) -> SurrogateBenchmark:
    bench = load(ID, mode="surrogate", tables=tables)
    assert isinstance(bench, SurrogateBenchmark)
    return bench


def test_every_answer_says_what_it_is(bench: SurrogateBenchmark, tables: Path) -> None:
    assert repr(bench.query(KNOWN)) == repr(load(ID, tables=tables).query(KNOWN))
    assert bench.query(KNOWN).source == "table"
    guess = bench.query(NEW)
    assert guess.source == "surrogate" and guess.seeds == () and math.isnan(guess.cost.cpu_seconds)
    assert 0.0 < guess.score < 1.0 and "from surrogate" in repr(guess)


def test_one_network_in_all_its_forms(bench: SurrogateBenchmark, tables: Path) -> None:
    """By rows of any kind, twice, as the second answer may come from a cache; from the table and guessed."""
    for name in (KNOWN, NEW):
        rows = [list(vector) for vector in bench.space.parse(name).choices]
        forms = [name, bench.space.parse(name), rows, tuple(rows), tuple(map(tuple, rows)), np.array(rows),
                 tuple(np.array(rows))]  # fmt: skip
        assert len({bench.query(form) for form in forms + forms}) == 1
    assert load(ID, tables=tables).query(([1, 1, 3, 0, 0], [2, 2, 2, 1, 0])).arch == KNOWN


def test_many_are_answered_as_one_is(bench: SurrogateBenchmark) -> None:
    found = bench.query_many([KNOWN, NEW, KNOWN], split="validation")
    one_by_one = [bench.query(arch, split="validation").score for arch in (KNOWN, NEW, KNOWN)]
    assert np.allclose(found["score"], one_by_one) and found["guessed"].tolist() == [False, True, False]


def test_each_of_many_may_have_a_fidelity_of_its_own(bench: SurrogateBenchmark, tables: Path) -> None:
    archs, efforts = [KNOWN, NEW, INVALID, NEW, KNOWN], [2, 3, 1, 12, 12]
    for given in (efforts, tuple(efforts), np.array(efforts)):
        found = bench.query_many(archs, given, split="validation")
        assert found["fidelity"].tolist() == efforts
        assert found["source"].tolist() == ["table", "surrogate", "invalid", "surrogate", "table"]
        for at, (arch, effort) in enumerate(zip(archs, efforts, strict=True)):
            one = bench.query(arch, fidelity=effort, split="validation")
            assert found["score"][at] == pytest.approx(one.score), (arch, effort)
            assert found["cpu_seconds"][at] == pytest.approx(one.cost.cpu_seconds, nan_ok=True)
    tabular = load(ID, tables=tables)
    for asked in ((3, 12), (5, 5), 4, None):
        ours, theirs = (b.query_many([KNOWN, "conv1"], asked) for b in (bench, tabular))
        assert all(ours[name].tolist() == theirs[name].tolist() for name in theirs)
    assert bench.query_many([], ())["score"].shape == (0,)


@pytest.mark.parametrize("archs", [[KNOWN, NEW], [NEW, INVALID]])
@pytest.mark.parametrize("bad", [(3,), (3, 4, 5), (3, 13), (3, 2.5), [[3], [3, 4]], ("a", "b"), "ab", 13, 2.5, True])
def test_fidelities_that_are_not_stored_are_refused(bench: SurrogateBenchmark, archs: list[str], bad: Any) -> None:
    with pytest.raises(InvalidValueError, match="fidelit"):
        bench.query_many(archs, bad)


def test_a_network_that_does_not_exist_scores_zero_in_every_form_of_answer(bench: SurrogateBenchmark) -> None:
    one = bench.query(INVALID, split="validation")
    assert one.score == 0.0 == one.score_std == one.cost.cpu_seconds and one.cost.amount == one.params == one.flops == 0
    assert one.source == "invalid" and "no such network" in repr(one) and pickle.loads(pickle.dumps(one)) == one
    many = bench.query_many([KNOWN, INVALID, NEW], split="validation")
    assert many["source"].tolist() == ["table", "invalid", "surrogate"]
    assert many["score"][1] == 0.0 == many["cpu_seconds"][1] and many["guessed"].tolist() == [False, False, True]
    assert bench.curve(INVALID)[1].tolist() == [0.0] * 12
    for ask in (bench.query, bench.curve):
        with pytest.raises(InvalidArchitectureError, match="did you mean 'conv3'"):
            ask("convv3")
        with pytest.raises(InvalidValueError, match="99"):
            ask(INVALID, seed=99)
    with pytest.raises(InvalidArchitectureError, match="vanishes"):
        bench.resource(INVALID, "params")
    with pytest.raises(InvalidArchitectureError, match="vanishes"):
        load(ID, tables=bench.folder).query(INVALID)


def test_one_and_many_answer_alike_where_a_tenth_has_more_train_seeds(tables: Path, tmp_path: Path) -> None:
    shutil.copytree(tables, tmp_path / "tables")
    write_made_accuracies(tmp_path / "tables", ID, [KNOWN], seeds=2)
    bench, other = load(ID, mode="surrogate", tables=tmp_path / "tables"), "conv1"
    assert bench.train_seeds() == (0,) and other in bench.table.row_of
    for seed in (0, 1):
        one = bench.query(KNOWN, seed=seed)
        many = bench.query_many([KNOWN], seeds=seed)
        assert one.source == "table" == many["source"][0] and one.seeds == (seed,) and many["score"][0] == one.score
        assert (bench.curve(KNOWN, seed=seed)[1][-1]) == one.score
    mixed = bench.query_many([KNOWN, other, NEW], seeds=[1, 0, 0])
    assert mixed["source"].tolist() == ["table", "table", "surrogate"]
    for arch, seed, score in zip((KNOWN, other, NEW), (1, 0, 0), mixed["score"], strict=True):
        assert bench.query(arch, seed=seed).score == pytest.approx(score)
    with pytest.raises(InvalidValueError, match=r"seeds=\[0, 1\] does not fit.* 1 for as many"):
        bench.query_many([KNOWN], seeds=[0, 1])
    for arch in (other, NEW):  # seed 1 of these was never trained
        for ask in (bench.query, bench.curve):
            with pytest.raises(InvalidValueError, match="train seed 1 is not of the test split.*allowed: 0"):
                ask(arch, seed=1)
        with pytest.raises(InvalidValueError, match="train seed 1 is not of the test split.*allowed: 0"):
            bench.query_many([KNOWN, arch], seeds=1)


def test_what_is_not_there_is_not_guessed(bench: SurrogateBenchmark) -> None:
    for ask in (bench.query, bench.curve):
        with pytest.raises(UnknownNameError, match="metric"):
            ask(NEW, metric="bogus")
        with pytest.raises(InvalidValueError, match="99"):
            ask(NEW, seed=99)
    with pytest.raises(InvalidValueError, match="99"):
        bench.query_many([NEW], seeds=99)


def test_a_search_pays_one_epoch_for_a_network_that_does_not_exist(bench: SurrogateBenchmark) -> None:
    run = bench.start(20, 0)
    assert run.evaluate(INVALID) == 0.0 and run.spent == 1 and run.incumbent is None
    assert run.points[-1].source == "invalid"
    assert run.evaluate(NEW) > 0 and run.spent == 13 and run.points[-1].source == "surrogate"


def test_the_environment_says_which_rewards_are_guesses(tables: Path) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    import nasbench_rl.envs

    options = {"task": ID, "mode": "surrogate", "tables": tables}
    actions, sources = (1, 3, 1, 2), ["table", "table", "surrogate", "invalid"]  # conv3 maxpool2 conv3 conv5
    env = gymnasium.make(nasbench_rl.envs.ENV_ID, **options)
    env.reset()
    infos = [env.step(np.int64(action))[4] for action in actions]
    assert [info["source"] for info in infos] == sources
    vector = gymnasium.make_vec(nasbench_rl.envs.ENV_ID, num_envs=2, **options)
    vector.reset()
    infos = [vector.step(np.array([action, 7]))[4] for action in actions]
    assert [info["source"].tolist() for info in infos] == [[source, None] for source in sources]
    with pytest.raises(InvalidValueError, match="fidelity 13"):
        gymnasium.make(nasbench_rl.envs.ENV_ID, **options, fidelity=13)


def test_games_and_absent_surrogates_are_refused(tmp_path: Path, made_tables: Path) -> None:
    with pytest.raises(InvalidValueError, match="small enough for a table"):
        load("minatar-ss1/breakout@lite", mode="surrogate", tables=made_tables)
    write_made_accuracies(tmp_path, ID, [KNOWN], seeds=1)
    with pytest.raises(TableError, match=f"build surrogate {ID}"):
        load(ID, mode="surrogate", tables=tmp_path)


def test_a_comparison_goes_through_to_its_page(tables: Path, tmp_path: Path) -> None:
    command = ["--tasks", ID, "--mode", "surrogate", "--methods", "random_search", "--runs", "3", "--jobs", "1"]
    assert cli.run(compare_main, [*command, "--tables", str(tables), "--out", str(tmp_path)]) == 0
    runs = read_frame(tmp_path / "runs.parquet")
    assert set(runs["source"]) <= {"table", "surrogate", "invalid"} and (runs["table"].str.len() == 25).all()
    assert "guessed by a surrogate" in (tmp_path / "leaderboard.md").read_text()
    assert (tmp_path / "leaderboard.html").is_file()
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    final = runs.sort_values("step").groupby("seed")["test_source"].last()
    share = float((final == "surrogate").mean())
    assert share > 0 and set(board.loc[board["method"] == "random_search", "guessed"].round(2)) == {round(share, 2)}
    for page in ("leaderboard.md", "leaderboard.html"):
        assert "guessed" in (tmp_path / page).read_text()


def test_runs_are_judged_in_their_own_mode(tables: Path) -> None:
    """A surrogate beside a table must not turn away runs that never asked it."""
    for mode in ("tabular", "surrogate"):
        judge = Tables(str(tables)).judge(ID, [mode])
        assert judge is not None and judge.mode == mode
