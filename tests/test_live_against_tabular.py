"""Live runs beside tabular ones in baselines/README.md: single runs, new tables, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import baselines_readme
import live_against_tabular as tool
import numpy as np
import pandas as pd
import pytest
from support.runs import made_runs
from support.tables import SINGLE_SEED, TWO_BY_SEED

from nasbench_rl import load
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.parquet import write_frame

METHODS = ("random_search", "local_search")


@pytest.fixture(scope="module")
def tabular(made_tables: Path) -> pd.DataFrame:
    return made_runs(made_tables, [TWO_BY_SEED], METHODS)


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


def front(task: str, method: str, resource: str, *numbers: float, left_out: float = np.nan) -> dict[str, Any]:
    weighs = {"mnas": "flops", "rena": "params"}.get(method, np.nan)
    value, low, high = numbers
    return {"task": task, "method": method, "objective": weighs, "mode": "tabular", "resource": resource,
            "hypervolume": value, "low": low, "high": high, "left_out": left_out}  # fmt: skip


COSTS = [
    front("a/b@lite", "dqn", "flops", 0.9, 0.89, 0.91, left_out=0.2),
    front("a/b@lite", "mnas", "flops", 0.8, 0.79, 0.81, left_out=0.1),
    front("a/b@lite", "rena", "flops", 0.99, 0.98, 0.999, left_out=0.96),
    front("a/b@lite", "random_search", "flops", 0.6, 0.59, 0.61, left_out=0.3),
    front("a/b@lite", "rena", "params", 0.99, 0.98, 0.999, left_out=0.96),
    front("a/b@lite", "random_search", "params", 0.5, 0.4, 0.6, left_out=0.3),
    front("c/d@lite", "mnas", "flops", 0.5, 0.1, 0.9),
    front("c/d@lite", "random_search", "flops", 0.6, 0.5, 0.7),
    front("c/d@lite", "rena", "params", 0.2, 0.1, 0.3),
    front("c/d@lite", "random_search", "params", 0.7, 0.6, 0.8),
]


def test_methods_are_judged_by_the_cost_that_they_weigh() -> None:
    text = baselines_readme.against_cost(pd.DataFrame(COSTS))
    assert "`mnas` above on `a/b@lite`; `rena` below on `c/d@lite`." in text.splitlines()[0]
    assert rows_of(text) == [
        ["`a/b@lite`", "0.600 [0.590, 0.610], 30 % left out", "0.800 [0.790, 0.810], 10 % left out",
         "`dqn` 0.900 [0.890, 0.910]"],
        ["`c/d@lite`", "0.600 [0.500, 0.700]", "0.500 [0.100, 0.900]", "`random_search` 0.600 [0.500, 0.700]"],
        ["`a/b@lite`", "0.500 [0.400, 0.600], 30 % left out", "–, 96 % left out",
         "`random_search` 0.500 [0.400, 0.600]"],
        ["`c/d@lite`", "0.700 [0.600, 0.800]", "0.200 [0.100, 0.300]", "`random_search` 0.700 [0.600, 0.800]"],
    ]  # fmt: skip


def test_a_single_run_has_its_number_and_no_interval(
    live: pd.DataFrame, tabular: pd.DataFrame, made_tables: Path
) -> None:
    local, local_tabular, alone, alone_tabular = sorted(rows_of(written(live, tabular, made_tables)))
    assert [row[:3] for row in (local, local_tabular, alone, alone_tabular)] == [
        ["`local_search`", "live", "4"],
        ["`local_search`", "tabular", "20"],
        ["`random_search`", "live", "1"],
        ["`random_search`", "tabular", "20"],
    ]
    end = live[live["method"] == "random_search"].iloc[-1]
    assert alone[3] == alone[4] == f"{end['regret']:.3g}" and "[" not in alone[4]
    assert alone[5:] == [f"{end['test_score']:.4g}", end["incumbent"]]
    for row in (local, local_tabular, alone_tabular):
        assert row[4].endswith("]") and " [" in row[4]


def test_means_and_choices_are_those_of_the_runs(live: pd.DataFrame, tabular: pd.DataFrame, made_tables: Path) -> None:
    ends = tabular[tabular["method"] == "random_search"].groupby("seed").tail(1)
    row = next(row for row in rows_of(written(live, tabular, made_tables)) if row[:2] == ["`random_search`", "tabular"])
    assert row[3] == f"{ends['regret'].mean():.3g}" and row[5] == f"{ends['test_score'].mean():.4g}"
    counts = ends["incumbent"].value_counts()
    first = row[6].split(",")[0].split(" × ")
    assert counts[first[0]] == counts.max() == int(first[1] if len(first) > 1 else 1)
    assert (f"({len(counts)} different)" in row[6]) == (len(counts) > tool.SHOWN)


def test_the_table_as_it_stands_judges_live_runs_anew(live: pd.DataFrame, made_tables: Path) -> None:
    stale = live.assign(test_score=-1.0, regret=99.0)
    again = tool.judged_anew(stale, made_tables)
    assert set(again["table"]) != {"older"} and again["table"].nunique() == 1
    np.testing.assert_allclose(again["regret"], live["regret"])
    bench = load(TWO_BY_SEED, tables=made_tables)
    for row in again.itertuples():
        assert row.test_score == bench.query(row.incumbent).score
    assert list(again["incumbent"]) == list(live["incumbent"])


def test_where_the_numbers_come_from(live: pd.DataFrame, tabular: pd.DataFrame, made_tables: Path) -> None:
    text = written(live, tabular, made_tables)
    seconds = live.groupby(["method", "seed"])["cpu_seconds"].max().sum()
    assert f"Live: {seconds:,.0f} CPU seconds as charged" in text
    assert "code live code, on a machine. Tabular: 20 search seeds" in text
    assert f"judged by table {tabular['table'].iloc[0]} (" in text
    assert f"**{TWO_BY_SEED}**, a budget of 10 whole trainings:" in text
    assert "hyperparameters" not in text
    other = live.assign(configuration=live["configuration"].where(live["method"] != "local_search", "0000"))
    assert written(other, tabular, made_tables).endswith(
        "`local_search` has other hyperparameters now than in its live runs."
    )


def test_runs_judged_by_two_tables_are_not_set_beside_each_other(
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


def test_stored_runs_become_a_block_and_none_are_said_to_be_none(
    live: pd.DataFrame, made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live_runs.parquet"
    assert tool.block(path, made_tables, 1) == "No live runs are stored."
    write_frame(live, path)
    monkeypatch.setattr(tool, "SEARCH_SEEDS", 3)
    found = [row[:3] for row in rows_of(tool.block(path, made_tables, 1))]
    assert sorted(found) == [
        [f"`{method}`", mode, runs]
        for method, mine in (("local_search", "4"), ("random_search", "1"))
        for mode, runs in (("live", mine), ("tabular", "3"))
    ]


def test_a_block_replaces_what_was_between_its_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    for filled in ("new", "newer"):
        baselines_readme.replace_block(page, "<!-- a -->", "<!-- b -->", filled)
        assert page.read_text() == f"before\n<!-- a -->\n{filled}\n<!-- b -->\nafter\n"


def test_the_committed_page_has_a_block_of_the_stored_runs() -> None:
    block = (tool.BASELINES / "README.md").read_text().split(tool.BEGIN)[1].split(tool.END)[0].strip()
    if not tool.LIVE_RUNS.exists():
        assert block == tool.NONE_STORED
        return
    stored = pd.read_parquet(tool.LIVE_RUNS)
    methods = {row[0] for row in rows_of(block) if row[1] == "live"}
    assert methods == {f"`{method}`" for method in stored["method"]}, "stale; run: make live-runs"


def test_the_ranking_names_what_beats_random_search_and_the_runs_that_it_rests_on() -> None:
    same = {"family": "minatar-ss1@lite", "task": "all tasks", "mode": "tabular", "approximation": np.nan, "runs": 5}
    same |= {"improvement": 0.6, "improvement_low": 0.5, "improvement_high": 0.7, "regret_mean": 0.3}
    rows = [("spos", "open", 0.2), ("dqn", "better", 0.01), ("ppo", "open", 0.3), ("random_search", np.nan, np.nan)]
    frame = pd.DataFrame([same | {"method": name, "verdict": verdict, "p": p} for name, verdict, p in rows])
    lines = baselines_readme.ranking(frame).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[1:4] for row in cells] == [
        ["`spos`", "open", "0.2"], ["`dqn`", "better", "0.01"], ["`random_search`", "–", "–"]
    ]  # fmt: skip
    assert cells[0][4:] == ["0.600 [0.500, 0.700]", "0.300", "5"]
