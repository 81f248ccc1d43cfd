"""Random search as the yardstick: how probably a method's search ends with a better architecture, and how sure that is.

A search's outcome is the architecture it chose, so a method on a task is a count of choices, and random search a chance
of each (``random_search_choice``, or a count of its runs). Two things make an estimate uncertain and are
resampled: the runs (search seeds), and the train seeds behind the table's test scores. Search seeds are cheap and train
seeds are not, so an interval over the former alone says how sure a statement is about *this* table. What few train
seeds say of other ones is little: below ``FEWEST_TRAIN_SEEDS`` nothing is claimed, and above it the interval is
Student's t: the percentiles of a bootstrap of so few are far too narrow (of two, a "95 %" interval holds the truth in
half of the cases).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasbench_rl._utils.typing import Floats, Ints
from nasbench_rl.errors import InvalidValueError, missing_extra

FEWEST_TRAIN_SEEDS = 5
"""Of the test split, for an interval over train seeds."""
_CHUNK = 2_000_000
"""Comparisons held in memory at a time."""


def random_search_choice(values_search: npt.ArrayLike, n: int | None = None) -> Floats:
    """Compute exactly the chance that random search ends with each architecture, after each evaluation.

    The expected report score is ``random_search_choice(values_search) @ values_report``.

    A search that evaluates an architecture sees the score of one validation seed, drawn at random. The drawn score v
    of architecture i is the best of k when each of the k − 1 others drawn lies below v; with p_j the share of j's
    seeds below v, that is the elementary symmetric polynomial e_{k−1}(p) / C(N − 1, k − 1). Equal scores share evenly:
    a tie is broken by a uniform variate u, p_j = below_j + u · equal_j, and the polynomial in u is integrated exactly
    by Gauss-Legendre.

    Args:
        values_search: (N, seeds) search scores, higher is better; NaN where a seed is missing.
        n: the largest number of evaluations wanted, at most N; None for N.

    Returns:
        (n, N) chances after 1, 2, …, n evaluations without replacement; each row sums to 1.

    Raises:
        InvalidValueError: an architecture without any score, or ``n`` outside 1..N.

    >>> random_search_choice([[1], [2], [3]]).round(3).tolist()
    [[0.333, 0.333, 0.333], [0.0, 0.333, 0.667], [0.0, 0.0, 1.0]]
    """
    search = np.asarray(values_search, dtype=np.float64)
    if search.ndim != 2 or not len(search):
        raise InvalidValueError(f"values_search has shape {search.shape}; give (architectures, seeds)")
    total = len(search)
    if n is not None and not 1 <= n <= total:
        raise InvalidValueError(f"n is {n!r}; between 1 and the {total} architectures can be drawn without replacement")
    if (missing := np.isnan(search).all(axis=1)).any():
        raise InvalidValueError(f"architecture {int(np.argmax(missing))} of values_search has no score at all")
    depth = total if n is None else n
    nodes, weights = np.polynomial.legendre.leggauss(depth // 2 + 1)
    uniform, weights = (nodes + 1) / 2, weights / 2
    seeds = (~np.isnan(search)).sum(axis=1)
    chosen = np.zeros((depth, total))
    for i, seed in np.argwhere(~np.isnan(search)):
        below = (search < search[i, seed]).sum(axis=1) / seeds
        equal = (search == search[i, seed]).sum(axis=1) / seeds
        p = np.delete(below[:, None] + uniform * equal[:, None], i, axis=0)  # (N − 1, nodes)
        # The chance that k − 1 of the others, drawn without replacement, all lie below: e_{k−1} built up factor by
        # factor, each already divided by its binomial so that nothing overflows.
        chance = np.zeros((depth, len(uniform)))
        chance[0] = 1.0
        for j, factor in enumerate(p):
            for k in range(min(j + 1, depth - 1), 0, -1):
                chance[k] = (chance[k] * (j + 1 - k) + chance[k - 1] * factor * k) / (j + 1)
        chosen[:, i] += (chance @ weights) / seeds[i] / total * np.arange(1, depth + 1)
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What random search chooses on one task.

    Attributes:
        chances: (architectures,) chance that it ends with each; sums to 1.
        runs: number of runs that ``chances`` was counted from; 0 when it is exact.
    """

    chances: Floats
    runs: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a method's searches chose on one task.

    Attributes:
        chosen: (architectures,) number of runs that ended with each.
        scores: (architectures, train seeds) test scores, higher is better.
        best: (train seeds,) those of the architecture that regret is measured from.
    """

    chosen: Ints
    scores: Floats
    best: Floats

    def __post_init__(self) -> None:
        """Check.

        Raises:
            InvalidValueError: shapes differ, nothing was chosen, or a score is missing.
        """
        shape = self.scores.shape
        if len(shape) != 2 or self.chosen.shape != shape[:1] or self.best.shape != shape[1:]:
            raise InvalidValueError(
                f"scores has shape {shape}, chosen {self.chosen.shape}, best {self.best.shape}; needed: "
                "(architectures, train seeds), (architectures,), (train seeds,)"
            )
        if self.chosen.sum() < 1 or not np.isfinite(self.scores).all():
            raise InvalidValueError("an outcome needs at least one run, and a test score of every architecture in it")

    @property
    def runs(self) -> int:
        """Number of runs."""
        return int(self.chosen.sum())

    @property
    def train_seeds(self) -> int:
        """Number of train seeds behind the test scores."""
        return int(self.scores.shape[1])


def improvement(outcome: Outcome, reference: Reference) -> float:
    """Return the probability that a run's architecture scores better than one of random search; ties count half."""
    better = _better(outcome.scores.mean(axis=1))
    return float(outcome.chosen / outcome.runs @ better @ reference.chances)


