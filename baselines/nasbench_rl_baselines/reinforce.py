"""NAS: an LSTM controller trained by REINFORCE.

Zoph and Le (2017), "Neural architecture search with reinforcement learning",
https://arxiv.org/abs/1611.01578: REINFORCE with an exponential moving average as baseline (section 3.2); two layers of
35 units, weights within ± 0.08, Adam at 0.0006, the cubed accuracy as reward (section 4.1).

Changed for spaces of 25 or 32 points, whose default budget is ten trainings and not the paper's 12 800:

- The controller is updated after every architecture; in the paper 100 replicas each averaged over 8.
- Scores are returns of games, not accuracies, so they are scaled to [0, 1] by the lowest and highest seen so far before
  they are cubed. The paper cubes the best validation accuracy of a training's last five epochs, here it is the score of
  the whole training.
- No growing depth, which in the paper rises by two layers every 1,600 networks, and no attention over anchor points
  (section 3.3): predecessors, where a space has them, are choices like all others. All choices share one embedding and
  one softmax.
- The paper does not give the decay of its baseline; 0.95 is that of the same authors' NASNet.

The learning rate is the paper's: at the default budget the controller has hardly moved from a uniform distribution, and
the search is close to random search with replacement.
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
        scale, baseline, purse = RewardScale(run), MovingAverage(self.baseline_decay), BudgetGuard(run)

        def advantage(score: float) -> float:
            scale.see(score)
            return baseline.advantage(scale(score) ** self.power)

        while batch := evaluated_batch(run, controller, generator, self.batch, advantage, purse):
            sequences, advantages = batch
            log_prob, _ = controller.log_prob(sequences)
            optimizer.zero_grad()
            (-(advantages * log_prob).mean()).backward()
            optimizer.step()
