"""The runs on one task with the table that judges them, as arrays that the statistics take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl._utils.typing import Floats, Ints
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.leaderboard.stats.random_search import Outcome, Reference
from nasbench_rl.leaderboard.stats.rank_agreement import ranks_by_luck
from nasbench_rl.leaderboard.summary import Tables, final_rows, random_search_chances, references
from nasbench_rl.task import Task

RANDOM_SEARCH = "random_search"
RANKS_BY_LUCK = "where the rankings by validation and by test seeds agree no more than by luck"


def family_of(task: str) -> str:
    """Name the tasks of one search space and recipe: ``minatar-ss1@lite`` of ``minatar-ss1/breakout@lite``."""
    space, _, rest = task.partition("/")
    return f"{space}@{rest.rpartition('@')[2]}"


@dataclass(frozen=True, eq=False)
class JudgedTask:
    """All runs on one task.

    Attributes:
        bench: the table.
        runs: rows of ``runs_schema.COLUMNS`` in the order of the runs.
        final: the last row of every run.
        budget: what each run could spend, in the task's unit.
        names: the table's architectures, then those that a search chose and the table lacks.
        scores: (names, train seeds) test scores, guesses for the latter; NaN where there is none.
        reference: random search over the whole space, exact where the table is complete, else as it was run, else None.
    """

    bench: Benchmark
    runs: pd.DataFrame
    final: pd.DataFrame
    budget: int
    names: list[str]
    scores: Floats
    reference: Reference | None

    @property
    def task(self) -> Task:
        """The task."""
        return self.bench.task

    @property
    def trainings(self) -> float:
        """The budget in whole trainings."""
        return self.budget / self.task.max_fidelity

    @property
    def gap(self) -> float:
        """Best minus mean test score over the architectures: the regret of a draw at random; NaN if all tie."""
        means = self.scores[: len(self.bench.table.names)].mean(axis=1)
        return float(np.nanmax(means) - np.nanmean(means)) or math.nan

    @cached_property
    def by_luck(self) -> bool:
        """Whether its rankings are the luck of train seeds."""
        return ranks_by_luck(self.bench)

    @cached_property
    def references(self) -> list[dict[str, Any]]:
        """Fixed architectures and the exact expectation of random search, see ``summary.references``."""
        return references(self.bench, self.budget)

    @cached_property
    def methods(self) -> dict[str, pd.DataFrame]:
        """The final rows of each method, by search seed."""
        return {str(name): rows for name, rows in self.final.sort_values("seed").groupby("method", sort=False)}

    def regrets(self, method: str) -> Floats:
        """Return the (runs,) final regrets by search seed; NaN where the chosen architecture has no test score."""
        return np.asarray(self.methods[method]["regret"], dtype=np.float64)

    def is_judged(self, method: str) -> bool:
        """Return whether the method ran on this task and every choice of its runs has a test score."""
        return method in self.methods and not bool(np.isnan(self.regrets(method)).any())

    def outcome(self, method: str) -> tuple[Outcome, Reference | None]:
        """Return what a judged method and random search chose, on the architectures that either chooses."""
        chosen = _count(self.methods[method]["incumbent"], self.names)
        kept = chosen > 0
        if self.reference is not None:
            kept |= self.reference.chances > 0
        measured = self.scores[: len(self.bench.table.names)]
        best = measured[int(np.nanargmax(measured.mean(axis=1)))]
        reference = self.reference and Reference(self.reference.chances[kept], self.reference.runs)
        return Outcome(chosen[kept], self.scores[kept], best), reference


def counted_tasks(tasks: Sequence[JudgedTask]) -> list[JudgedTask]:
    """Return the tasks that count in statements over all: without those that rank by luck, unless all do."""
    return [judged for judged in tasks if not judged.by_luck] or list(tasks)


def judge(task: str, runs: pd.DataFrame, tables: Tables) -> JudgedTask | None:
    """Join the runs on a task with its table; None where no table judges any of them."""
    bench = tables.judge(task, runs["mode"])
    final = final_rows(runs)
    if bench is None or final["regret"].isna().all():
        return None
    view = bench.table.view("test")
    known = ~np.isnan(view.mean[:, -1])
    everywhere = view.used[known].all(axis=0)  # train seeds that all architectures have
    scores = view.values[:, everywhere, -1] if everywhere.any() else view.mean[:, -1:]
    scores = np.where(known[:, np.newaxis], scores, math.nan)
    guessed = final.loc[~final["incumbent"].isin(bench.table.row_of), ["incumbent", "test_score"]].drop_duplicates()
    names = [*bench.table.names, *guessed["incumbent"]]
    others = np.repeat(guessed["test_score"].to_numpy(dtype=np.float64)[:, np.newaxis], scores.shape[1], axis=1)
    scores = np.concatenate([scores, others])
    budget = int(runs["budget"].iloc[0])
    reference = _random_search(bench, names, budget, final)
    return JudgedTask(bench, runs, final, budget, names, scores, reference)


def _random_search(bench: Benchmark, names: list[str], budget: int, final: pd.DataFrame) -> Reference | None:
    chances = random_search_chances(bench, budget)
    if chances is not None:
        return Reference(chances[-1])
    own = final[final["method"] == RANDOM_SEARCH]
    if own.empty or own["regret"].isna().any():
        return None
    return Reference(_count(own["incumbent"], names) / len(own), len(own))


def _count(archs: pd.Series[Any], names: list[str]) -> Ints:
    row_of = {name: row for row, name in enumerate(names)}
    return np.bincount([row_of[arch] for arch in archs], minlength=len(names)).astype(np.int64)
