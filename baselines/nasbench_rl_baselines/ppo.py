"""The controller of NASNet: an LSTM trained by proximal policy optimization.

Zoph et al. (2018), https://arxiv.org/abs/1707.07012, appendix A.2; Schulman et al. (2017),
https://arxiv.org/abs/1707.06347, equation 7. Notes: ``docs/methods/controllers.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nasbench_rl import Run
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._controller import Controller, evaluated_batch
from nasbench_rl_baselines._searching import BudgetGuard, MovingAverage, RewardScale, check_positive
from nasbench_rl_baselines._torch import generator_of, one_thread


@dataclass(frozen=True)
class Ppo:
    """Sample a batch of architectures, then take several clipped steps towards those above a moving average.

    Attributes:
        units: of each LSTM layer.
        layers: of the LSTM.
        init_range: weights start uniform in ± this.
        learning_rate: Adam's.
        batch: architectures an update.
        epochs: gradient steps on each batch.
        clip: how far the probability of an architecture may move from 1 times what it was, in an update.
        entropy: weight of the entropy bonus.
        baseline_decay: weight of the baseline's past.
    """

    units: int = 100
    layers: int = 1
    init_range: float = 0.1
    learning_rate: float = 3.5e-4
    batch: int = 5
    epochs: int = 10
    clip: float = 0.2
    entropy: float = 1e-5
    baseline_decay: float = 0.95

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, layers=self.layers, learning_rate=self.learning_rate)
        check_positive(batch=self.batch, epochs=self.epochs, clip=self.clip)

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
            return baseline.advantage(scale(score))

        while batch := evaluated_batch(run, controller, generator, self.batch, advantage, guard):
            self._update(controller, optimizer, *batch)

    def _update(
        self,
        controller: Controller,
        optimizer: torch.optim.Optimizer,
        sequences: list[Tokens],
        advantages: torch.Tensor,
    ) -> None:
        """Take clipped steps; an architecture is one action, whose probability is that of all its choices."""
        before: torch.Tensor | None = None
        for _ in range(self.epochs):
            log_prob, entropy = controller.log_prob(sequences)
            before = log_prob.detach() if before is None else before
            ratio = (log_prob - before).exp()
            clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
            gain = torch.minimum(ratio * advantages, clipped * advantages).mean()
            optimizer.zero_grad()
            (-gain - self.entropy * entropy.mean()).backward()
            optimizer.step()
