"""What runs are judged by: their tables, each loaded once, and the reference rows that stand with the methods."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from nasbench_rl._utils import cli
from nasbench_rl._utils.text import show
from nasbench_rl._utils.typing import Floats
from nasbench_rl.benchmark.base import Benchmark, Mode
from nasbench_rl.benchmark.load import load
from nasbench_rl.errors import TableError
from nasbench_rl.leaderboard.stats.random_search import random_search_choice
from nasbench_rl.spaces import NATURE_CNN
from nasbench_rl.tables.score_table import ScoreTable
from nasbench_rl.task.splits import SPLITS

EXACT = "random search, exact"


class Tables:
    """The tables of a folder that judge runs, each loaded once."""

    def __init__(self, folder: str | None = None) -> None:
        """``folder``: of tables; None is where queries look."""
        self.folder = folder
        self._loaded: dict[tuple[str, Mode], Benchmark] = {}

    @classmethod
    def of(cls, tables: Tables | str | None) -> Tables:
        """Return the tables themselves, or those of a folder."""
        return tables if isinstance(tables, Tables) else cls(tables)

    def load(self, task: str, mode: Mode = "tabular") -> Benchmark:
        """Load a task's benchmark, or return the one that was loaded before.

        Raises:
            TableError: no table, or a broken one.
        """
        key = (task, mode)
        if key not in self._loaded:
            self._loaded[key] = load(task, mode, self.folder)
        return self._loaded[key]

    def judge(self, task: str, modes: Iterable[str] = ()) -> Benchmark | None:
        """Return what judges a task's runs; None without a table (a live run of an untrained task).

        Runs of mode ``surrogate`` chose among guesses, so the surrogate stands in for what the table lacks.
        """
        try:
            return self.load(task, "surrogate" if "surrogate" in set(modes) else "tabular")
        except TableError:
            return None


def final_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the last evaluation of every run, by search seed."""
    return runs.sort_values(["seed", "step"]).groupby(["task", "method", "seed"], sort=False).tail(1)


def distinct(texts: Iterable[str]) -> str:
    """Join the texts that are not empty, each once."""
    return ", ".join(sorted({text for text in texts if text}))


def approximate_note(rows: pd.DataFrame) -> str:
    """Say which methods of a table (columns ``method`` and ``approximation``) ran on which approximation."""
    known = rows[rows["approximation"].notna() & (rows["approximation"] != "")]
    named = {text: ", ".join(same["method"]) for text, same in known.groupby("approximation", sort=False)}
    return "Approximate: " + "; ".join(f"{who} ({text})" for text, who in named.items()) + "." if named else ""


def references(bench: Benchmark, budget: int) -> list[dict[str, Any]]:
    """List the best and mean architecture, Nature-CNN where the space has it, and random search's exact expectation."""
    best, scores = bench.optimum(partial=True), bench.table.view("test").mean[:, -1]
    covered = _covered(bench)
    of = f" of {covered}" if covered else ""
    named = {f"best architecture{of} ({best.arch})": best.score, f"mean architecture{of}": float(np.nanmean(scores))}
    if NATURE_CNN in bench.space and not math.isnan(nature := scores[bench.space.index(NATURE_CNN)]):
        named[f"Nature-CNN ({bench.space.parse(NATURE_CNN)})"] = nature
    _, expected = exact_random_search(bench, budget)
    if len(expected):
        named[EXACT] = best.score - expected[-1]
    return [
        {"method": name, "test_score": score, "regret_mean": best.score - score, "spent": float("nan")}
        for name, score in named.items()
    ]


def random_search_chances(bench: Benchmark, budget: int) -> Floats | None:
    """Compute the exact chance that random search ends with each architecture, after each training it can pay.

    Returns:
        (whole trainings, architectures); None for a table that is not complete over its space.
    """
    if not bench.task.exhaustive:
        return None
    return _chances(bench.table, min(budget // bench.task.max_fidelity, len(bench.space)))


@functools.lru_cache(maxsize=32)
def _chances(table: ScoreTable, trainings: int) -> Floats | None:
    search, report = table.view("validation"), table.view("test").mean[:, -1]
    values = np.where(search.used, search.values[:, :, -1], np.nan)
    if trainings < 1 or np.isnan(report).any() or np.isnan(values).all(axis=1).any():
        return None
    return random_search_choice(values, trainings)


def exact_random_search(bench: Benchmark, budget: int) -> tuple[Floats, Floats]:
    """Compute the expected regret of random search after each training up to the budget, without simulation.

    Returns:
        (whole trainings, expected regret); empty for a table that is not complete over its space.
    """
    chances = random_search_chances(bench, budget)
    if chances is None:
        return np.empty(0), np.empty(0)
    report = bench.table.view("test").mean[:, -1]
    return np.arange(1.0, len(chances) + 1), report.max() - chances @ report


def table_note(bench: Benchmark) -> str:
    """Say what a reader has to know about a task's table: metric, seeds, how validation and test are held apart."""
    known, table = bench.task, bench.table
    validation, test = (", ".join(map(str, bench.train_seeds(split))) for split in SPLITS)
    if known.splits.same_trainings:
        held = f"validation and test images are apart, train seeds {validation}"
        held += "; what the table lacks is guessed by a surrogate" if bench.mode == "surrogate" else ""
    elif table.single_seed:
        seeds = validation or "0"
        held = f"single train seed ({seeds}): searches see {known.metric}, reports {table.view('test').column}"
    else:
        held = f"validation train seeds {validation}; test train seeds {test}"
    covered = _covered(bench)
    covered = f"; regret is to the best of the {covered} architectures that have a test score" if covered else ""
    return f"{known.metric} at {known.max_fidelity:,} {known.fidelity_unit.replace('_', ' ')}; {held}{covered}"


def _covered(bench: Benchmark) -> str:
    """Return ``7 of 25`` architectures with a test score; empty if all have one, or no table can hold them all."""
    known, every = bench.table.scored("test"), len(bench.table.names)
    return f"{known} of {every}" if bench.task.exhaustive and known < every else ""


def print_choices(runs: pd.DataFrame, tables: Tables, console: Console) -> None:
    """Print what each run chose, with its validation score, on the tasks that no table judges."""
    for task, of_task in runs.groupby("task", sort=False):
        if tables.judge(str(task), of_task["mode"]) is not None:
            continue
        table = cli.Table(title=f"{task}: what was chosen, by validation score", title_justify="left")
        for name in ("method", "search seed", "chosen", "validation score"):
            table.add_column(name, justify="left" if name in ("method", "chosen") else "right")
        for (method, seed), run in of_task.sort_values("step").groupby(["method", "seed"]):
            chosen = run["incumbent"].iloc[-1]
            scores = run.loc[run["arch"] == chosen, "score"]
            table.add_row(method, str(seed), chosen or "–", show(scores.iloc[-1] if len(scores) else math.nan, 4))
        console.print(table)
