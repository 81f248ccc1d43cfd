"""One statistic of the same runs has one interval, on every page and whatever stands beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import choosing, made_runs
from made_tables import SINGLE_SEED, TWO_BY_SEED, write_made_table

from nasbench_rl import load, stats
from nasbench_rl.findings.against_random import compare_task
from nasbench_rl.findings.searches import record
from nasbench_rl.fronts.multi_objective import judge_fronts
from nasbench_rl.improvement import drawn_shares
from nasbench_rl.leaderboard.judged import family_of
from nasbench_rl.leaderboard.report import Report, build_report, round_number
from nasbench_rl.leaderboard.runs import _tell_apart
from nasbench_rl.summary import final_rows

BOUNDS = ["regret_mean", "regret_iqm", "regret_low", "regret_high"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("whole")
    write_made_table(folder, TWO_BY_SEED, 2)
    return made_runs(folder, (TWO_BY_SEED,), ("local_search", "random_search", "random_search:samples=3"), 20)


@pytest.fixture(scope="module")
def partly(runs: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that is not whole, so that random search is known by its own runs alone."""
    folder = tmp_path_factory.mktemp("partly")
    chosen = sorted({*final_rows(runs)["incumbent"], "k5-k5"})
    assert len(chosen) < 25
    write_made_table(folder, TWO_BY_SEED, 2, chosen)
    return folder


def leaderboard_row(built: Report, task: str, method: str) -> pd.Series:
    (row,) = (row for _, row in built.rows(family_of(task), task).iterrows() if row["method"] == method)
    return row


def test_the_runs_are_the_case_in_which_pages_differed(runs: pd.DataFrame, partly: Path) -> None:
    alone = build_report(runs[runs["method"] == "local_search"], str(partly))
    beside = build_report(runs, str(partly))
    known = [leaderboard_row(built, TWO_BY_SEED, "local_search")["improvement"] for built in (alone, beside)]
    assert np.isnan(known).tolist() == [True, False], "another statistic is estimated before the regret's"
    regrets = final_rows(runs)[lambda frame: frame["method"] == "local_search"]["regret"]
    assert regrets.nunique() > 3


@pytest.mark.parametrize("methods", [("local_search",), ("local_search", "random_search", "random_search:samples=3")])
def test_an_interval_does_not_depend_on_the_other_methods(
    runs: pd.DataFrame, partly: Path, methods: tuple[str, ...]
) -> None:
    alone = build_report(runs[runs["method"] == "local_search"], str(partly))
    built = build_report(runs[runs["method"].isin(methods)].sample(frac=1, random_state=0), str(partly))
    expected = leaderboard_row(alone, TWO_BY_SEED, "local_search")[BOUNDS]
    assert leaderboard_row(built, TWO_BY_SEED, "local_search")[BOUNDS].equals(expected)


def test_a_name_that_tells_two_configurations_apart_changes_no_interval(runs: pd.DataFrame, partly: Path) -> None:
    mine = runs[runs["method"] == "local_search"]
    alone = leaderboard_row(build_report(mine, str(partly)), TWO_BY_SEED, "local_search")
    (digest,) = mine["configuration"].unique()
    built = build_report(_tell_apart(pd.concat([mine, mine.assign(configuration="0ther000")])), str(partly))
    assert leaderboard_row(built, TWO_BY_SEED, f"local_search {digest}")[BOUNDS].equals(alone[BOUNDS])
    assert not leaderboard_row(built, TWO_BY_SEED, "local_search 0ther000")[BOUNDS].equals(alone[BOUNDS])


def test_findings_and_leaderboard_agree(made_tables: Path) -> None:
    """Where a search spends all and is the only one, both pages estimate the same at the same level."""
    runs = made_runs(made_tables, (TWO_BY_SEED,), ("random_search",), 20)
    assert (final_rows(runs)["spent"] == runs["budget"].iloc[0]).all()
    (chosen,) = record(runs, made_tables).searches
    comparison = compare_task(load(TWO_BY_SEED, tables=made_tables), chosen.budget, [chosen])
    assert comparison is not None
    (against,) = comparison.rows
    row = leaderboard_row(build_report(runs, str(made_tables)), TWO_BY_SEED, "random_search")
    assert round_number(against.improvement) == row["improvement"]
    assert [round_number(bound) for bound in against.improvement_interval] == [
        row["improvement_low"], row["improvement_high"]
    ]  # fmt: skip


def test_a_family_s_row_does_not_depend_on_the_others(made_tables: Path) -> None:
    runs = made_runs(made_tables, (TWO_BY_SEED, SINGLE_SEED), ("local_search", "random_search"), 12)
    alone = build_report(runs[runs["method"] == "local_search"], str(made_tables))
    beside = build_report(pd.concat([choosing(runs, made_tables, "mine"), runs]), str(made_tables))
    for (_, one), family in zip(alone.frame.groupby("family"), alone.families, strict=True):
        find = [built.rows(family)[lambda rows: rows["method"] == "local_search"] for built in (alone, beside)]
        assert len(one) and find[0][BOUNDS].to_numpy().tolist() == find[1][BOUNDS].to_numpy().tolist()


def test_hypervolumes_do_not_depend_on_the_others(made_tables: Path) -> None:
    runs = made_runs(made_tables, (TWO_BY_SEED,), ("local_search", "random_search"), 12).assign(objective="params")
    wanted = ["resource", "hypervolume", "low", "high"]
    alone, beside = (
        judge_fronts(some, str(made_tables))[lambda rows: rows["method"] == "local_search"][wanted].to_numpy().tolist()
        for some in (runs[runs["method"] == "local_search"], runs.iloc[::-1])
    )
    assert alone and alone == beside


def test_what_nobody_chose_does_not_move_the_draws() -> None:
    some = drawn_shares([3, 5, 2], 10, np.random.default_rng(0), 50)
    more = drawn_shares([0, 3, 5, 0, 2, 0], 10, np.random.default_rng(0), 50)
    assert (more[:, [1, 2, 4]] == some).all() and (more[:, [0, 3, 5]] == 0).all()
    assert some.sum(axis=1) == pytest.approx(1)


def test_the_generator_is_of_what_is_estimated() -> None:
    def drawn(*key: str) -> float:
        return float(stats.resampling_rng(*key).random())

    first = drawn("task", "method", "0a", "regret")
    assert first == drawn("task", "method:samples=3", "0a", "regret") == drawn("task", "method 0a", "0a", "regret")
    others = [
        drawn("task 2", "method", "0a", "regret"), drawn("task", "method2", "0a", "regret"),
        drawn("task", "method", "0b", "regret"), drawn("task", "method", "0a", "test score"),
    ]  # fmt: skip
    assert len({first, *others}) == 5
