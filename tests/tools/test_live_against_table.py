"""What baselines/README.md says of live searches and live trainings: numbers, intervals, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import live_against_table as tool
import numpy as np
import pandas as pd
import pytest
from support.runs import made_runs
from support.tables import SINGLE_SEED, TWO_BY_SEED, write_made_accuracies

from nasbench_rl import load
from nasbench_rl.benchmark.tabular import TabularBenchmark
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.tables.parquet import write_frame

NSC = "nsc-chain/digits@lite"
SEVERAL, ONE = ("conv1", "maxpool2 conv1"), "conv3"


@pytest.fixture(scope="module")
def tabular(made_tables: Path) -> pd.DataFrame:
    return made_runs(made_tables, [TWO_BY_SEED], ("random_search", "local_search"))


@pytest.fixture(scope="module")
def live(tabular: pd.DataFrame) -> pd.DataFrame:
    """One run of random search and four of local search, as if their trainings had been made."""
    few = tabular[tabular["seed"] < tabular["method"].map({"random_search": 1, "local_search": 4})]
    return few.assign(mode="live", source="live", table="older", code_version="live code", machine="a machine")


def rows_of(text: str) -> list[list[str]]:
    """Cells of the table's rows."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def written(live: pd.DataFrame, tabular: pd.DataFrame, tables: Path) -> str:
    return tool.compared(tool.judged_anew(live, tables), tabular, tables)


def test_numbers_and_choices_are_those_of_the_runs(
    live: pd.DataFrame, tabular: pd.DataFrame, made_tables: Path
) -> None:
    rows = {(row[0].strip("`"), row[1]): row[2:] for row in rows_of(written(live, tabular, made_tables))}
    counts = {("local_search", "live"): "4", ("random_search", "live"): "1"}
    counts |= {("local_search", "tabular"): "20", ("random_search", "tabular"): "20"}
    assert {key: row[0] for key, row in rows.items()} == counts
    end = live[live["method"] == "random_search"].iloc[-1]
    alone = rows.pop(("random_search", "live"))  # a single run has no interval
    assert alone[1:] == [*[tool.show(end["regret"])] * 2, tool.show(end["test_score"], 4), end["incumbent"]]
    assert all(row[2].endswith("]") and " [" in row[2] for row in rows.values())
    ends = tabular[tabular["method"] == "random_search"].groupby("seed").tail(1)
    _, regret, _, score, chosen = rows["random_search", "tabular"]
    assert (regret, score) == (tool.show(ends["regret"].mean()), tool.show(ends["test_score"].mean(), 4))
    found = ends["incumbent"].value_counts()
    name, _, count = chosen.split(",")[0].partition(" × ")
    assert found[name] == found.max() == int(count or 1)
    assert (f"({len(found)} different)" in chosen) == (len(found) > tool.SHOWN)


def test_the_table_as_it_stands_judges_live_runs_anew(live: pd.DataFrame, made_tables: Path) -> None:
    again = tool.judged_anew(live.assign(test_score=-1.0, regret=99.0), made_tables)
    assert set(again["table"]) != {"older"} and again["table"].nunique() == 1
    np.testing.assert_allclose(again["regret"], live["regret"])
    bench = load(TWO_BY_SEED, tables=made_tables)
    assert all(row.test_score == bench.query(row.incumbent).score for row in again.itertuples())
    assert list(again["incumbent"]) == list(live["incumbent"])


def test_where_the_numbers_come_from(live: pd.DataFrame, tabular: pd.DataFrame, made_tables: Path) -> None:
    text = written(live, tabular, made_tables)
    seconds = live.groupby(["method", "seed"])["cpu_seconds"].max().sum()
    for part in (
        f"Live: {seconds:,.0f} CPU seconds as charged", "code live code, on a machine. Tabular: 20 search seeds",
        f"judged by table {tabular['table'].iloc[0]} (", f"**{TWO_BY_SEED}**, a budget of 10 whole trainings:",
    ):  # fmt: skip
        assert part in text
    changed = "`local_search` has other hyperparameters now than in its live runs."
    other = live.assign(configuration=live["configuration"].where(live["method"] != "local_search", "0000"))
    assert changed not in text and written(other, tabular, made_tables).endswith(changed)


def test_runs_judged_by_two_tables_are_not_compared(
    live: pd.DataFrame, tabular: pd.DataFrame, made_tables: Path
) -> None:
    with pytest.raises(TableError, match="changed meanwhile"):
        tool.compared(live, tabular, made_tables)


@pytest.mark.parametrize(
    ("changed", "message"), [({"mode": "tabular"}, "mode 'tabular'; allowed: 'live'"), ({"seed": 9}, "several budgets")]
)
def test_runs_that_cannot_be_compared_are_refused(
    live: pd.DataFrame, made_tables: Path, changed: dict[str, Any], message: str
) -> None:
    more = live.assign(**changed)
    more = more if "mode" in changed else pd.concat([live, more.assign(budget=live["budget"] * 2)])
    with pytest.raises(InvalidValueError, match=message):
        tool.searches_of(more, made_tables)


