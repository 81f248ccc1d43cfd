"""Learning-curve extrapolation: random search that stops a training which will hardly beat the best.

Domhan, Springenberg and Hutter (2015), "Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves", IJCAI: a training ends when the probability that its final score exceeds the best one
so far falls below δ = 0.05. That is the ``IMPROVEMENT_PROB_THRESHOLD`` of the authors' code,
https://github.com/tdomhan/pylearningcurvepredictor, ``pylrpredictor/terminationcriterion.py``, which also lists the
eleven families; ``curvefunctions.py`` has their formulas.

Changed for curves of 20 points that are returns of games:

- Of the eleven families the power law ``pow3``, c − a x^−α, is used alone. It is linear in c and a, so its
  posterior under flat priors and normal noise is known for each α of a grid; the authors run MCMC. The grid and the
  least of 4 points are this project's own.
- The authors' code lets every training go on that has exceeded the best already; here, where returns fall again, its
  end is extrapolated as that of the others.
- The paper's curves flatten out, so its α is positive. Returns often rise to the end of a training, so α goes down to
  −1, a straight line. Even that foresees no late and steep rise: who learns late may be stopped.

Tuned: the prior was set after runs on made-up tables and after seeing four real learning curves of
``minatar-ss1/breakout@lite``, train seed 0, a validation seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._scores import draw_untrained

Floats = np.ndarray[Any, np.dtype[np.float64]]
EXPONENTS = np.concatenate([np.linspace(-1.0, -0.1, 10), np.linspace(0.1, 2.0, 20)])
"""Grid of α; 0 is left out, where the power law is a constant."""


def probability_to_beat(
    parts: Floats, scores: Floats, best: float, rng: np.random.Generator, draws: int = 400
) -> float:
    """Probability that c − a x^−α, fitted to a curve so far, exceeds ``best`` at the end of the training.

    Args:
        parts: (n,) parts of the training, ascending, n at least 4.
        scores: (n,) scores there.
        best: the score to beat.
        rng: draws from the posterior.
        draws: how many.
    """
    n = len(parts)
    centred, spread, ahead = _design(tuple(parts.tolist()))
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
def _design(parts: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    """Of x^−α for each α: (α, n) less its mean, its sum of squares, and its value at the end (1) less the mean."""
    powers = np.array(parts) ** -EXPONENTS[:, None]
    means = powers.mean(axis=1)
    centred = powers - means[:, None]
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
        """The final score of a training; NaN when it was stopped."""
        whole = run.task.max_fidelity
        for fidelity in run.task.fidelities[:-1]:
            run.evaluate(arch, fidelity)
            if best == float("-inf"):
                continue
            fidelities, scores = run.curve(arch)
            known = scores == scores  # before a first game there is no return
            if known.sum() >= self.least_points:
                chance = probability_to_beat(fidelities[known] / whole, scores[known], best, run.rng)
                if chance < self.delta:
                    return float("nan")
        return run.evaluate(arch)
