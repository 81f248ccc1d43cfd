"""Statistics of rankings: average ranks, tests, Holm's correction, Kendall's τ, a table's noise ceiling.

Pure functions on arrays. SciPy is imported by the functions that need it and not by this module. Every random draw
comes from the generator that is passed in. Regrets and intervals are in
``nasbench_rl.leaderboard.stats.bootstrap``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_rl._utils.typing import Floats
from nasbench_rl.errors import InvalidValueError, missing_extra
from nasbench_rl.leaderboard.stats.bootstrap import as_scores


class RankTest(NamedTuple):
    """A test statistic and the probability of one at least as extreme under the null hypothesis."""

    statistic: float
    pvalue: float


class NoiseCeiling(NamedTuple):
    """How well the ranking by one half of the train seeds agrees with that by the other.

    Attributes:
        tau: mean over the splits of Kendall's τ between the halves; NaN with a single train seed.
        std: sample standard deviation over the splits (which share seeds: no standard error); NaN below two splits.
        splits: number of splits looked at.
    """

    tau: float
    std: float
    splits: int


def _scipy_stats(purpose: str) -> Any:
    try:
        import scipy.stats
    except ImportError as error:
        raise missing_extra("scipy", "report", purpose) from error
    return scipy.stats


def average_ranks(scores: npt.ArrayLike, higher_is_better: bool = True) -> Floats:
    """Average the rank of each method over the blocks; 1 is best, and tied methods share the mean of their ranks.

    Args:
        scores: (methods, blocks), a block being a task or a (run, task); further axes count as blocks too.
        higher_is_better: False for regrets and costs.

    Returns:
        (methods,) mean ranks; they sum to methods · (methods + 1) / 2.

    Raises:
        InvalidValueError: a missing score: an unfinished task has no ranks.

    >>> average_ranks([[0.9, 0.5], [0.9, 0.4], [0.1, 0.6]]).tolist()
    [1.75, 2.25, 2.0]
    """
    values = as_scores("scores", scores)
    values = (-values if higher_is_better else values).reshape(len(values), -1)
    ahead = (values[:, np.newaxis] > values).sum(axis=1)
    tied = (values[:, np.newaxis] == values).sum(axis=1)
    return np.asarray((ahead + (tied + 1) / 2).mean(axis=1))


def friedman(scores: npt.ArrayLike) -> RankTest:
    """Test by Friedman that all methods are alike; ties are corrected for.

    Args:
        scores: (methods, tasks), one score (mean over runs) a cell; either direction.

    Returns:
        The χ² statistic and its p-value. When every task ties all methods the statistic is undefined: NaN, p = 1.

    Raises:
        InvalidValueError: fewer than three methods or two tasks, or a missing score.
    """
    values = as_scores("scores", scores, 2)
    methods, tasks = values.shape
    if methods < 3 or tasks < 2:
        raise InvalidValueError(
            f"Friedman's test got {methods} methods on {tasks} tasks; it needs at least 3 methods and 2 tasks"
        )
    if (values == values[0]).all():
        return RankTest(math.nan, 1.0)
    result = _scipy_stats("Friedman's test").friedmanchisquare(*values)
    return RankTest(float(result.statistic), float(result.pvalue))


def holm(pvalues: npt.ArrayLike) -> Floats:
    """Correct p-values by Holm's step-down procedure: adjusted ones that keep the family-wise error rate (Holm 1979).

    Args:
        pvalues: (tests,) p-values of one family.

    Returns:
        (tests,) adjusted p-values in the same order, at most 1.

    Raises:
        InvalidValueError: a p-value outside [0, 1] or missing.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = as_scores("pvalues", pvalues, 1)
    if values.min() < 0 or values.max() > 1:
        raise InvalidValueError(f"p-values reach from {values.min()} to {values.max()}; each must be between 0 and 1")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def signed_rank(difference: npt.ArrayLike) -> RankTest:
    """Run Wilcoxon's signed-rank test, two-sided, exact for every length, with ties and zeros.

    Zeros, common where two methods both find the optimum, are ranked and then dropped (Pratt 1959), so that many ties
    do not make a few small differences significant. The null distribution gives each remaining rank either sign with
    probability ½; it is worked out here because SciPy's is only approximate with ties, or takes seconds a pair.

    Args:
        difference: (blocks,) paired differences of two methods.

    Returns:
        The smaller of the rank sums of the positive and the negative differences, and its p-value; 0 and p = 1 when
        nothing differs.

    Raises:
        InvalidValueError: a missing difference.
    """
    values = as_scores("difference", difference, 1)
    size = np.abs(values)[:, np.newaxis]
    # Twice the average rank is a whole number.
    doubled = 2 * (size > size.T).sum(axis=1) + (size == size.T).sum(axis=1) + 1
    positive, total = int(doubled[values > 0].sum()), int(doubled[values != 0].sum())
    smaller = min(positive, total - positive)
    chance = np.zeros(smaller + 1)  # of each rank sum up to the observed one; the rest of the tail is not needed
    chance[0] = 1
    for rank in doubled[values != 0]:
        chance /= 2
        chance[rank:] += chance[:-rank]
    return RankTest(smaller / 2, min(1.0, 2 * float(chance.sum())))