def test_tabular_searches_are_the_same_methods_with_the_same_budgets(live: pd.DataFrame, made_tables: Path) -> None:
    three = live[live["method"] == "random_search"].assign(method="random_search:samples=3", budget=7_000_000)
    other = live.assign(task=SINGLE_SEED, method="local_search")
    found = tool.searches_of(pd.concat([three, other]), made_tables)
    assert [(one.task, one.label, one.budget, one.mode) for one in found] == [
        (TWO_BY_SEED, "random_search:samples=3", 7_000_000, "tabular"),
        (SINGLE_SEED, "local_search", int(live["budget"].iloc[0]), "tabular"),
    ]


def test_stored_runs_become_a_block(
    live: pd.DataFrame, made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frame(live, tmp_path / "live_runs.parquet")
    monkeypatch.setattr(tool, "SEARCH_SEEDS", 3)
    found = [row[:3] for row in rows_of(tool.runs_block(tmp_path / "live_runs.parquet", made_tables, 1))]
    assert sorted(found) == [
        [f"`{method}`", mode, runs]
        for method, mine in (("local_search", "4"), ("random_search", "1"))
        for mode, runs in (("live", mine), ("tabular", "3"))
    ]


def test_the_committed_page_has_the_stored_runs_and_the_networks_that_the_tool_trains() -> None:
    page = tool.PAGE.read_text()
    runs, networks = (page.split(begin)[1].split(end)[0] for begin, end in (tool.RUNS_MARKS, tool.NETWORKS_MARKS))
    stored = pd.read_parquet(tool.LIVE_RUNS)
    methods = {row[0] for row in rows_of(runs) if row[1] == "live"}
    assert methods == {f"`{method}`" for method in stored["method"]}, "stale; run: make live-runs"
    assert all(networks.count(f"| `{arch}`") == 2 for arch in tool.ARCHS), "stale; run: make live-nsc"
    bench = load(tool.TASK, tables=tool.TABLES)
    assert all(len(tool.seeds_of(bench, arch)) >= tool.FEWEST_SEEDS for arch in tool.ARCHS)


# -- networks


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TabularBenchmark:
    folder = tmp_path_factory.mktemp("tables")
    write_made_accuracies(folder, NSC, [*SEVERAL, ONE], seeds=1)
    write_made_accuracies(folder, NSC, list(SEVERAL), seeds=3)
    return load(NSC, tables=folder)


def made(bench: TabularBenchmark, shift: float) -> tool.Train:
    """A training whose scores are those of train seed 0, shifted."""

    def train(arch: str, seed: int) -> tuple[float, float]:
        assert seed == 3, "the first that the table lacks"
        validation, test = (bench.query(arch, seed=0, split=split).score + shift for split in tool.SPLITS)
        return validation, test

    return train


def test_each_network_is_compared_on_both_splits_with_all_its_seeds(images: TabularBenchmark) -> None:
    found = tool.compare(images, SEVERAL, made(images, 0.0))
    assert [(one.arch, one.split) for one in found] == [(a, s) for a in SEVERAL for s in ("validation", "test")]
    for one in found:
        assert one.stored == tuple(images.query(one.arch, seed=seed, split=one.split).score for seed in (0, 1, 2))
        assert one.live == one.stored[0] and one.verdict == "both"
    text = tool.networks_block(images, found)
    assert "4 of 4 live accuracies lie between" in text and ", 4 within two standard deviations" in text
    far = tool.compare(images, SEVERAL, made(images, 0.3))
    assert {one.verdict for one in far} == {"neither"} and "0 of 4 live" in tool.networks_block(images, far)


@pytest.mark.parametrize(
    ("live", "verdict"),
    [(0.45, "both"), (0.6, "both"), (0.69, "the second"), (0.71, "neither"), (0.31, "the second"), (0.29, "neither")],
)
def test_the_verdict_separates_the_two_spreads(live: float, verdict: str) -> None:
    one = tool.Compared("conv1", "test", live, (0.4, 0.5, 0.6))
    assert one.verdict == verdict and one.bounds[1] == pytest.approx((0.3, 0.7))


def test_one_draw_far_from_many_lies_outside_their_band() -> None:
    assert tool.Compared("conv1", "test", 0.1, (0.1, *(0.9,) * 11)).verdict == "the first"


def test_what_is_to_be_expected_is_what_draws_do() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 4))
    stored, further = draws[:, :3], draws[:, 3]
    inside = (further >= stored.min(axis=1)) & (further <= stored.max(axis=1))
    near = np.abs(further - stored.mean(axis=1)) <= 2 * stored.std(axis=1, ddof=1)
    assert tool.chance_in_reach(3) == 0.5 == pytest.approx(inside.mean(), abs=0.015)
    assert tool.chance_in_band(3) == pytest.approx(near.mean(), abs=0.015)


@pytest.mark.parametrize(("arch", "count"), [(ONE, 1), ("conv5", 0)])
def test_a_network_with_too_few_seeds_is_refused_before_anything_is_trained(
    images: TabularBenchmark, arch: str, count: int
) -> None:
    def never(arch: str, seed: int) -> tuple[float, float]:
        raise AssertionError("trained")

    with pytest.raises(InvalidValueError, match=f"'{arch}' has {count} train seeds .* {'; '.join(SEVERAL)}"):
        tool.compare(images, [SEVERAL[0], arch], never)
