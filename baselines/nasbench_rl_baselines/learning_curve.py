"""Learning-curve extrapolation: random search that stops a training which will hardly beat the best.

Domhan, Springenberg and Hutter (2015), IJCAI. Notes: ``docs/methods/early_stopping.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._scores import draw_untrained

Floats = np.ndarray[Any, np.dtype[np.float64]]
EXPONENTS = np.exp([NormalDist(0.0, 2.0).inv_cdf((i + 0.5) / 30) for i in range(30)])
"""Grid of α: the middles of 30 equally probable parts of its prior."""


def probability_to_beat(scores: Floats, last: int, best: float, rng: np.random.Generator, draws: int = 400) -> float:
    """Return probability that c − a x^−α, fitted to a curve so far, exceeds ``best`` at the end of the training.

    Args:
        scores: (n,) scores at the points x = 1 … n, n at least 4.
        last: x at the end of the training, above 1.
        best: the score to beat.
        rng: draws from the posterior.
        draws: how many.
    """
    n = len(scores)
    centred, spread, ahead = _design(n, last)
    mean = math.fsum(scores) / n
    deviations = scores - mean
    slope = centred @ deviations / spread
    # A curve that is fitted without a residual would be certain of its end: keep a floor in the curve's own scale.
    total = float(deviations @ deviations)
    rss = np.maximum(total - slope**2 * spread, 0.0) + 1e-6 * max(1e-12, total)
    log_weight = -0.5 * ((n - 2) * np.log(rss) + np.log(spread))
    bounds = np.cumsum(np.exp(log_weight - log_weight.max()))
    chosen = np.searchsorted(bounds, rng.random(draws) * bounds[-1])
    end = mean + slope * ahead
    scale = np.sqrt(rss / (n - 2) * (1.0 + 1.0 / n + ahead**2 / spread))
    return float(np.count_nonzero(end[chosen] + scale[chosen] * rng.standard_t(n - 2, size=draws) > best)) / draws


@lru_cache(maxsize=256)
def _design(n: int, last: int) -> tuple[Floats, Floats, Floats]:
    """Return the power law for each α, moved and scaled so that it goes from 0 at the first point to 1 at the end.

    Returns:
        (α, n) at the points less its mean, (α,) the sum of its squares, and (α,) its value at the end less its mean.
    """
    powers = np.arange(1.0, n + 1) ** -EXPONENTS[:, None]
    rises = (1.0 - powers) / (1.0 - float(last) ** -EXPONENTS[:, None])
    means = rises.mean(axis=1)
    centred = rises - means[:, None]
    return centred, (centred**2).sum(axis=1), 1.0 - means


@dataclass(frozen=True)
class LearningCurve:
    """Train random architectures fidelity by fidelity, and stop each as soon as it can hardly beat the best.

    Attributes:
        delta: a training ends when its probability of beating the best is lower.
        least_points: scores on a curve before it is extrapolated.
    """

    delta: float = 0.05
    least_points: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        if not 0 < self.delta < 1 or self.least_points < 4:
            raise InvalidValueError(
                f"delta={self.delta}, least_points={self.least_points} are not allowed; give delta between 0 and 1, "
                "and at least 4 points for the three parameters of the power law"
            )

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when every architecture was drawn."""
        best = float("-inf")
        drawn: set[str] = set()
        while run.remaining > 0 and len(drawn) < size_of(run.space):
            arch = draw_untrained(run, drawn)
            drawn.add(arch.name)
            final = self._train(run, arch, best)
            if final == final:
                best = max(best, final)

    def _train(self, run: Run, arch: Architecture, best: float) -> float:
        """Return the final score of a training; NaN when it was stopped."""
        if not run.task.is_valid(arch):  # has no curve, and each look at it would be charged
            return run.evaluate(arch)
        points = len(run.task.fidelities)
        for fidelity in run.task.fidelities[:-1]:
            run.evaluate(arch, fidelity)
            if best == float("-inf"):
                continue
            _, scores = run.curve(arch)
            known = scores[scores == scores]  # before a first game there is no return
            if len(known) >= self.least_points and known.max() <= best:
                last = points - (len(scores) - len(known))
                if probability_to_beat(known, last, best, run.rng) < self.delta:
                    return float("nan")
        return run.evaluate(arch)
