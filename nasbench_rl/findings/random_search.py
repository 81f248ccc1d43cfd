"""Does a method beat random search at equal cost? Its mean regret against the exact expectation of random search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import MissingCellError
from nasbench_rl.findings.searches import Chosen
from nasbench_rl.leaderboard.ranking import ALL, is_random_search
from nasbench_rl.leaderboard.stats import ranks
from nasbench_rl.leaderboard.stats.bootstrap import LEVEL, RESAMPLES, Array, percentile_interval, resampling_rng
from nasbench_rl.leaderboard.stats.random_search import (
    FEWEST_TRAIN_SEEDS,
    Outcome,
    Reference,
    drawn_shares,
    improvement,
    improvement_draws,
    train_seed_interval,
)
from nasbench_rl.leaderboard.summary import random_search_chances
from nasbench_rl.leaderboard.verdict import Difference, Verdict, difference, pooled, pvalue, verdict

COLUMNS = (
    "task", "trainings", "method", "searches", "spent", "regret", "random_search", "difference", "low", "high",
    "table_low", "table_high", "improvement", "improvement_low", "improvement_high", "p_holm", "verdict", "unit",
    "tasks", "train_seeds", "random_search_full_budget", "regret_at_random", "regret_all_seen", "approximation",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Against:
    """One method compared with random search.

    Attributes:
        method: its name.
        runs: search seeds.
        spent: mean whole trainings that its runs paid for; a training that was begun counts as whole.
        regret: mean regret of the architectures that its runs chose.
        difference: that minus the exact expectation of random search with what each run spent; below 0 is better.
        interval: percentile interval of ``difference`` over search seeds; NaN with a single run.
        table_interval: over train seeds too; NaN with fewer than ``FEWEST_TRAIN_SEEDS`` of the test split.
        improvement: probability that a run ends with a better architecture than random search; ties count half.
        improvement_interval: over search seeds.
        test: mean difference and its standard error as the test takes them.
        pvalue: Student's t, two-sided, that the runs' expectation is random search's.
        train_seeds: of the test split; over tasks, the fewest.
        adjusted: ``pvalue`` with Holm's correction over the methods; NaN for random search itself, the control.
        draws: resampled ``difference``, ``difference`` over train seeds too, and ``improvement``.
    """

    method: str
    runs: int
    spent: float
    regret: float
    difference: float
    interval: tuple[float, float]
    table_interval: tuple[float, float]
    improvement: float
    improvement_interval: tuple[float, float]
    test: Difference
    pvalue: float
    train_seeds: int
    adjusted: float = math.nan
    draws: tuple[Array, Array, Array] = field(default=(np.empty(0),) * 3, repr=False)

    @property
    def verdict(self) -> Verdict | Literal["control"]:
        """What ``leaderboard.verdict`` says of it; ``control`` is random search itself."""
        if is_random_search(self.method):
            return "control"
        return verdict(self.difference, self.adjusted, self.improvement_interval)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All methods with one budget on one task, or over all tasks.

    Attributes:
        task: its id, or ``report.ALL``.
        trainings: the budget in whole trainings.
        exact: expected regret of random search that spends the whole budget.
        unit: of regrets: the task's score, or ``normalised`` (divided by the regret of a random architecture).
        rows: by ``difference``, controls last.
        tasks: number of tasks.
        gap: regret of a random architecture.
        floor: regret of the best validation score of all, where a search ends that has seen everything.
        train_seeds: of the test split, that test scores are means over; the fewest of any task.
    """

    task: str
    trainings: float
    exact: float
    unit: str
    rows: tuple[Against, ...]
    tasks: int
    gap: float
    floor: float
    train_seeds: int


def compare_task(bench: Benchmark, budget: int, searches: Sequence[Chosen]) -> Comparison | None:
    """Compare every method on one task with one budget; None if the table is not complete over its space.

    Raises:
        MissingCellError: a search chose an architecture that the table lacks.
    """
    chances = random_search_chances(bench, budget)
    if chances is None:
        return None
    view = bench.table.view("test")
    scores = view.values[:, view.used.all(axis=0), -1]
    rows = [_against(bench.task.id, one, _outcome(bench, one, scores), chances) for one in searches]
    means = scores.mean(axis=1)
    best, seen = float(means.max()), bench.table.view("validation").mean[:, -1]
    return Comparison(
        bench.task.id, budget / bench.task.max_fidelity, best - float(chances[-1] @ means), view.column, _judged(rows),
        1, best - float(means.mean()), best - float(means[seen == seen.max()].mean()), scores.shape[1],
    )  # fmt: skip


def over_tasks(comparisons: Sequence[Comparison]) -> Comparison:
    """Average over tasks with the same budget, regrets normalised, for the methods that ran on every one."""
    by_method = [{row.method: row for row in one.rows} for one in comparisons]
    names = [name for name in by_method[0] if all(name in rows for rows in by_method)]
    gaps = np.array([one.gap or math.nan for one in comparisons])
    exact, floor = ((np.array([(one.exact, one.floor) for one in comparisons]).T / gaps).mean(axis=1)).tolist()
    rows = [_pooled([rows[name] for rows in by_method], gaps) for name in names]
    seeds = min(one.train_seeds for one in comparisons)
    return Comparison(ALL, comparisons[0].trainings, exact, "normalised", _judged(rows), len(gaps), 1.0, floor, seeds)


