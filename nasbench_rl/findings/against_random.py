"""Does a method beat random search at equal cost? Its mean regret against the exact expectation of random search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from nasbench_rl import ranks
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import MissingCellError
from nasbench_rl.findings.searches import Chosen
from nasbench_rl.improvement import (
    FEWEST_TRAIN_SEEDS,
    Outcome,
    Reference,
    drawn_shares,
    improvement,
    improvement_draws,
    train_seed_interval,
)
from nasbench_rl.leaderboard.certainty import Difference, difference, pooled, pvalue
from nasbench_rl.leaderboard.report import ALL, is_random_search
from nasbench_rl.stats import ALPHA, LEVEL, RESAMPLES, Array, percentile_interval, resampling_rng
from nasbench_rl.summary import random_search_chances

NORMALISED = "normalised"
Verdict = Literal["better", "worse", "mixed", "open"]
EVEN = 0.5
"""Probability of improvement of a method that is as good."""


@dataclass(frozen=True, eq=False)
class Against:
    """One method beside random search.

    Attributes:
        method: its name.
        runs: search seeds.
        spent: mean whole trainings that its runs paid for, one that was begun counted whole.
        regret: mean regret of the architectures that its runs chose.
        difference: that minus the exact expectation of random search with what each run spent; below 0 is better.
        interval: percentile interval of ``difference`` over search seeds; NaN with a single run.
        table_interval: over train seeds too; NaN with fewer than ``FEWEST_TRAIN_SEEDS`` of the test split.
        improvement: probability that a run ends with a better architecture than random search; ties count half.
        improvement_interval: over search seeds.
        test: mean difference and its standard error as the test takes them, see ``certainty.difference``.
        pvalue: Student's t, two-sided, that the runs' expectation is random search's.
        adjusted: the same with Holm's correction over the methods; NaN for random search itself, which is a control.
        train_seeds: of the test split; over tasks, the fewest.
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
    def is_control(self) -> bool:
        """Whether it is random search, as it was run."""
        return is_random_search(self.method)

    @property
    def verdict(self) -> Verdict:
        """Whether the test with Holm's correction finds a difference, and which way.

        Mixed where most runs do not end as the mean does: one bad architecture may move a mean alone.
        """
        if not self.adjusted < ALPHA:
            return "open"
        low, high = self.improvement_interval
        if self.difference < 0:
            return "better" if low > EVEN else "mixed"
        return "worse" if high < EVEN else "mixed"


@dataclass(frozen=True, eq=False)
class Comparison:
    """All methods with one budget on one task, or over all tasks.

    Attributes:
        task: its id, or ``report.ALL``.
        trainings: the budget in whole trainings.
        exact: expected regret of random search that spends the whole budget.
        unit: of regrets: the task's score, or ``normalised`` (divided by the regret of a draw at random).
        rows: by ``difference``, controls last.
        tasks: number of tasks.
        gap: regret of a draw at random.
        floor: regret of the architecture with the best validation score of all: what a search ends with that has seen
            everything.
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

    def of(self, verdict: Verdict) -> list[Against]:
        """The methods with a verdict, those with the largest difference first; no control."""
        found = [row for row in self.rows if row.verdict == verdict and not row.is_control]
        return found[::-1] if verdict == "worse" else found


def compare_task(bench: Benchmark, budget: int, searches: Sequence[Chosen]) -> Comparison | None:
    """Every method on one task with one budget; None for a table that is not complete, whose line is not known.

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
    gap = float(means.max() - means.mean())
    exact = float(means.max() - chances[-1] @ means)
    seen = bench.table.view("validation").mean[:, -1]
    floor = float(means.max() - means[seen == seen.max()].mean())
    trainings = budget / bench.task.max_fidelity
    return Comparison(bench.task.id, trainings, exact, view.column, _judged(rows), 1, gap, floor, scores.shape[1])


