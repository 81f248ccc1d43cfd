"""What the methods share that train no architecture twice: remembered scores, rewards in [0, 1], distinct draws."""

from __future__ import annotations

from collections.abc import Container

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._searching import FREE_LIMIT, RewardScale


def draw_untrained(run: Run, known: Container[str]) -> Architecture:
    """Return an architecture drawn from the space that is not among ``known``, which must leave some."""
    while True:
        arch = run.space.sample(run.rng)
        if arch.name not in known:
            return arch


class Scores:
    """Validation scores by architecture: the first time it is trained, from then on remembered.

    Attributes:
        known: score of every trained architecture by name; NaN where none came in.
        scale: scores to rewards in [0, 1], by all scores so far.
        size: number of architectures of the space, infinite where they are not counted.
    """

    def __init__(self, run: Run, fidelity: int | None = None) -> None:
        """``fidelity``: training effort; None is the whole training."""
        self._run, self._fidelity = run, fidelity
        self.scale, self._repeats = RewardScale(run), 0
        self.size = size_of(run.space)
        self.known: dict[str, float] = {}

    def __call__(self, arch: Architecture) -> float:
        """Train ``arch``, or remember."""
        if arch.name in self.known:
            self._repeats += 1
        else:
            self._repeats = 0
            self.known[arch.name] = score = self._run.evaluate(arch, self._fidelity)
            self.scale.see(score)
        return self.known[arch.name]

    def goes_on(self) -> bool:
        """Budget is left, something is untrained, and the last draws were not all known already."""
        return self._run.remaining > 0 and len(self.known) < self.size and self._repeats < FREE_LIMIT

    def reward(self, arch: Architecture) -> float:
        """Return the score of a trained architecture as a reward in [0, 1]."""
        return self.scale(self.known[arch.name])
