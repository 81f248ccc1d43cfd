"""Writes into ``baselines/README.md`` how live searches ended beside tabular ones of the same methods and budgets.

python tools/live_against_tabular.py

The live runs are the ``runs.parquet`` of ``python -m nasbench_rl.compare --mode live``, kept as
``baselines/live_runs.parquet``; the tabular ones are made on the spot.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from baselines_readme import BASELINES, ROOT, replace_block

from nasbench_rl import cli, cores, load
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.experiment import Search
from nasbench_rl.judge import Judge
from nasbench_rl.leaderboard.runs_schema import read_runs
from nasbench_rl.options import parse_method
from nasbench_rl.pool import run_all
from nasbench_rl.stats import bootstrap_interval, interquartile_mean, resampling_rng
from nasbench_rl.summary import distinct, final_rows, table_note
from nasbench_rl.task import get_task

LIVE_RUNS = BASELINES / "live_runs.parquet"
BEGIN, END = "<!-- live runs: made by tools/live_against_tabular.py -->", "<!-- end of live runs -->"
SEARCH_SEEDS = 100
NONE_STORED = "No live runs are stored."
SHOWN = 3
HEADER = ("method", "mode", "runs", "mean regret", "interquartile mean [95 %]", "test score", "chosen architectures")


def searches_of(live: pd.DataFrame, tables: Path) -> list[Search]:
    """The tabular searches that stand beside the live ones: same tasks, methods, hyperparameters and budgets.

    Raises:
        InvalidValueError: a run that was not live, or one method with two budgets on a task.
    """
    modes = [mode for mode in live["mode"].unique() if mode != "live"]
    if modes:
        raise InvalidValueError(f"{LIVE_RUNS.name} holds runs of mode {modes[0]!r}; allowed: 'live'")
    kinds = live[["task", "method", "budget"]].drop_duplicates()
    twice = kinds[kinds.duplicated(["task", "method"])]
    if len(twice):
        task, method, budget = twice.iloc[0]
        raise InvalidValueError(
            f"{LIVE_RUNS.name} holds {method} on {task} with several budgets, {budget:,} among them; keep one"
        )
    return [
        Search(task, name, int(budget), hyperparameters=hyperparameters, tables=str(tables))
        for task, method, budget in kinds.itertuples(index=False)
        for name, hyperparameters in [parse_method(method)]
    ]


def judged_anew(live: pd.DataFrame, tables: Path) -> pd.DataFrame:
    """The live runs with test scores and regrets of the tables as they stand, which judge the tabular runs too.

    A live search reads no table, so a table that grew after it changes what its choice is worth and not the choice.
    """
    judged = []
    for task, of_task in live.groupby("task", sort=False):
        bench = load(str(task), tables=tables)
        judge = Judge(bench)
        scores = of_task["incumbent"].map({arch: judge.test_score(arch)[0] for arch in of_task["incumbent"].unique()})
        judged.append(of_task.assign(table=bench.digest, test_score=scores, regret=judge.best - scores))
    return pd.concat(judged, ignore_index=True)


def compared(live: pd.DataFrame, tabular: pd.DataFrame, tables: Path) -> str:
    """Markdown: a table and its provenance a task.

    Args:
        live: ``runs_schema.COLUMNS``, judged by the table of the tabular runs.
        tabular: ``runs_schema.COLUMNS`` of the same methods.
        tables: folder of the tables.

    Raises:
        TableError: the two were not judged by the same table.
    """
    parts = []
    for task in dict.fromkeys(live["task"]):
        pair = [runs[runs["task"] == task] for runs in (live, tabular)]
        digests = sorted({digest for runs in pair for digest in runs["table"]})
        if len(digests) > 1:
            raise TableError(f"the table of {task} changed meanwhile ({', '.join(digests)}); run the tool again")
        rows = [row for runs in pair for row in _rows(runs)]
        methods = [*dict.fromkeys(pair[0]["method"])]
        rows.sort(key=lambda row: methods.index(row[0].strip("`")))  # stable: live before tabular
        parts += [f"**{task}**, {_budgets(pair[0])}", "", f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER)]
        parts += [f"| {' | '.join(row)} |" for row in rows]
        parts += ["", *_origin(*pair, digests[0], tables), ""]
    return "\n".join(parts).rstrip()


def _rows(runs: pd.DataFrame) -> list[tuple[str, ...]]:
    rows = []
    for method, final in final_rows(runs).groupby("method", sort=False):
        task, configuration = final["task"].iloc[0], distinct(final["configuration"])
        regret = final["regret"].to_numpy()[:, None]
        rng = resampling_rng(task, str(method), configuration, "regret")
        low, high = bootstrap_interval(regret, interquartile_mean, rng)
        rows.append(
            (f"`{method}`", final["mode"].iloc[0], str(len(final)), _number(float(regret.mean())),
             _estimate(interquartile_mean(regret), low, high, len(final)), _number(final["test_score"].mean(), 4),
             _choices(final["incumbent"]))
        )  # fmt: skip
    return rows


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}g}"


def _estimate(value: float, low: float, high: float, runs: int) -> str:
    """A single run says nothing of how runs spread: its number stands alone."""
    if runs == 1 or math.isnan(low):
        return _number(value)
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _choices(incumbents: pd.Series) -> str:
    """The architectures that most runs ended with."""
    counts = sorted(incumbents.value_counts().items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{arch or 'none'} × {count}" if count > 1 else arch or "none" for arch, count in counts[:SHOWN])
    return shown + (f", … ({len(counts)} different)" if len(counts) > SHOWN else "")


def _budgets(runs: pd.DataFrame) -> str:
    whole = get_task(runs["task"].iloc[0]).max_fidelity
    times = ", ".join(f"{budget / whole:g}" for budget in sorted(runs["budget"].unique()))
    return f"a budget of {times} whole trainings:"


def _origin(live: pd.DataFrame, tabular: pd.DataFrame, digest: str, tables: Path) -> list[str]:
    """Where the numbers come from, and what sets the two kinds of runs apart."""
    ends = final_rows(live)
    code, machines, made = (", ".join(sorted(set(runs[name]))) for runs, name in (
        (live, "code_version"), (live, "machine"), (tabular, "code_version")))  # fmt: skip
    seeds = f"{tabular['seed'].nunique()} search seeds"
    lines = [
        f"Live: {ends['cpu_seconds'].sum():,.0f} CPU seconds as charged (a training that two searches share counts for "
        f"both), code {code}, on {machines}. Tabular: {seeds}, "
        f"code {made}. Both are judged by table {digest} ({table_note(load(live['task'].iloc[0], tables=tables))}). "
        "Intervals are percentile bootstraps over search seeds; those of a few runs are too narrow."
    ]
    for method in dict.fromkeys(live["method"]):
        before, now = (set(runs.loc[runs["method"] == method, "configuration"]) for runs in (live, tabular))
        if before != now:
            lines += ["", f"`{method}` has other hyperparameters now than in its live runs."]
    return lines


def block(live_runs: Path, tables: Path, jobs: int) -> str:
    """What stands between the marks.

    Raises:
        NasbenchError: the live runs cannot be read, or a tabular search failed.
    """
    if not live_runs.exists():
        return NONE_STORED
    live = read_runs(live_runs)
    tabular, failures = run_all(searches_of(live, tables), 0, SEARCH_SEEDS, jobs)
    if failures:
        raise failures[0]
    return compared(judged_anew(live, tables), tabular, tables)


def main(arguments: Sequence[str]) -> int:
    """The command line, which has no options."""
    replace_block(BASELINES / "README.md", BEGIN, END, block(LIVE_RUNS, ROOT / "tables", cores.usable()))
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
