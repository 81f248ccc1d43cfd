"""RENA: a policy that reads the present network and edits it, rewarded by the score less a penalty for resources.

Zhou et al. (2018), https://arxiv.org/abs/1806.07912. Notes: ``docs/methods/controllers.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._resources import Resources, check_objective
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import MovingAverage, check_positive
from nasbench_rl_baselines._torch import DTYPE, one_thread


@dataclass(frozen=True)
class Rena:
    """Edit the best network step by step and make edits more likely that earn more than the moving average.

    Attributes:
        objective: ``"params"``, ``"flops"`` or ``"latency"``.
        target: limit, in parameters, FLOPs or seconds; None is the median of the space.
        base_penalty: p, between 0 (a hard limit) and 1 (none).
        steps: edits an episode.
        learning_rate: Adam's.
        baseline_decay: weight of the baseline's past.
    """

    objective: str = "params"
    target: float | None = None
    base_penalty: float = 0.9
    steps: int = 5
    learning_rate: float = 6e-4
    baseline_decay: float = 0.95

    def __post_init__(self) -> None:
        """Refuse unknown objectives and sizes that allow no search."""
        check_objective(self.objective)
        check_positive(steps=self.steps, learning_rate=self.learning_rate)
        if not 0 <= self.base_penalty <= 1:
            raise InvalidValueError(f"base_penalty={self.base_penalty} is not allowed; give it between 0 and 1")

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or when the policy walks only where it was.

        Raises:
            MissingCellError: latency was asked for and not measured.
        """
        with one_thread():
            self._search(run)

    def _search(self, run: Run) -> None:
        resources, scores = Resources(run, self.objective), Scores(run)
        target, baseline = resources.target(self.target), MovingAverage(self.baseline_decay)
        penalties: dict[Architecture, float] = {}

        def reward(arch: Architecture) -> float:
            return scores.reward(arch) * penalties[arch]

        arch = run.space.sample(run.rng)
        while not run.task.is_valid(arch):
            arch = run.space.sample(run.rng)
        weights = torch.zeros(run.space.encode(arch).size, dtype=DTYPE, requires_grad=True)
        optimizer = torch.optim.Adam([weights], self.learning_rate)
        penalties[arch] = self.penalty(resources(arch), target)
        scores(arch)
        while scores.goes_on():
            arch = max(penalties, key=reward)
            for _ in range(self.steps):
                if not scores.goes_on():
                    return
                arch, log_prob = self._edit(run, arch, weights)
                scores(arch)
                penalties.setdefault(arch, self.penalty(resources(arch), target))
                optimizer.zero_grad()
                (-baseline.advantage(reward(arch)) * log_prob).backward()
                optimizer.step()

    def penalty(self, cost: float, target: float) -> float:
        """p^v, v = cost / target − 1 beyond the target and 0 within."""
        return float(self.base_penalty ** max(0.0, cost / target - 1.0))

    def _edit(self, run: Run, arch: Architecture, weights: torch.Tensor) -> tuple[Architecture, torch.Tensor]:
        """Draw a neighbour that exists, or ``arch`` if none does; return it and its log-probability."""
        near = [other for other in run.space.neighbours(arch) if run.task.is_valid(other)] or [arch]
        codes = torch.from_numpy(np.stack([run.space.encode(other).ravel() for other in near]).astype(np.float64))
        log_probs = (codes @ weights).log_softmax(0)
        at = int(run.rng.choice(len(near), p=log_probs.detach().exp().numpy()))
        return near[at], log_probs[at]
