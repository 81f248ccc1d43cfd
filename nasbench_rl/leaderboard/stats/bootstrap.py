"""Statistics of a set of runs: anytime regret, interquartile means, bootstrap intervals.

Pure functions on arrays of scores, one row a run (search seed) and one column a task, as in Agarwal et al.
("Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021). Every random draw comes from the
generator that is passed in. A missing score is refused or makes the result NaN; it is never skipped or filled in.
Ranks, tests and rank correlations are in ``nasbench_rl.leaderboard.stats.ranks``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nasbench_rl._utils.typing import Floats
from nasbench_rl.errors import InvalidValueError

Array = Floats
Statistic: TypeAlias = "Callable[..., Any]"
LEVEL = 0.95
"""Confidence level of every interval that is shown."""
ALPHA = 0.05
"""Below it an (adjusted) p-value is taken for a difference."""
EVEN = 0.5
"""Probability of improvement of a method that is as good as what it is compared with."""
RESAMPLES = 4000
"""Resamples of every bootstrap: enough for the tails that a correction for dozens of methods leaves."""
_CHUNK = 2_000_000
"""Scores drawn at a time by a vectorised bootstrap."""


def as_scores(name: str, values: npt.ArrayLike, ndim: int | None = None) -> Floats:
    """Return ``values`` as a float64 array of finite numbers.

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
    """Return the method's name without hyperparameters, and without what a leaderboard adds to distinguish versions."""
    return method.split(":")[0].split(" ")[0]


def resampling_rng(task: str, method: str, configuration: str, statistic: str) -> np.random.Generator:
    """Return the generator of a bootstrap, fixed by what is estimated.

    So the same runs have the same interval on every page, whatever else is there or was estimated before.

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
    """Return the two quantiles between which a percentile interval lies."""
    return (1 - level) / 2, (1 + level) / 2


def percentile_interval(estimates: Sequence[float | Floats] | Floats, level: float = LEVEL) -> Floats:
    """Return the (2, …) lower and upper bound from resampled estimates, (resamples, …); NaN where one of them is."""
    result: Floats = np.quantile(np.asarray(estimates, dtype=np.float64), tails(level), axis=0)
    return result


def regret_curve(spent: npt.ArrayLike, regret: npt.ArrayLike, grid: npt.ArrayLike) -> Floats:
    """Read the anytime regret of one run on a grid of budgets: the step function of its incumbent.

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
    """Average the middle half: the lowest and the highest quarter (rounded down) of the scores are left out.

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
) -> Floats:
    """Return the percentile interval of a statistic from a bootstrap stratified by task.

    The runs of each task are drawn with replacement, independently of the other tasks; tasks are not resampled. It
    tells how sure the statistic is given these tables. More search seeds make it narrower without making the tables
    any less noisy: see ``improvement.train_seed_interval``.

    Args:
        scores: (runs, tasks) or (runs, tasks, points), whose points stay together.
        statistic: takes many resamples at once, (resamples, runs, tasks, …), and ``axis=(1, 2)``, as ``numpy.mean``
            and ``interquartile_mean`` do.
        rng: source of every draw.
        resamples: number of bootstrap resamples.
        level: confidence level.

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
        return np.full((2, *values.shape[2:]), np.nan)
    columns = np.arange(tasks)
    step = max(1, _CHUNK // values.size)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    parts = [statistic(values[rng.integers(runs, size=(size, runs, tasks)), columns], axis=(1, 2)) for size in sizes]
    return percentile_interval(np.concatenate(parts), level)