def improvement_draws(
    outcome: Outcome, reference: Reference, rng: np.random.Generator, resamples: int, over_train_seeds: bool = False
) -> Floats:
    """Bootstrap ``improvement``.

    Args:
        outcome: one method on one task.
        reference: random search on the same architectures; its runs are resampled unless it is exact.
        rng: source of every draw.
        resamples: number of resamples.
        over_train_seeds: resample the train seeds of the test scores too, and recompute the architectures' means.

    Returns:
        (resamples,) estimates; NaN with a single run, and with fewer than ``FEWEST_TRAIN_SEEDS`` when those are to be
        resampled: too little is known of the spread then.
    """
    if outcome.runs == 1 or (over_train_seeds and outcome.train_seeds < FEWEST_TRAIN_SEEDS):
        return np.full(resamples, np.nan)
    chosen = drawn_shares(outcome.chosen, outcome.runs, rng, resamples)
    chances = reference.chances[np.newaxis]
    if reference.runs:
        chances = drawn_shares(reference.chances, reference.runs, rng, resamples)
    if not over_train_seeds:
        worth = chances @ _better(outcome.scores.mean(axis=1)).T
        return np.asarray((chosen * worth).sum(axis=1))
    means = drawn_shares(np.ones(outcome.train_seeds), outcome.train_seeds, rng, resamples) @ outcome.scores.T
    chances = np.broadcast_to(chances, means.shape)
    estimates = np.empty(resamples)
    step = max(1, _CHUNK // means.shape[1] ** 2)
    for start in range(0, resamples, step):
        part = slice(start, start + step)
        worth = (_better(means[part]) @ chances[part, :, np.newaxis])[:, :, 0]
        estimates[part] = (chosen[part] * worth).sum(axis=1)
    return estimates


def regret_draws(outcome: Outcome, rng: np.random.Generator, resamples: int) -> Floats:
    """Bootstrap the mean regret over runs and train seeds, both resampled; the best architecture stays the same.

    Returns:
        (resamples,) estimates; NaN with a single run or fewer than ``FEWEST_TRAIN_SEEDS``. Some may lie below 0: on
        other train seeds another architecture may be best.
    """
    if outcome.runs == 1 or outcome.train_seeds < FEWEST_TRAIN_SEEDS:
        return np.full(resamples, np.nan)
    chosen = drawn_shares(outcome.chosen, outcome.runs, rng, resamples)
    seeds = drawn_shares(np.ones(outcome.train_seeds), outcome.train_seeds, rng, resamples)
    return np.asarray((seeds * (outcome.best - chosen @ outcome.scores)).sum(axis=1))


def train_seed_interval(estimate: float, draws: Floats, train_seeds: int, level: float) -> tuple[float, float]:
    """Return Student's t interval of an estimate from its resamples over train seeds.

    A bootstrap of S items has a spread too small by sqrt((S − 1) / S), and S items tell a spread no better than S − 1
    degrees of freedom do; both are put right here.

    Args:
        estimate: from all train seeds.
        draws: (resamples,) of it, such as ``improvement_draws(…, over_train_seeds=True)``.
        train_seeds: that were resampled; over several tasks, of the one with the fewest.
        level: confidence level.

    Returns:
        Lower and upper bound; NaN where the draws are.
    """
    if np.isnan(draws).any():
        return math.nan, math.nan
    try:
        import scipy.stats
    except ImportError as cause:
        raise missing_extra("scipy", "report", "an interval over train seeds") from cause
    error = float(draws.std()) * math.sqrt(train_seeds / (train_seeds - 1))
    reach = error * float(scipy.stats.t.ppf((1 + level) / 2, train_seeds - 1))
    return estimate - reach, estimate + reach


def drawn_shares(weights: npt.ArrayLike, size: int, rng: np.random.Generator, resamples: int) -> Floats:
    """Draw ``size`` items with replacement; return the (resamples, items) share of each, 0 without weight."""
    shares = np.asarray(weights, dtype=np.float64)
    drawn = np.zeros((resamples, len(shares)))
    held = shares > 0  # drawn alone: what nobody chose must not move the draws of the others
    drawn[:, held] = rng.multinomial(size, shares[held] / shares.sum(), size=resamples) / size
    return drawn


def _better(scores: Floats) -> Floats:
    """Return (…, architectures, architectures): 1 where the first is better, ½ where they tie, else 0."""
    first, second = scores[..., :, np.newaxis], scores[..., np.newaxis, :]
    return np.asarray((first > second) + 0.5 * (first == second))
