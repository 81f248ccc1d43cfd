"""A trained start network, children that inherit its weights, and a few of them trained to the end.

Rewards and baseline are those of https://github.com/han-cai/EAS and https://github.com/han-cai/PathLevel-EAS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._fidelities import nearest_fidelity
from nasbench_rl_baselines._searching import FREE_LIMIT, RewardScale
from nasbench_rl_baselines._torch import DTYPE

HIGHEST = 0.95
"""Rewards in [0, 1] are cut here before the tangent, which has no value at 1."""
Episode = TypeVar("Episode")
REPEATS = 24
"""Children drawn in a row that are all known, after which the search goes on to its finalists: each of them costs the
controller's time and no budget. On the smallest space, with two children of 25 unknown, a uniform draw misses both so
often in a row in one case of seven. Larger spaces have more to find, and ``FREE_LIMIT`` holds there."""
SMALL = 100
"""Architectures of a space that is called small."""


def is_small(run: Run) -> bool:
    """Return whether the space is one of those whose default budget buys a large part of it."""
    return size_of(run.space) <= SMALL


class Children:
    """The children of one start network and their rewards.

    Attributes:
        scores: validation score of every child trained so far, by name.
    """

    def __init__(
        self, run: Run, start: Architecture, part: float, finalists: int, decay: float, from_start: bool = False
    ) -> None:
        """Train ``start`` to the end.

        Args:
            run: the search.
            start: the network that all others grow from.
            part: part of a training that a child gets; less than a whole one, since a score with inherited weights at
                the end of a whole training would be compared with those from scratch, unfairly.
            finalists: children that are trained to the end, at least, if the budget has them.
            decay: weight of the baseline's past when the mean reward of an update's children comes in.
            from_start: the baseline begins with the start's reward; else with 0.

        Raises:
            InvalidValueError: ``part`` is none of a training, or nearest to a whole one.
        """
        self._run, self._start = run, start
        self._fidelity, self._finalists = nearest_fidelity(run, part), finalists
        whole = run.task.max_fidelity
        if self._fidelity == whole:
            raise InvalidValueError(
                f"child_part={part} is not allowed: the nearest stored fidelity is a whole training, which only the "
                f"finalists get; give a part near one of {list(run.task.fidelities[:-1])} of {whole:,}"
            )
        kept = min(finalists, max(1, run.budget // (2 * whole))) * whole
        self._for_children = max(run.budget - kept, min(run.budget, whole + self._fidelity))
        self.scores: dict[str, float] = {}
        self._scale, self._decay, self._repeats = RewardScale(run), decay, 0
        self._limit = REPEATS if is_small(run) else FREE_LIMIT
        score = run.evaluate(start)
        self._baseline = self._reward(score) if from_start else 0.0

    def goes_on(self) -> bool:
        """Another child can be paid for, and the last draws were not all known already."""
        return self._run.spent + self._fidelity <= self._for_children and self._repeats < self._limit

    def train(self, child: Architecture) -> None:
        """Train ``child`` with the start's weights, or remember."""
        self._repeats += 1
        if child.name not in self.scores:
            self._repeats = 0
            self.scores[child.name] = score = self._run.evaluate(child, self._fidelity, inherit=self._start)
            self._scale.see(score)

    def learn(
        self,
        grow: Callable[[], tuple[Architecture, Episode]],
        log_prob_of: Callable[[list[Episode]], tuple[Tensor, Tensor]],
        optimizer: torch.optim.Optimizer,
        batch: int,
        entropy_coef: float,
    ) -> None:
        """Train children, with a step of REINFORCE after every ``batch`` of them, until none can be paid for.

        Args:
            grow: gives a child and the episode of decisions it came from.
            log_prob_of: gives each episode's log-probability and summed entropy, both (episodes,), with gradients.
            optimizer: of the controller.
            batch: children an update.
            entropy_coef: weight of the entropy bonus.
        """
        while self.goes_on():
            children: list[Architecture] = []
            episodes: list[Episode] = []
            while len(children) < batch and self.goes_on():
                child, episode = grow()
                self.train(child)
                children.append(child)
                episodes.append(episode)
            log_prob, entropy = log_prob_of(episodes)
            gains = torch.tensor(self.advantages(children), dtype=DTYPE) * log_prob
            if not log_prob.requires_grad:  # no child had a choice to make: there is nothing to learn
                continue
            optimizer.zero_grad()
            (-(gains + entropy_coef * entropy).mean()).backward()
            optimizer.step()

    def advantages(self, children: Sequence[Architecture]) -> list[float]:
        """Return the children's rewards minus the baseline, which moves towards their mean first."""
        rewards = [self._reward(self.scores[child.name]) for child in children]
        self._baseline = self._decay * self._baseline + (1 - self._decay) * math.fsum(rewards) / len(rewards)
        return [reward - self._baseline for reward in rewards]

    def _reward(self, score: float) -> float:
        """tan(score π / 2), the score between the lowest and the highest seen so far."""
        return math.tan(min(HIGHEST, self._scale(score)) * math.pi / 2)

    def finish(self) -> None:
        """Train the best children from scratch; the run's incumbent is then the best of them and of the start.

        As many as were asked for, and more where budget is left.
        """
        wanted = max(self._finalists, self._run.remaining // self._run.task.max_fidelity)
        trained = {name: score for name, score in self.scores.items() if score == score}
        known = {name: score for name, score in trained.items() if name != self._start.name}  # it was, wholly
        best = sorted(known, key=lambda name: known[name], reverse=True)[:wanted]
        self._run.prepare(best)
        for name in best:
            self._run.evaluate(name)
