"""Local search: hill climbing over the neighbourhood.

White, Nolen and Savani (2021), https://arxiv.org/abs/2005.02960. Notes: ``docs/methods/black_box.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture, size_of


@dataclass(frozen=True)
class LocalSearch:
    """Evaluate all neighbours of the current architecture, move to the best, restart at random in a local optimum.

    Attributes:
        query_until_better: move to the first neighbour that is better instead of the best of all (the paper's variant
            for noisy spaces).
    """

    query_until_better: bool = False

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when every architecture was evaluated."""
        scores: dict[str, float] = {}

        def score(arch: Architecture) -> float:
            if arch.name not in scores:
                scores[arch.name] = run.evaluate(arch)
            return scores[arch.name]

        while run.remaining > 0 and len(scores) < size_of(run.space):
            current = run.space.sample(run.rng)
            while current.name in scores:
                current = run.space.sample(run.rng)
            here = score(current)
            while True:
                better = self._climb(run, current, here, score)
                if better is None:
                    break
                current, here = better, score(better)

    def _climb(
        self, run: Run, current: Architecture, here: float, score: Callable[[Architecture], float]
    ) -> Architecture | None:
        near = run.space.neighbours(current)
        best: Architecture | None = None
        for i in run.rng.permutation(len(near)):
            value = score(near[i])
            if value > here:
                best, here = near[i], value
                if self.query_until_better:
                    break
        return best
