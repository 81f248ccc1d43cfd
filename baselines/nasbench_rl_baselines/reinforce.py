"""NAS: an LSTM controller trained by REINFORCE.

Zoph and Le (2017), https://arxiv.org/abs/1611.01578. Notes: ``docs/methods/controllers.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nasbench_rl import Run
from nasbench_rl_baselines._choices import choices_of
from nasbench_rl_baselines._controller import Controller, evaluated_batch
from nasbench_rl_baselines._searching import BudgetGuard, MovingAverage, RewardScale, check_positive
from nasbench_rl_baselines._torch import generator_of, one_thread


@dataclass(frozen=True)
class Reinforce:
    """Sample architectures from the controller, raise the probability of those above a moving average.

    Attributes:
        units: of each LSTM layer.
        layers: of the LSTM.
        init_range: weights start uniform in ± this.
        learning_rate: Adam's.
        batch: architectures an update.
        baseline_decay: weight of the baseline's past.
        power: exponent of the scaled score.
    """

    units: int = 35
    layers: int = 2
    init_range: float = 0.08
    learning_rate: float = 6e-4
    batch: int = 1
    baseline_decay: float = 0.95
    power: float = 3.0

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, layers=self.layers, learning_rate=self.learning_rate, batch=self.batch)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when all that the controller still samples has become free."""
        with one_thread():
            self._search(run)

    def _search(self, run: Run) -> None:
        generator = generator_of(run)
        controller = Controller(choices_of(run.space), self.units, self.layers, self.init_range, generator)
        optimizer = torch.optim.Adam(controller.parameters(), self.learning_rate, fused=True)
        scale, baseline, guard = RewardScale(run), MovingAverage(self.baseline_decay), BudgetGuard(run)

        def advantage(score: float) -> float:
            scale.see(score)
            return baseline.advantage(scale(score) ** self.power)

        while batch := evaluated_batch(run, controller, generator, self.batch, advantage, guard):
            sequences, advantages = batch
            log_prob, _ = controller.log_prob(sequences)
            optimizer.zero_grad()
            (-(advantages * log_prob).mean()).backward()
            optimizer.step()
