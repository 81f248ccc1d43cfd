"""ENAS: efficient NAS by parameter sharing, as the RL-agents paper adapts it (sections 3, 4.2, 5.3 and Table 5).

Pham et al. (2018), "Efficient neural architecture search via parameter sharing", https://arxiv.org/abs/1802.03268.

A controller samples a child path, the supernet trains it for ten PPO updates, and the mean return of its play is its
reward: what it earned over the games it played, where a game that several children played counts for each by its share
of the game's steps. So a child is heard when the last of its games is over, after those before it: on MinAtar Freeway,
whose games last 2,501 steps, up to two children later, and behind a game that runs into its time limit (10,000 steps on
MinAtar, 27,000 on ALE, where a child plays 1,280) as many as that takes. After every ten children REINFORCE updates the
controller. The proxy score of an architecture is the controller's probability of it. It costs one whole training for
the supernet and one for each of the top 3.

In tabular mode this is an **approximation**: a supernet whose paths a controller chose cannot be stored beforehand, so
the reward is the proxy score of the child in a stored supernet that was fitted with uniform paths, at the same number
of env steps. ``baselines/README.md`` sets live and tabular regret side by side.

What the paper leaves open is taken from its authors' code (https://github.com/NinaMaz/NAS_RL_torch): the baseline
starts at zero, is subtracted as it was before the batch and then takes in the batch's mean; Adam's eps is 1e-5 and the
gradient's norm is clipped at 0.5.

Changed from the paper:

- The fit is one whole training of the task's recipe, on MinAtar ``lite`` 1 M env steps and not 10 M: 977 updates, that
  is 97 children and nine updates of the controller, which then has hardly moved: most of the architectures that it
  likes best are those that its initial weights like (``enas:learning_rate=0``; ``docs/rl_agents`` counts them). On ALE
  ``lite``, with 500 k env steps, 48 children and four updates.
- A child's reward is the mean return of its play, raw. The authors' code scores the child's ten updates by the signs of
  the rewards in them, over the lives and games that ended in them and one more: the same child would score nine times
  as much where none of the eight games happens to end as where all do.
- A batch may hold children that were sampled before the controller's last update, as many as were waiting to be heard;
  they are learned from as if the controller of now had written them.
- Every child is written from the same first input, as in Pham et al.'s code. The paper says in half a sentence that its
  controller's inputs are the previous architecture and its reward (section 4.2), and not how.
- Ten children an update of the controller, as section 5.1 can be read ("every ten steps"). Table 5's "# NAS runner
  timesteps 3" counts them in the authors' code: ``children=3`` follows it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import torch

from nasbench_rl import Run
from nasbench_rl.records import PathUpdate
from nasbench_rl.spaces import Architecture, KernelSpace
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._controller import Controller
from nasbench_rl_baselines._searching import check_positive
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
    children: int = 10
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
            supernet.fit(learner.sample_path, learner.told, listed=False)  # its proxies are the probabilities below
            probabilities = learner.probabilities()
        best = np.argsort(-probabilities, kind="stable")[: self.top_k]
        run.recommend([run.space[int(i)] for i in best])


class _Learner:
    """The controller with its REINFORCE update, told of one PPO update after the other."""

    def __init__(self, method: Enas, run: Run, updates: int) -> None:
        self.method, self.run = method, run
        self.generator = generator_of(run)
        self.controller = Controller(choices_of(run.space), method.units, 1, method.init_range, self.generator)
        self.optimizer = torch.optim.Adam(
            self.controller.parameters(), method.learning_rate, eps=method.adam_eps, fused=True
        )
        steps = max(1, updates // (method.child_updates * method.children))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        self.playing: deque[Tokens] = deque()
        """Children that are not heard of yet, the present one last."""
        self.returns: list[tuple[float, float]] = []
        self.batch: list[tuple[Tokens, float]] = []
        self.baseline = 0.0

    def sample_path(self, index: int, rng: np.random.Generator) -> Architecture:
        """The child of this update; a new one every ``child_updates``."""
        if index % self.method.child_updates == 0:
            self.playing.append(self.controller.sample(self.generator))
            self.arch = self.controller.choices.decode(self.playing[-1])
        return self.arch

    def told(self, update: PathUpdate) -> None:
        """Collect the returns of the child that was sampled first; with enough children, update the controller."""
        self.returns.append((update.games, update.return_mean))
        if (update.index + 1) % self.method.child_updates:
            return
        games = math.fsum(share for share, _ in self.returns)
        self.batch.append((self.playing.popleft(), math.fsum(share * mean for share, mean in self.returns) / games))
        self.returns = []
        if len(self.batch) >= self.method.children:
            self._learn()

    def _learn(self) -> None:
        rewards = torch.tensor([reward for _, reward in self.batch], dtype=DTYPE)
        advantages, keep = rewards - self.baseline, self.method.baseline_momentum
        self.baseline = keep * self.baseline + (1 - keep) * float(rewards.mean())
        log_prob, entropy = self.controller.log_prob([child for child, _ in self.batch])
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
        """(architectures,) the controller's probability of each."""
        space = self.run.space
        assert isinstance(space, KernelSpace)  # Run.supernet() refuses the others
        sequences = [tuple(space.kernels.index(kernel) for kernel in arch.choices) for arch in space]
        return self.controller.log_prob(sequences)[0].exp().numpy()
