"""What a run has paid for of one architecture: which train seeds, how far each, and what the run saw of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class PaidTrainings:
    """The trainings of one architecture that a run has paid for.

    Attributes:
        seeds: validation train seeds in the order in which the run visits them.
        visit: how many trainings were begun, minus one.
        paid: train seed → the fidelity paid for.
        scores: fidelity → train seed → validation score; negative seeds are trainings with inherited weights.
        inherited: how many of these there were.
    """

    seeds: list[int]
    visit: int = -1
    paid: dict[int, int] = field(default_factory=dict)
    scores: dict[int, dict[int, float]] = field(default_factory=dict)
    inherited: int = 0

    def seed_for(self, fidelity: int) -> tuple[int, int]:
        """(train seed, visit) of the next evaluation: the same training going on, or the next one."""
        if self.visit >= 0 and self.paid[self.seeds[self.visit % len(self.seeds)]] < fidelity:
            return self.seeds[self.visit % len(self.seeds)], self.visit
        return self.seeds[(self.visit + 1) % len(self.seeds)], self.visit + 1

    def standing(self) -> tuple[int, float]:
        """(highest fidelity seen, mean validation score there)."""
        scores = {f: s for f, s in self.scores.items() if s}
        if not scores:
            return (-1, -math.inf)
        top = max(scores)
        return top, math.fsum(scores[top].values()) / len(scores[top])