def over_tasks(comparisons: Sequence[Comparison]) -> Comparison:
    """The mean over tasks with the same budget, regrets normalised, of the methods that ran on every one."""
    shared = set.intersection(*({row.method for row in one.rows} for one in comparisons))
    names = [row.method for row in comparisons[0].rows if row.method in shared]
    gaps = np.array([one.gap or math.nan for one in comparisons])
    exact = float(np.mean([one.exact / gap for one, gap in zip(comparisons, gaps, strict=True)]))
    floor = float(np.mean([one.floor / gap for one, gap in zip(comparisons, gaps, strict=True)]))
    rows = [_pooled([_row(one, name) for one in comparisons], gaps) for name in names]
    seeds = min(one.train_seeds for one in comparisons)
    return Comparison(ALL, comparisons[0].trainings, exact, NORMALISED, _judged(rows), len(gaps), 1.0, floor, seeds)


def _row(comparison: Comparison, method: str) -> Against:
    return next(row for row in comparison.rows if row.method == method)


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
    """One method on one task; its draws are its own, whichever other methods are there.

    ``chances``: of ``random_search_chances``; random search spends what the method's runs did.
    """
    spent = _shares_spent(one, len(chances))
    reference = Reference(spent @ chances)
    rng = partial(resampling_rng, task, one.method, one.configuration)
    means, runs = outcome.scores.mean(axis=1), outcome.runs
    regrets = means.max() - means
    shares, exact = outcome.chosen / runs, float(reference.chances @ regrets)
    mean = float(shares @ regrets)
    drawn = drawn_shares(outcome.chosen, runs, rng("regret at equal cost"), RESAMPLES)
    seeds = outcome.train_seeds
    weights = drawn_shares(np.ones(seeds), seeds, rng("train seeds"), RESAMPLES)
    unknown, told = np.full(RESAMPLES, math.nan), runs > 1 and seeds >= FEWEST_TRAIN_SEEDS
    draws = (
        drawn @ regrets - exact if runs > 1 else unknown,
        # The best architecture's score is in both regrets and cancels.
        ((reference.chances - drawn) * (weights @ outcome.scores.T)).sum(axis=1) if told else unknown,
        improvement_draws(outcome, reference, rng("improvement"), RESAMPLES),
    )
    test = difference(outcome.chosen, reference, regrets)
    over_seeds = train_seed_interval(mean - exact, draws[1], seeds, LEVEL)
    return Against(
        one.method, runs, float(spent @ np.arange(1, len(spent) + 1)), mean,
        mean - exact, _interval(draws[0]), over_seeds, improvement(outcome, reference),
        _interval(draws[2]), test, pvalue(test, runs), seeds, draws=draws,
    )  # fmt: skip


def _interval(draws: Array) -> tuple[float, float]:
    low, high = percentile_interval(draws)
    return float(low), float(high)


def _pooled(rows: Sequence[Against], gaps: Array) -> Against:
    def mean(values: Sequence[Any], scale: Any = 1.0) -> Any:
        return np.mean(np.asarray(values) / scale, axis=0)

    column = gaps[:, np.newaxis]
    draws = (
        mean([row.draws[0] for row in rows], column), mean([row.draws[1] for row in rows], column),
        mean([row.draws[2] for row in rows]),
    )  # fmt: skip
    test = pooled([row.test for row in rows], gaps)
    runs = min(row.runs for row in rows)
    seeds, less = min(row.train_seeds for row in rows), float(mean([row.difference for row in rows], gaps))
    return Against(
        rows[0].method, runs, float(mean([row.spent for row in rows])), float(mean([row.regret for row in rows], gaps)),
        less, _interval(draws[0]), train_seed_interval(less, draws[1], seeds, LEVEL),
        float(mean([row.improvement for row in rows])), _interval(draws[2]), test, pvalue(test, runs), seeds,
        draws=draws,
    )  # fmt: skip


def _judged(rows: Sequence[Against]) -> tuple[Against, ...]:
    """With Holm's correction over the methods, in order."""
    tested = [row for row in rows if not row.is_control]
    if tested:
        adjusted = ranks.holm([row.pvalue for row in tested])
        tested = [replace(row, adjusted=float(p)) for row, p in zip(tested, adjusted, strict=True)]
    controls = [row for row in rows if row.is_control]
    return tuple([*sorted(tested, key=lambda row: row.difference), *controls])
