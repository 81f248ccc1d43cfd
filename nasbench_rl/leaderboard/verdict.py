"""Does a method beat random search? The one rule and the one test, for every page that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_rl._utils.typing import Floats
from nasbench_rl.errors import missing_extra
from nasbench_rl.leaderboard.evaluated_task import JudgedTask
from nasbench_rl.leaderboard.stats import ranks
from nasbench_rl.leaderboard.stats.bootstrap import ALPHA, EVEN
from nasbench_rl.leaderboard.stats.random_search import Reference

Verdict = Literal["better", "worse", "mixed", "open"]


class Difference(NamedTuple):
    """A method's mean regret minus random search's as the test takes it, and its standard error."""

    mean: float
    error: float


def verdict(difference: float, pvalue: float, improvement: tuple[float, float]) -> Verdict:
    """Judge a method against random search.

    Args:
        difference: its mean regret minus random search's.
        pvalue: of that difference, corrected for the number of methods.
        improvement: interval of its probability of improvement over random search.

    Returns:
        ``open`` without a significant difference, else ``better`` or ``worse``, or ``mixed`` where most runs do not
        end as the mean does: one bad architecture may move a mean alone.
    """
    if not pvalue < ALPHA:
        return "open"
    low, high = improvement
    if difference < 0:
        return "better" if low > EVEN else "mixed"
    return "worse" if high < EVEN else "mixed"


def difference(chosen: npt.ArrayLike, reference: Reference, regrets: Floats) -> Difference:
    """Compare the runs, and one more that ends as random search does, with random search.

    The additional run is spread over the architectures by random search's chances. Without it, two runs that happen to
    agree would have no spread and be called certain; among a hundred runs it weighs nothing. Where random search is
    known from its own runs only, their spread counts too, with one more run that ends as the method does.

    Args:
        chosen: (architectures,) number of runs that ended with each.
        reference: random search on them.
        regrets: (architectures,) of each.
    """
    counts = np.asarray(chosen, dtype=np.float64)
    exact = float(reference.chances @ regrets)
    mean, error = _mean_and_error(counts + reference.chances, regrets - exact)
    if reference.runs:
        _, own = _mean_and_error(reference.chances * reference.runs + counts / counts.sum(), regrets - exact)
        error = math.hypot(error, own)
    return Difference(mean, error)


def _mean_and_error(weights: Floats, values: Floats) -> tuple[float, float]:
    count = float(weights.sum())
    mean = float(weights @ values) / count
    variance = float(weights @ (values - mean) ** 2) / (count - 1)
    return mean, math.sqrt(variance / count)


def pooled(differences: Sequence[Difference], gaps: Sequence[float] | Floats) -> Difference:
    """Return the mean over tasks, each divided by the regret of a random architecture there."""
    scaled = np.array(differences) / np.asarray(gaps, dtype=np.float64)[:, np.newaxis]
    return Difference(float(scaled[:, 0].mean()), math.sqrt(float((scaled[:, 1] ** 2).sum())) / len(scaled))


def pvalue(tested: Difference, runs: int) -> float:
    """Return Student's two-sided p; 1 with a single run, and where every architecture scores the same."""
    if runs < 2 or not tested.error > 0:
        return 1.0
    try:
        import scipy.stats
    except ImportError as cause:
        raise missing_extra("scipy", "report", "testing a method against random search") from cause
    return float(2 * scipy.stats.t.sf(abs(tested.mean) / tested.error, runs))


def compare_methods(tasks: Sequence[JudgedTask], methods: Sequence[str]) -> Mapping[str, tuple[Difference, float]]:
    """Test methods that are judged on every task.

    Returns:
        Per method its difference from random search over the tasks, normalised, and p after Holm's correction.
    """
    tested: dict[str, Difference] = {}
    pvalues = []
    for method in methods:
        parts, runs = [], []
        for judged in tasks:
            outcome, reference = judged.outcome(method)
            assert reference is not None  # without one nothing is known of an improvement, which all of these have
            parts.append(difference(outcome.chosen, reference, outcome.best.mean() - outcome.scores.mean(axis=1)))
            runs.append(min(outcome.runs, reference.runs or outcome.runs))
        tested[method] = pooled(parts, [judged.gap for judged in tasks])
        pvalues.append(pvalue(tested[method], min(runs)))
    if not tested:
        return {}
    adjusted = ranks.holm(pvalues)
    return {name: (tested[name], float(p)) for name, p in zip(tested, adjusted, strict=True)}
