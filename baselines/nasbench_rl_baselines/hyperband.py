"""Hyperband: brackets of successive halving that trade the number of trainings against their length.

Li et al. (2018), https://arxiv.org/abs/1603.06560, Algorithm 1. Notes: ``docs/methods/early_stopping.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl_baselines._fidelities import draw_bracket, geometric_rungs, halve, most_halvings


@dataclass(frozen=True)
class Hyperband:
    """All brackets in turn, the one with the most halvings first, over and over until the budget is spent.

    Attributes:
        eta: 1/η of a rung goes on to the next, with η times the training.
    """

    eta: int = 3

    def __post_init__(self) -> None:
        """Refuse an η that halves nothing."""
        if self.eta < 2:
            raise InvalidValueError(f"eta={self.eta} is not allowed; give at least 2")

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when all brackets in turn were free."""
        most = most_halvings(run, self.eta)
        seen: set[str] = set()
        before = -1
        while run.remaining > 0 and run.spent != before:
            before = run.spent
            for halvings in range(most, -1, -1):
                size = -(-(most + 1) * self.eta**halvings // (halvings + 1))  # ⌈(s_max + 1) η^s / (s + 1)⌉
                rungs = geometric_rungs(run, self.eta, halvings)
                halve(run, draw_bracket(run, size, seen), rungs, self.eta)
