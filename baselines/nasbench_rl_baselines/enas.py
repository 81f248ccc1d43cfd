"""ENAS: efficient NAS by parameter sharing, as the RL-agents paper adapts it (sections 3, 4.2, 5.3 and Table 5).

Pham et al. (2018), "Efficient neural architecture search via parameter sharing", https://arxiv.org/abs/1802.03268.

A controller samples a child path, the supernet trains it for ten PPO updates, and the mean return of its play is its
reward: what it earned over the games it played, where a game that several children played counts for each by its share
of the game's steps. So a child is heard when the last of its games is over, after those before it: on MinAtar Freeway,
whose games last 2,501 steps, up to two children later, and behind a game that runs into its time limit (10,000 steps on
MinAtar, 27,000 on ALE, where a child plays 1,280) as many as that takes. After every three children REINFORCE updates
the controller (Table 5, "# NAS runner timesteps"). The controller's inputs are the previous child and its reward
(section 4.2): those of the child that was heard last. The proxy score of an architecture is the probability that the
controller writes it next, once the fit is over. It costs one whole training for the supernet and one for each of the
top 3.

In tabular mode this is an **approximation**: a supernet whose paths a controller chose cannot be stored beforehand, so
the reward is the proxy score of the child in a stored supernet that was fitted with uniform paths, at the last stored
fidelity that the fit has reached when the child was trained. Before the first one no proxy is known and none is made
up: children that ended earlier are never heard of, on the ``lite`` recipes the first four on MinAtar (of 97) and the
first two on ALE (of 48). Live they are heard, at what a supernet earns that has hardly learned: the controller's first
update there, which is missing here. ``baselines/README.md`` sets live and tabular regret side by side.

What the paper leaves open:

- Section 4.2 says in half a sentence what the controller's inputs are, and not how they go in; in its authors' code
  (https://github.com/NinaMaz/NAS_RL_torch) there are none, as in Pham et al.'s. Here the previous child, one-hot, and
  its reward go through a linear layer without bias into the first input of the LSTM, beside the embedding that begins a
  child; its later inputs are the choices made so far. The reward is scaled to [0, 1] there, by the lowest and the
  highest heard so far, as returns have a scale of their own in each game. Before a first child is heard all are zero.
- From the authors' code are the LSTM's 64 units, a baseline that starts at zero, is subtracted as it was before the
  batch and then takes in the batch's mean, Adam's eps of 1e-5 and the gradient's norm, which is clipped at 0.5.
- The learning rate of Table 5 is annealed over the updates of the controller that the fit has time for. In the authors'
  code the cosine is as long as the env steps of the fit and moves once an update, so that it never falls.
- The initial weights are Pham et al.'s, where the authors' code has orthogonal linear layers and torch's own weights
  elsewhere. The LSTM keeps its state while it writes a child; there each choice begins from a state of zeros.

Changed from the paper:

- The fit is one whole training of the task's recipe, on MinAtar ``lite`` 1 M env steps and not 10 M: 977 updates, that
  is 97 children and 32 updates of the controller, which then has moved little (``docs/rl_agents`` counts how many of
  the architectures that it likes best are those that it likes without learning, ``enas:learning_rate=0``). On ALE
  ``lite``, with 500 k env steps, 48 children and 16 updates.
- A child's reward is the mean return of its play, raw. The authors' code scores the child's ten updates by the signs of
  the rewards in them, over the lives and games that ended in them and one more: the same child would score nine times
  as much where none of the eight games happens to end as where all do.
- A batch may hold children that were sampled before the controller's last update, as many as were waiting to be heard;
  they are learned from as if the controller of now had written them, told what it was told then.
- Log-probability and entropy are summed over the choices of a child, where the authors' code takes means of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nasbench_rl import Run
from nasbench_rl.records import PathUpdate
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
            supernet.fit(learner.sample_path, learner.told, score_all=False)  # its proxies are the probabilities below
            probabilities = learner.probabilities()
        best = np.argsort(-probabilities, kind="stable")[: self.top_k]
        run.recommend([run.space[int(i)] for i in best])


class _Child(NamedTuple):
    """What the controller wrote, and what it was told before."""

    tokens: Tokens
    told: Tensor


class _Learner:
    """The controller with its REINFORCE update, told of one PPO update after the other."""

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
        """The child of this update; a new one every ``child_updates``."""
        number, update = divmod(index, self.method.child_updates)
        if update == 0:
            tokens = self.controller.sample(self.generator, self.heard)
            self.playing[number] = _Child(tokens, self.heard)
            self.arch = self.controller.choices.decode(tokens)
        return self.arch

    def told(self, update: PathUpdate) -> None:
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
        inputs = torch.stack([child.told for child in children])
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
        """(architectures,) the controller's probability of each, told of the last child that it heard of."""
        kernels = self.space.kernels
        sequences = [tuple(kernels.index(kernel) for kernel in arch.choices) for arch in self.space]
        inputs = self.heard.expand(len(sequences), -1)
        return self.controller.log_prob(sequences, inputs)[0].exp().numpy()
