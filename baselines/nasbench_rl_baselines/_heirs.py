"""What the methods share that grow networks: a trained start, children with its weights, a few trained to the end.

Both papers train one small network first, give every child that the controller grows from it the start's weights and a
short training, and train the best children at the end.
"""

from __future__ import annotations

import math

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._fidelities import nearest_fidelity
from nasbench_rl_baselines._searching import MovingAverage, RewardScale

HIGHEST = 0.95
"""Rewards in [0, 1] are cut here before the tangent, which has no value at 1."""
REPEATS = 24
"""Children drawn in a row that are all known, after which the search goes on to its finalists: each of them costs the
controller's time and no budget. On the smallest space, with two children of 25 unknown, a uniform draw misses both so
often in a row in one case of seven."""


class Heirs:
    """The children of one start network and their rewards.

    Attributes:
        scores: validation score of every child trained so far, by name.
    """

    def __init__(self, run: Run, start: Architecture, part: float, finalists: int, decay: float) -> None:
        """Trains ``start`` wholly.

        Args:
            run: the search.
            start: the network that all others grow from.
            part: part of a training that a child gets.
            finalists: children that are trained to the end.
            decay: of the moving average that is the baseline.
        """
        self._run, self._start = run, start
        self._fidelity, self._finalists = nearest_fidelity(run, part), finalists
        whole = run.task.max_fidelity
        kept = min(finalists, max(1, run.budget // (2 * whole))) * whole
        self._for_children = max(run.budget - kept, min(run.budget, whole + self._fidelity))
        self.scores: dict[str, float] = {}
        self._scale, self._baseline, self._repeats = RewardScale(run), MovingAverage(decay), 0
        run.evaluate(start)

    def goes_on(self) -> bool:
        """Another child can be paid for, and the last draws were not all known already."""
        return self._run.spent + self._fidelity <= self._for_children and self._repeats < REPEATS

    def advantage(self, child: Architecture) -> float:
        """Train ``child`` with the start's weights, or remember; tan(reward π / 2) minus the baseline."""
        self._repeats += 1
        if child.name not in self.scores:
            self._repeats = 0
            self.scores[child.name] = score = self._run.evaluate(child, self._fidelity, inherit=self._start)
            self._scale.see(score)
        reward = min(HIGHEST, self._scale(self.scores[child.name]))
        return self._baseline.advantage(math.tan(reward * math.pi / 2))

    def finish(self) -> None:
        """Train the best children from scratch and recommend the best of them."""
        known = {name: score for name, score in self.scores.items() if score == score}
        best = sorted(known, key=lambda name: known[name], reverse=True)[: self._finalists]
        if best:
            self._run.recommend(best)
