"""What a search may spend, and what it has paid for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NoReturn, SupportsIndex

from nasbench_rl._utils.numeric import whole_number
from nasbench_rl.errors import BudgetExhausted, UncopiedError

FREE_IN_A_ROW = 30_000
"""Evaluations that charge nothing before a run ends: a search that only repeats what it paid for would never end. More
than the steps of the longest trial of the meta-RL paper, whose agents may settle on one network."""


class Budget:
    """The budget of one search. It is neither copied nor pickled, because its copy would be spent for free.

    Attributes:
        total: what may be spent, in ``unit``.
        unit: the task's ``fidelity_unit``.
        spent: what was spent so far.
        cpu_seconds: CPU seconds that the trainings took when they were made.
    """

    def __init__(self, total: int, unit: str) -> None:
        """Begin with nothing spent."""
        self.total, self.unit = total, unit
        self.spent, self.cpu_seconds = 0, 0.0
        self._free = 0

    @property
    def remaining(self) -> int:
        """Budget left."""
        return self.total - self.spent

    def count_free(self, price: int) -> None:
        """Raise BudgetExhausted after ``FREE_IN_A_ROW`` evaluations in a row whose ``price`` was 0."""
        self._free += not price
        if self._free > FREE_IN_A_ROW and not price:
            raise BudgetExhausted(f"{FREE_IN_A_ROW:,} evaluations in a row repeated what was paid for; nothing is left")

    def charge(self, amount: int, cpu_seconds: float = 0.0) -> None:
        """Spend; the only place that charges.

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

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse; ``copy.copy``, ``copy.deepcopy`` and ``pickle`` all come here.

        Raises:
            UncopiedError: always.
        """
        raise UncopiedError(
            "a search is neither copied nor pickled, because its copy would search for free; share its run, or begin "
            "another search with a budget of its own: load(task).start(budget, seed)"
        )


@dataclass
class TrainingLedger:
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
        """Return (train seed, visit) of the next evaluation: the same training going on, or the next one."""
        if self.visit >= 0 and self.paid[self.seeds[self.visit % len(self.seeds)]] < fidelity:
            return self.seeds[self.visit % len(self.seeds)], self.visit
        return self.seeds[(self.visit + 1) % len(self.seeds)], self.visit + 1

    def trained(self, whole: int) -> list[int]:
        """Return the train seeds that were paid for up to ``whole``."""
        return [seed for seed, paid in self.paid.items() if paid == whole]

    def add_score(self, fidelity: int, seed: int, score: float) -> None:
        """Note a validation score; NaN, before a first game has finished, counts for nothing."""
        if score == score:
            self.scores.setdefault(fidelity, {})[seed] = score

    def best_score(self) -> tuple[int, float]:
        """Return (highest fidelity seen, mean validation score there)."""
        if not self.scores:
            return (-1, -math.inf)
        top = max(self.scores)
        return top, math.fsum(self.scores[top].values()) / len(self.scores[top])
