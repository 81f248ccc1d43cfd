"""What a set of runs says: anytime regret, interquartile means, bootstrap intervals, profiles, the random-search line.

Pure functions on arrays of scores, one row a run (search seed) and one column a task, as in Agarwal et al.
("Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021). Every random draw comes from the
generator that is passed in. A missing score is refused or makes the result NaN; it is never skipped or filled in.
Ranks, tests and rank correlations are in ``nasbench_rl.ranks``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nasbench_rl.errors import InvalidValueError

Array: TypeAlias = npt.NDArray[np.float64]
Statistic: TypeAlias = "Callable[[Array], float | Array]"
LEVEL = 0.95
"""Confidence level of every interval that is shown."""
ALPHA = 0.05
"""Below it an (adjusted) p-value is taken for a difference."""
RESAMPLES = 4000
"""Resamples of every bootstrap: enough for the tails that a correction for dozens of methods leaves."""
_CHUNK = 2_000_000
"""Scores drawn at a time by a vectorised bootstrap."""


def as_scores(name: str, values: npt.ArrayLike, ndim: int | None = None) -> Array:
    """``values`` as a float64 array of finite numbers.

    Args:
        name: what the array is called in the error message.
        values: anything NumPy makes an array of.
        ndim: the number of dimensions it must have; None for any.

    Raises:
        InvalidValueError: another number of dimensions, an empty array, or a NaN or infinity in it.
    """
    array = np.asarray(values, dtype=np.float64)
    if ndim is not None and array.ndim != ndim:
        raise InvalidValueError(f"{name} has shape {array.shape}; an array of {ndim} dimensions is needed")
    if array.size == 0:
        raise InvalidValueError(f"{name} is empty (shape {array.shape}); at least one score is needed")
    missing = int((~np.isfinite(array)).sum())
    if missing:
        raise InvalidValueError(
            f"{name} has {missing} missing or infinite of {array.size} scores; nothing is imputed: leave out the runs "
            "or tasks that are not complete"
        )
    return array


def plain_name(method: str) -> str:
    """The method itself: without hyperparameters, and without what a leaderboard adds to tell two versions apart."""
    return method.split(":")[0].split(" ")[0]


def resampling_rng(task: str, method: str, configuration: str, statistic: str) -> np.random.Generator:
    """The generator of a bootstrap, fixed by what is estimated.

    The same runs so have the same interval on every page, whichever methods stand beside them and whatever else was
    estimated before.

    Args:
        task: its id, or what several tasks are called together.
        method: its name, with or without hyperparameters.
        configuration: the digest of its hyperparameters.
        statistic: what is resampled; another one has draws of its own.
    """
    key = (task, plain_name(method), configuration, statistic)
    return np.random.default_rng([zlib.crc32(text.encode()) for text in key])


def check_resampling(rng: np.random.Generator, resamples: int, level: float) -> None:
    """Refuse a generator, number of resamples or confidence level that a bootstrap cannot use.

    Raises:
        InvalidValueError: ``rng`` is no Generator, ``resamples`` below 1 or ``level`` outside (0, 1).
    """
    if not isinstance(rng, np.random.Generator):
        raise InvalidValueError(f"rng is {rng!r}; pass a generator, such as numpy.random.default_rng(0)")
    if resamples < 1:
        raise InvalidValueError(f"resamples is {resamples!r}; at least 1 is needed, {RESAMPLES} is usual")
    if not 0 < level < 1:
        raise InvalidValueError(f"level is {level!r}; a confidence level lies between 0 and 1, such as 0.95")


def tails(level: float = LEVEL) -> tuple[float, float]:
    """The two quantiles between which a percentile interval lies."""
    return (1 - level) / 2, (1 + level) / 2


def percentile_interval(estimates: Sequence[float | Array] | Array, level: float = LEVEL) -> Array:
    """(2, …) lower and upper bound from resampled estimates, (resamples, …); NaN where one of them is."""
    result: Array = np.quantile(np.asarray(estimates, dtype=np.float64), tails(level), axis=0)
    return result


def regret_curve(spent: npt.ArrayLike, regret: npt.ArrayLike, grid: npt.ArrayLike) -> Array:
    """Anytime regret of one run on a grid of budgets: the step function of its incumbent.

    At a budget b the value is the regret after the last evaluation that had been paid for by b. It may rise, because
    the incumbent is chosen by validation score and regret is measured on the test score.

    Args:
        spent: (evaluations,) budget spent after each evaluation, ascending, in the task's unit.
        regret: (evaluations,) regret of the incumbent after it, in the metric's unit.
        grid: (points,) budgets to read the curve at, in any order, in the unit of ``spent``.

    Returns:
        (points,) regret; NaN before the first evaluation, when nothing could be recommended.

    Raises:
        InvalidValueError: lengths differ, or ``spent`` decreases.

    >>> regret_curve([10, 20, 30], [5.0, 5.0, 1.0], [5, 10, 25, 99]).tolist()
    [nan, 5.0, 5.0, 1.0]
    """
    times, values = np.asarray(spent, dtype=np.float64), np.asarray(regret, dtype=np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise InvalidValueError(f"spent has shape {times.shape}, regret {values.shape}; both must be (evaluations,)")
    if not (np.diff(times) >= 0).all() or np.isnan(times).any():
        raise InvalidValueError("spent decreases or is missing somewhere; pass it in the order of the run")
    padded = np.concatenate([[np.nan], values])
    return padded[np.searchsorted(times, np.asarray(grid, dtype=np.float64), side="right")]


def interquartile_mean(scores: npt.ArrayLike, axis: int | tuple[int, ...] | None = None) -> Any:
    """Mean of the middle half: the lowest and the highest quarter (rounded down) of the scores are left out.

    Args:
        scores: usually (runs, tasks); any shape.
        axis: the axes to pool and average over; None for all of them, (0, 1) for curves (runs, tasks, points).

    Returns:
        A float when every axis is averaged over, else an array of the axes left. NaN wherever a pooled score is
        missing: sorting would otherwise put a NaN among the highest quarter and silently drop it.

    Raises:
        InvalidValueError: nothing to average.
    """
    values = np.asarray(scores, dtype=np.float64)
    axes = tuple(range(values.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    values = np.moveaxis(values, axes, range(len(axes)))
    values = values.reshape(-1, *values.shape[len(axes) :])
    if len(values) == 0:
        raise InvalidValueError(f"scores has shape {np.shape(scores)}; no score to average over axis {axis}")
    cut = len(values) // 4
    middle = np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0)
    result = np.where(np.isnan(values).any(axis=0), np.nan, middle)
    return float(result) if result.ndim == 0 else result


def bootstrap_interval(
    scores: npt.ArrayLike,
    statistic: Statistic,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    vectorised: bool = False,
) -> Array:
    """Percentile interval of a statistic from a bootstrap stratified by task.

    The runs of each task are drawn with replacement, independently of the other tasks; tasks are not resampled. It
    tells how sure the statistic is given these tables. More search seeds make it narrower without making the tables
    any less noisy: see ``improvement.train_seed_interval``.

    Args:
        scores: (runs, tasks) or (runs, tasks, points), whose points stay together.
        statistic: takes an array of the shape of ``scores``; gives a float or an array.
        rng: source of every draw.
        resamples: number of bootstrap resamples.
        level: confidence level.
        vectorised: the statistic also takes ``axis``, as ``numpy.mean`` and ``interquartile_mean`` do, and is given
            many resamples at once: (resamples, runs, tasks, …) with ``axis=(1, 2)``. Many times faster.

    Returns:
        (2, …) lower and upper bound, each of the statistic's shape: ``low, high = bootstrap_interval(…)``. NaN with a
        single run, from which nothing can be said about the spread between runs.

    Raises:
        InvalidValueError: fewer than two dimensions, an empty array, or arguments ``check_resampling`` refuses.
    """
    check_resampling(rng, resamples, level)
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim < 2 or values.size == 0:
        raise InvalidValueError(f"scores has shape {values.shape}; (runs, tasks, …) is needed, none of them 0")
    runs, tasks = values.shape[:2]
    if runs == 1:
        return np.full((2, *np.shape(statistic(values))), np.nan)
    columns = np.arange(tasks)
    if not vectorised:
        estimates = [statistic(values[rng.integers(runs, size=(runs, tasks)), columns]) for _ in range(resamples)]
        return percentile_interval(estimates, level)
    many: Any = statistic
    step = max(1, _CHUNK // values.size)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    parts = [many(values[rng.integers(runs, size=(size, runs, tasks)), columns], axis=(1, 2)) for size in sizes]
    return percentile_interval(np.concatenate(parts), level)


def performance_profile(scores: npt.ArrayLike, thresholds: npt.ArrayLike, higher_is_better: bool = True) -> Array:
    """Share of runs that do better than each threshold, every task counting the same.

    Args:
        scores: (runs, tasks) scores, or regrets with ``higher_is_better=False``.
        thresholds: (points,) in the unit of the scores.
        higher_is_better: True counts scores above the threshold (Agarwal et al., section 4.2). False counts those at
            or below it, so that the profile of a regret at 0 is the share of runs that found the optimum.

    Returns:
        (points,) shares between 0 and 1. Intervals: pass this function to ``bootstrap_interval``.

    Raises:
        InvalidValueError: not two dimensions, or a missing score.
    """
    values = as_scores("scores", scores, 2)[..., np.newaxis]
    levels = as_scores("thresholds", thresholds, 1)
    return np.asarray((values > levels if higher_is_better else values <= levels).mean(axis=(0, 1)))


def _wins(scores_x: npt.ArrayLike, scores_y: npt.ArrayLike, higher_is_better: bool) -> Array:
    """(tasks, runs of x, runs of y): 1 where x's run is better than y's, ½ where they tie, else 0."""
    x, y = as_scores("scores_x", scores_x, 2), as_scores("scores_y", scores_y, 2)
    if x.shape[1] != y.shape[1]:
        raise InvalidValueError(f"scores_x has {x.shape[1]} tasks, scores_y {y.shape[1]}; compare on the same tasks")
    left, right = x.T[:, :, np.newaxis], y.T[:, np.newaxis, :]
    better = left > right if higher_is_better else left < right
    return np.asarray(better + 0.5 * (left == right))


def probability_of_improvement(
    scores_x: npt.ArrayLike, scores_y: npt.ArrayLike, higher_is_better: bool = True
) -> float:
    """Probability that a run of method X beats a run of method Y on a task drawn at random; ties count half.

    Args:
        scores_x: (runs of X, tasks).
        scores_y: (runs of Y, tasks); the number of runs may differ.
        higher_is_better: False for regrets and costs.

    Returns:
        A number between 0 and 1: the mean over tasks of the Mann-Whitney U statistic divided by the number of pairs.

    Raises:
        InvalidValueError: not two dimensions, another number of tasks, or a missing score.
    """
    return float(_wins(scores_x, scores_y, higher_is_better).mean())


def probability_of_improvement_interval(
    scores_x: npt.ArrayLike,
    scores_y: npt.ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    higher_is_better: bool = True,
) -> Array:
    """Stratified percentile interval of ``probability_of_improvement``; both methods are resampled independently.

    Args:
        scores_x: (runs of X, tasks).
        scores_y: (runs of Y, tasks).
        rng: source of every draw.
        resamples: number of bootstrap resamples.
        level: confidence level.
        higher_is_better: False for regrets and costs.

    Returns:
        (2,) lower and upper bound; NaN when both methods have a single run.

    Raises:
        InvalidValueError: as ``probability_of_improvement`` and ``check_resampling``.
    """
    check_resampling(rng, resamples, level)
    wins = _wins(scores_x, scores_y, higher_is_better)
    tasks, runs_x, runs_y = wins.shape
    if runs_x == runs_y == 1:
        return np.full(2, np.nan)
    estimates = np.zeros(resamples)
    for task in range(tasks):
        # A resample is how often each run was drawn, so that the pairs need comparing only once.
        drawn_x = rng.multinomial(runs_x, np.full(runs_x, 1 / runs_x), size=resamples)
        drawn_y = rng.multinomial(runs_y, np.full(runs_y, 1 / runs_y), size=resamples)
        estimates += ((drawn_x @ wins[task]) * drawn_y).sum(axis=1) / (runs_x * runs_y * tasks)
    return percentile_interval(estimates, level)


def expected_best_after(
    values_search: npt.ArrayLike,
    values_report: npt.ArrayLike,
    n: int | None = None,
    higher_is_better: bool = True,
) -> Array:
    """Exact expectation of random search without replacement, for every number of evaluations.

    Of the N architectures, k are drawn without replacement, the best of them by its search (validation) score is
    chosen, and its report (test) score is reported; among architectures with the same search score each is equally
    likely. With b architectures strictly better, the chance that none of those is drawn is the hypergeometric
    C(N − b, k) / C(N, k). Nothing is simulated.

    Args:
        values_search: (N,) score that the search sees, one an architecture.
        values_report: (N,) score that the report shows, in the same order.
        n: the largest number of evaluations wanted; None for N.
        higher_is_better: whether the search picks the highest or the lowest ``values_search``.

    Returns:
        (n,) expected report score after 1, 2, …, n evaluations.

    Raises:
        InvalidValueError: lengths differ, a missing score, or ``n`` outside 1..N.

    >>> expected_best_after([1, 2, 3], [10, 20, 30]).round(3).tolist()
    [20.0, 26.667, 30.0]
    """
    search, report = as_scores("values_search", values_search, 1), as_scores("values_report", values_report, 1)
    total = len(search)
    if len(report) != total:
        raise InvalidValueError(f"values_search has {total} architectures, values_report {len(report)}; need the same")
    if n is not None and not 1 <= n <= total:
        raise InvalidValueError(f"n is {n!r}; between 1 and the {total} architectures can be drawn without replacement")
    # One group an equal search score, best first.
    _, group, size = np.unique(-search if higher_is_better else search, return_inverse=True, return_counts=True)
    mean_report = np.bincount(group, weights=report) / size
    better = np.concatenate([[0], np.cumsum(size)])
    none_better = np.ones(len(better))
    expected = np.empty(total if n is None else n)
    for drawn in range(len(expected)):
        none_better *= np.maximum(total - better - drawn, 0) / (total - drawn)
        expected[drawn] = -np.diff(none_better) @ mean_report
    return expected
