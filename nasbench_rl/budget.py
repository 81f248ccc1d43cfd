"""What a run may spend, what it has spent, and what it has paid for of each architecture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nasbench_rl.errors import BudgetExhausted
from nasbench_rl.numeric import whole_number

FREE_IN_A_ROW = 30_000
"""Evaluations that charge nothing before a run ends: a search that only repeats what it paid for would never end. More
than the steps of the longest trial of the meta-RL paper, whose agents may settle on one network."""


@dataclass
class Budget:
    """The effort that a run may spend.

    Attributes:
        total: what may be spent.
        unit: of all amounts: env steps or epochs.
        spent: what was spent so far.
        cpu_seconds: CPU seconds that the evaluated trainings took when they were made.
    """

    total: int
    unit: str
    spent: int = 0
    cpu_seconds: float = 0.0
    _free: int = 0

    @property
    def remaining(self) -> int:
        """What is left."""
        return self.total - self.spent

    def check(self, amount: int, what: str) -> None:
        """Raise BudgetExhausted if ``amount`` does not remain; ``what`` would cost it."""
        if amount > self.remaining:
            raise BudgetExhausted(f"{what} costs {amount:,} {self.unit}, {self.remaining:,} remain")

    def check_free(self) -> None:
        """Count an evaluation that costs nothing; raise BudgetExhausted after ``FREE_IN_A_ROW`` of them."""
        self._free += 1
        if self._free > FREE_IN_A_ROW:
            raise BudgetExhausted(f"{FREE_IN_A_ROW:,} evaluations in a row repeated what was paid for; nothing is left")

    def charge(self, amount: int, cpu_seconds: float = 0.0) -> None:
        """Spend; the only place that does.

        Raises:
            InvalidValueError: less than nothing, or no whole number.
            BudgetExhausted: more than ``remaining``; nothing was charged.
        """
        amount = whole_number("charge", amount, f"0 … {self.remaining:,} {self.unit}", least=0)
        if amount > self.remaining:
            raise BudgetExhausted(f"{amount:,} {self.unit} asked for, {self.remaining:,} remain")
        self.spent += amount
        self.cpu_seconds += cpu_seconds
        if amount:
            self._free = 0


@dataclass
class TrainingLedger:
    """Record the trainings of one architecture that a run has paid for.

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
        """Return (train seed, visit) of the next evaluation: the same training going on, or the next one."""
        if self.visit >= 0 and self.paid[self.seeds[self.visit % len(self.seeds)]] < fidelity:
            return self.seeds[self.visit % len(self.seeds)], self.visit
        return self.seeds[(self.visit + 1) % len(self.seeds)], self.visit + 1

    def best_score(self) -> tuple[int, float]:
        """Return the highest fidelity seen and the mean validation score there."""
        scores = {f: s for f, s in self.scores.items() if s}
        if not scores:
            return (-1, -math.inf)
        top = max(scores)
        return top, math.fsum(scores[top].values()) / len(scores[top])