def frame_of(comparisons: Iterable[Comparison], approximations: dict[str, str]) -> pd.DataFrame:
    """Return every number as ``COLUMNS``.

    Args:
        comparisons: any.
        approximations: by method, what it ran on in place of the real thing.
    """
    rows = [
        (one.task, one.trainings, row.method, row.runs, row.spent, row.regret, row.regret - row.difference,
         row.difference, *row.interval, *row.table_interval, row.improvement, *row.improvement_interval, row.adjusted,
         row.verdict, one.unit, one.tasks, one.train_seeds, one.exact, one.gap, one.floor,
         approximations.get(row.method, ""))
        for one in comparisons for row in one.rows
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _outcome(bench: Benchmark, one: Chosen, scores: Array) -> Outcome:
    counts = np.zeros(len(scores), dtype=np.int64)
    for arch, count in one.chosen.items():
        if arch not in bench.table.row_of:
            raise MissingCellError(f"a search of {one.method} chose {arch}, which the table of {one.task} lacks")
        counts[bench.table.row_of[arch]] += count
    return Outcome(counts, scores, scores[int(scores.mean(axis=1).argmax())])


def _shares_spent(one: Chosen, most: int) -> Array:
    """(most,) share of the searches that paid for 1, 2, … whole trainings; random search has no use for more."""
    shares = np.zeros(most)
    for trainings, count in (one.spent or {str(most): one.runs}).items():
        shares[min(max(int(trainings), 1), most) - 1] += count
    return np.asarray(shares / shares.sum())


def _against(task: str, one: Chosen, outcome: Outcome, chances: Array) -> Against:
    """Compare one method on one task; its draws do not depend on the other methods.

    ``chances``: of ``random_search_chances``; random search spends what the method's runs did.
    """
    spent = _shares_spent(one, len(chances))
    reference = Reference(spent @ chances)
    rng = partial(resampling_rng, task, one.method, one.configuration)
    means, runs, seeds = outcome.scores.mean(axis=1), outcome.runs, outcome.train_seeds
    regrets = means.max() - means
    exact, mean = float(reference.chances @ regrets), float(outcome.chosen / runs @ regrets)
    drawn = drawn_shares(outcome.chosen, runs, rng("regret at equal cost"), RESAMPLES)
    weights = drawn_shares(np.ones(seeds), seeds, rng("train seeds"), RESAMPLES)
    unknown = np.full(RESAMPLES, math.nan)
    draws = (
        drawn @ regrets - exact if runs > 1 else unknown,
        # The best architecture's score is in both regrets and cancels.
        ((reference.chances - drawn) * (weights @ outcome.scores.T)).sum(axis=1)
        if runs > 1 and seeds >= FEWEST_TRAIN_SEEDS
        else unknown,
        improvement_draws(outcome, reference, rng("improvement"), RESAMPLES),
    )
    test = difference(outcome.chosen, reference, regrets)
    return _row(
        one.method, runs, float(spent @ np.arange(1, len(spent) + 1)), mean, mean - exact,
        improvement(outcome, reference), test, seeds, draws,
    )  # fmt: skip


def _row(
    method: str, runs: int, spent: float, regret: float, less: float, better: float, test: Difference, seeds: int,
    draws: tuple[Array, Array, Array],
) -> Against:  # fmt: skip
    over_seeds = train_seed_interval(less, draws[1], seeds, LEVEL)
    return Against(
        method, runs, spent, regret, less, _interval(draws[0]), over_seeds, better, _interval(draws[2]), test,
        pvalue(test, runs), seeds, draws=draws,
    )  # fmt: skip


def _interval(draws: Array) -> tuple[float, float]:
    low, high = percentile_interval(draws)
    return float(low), float(high)


def _pooled(rows: Sequence[Against], gaps: Array) -> Against:
    def mean(values: Sequence[Any], scale: Any = 1.0) -> Any:
        return np.mean(np.asarray(values) / scale, axis=0)

    column = gaps[:, np.newaxis]
    draws = tuple(mean([row.draws[at] for row in rows], scale) for at, scale in enumerate((column, column, 1.0)))
    return _row(
        rows[0].method, min(row.runs for row in rows), float(mean([row.spent for row in rows])),
        float(mean([row.regret for row in rows], gaps)), float(mean([row.difference for row in rows], gaps)),
        float(mean([row.improvement for row in rows])), pooled([row.test for row in rows], gaps),
        min(row.train_seeds for row in rows), (draws[0], draws[1], draws[2]),
    )  # fmt: skip


def _judged(rows: Sequence[Against]) -> tuple[Against, ...]:
    """Add Holm's correction over the methods, and sort."""
    tested = [row for row in rows if row.verdict != "control"]
    if tested:
        adjusted = ranks.holm([row.pvalue for row in tested])
        tested = [replace(row, adjusted=float(p)) for row, p in zip(tested, adjusted, strict=True)]
    controls = [row for row in rows if row.verdict == "control"]
    return tuple([*sorted(tested, key=lambda row: row.difference), *controls])
