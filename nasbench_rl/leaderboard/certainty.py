"""Whether a method's runs differ from random search beyond chance: the test behind each "beats random search"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasbench_rl.errors import missing_extra
from nasbench_rl.improvement import Reference
from nasbench_rl.stats import Array


class Difference(NamedTuple):
    """A method's mean regret minus random search's as the test takes it, and its standard error."""

    mean: float
    error: float


def difference(chosen: npt.ArrayLike, reference: Reference, regrets: Array) -> Difference:
    """The difference of the runs and one more that ends as random search does.

    The one more is spread over the architectures by random search's chances. Without it two runs that happen to agree
    would have no spread and be called certain; beside a hundred runs it weighs nothing. Where random search is known
    by its own runs alone, their spread counts too, they and one more that ends as the method does.

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


def _mean_and_error(weights: Array, values: Array) -> tuple[float, float]:
    count = float(weights.sum())
    mean = float(weights @ values) / count
    variance = float(weights @ (values - mean) ** 2) / (count - 1)
    return mean, math.sqrt(variance / count)


def pooled(differences: Sequence[Difference], gaps: Sequence[float] | Array) -> Difference:
    """The mean over tasks, each divided by the regret of a draw at random there."""
    scaled = np.array(differences) / np.asarray(gaps, dtype=np.float64)[:, np.newaxis]
    return Difference(float(scaled[:, 0].mean()), math.sqrt(float((scaled[:, 1] ** 2).sum())) / len(scaled))


def pvalue(tested: Difference, runs: int) -> float:
    """Student's t, two-sided; 1 with a single run, and where every architecture scores the same."""
    if runs < 2 or not tested.error > 0:
        return 1.0
    try:
        import scipy.stats
    except ImportError as cause:
        raise missing_extra("scipy", "report", "testing a method against random search") from cause
    return float(2 * scipy.stats.t.sf(abs(tested.mean) / tested.error, runs))