def kendall_tau(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Compute Kendall's τ-b of two scorings of the same items.

    Args:
        x: (items,) scores.
        y: (items,) scores in the same order of items.

    Returns:
        −1 (reversed) to 1 (the same ranking); NaN when one scoring ties every item and so ranks nothing.

    Raises:
        InvalidValueError: lengths differ, fewer than two items, or a missing score.
    """
    left, right = as_scores("x", x, 1), as_scores("y", y, 1)
    if len(left) != len(right) or len(left) < 2:
        raise InvalidValueError(f"x has {len(left)} items, y {len(right)}; both need the same ones, at least 2")
    return _tau(left, right)


def _tau(x: Floats, y: Floats) -> float:
    if (x == x[0]).all() or (y == y[0]).all():
        return math.nan
    # The p-value is not used: the asymptotic one is the cheapest.
    return float(_scipy_stats("Kendall's tau").kendalltau(x, y, method="asymptotic").statistic)


def sparse_kendall_tau(predicted: npt.ArrayLike, true: npt.ArrayLike, resolution: float) -> float:
    """Compute Kendall's τ-b after the predictions are rounded, so that differences too small to matter are ties.

    As NAS-Bench-301 has it (Siems et al. 2020: 0.1 % accuracy), the predictions alone are rounded, not the truth.

    Args:
        predicted: (items,) predictions.
        true: (items,) measured scores.
        resolution: what to round to a multiple of, above 0, in the unit of the predictions.

    Returns:
        −1 to 1; NaN when rounding leaves every prediction the same.

    Raises:
        InvalidValueError: as ``kendall_tau``, or a resolution that is not above 0.
    """
    if not (resolution > 0 and math.isfinite(resolution)):
        raise InvalidValueError(f"resolution is {resolution!r}; it must be above 0, such as 0.1 for 0.1 % accuracy")
    return kendall_tau(np.rint(as_scores("predicted", predicted, 1) / resolution), true)


def noise_ceiling(
    scores: npt.ArrayLike, rng: np.random.Generator | None = None, max_splits: int = 1000
) -> NoiseCeiling:
    """Compute Kendall's τ between the rankings by two halves of the train seeds: what noise leaves to predict.

    Architectures are ranked by their mean over each half (of an odd number of seeds, one half has one more). All
    splits are taken if there are at most ``max_splits``, else as many drawn at random. Each half has half of the
    seeds, so the ranking by all of them is less noisy than this says.

    Args:
        scores: (architectures, train seeds), complete.
        rng: source of the random splits; needed only when there are more than ``max_splits``.
        max_splits: the largest number of splits to look at.

    Returns:
        Mean, spread and number of splits; NaN and 0 splits with a single train seed.

    Raises:
        InvalidValueError: a missing score, fewer than two architectures, or no generator where one is needed.
    """
    values = as_scores("scores", scores, 2)
    architectures, seeds = values.shape
    if architectures < 2 or max_splits < 1:
        raise InvalidValueError(
            f"noise_ceiling got {architectures} architectures and max_splits={max_splits!r}; it needs at least 2 and 1"
        )
    if seeds == 1:
        return NoiseCeiling(math.nan, math.nan, 0)
    taus = np.array(
        [
            _tau(values[:, half].mean(axis=1), np.delete(values, half, axis=1).mean(axis=1))
            for half in _halves(seeds, rng, max_splits)
        ]
    )
    std = float(taus.std(ddof=1)) if len(taus) > 1 else math.nan
    return NoiseCeiling(float(taus.mean()), std, len(taus))


def _halves(seeds: int, rng: np.random.Generator | None, max_splits: int) -> Iterator[list[int]]:
    """Yield the smaller half of each split; of two equal halves, the one that holds seed 0."""
    size = seeds // 2
    fixed = 1 if 2 * size == seeds else 0
    if math.comb(seeds - fixed, size - fixed) <= max_splits:
        for rest in itertools.combinations(range(fixed, seeds), size - fixed):
            yield [*range(fixed), *rest]
    elif rng is None:
        raise InvalidValueError(
            f"{seeds} train seeds have more than max_splits={max_splits} splits; pass rng=numpy.random.default_rng(0) "
            "to draw some, or raise max_splits"
        )
    else:
        for _ in range(max_splits):
            yield rng.permutation(seeds)[:size].tolist()
