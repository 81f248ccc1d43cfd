"""MONAS: a controller trained by REINFORCE on a mixture of score and cost, or on the score under a limit.

Hsu et al. (2018), https://arxiv.org/abs/1806.10332. Notes: ``docs/methods/controllers.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError, unknown
from nasbench_rl_baselines._choices import choices_of
from nasbench_rl_baselines._controller import Controller
from nasbench_rl_baselines._resources import Resources, check_objective
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import MovingAverage, check_positive
from nasbench_rl_baselines._torch import generator_of, one_thread

REWARDS = ("mixed", "constraint")


@dataclass(frozen=True)
class Monas:
    """Sample architectures one by one and make those more likely that earn more than the moving average.

    Attributes:
        objective: ``"params"``, ``"flops"`` or ``"latency"``.
        kind: ``"mixed"`` or ``"constraint"``.
        alpha: weight of the score in the mixed reward, between 0 and 1.
        target: limit of the constrained reward, in parameters, FLOPs or seconds; None is the median of the space.
        units: of each LSTM layer.
        layers: of the LSTM.
        init_range: weights start uniform in ± this.
        learning_rate: Adam's.
        baseline_decay: weight of the baseline's past.
    """

    objective: str = "flops"
    kind: str = "mixed"
    alpha: float = 0.5
    target: float | None = None
    units: int = 35
    layers: int = 2
    init_range: float = 0.08
    learning_rate: float = 6e-4
    baseline_decay: float = 0.95

    def __post_init__(self) -> None:
        """Refuse unknown objectives and rewards, and sizes that allow no search."""
        check_objective(self.objective)
        check_positive(units=self.units, layers=self.layers, learning_rate=self.learning_rate)
        if self.kind not in REWARDS:
            raise unknown("kind of reward", self.kind, REWARDS)
        if not 0 <= self.alpha <= 1:
            raise InvalidValueError(f"alpha={self.alpha} is not allowed; give a weight between 0 and 1")

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or when the controller samples only what is.

        Raises:
            MissingCellError: latency was asked for and not measured.
        """
        with one_thread():
            self._search(run)

    def _search(self, run: Run) -> None:
        resources = Resources(run, self.objective)
        target = resources.target(self.target)
        generator = generator_of(run)
        controller = Controller(choices_of(run.space), self.units, self.layers, self.init_range, generator)
        optimizer = torch.optim.Adam(controller.parameters(), self.learning_rate, fused=True)
        scores, baseline = Scores(run), MovingAverage(self.baseline_decay)
        while scores.goes_on():
            sequence = controller.sample(generator)
            arch = controller.choices.decode(sequence)
            scores(arch)
            if self.kind == "mixed":
                reward = self.alpha * scores.reward(arch) - (1 - self.alpha) * resources.scaled(arch)
            else:
                reward = scores.reward(arch) if resources(arch) <= target else 0.0
            log_prob, _ = controller.log_prob([sequence])
            optimizer.zero_grad()
            (-baseline.advantage(reward) * log_prob.sum()).backward()
            optimizer.step()
