"""MnasNet: a controller trained by PPO on score x (cost / target)^w.

Tan et al. (2019), https://arxiv.org/abs/1807.11626, equations 2 and 3. Notes: ``docs/methods/controllers.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nasbench_rl import Run
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._controller import Controller
from nasbench_rl_baselines._resources import Resources, check_objective
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import MovingAverage
from nasbench_rl_baselines._torch import DTYPE, generator_of
from nasbench_rl_baselines.ppo import Ppo


@dataclass(frozen=True)
class Mnas(Ppo):
    """``Ppo`` with a reward that also knows what an architecture costs.

    Attributes:
        objective: ``"params"``, ``"flops"`` or ``"latency"``.
        target: T, in parameters, FLOPs or seconds; None is the median of the space.
        alpha: exponent w of an architecture within the target.
        beta: exponent w of one above it; α = 0 and β = −1 make the target a hard limit.
    """

    objective: str = "flops"
    target: float | None = None
    alpha: float = -0.07
    beta: float = -0.07

    def __post_init__(self) -> None:
        """Refuse unknown objectives and sizes that allow no search."""
        super().__post_init__()
        check_objective(self.objective)

    def _search(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or when the controller samples only what is.

        Raises:
            MissingCellError: latency was asked for and not measured.
        """
        resources = Resources(run, self.objective)
        target = resources.target(self.target)
        generator = generator_of(run)
        controller = Controller(choices_of(run.space), self.units, self.layers, self.init_range, generator)
        optimizer = torch.optim.Adam(controller.parameters(), self.learning_rate, fused=True)
        scores, baseline, highest = Scores(run), MovingAverage(self.baseline_decay), 0.0
        while scores.goes_on():
            sequences: list[Tokens] = []
            advantages: list[float] = []
            while scores.goes_on() and len(sequences) < self.batch:
                sequences.append(controller.sample(generator))
                arch = controller.choices.decode(sequences[-1])
                score = scores(arch)
                highest = 1.0 if scores.scale.as_is else max(highest, score) if score == score else highest
                relative = max(0.0, score) / highest if score == score and highest > 0 else 0.0
                advantages.append(baseline.advantage(self.reward(relative, resources(arch), target)))
            self._update(controller, optimizer, sequences, torch.tensor(advantages, dtype=DTYPE))

    def reward(self, score: float, cost: float, target: float) -> float:
        """Equation 2: score x (cost / target)^w."""
        return float(score * (cost / target) ** (self.alpha if cost <= target else self.beta))
