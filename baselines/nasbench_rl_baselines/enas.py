"""ENAS: efficient NAS by parameter sharing, as the RL-agents paper adapts it (sections 3, 4.2, 5.3 and Table 5).

Pham et al. (2018), https://arxiv.org/abs/1802.03268. Tabular runs are an approximation: the rewards are proxies of a
stored supernet that was fitted with uniform paths. Notes: ``docs/methods/weight_sharing.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nasbench_rl import PathUpdate, Run
from nasbench_rl.spaces import Architecture, KernelSpace
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._controller import Controller
from nasbench_rl_baselines._searching import RewardScale, check_positive
from nasbench_rl_baselines._torch import DTYPE, generator_of, one_thread


@dataclass(frozen=True)
class Enas:
    """Let a controller choose the supernet's paths, train the architectures it likes best from scratch.

    Attributes:
        units: of the controller's LSTM.
        child_updates: PPO updates that a sampled child is trained for.
        children: sampled children an update of the controller.
        learning_rate: Adam's, annealed by a cosine to zero over the fit.
        entropy_coef: weight of the entropy bonus.
        baseline_momentum: share of its past that the moving-average baseline keeps.
        adam_eps: Adam's epsilon.
        max_grad_norm: at which the gradient of a batch is clipped.
        init_range: the controller's weights start uniform in ± this (Pham et al., section 3).
        top_k: architectures trained from scratch; the best of them by validation score is returned.
    """

    units: int = 64
    child_updates: int = 10
    children: int = 3
    learning_rate: float = 1e-3
    entropy_coef: float = 1e-4
    baseline_momentum: float = 0.2
    adam_eps: float = 1e-5
    max_grad_norm: float = 0.5
    init_range: float = 0.1
    top_k: int = 3

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, child_updates=self.child_updates, children=self.children, top_k=self.top_k)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted when the budget does not reach the supernet and one training."""
        supernet = run.supernet()
        with one_thread():
            learner = _Learner(self, run, supernet.updates)
            supernet.fit(
                learner.sample_path, learner.on_update, score_all=False
            )  # its proxies are the probabilities below
            probabilities = learner.probabilities()
        best = np.argsort(-probabilities, kind="stable")[: self.top_k]
        run.recommend([run.space[int(i)] for i in best])


class _Child(NamedTuple):
    """What the controller wrote, and its inputs before."""

    tokens: Tokens
    context: Tensor


class _Learner:
    """The controller and its REINFORCE update."""

    def __init__(self, method: Enas, run: Run, updates: int) -> None:
        space = run.space
        assert isinstance(space, KernelSpace)  # Run.supernet() refuses the others
        self.method, self.space = method, space
        self.generator = generator_of(run)
        choices = choices_of(space)
        inputs = space.depth * choices.tokens + 1
        self.controller = Controller(choices, method.units, 1, method.init_range, self.generator, inputs)
        self.optimizer = torch.optim.Adam(
            self.controller.parameters(), method.learning_rate, eps=method.adam_eps, fused=True
        )
        steps = max(1, updates // (method.child_updates * method.children))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        self.scale = RewardScale(run)
        self.heard = torch.zeros(inputs, dtype=DTYPE)
        """The controller's inputs: the child that was heard last, one-hot, and its reward."""
        self.playing: dict[int, _Child] = {}
        """By number, the children that were not heard of, the present one last."""
        self.returns: list[tuple[float, float]] = []
        self.batch: list[tuple[_Child, float]] = []
        self.baseline = 0.0

    def sample_path(self, index: int, rng: np.random.Generator) -> Architecture:
        """Return the child of this update; a new one every ``child_updates``."""
        number, update = divmod(index, self.method.child_updates)
        if update == 0:
            tokens = self.controller.sample(self.generator, self.heard)
            self.playing[number] = _Child(tokens, self.heard)
            self.arch = self.controller.choices.decode(tokens)
        return self.arch

    def on_update(self, update: PathUpdate) -> None:
        """Collect the returns of one child after the other; with enough children, update the controller."""
        self.returns.append((update.games, update.return_mean))
        if (update.index + 1) % self.method.child_updates:
            return
        games = math.fsum(share for share, _ in self.returns)
        reward = math.fsum(share * mean for share, mean in self.returns) / games
        child, self.returns = self.playing.pop(update.index // self.method.child_updates), []
        self.scale.see(reward)
        chosen = torch.nn.functional.one_hot(torch.tensor(child.tokens), self.controller.choices.tokens)
        self.heard = torch.cat([chosen.flatten().to(DTYPE), torch.tensor([self.scale(reward)], dtype=DTYPE)])
        self.batch.append((child, reward))
        if len(self.batch) >= self.method.children:
            self._learn()

    def _learn(self) -> None:
        rewards = torch.tensor([reward for _, reward in self.batch], dtype=DTYPE)
        advantages, keep = rewards - self.baseline, self.method.baseline_momentum
        self.baseline = keep * self.baseline + (1 - keep) * float(rewards.mean())
        children = [child for child, _ in self.batch]
        inputs = torch.stack([child.context for child in children])
        log_prob, entropy = self.controller.log_prob([child.tokens for child in children], inputs)
        gain = advantages * log_prob + self.method.entropy_coef * entropy
        self.optimizer.zero_grad()
        (-gain.mean()).backward()
        torch.nn.utils.clip_grad_norm_(self.controller.parameters(), self.method.max_grad_norm)
        self.optimizer.step()
        if self.schedule.last_epoch < self.schedule.T_max:
            self.schedule.step()
        self.batch = []

    @torch.no_grad()
    def probabilities(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return (architectures,) the controller's probability of each, after the last child that it heard of."""
        kernels = self.space.kernels
        sequences = [tuple(kernels.index(kernel) for kernel in arch.choices) for arch in self.space]
        inputs = self.heard.expand(len(sequences), -1)
        return self.controller.log_prob(sequences, inputs)[0].exp().numpy()
