"""Where the spread of scores comes from: random-effects analysis of variance, architecture against seed.

Pure functions on arrays. SciPy is imported by the functions that need it and not by this module.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_rl.errors import InvalidValueError, missing_extra
from nasbench_rl.leaderboard.stats.bootstrap import LEVEL


class Components(NamedTuple):
    """Variance components of a table of scores.

    Attributes:
        share: architecture's part of what decides a ranking, σ²_architecture / (σ²_architecture + σ²_rest): the
            intraclass correlation of single trainings. At least 0.
        low: lower bound of its interval.
        high: upper bound of it.
        sd_architecture: standard deviation of the architectures' own scores, in the unit of the scores.
        sd_rest: standard deviation of one training around its architecture's own score: train seed in a one-way
            table, what architecture and seed do together in a two-way one.
        sd_seed: standard deviation of what a seed does to all architectures alike; NaN in a one-way table.
        architectures: number of them.
        trainings: number of scores.
    """

    share: float
    low: float
    high: float
    sd_architecture: float
    sd_rest: float
    sd_seed: float
    architectures: int
    trainings: int

    def repeats(self, reliability: float) -> float:
        """Return how many trainings of an architecture make a mean whose share is ``reliability`` (Spearman-Brown).

        Args:
            reliability: from 0 to below 1.

        Returns:
            At least 1; ∞ where the share is 0, NaN where it is not known because all scores are equal.

        Raises:
            InvalidValueError: ``reliability`` is outside.
        """
        if not 0 <= reliability < 1:
            raise InvalidValueError(f"reliability is {reliability!r}; allowed: 0 to below 1")
        if math.isnan(self.share):
            return math.nan
        if self.share <= 0:
            return math.inf
        return max(1.0, reliability / (1 - reliability) * (1 - self.share) / self.share)


def one_way(scores: npt.ArrayLike, level: float = LEVEL) -> Components:
    """Analyse architecture and train seed, each training a draw of its own: y = μ + architecture + training.

    The estimator is ANOVA's, for unequal numbers of seeds with Searle's n₀ (Searle, Casella and McCulloch, "Variance
    Components", 1992, section 3.6); the interval comes from the F distribution and is exact for normal scores and
    equal numbers, else approximate.

    Args:
        scores: (architectures, seeds), NaN where not trained. Architectures with a single seed say nothing and are
            left out.
        level: confidence level.

    Raises:
        InvalidValueError: fewer than two architectures with two seeds.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2:
        raise InvalidValueError(f"scores has shape {values.shape}; (architectures, seeds) is needed")
    known = ~np.isnan(values)
    kept = known.sum(axis=1) >= 2
    values, known = values[kept], known[kept]
    groups = len(values)
    if groups < 2:
        raise InvalidValueError(f"scores has {groups} architectures with two seeds or more; at least 2 are needed")
    counts = known.sum(axis=1)
    total = int(counts.sum())
    means = np.where(known, values, 0).sum(axis=1) / counts
    grand = float(values[known].mean())
    between = float(counts @ (means - grand) ** 2) / (groups - 1)
    within = float((np.where(known, values - means[:, np.newaxis], 0) ** 2).sum()) / (total - groups)
    per_group = (total - float((counts**2).sum()) / total) / (groups - 1)
    return _components(between, within, per_group, (groups - 1, total - groups), math.nan, (groups, total), level)


def two_way(scores: npt.ArrayLike, level: float = LEVEL) -> Components:
    """Analyse architecture and a seed that all share, as the weights of one supernet: y = μ + a + s + rest.

    What the seed does to all architectures alike changes no ranking and is kept out of ``share``, which is the
    consistency ICC(C, 1) of McGraw and Wong (1996).

    Args:
        scores: (architectures, seeds), complete.
        level: confidence level.

    Raises:
        InvalidValueError: a missing score, or fewer than two architectures or seeds.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise InvalidValueError(
            f"scores has shape {values.shape} and {int((~np.isfinite(values)).sum())} missing; a complete "
            "(architectures, seeds) of at least 2 x 2 is needed"
        )
    groups, seeds = values.shape
    rows, columns = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    between = float(rows.var(ddof=1)) * seeds
    shared = float(columns.var(ddof=1)) * groups
    degrees = (groups - 1) * (seeds - 1)
    rest = float(((values - rows - columns + values.mean()) ** 2).sum()) / degrees
    sd_seed = math.sqrt(max(0.0, shared - rest) / groups)
    return _components(between, rest, seeds, (groups - 1, degrees), sd_seed, (groups, groups * seeds), level)


def _components(
    between: float, within: float, per_group: float, degrees: tuple[int, int], sd_seed: float, sizes: tuple[int, int],
    level: float,
) -> Components:  # fmt: skip
    architecture = max(0.0, (between - within) / per_group)
    if between == 0 and within == 0:
        share, low, high = (math.nan,) * 3
    elif within == 0:
        share, low, high = (1.0,) * 3
    else:
        share = architecture / (architecture + within)
        f = _f_distribution(*degrees)
        bounds = [between / within / float(f.ppf(q)) for q in ((1 + level) / 2, (1 - level) / 2)]
        low, high = (max(0.0, (bound - 1) / (bound - 1 + per_group)) for bound in bounds)
    return Components(share, low, high, math.sqrt(architecture), math.sqrt(within), sd_seed, *sizes)


def _f_distribution(numerator: int, denominator: int) -> Any:
    try:
        import scipy.stats
    except ImportError as error:
        raise missing_extra("scipy", "report", "the interval of a variance component") from error
    return scipy.stats.f(numerator, denominator)
