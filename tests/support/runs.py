"""Runs on made tables, as compare writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nasbench_rl import load
from nasbench_rl.compare.experiment import Search, run_search
from nasbench_rl.tables.parquet import write_frame

METHODS = ("random_search", "local_search", "random_search:samples=3")


def made_runs(tables: Path, tasks: Sequence[str], methods: Sequence[str] = METHODS, runs: int = 20) -> pd.DataFrame:
    """``runs_schema.COLUMNS`` of real searches with a budget of ten whole trainings."""
    frames = []
    for task in tasks:
        budget = 10 * load(task, tables=tables).task.max_fidelity
        for label in methods:
            name, _, given = label.partition(":samples=")
            search = Search(task, name, budget, hyperparameters={"samples": int(given)} if given else {},
                            tables=str(tables))  # fmt: skip
            frames.append(run_search(search, range(runs)))
    return pd.concat(frames, ignore_index=True)


def choosing(runs: pd.DataFrame, tables: Path, method: str, arch: str | None = None) -> pd.DataFrame:
    """A method of another package that copies random search, but always ends with ``arch`` (None: the best)."""
    mine = runs[runs["method"] == "random_search"].assign(method=method, method_version="mine 1.0", configuration="00")
    for task in mine["task"].unique():
        bench = load(task, tables=tables)
        best = bench.optimum()
        of_task = mine["task"] == task
        chosen = arch or best.arch
        score = bench.query(chosen).score
        mine.loc[of_task, ["incumbent"]] = chosen
        mine.loc[of_task, ["test_score"]] = score
        mine.loc[of_task, ["regret"]] = best.score - score
    return mine


def write_runs(runs: pd.DataFrame, folder: Path) -> Path:
    """A folder of results."""
    write_frame(runs, folder / "runs.parquet")
    return folder
