"""Successive halving: many short trainings, the best part of them longer, the best of those to the end.

Jamieson and Talwalkar (2016), https://arxiv.org/abs/1502.07943, Algorithm 1. Notes: ``docs/methods/early_stopping.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import size_of
from nasbench_rl_baselines._fidelities import bracket_cost, draw_bracket, geometric_rungs, halve, most_halvings


@dataclass(frozen=True)
class SuccessiveHalving:
    """Brackets from the lowest rung up until the budget is spent.

    Attributes:
        eta: 1/η of a rung goes on to the next, with η times the training.
        halvings: rungs below a whole training; fewer where the stored fidelities begin higher.
    """

    eta: int = 3
    halvings: int = 2

    def __post_init__(self) -> None:
        """Refuse an η that halves nothing."""
        if self.eta < 2 or self.halvings < 0:
            raise InvalidValueError(
                f"eta={self.eta}, halvings={self.halvings} are not allowed; give eta of at least 2 and "
                "halvings of 0 or more"
            )

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when whole trainings of all have become free."""
        halvings = min(self.halvings, most_halvings(run, self.eta))
        seen: set[str] = set()
        while run.remaining > 0 and halvings >= 0:
            rungs = geometric_rungs(run, self.eta, halvings)
            size, before = 1, run.spent
            while size < size_of(run.space) and bracket_cost(size + 1, rungs, self.eta) <= run.remaining:
                size += 1
            halve(run, draw_bracket(run, size, seen), rungs, self.eta)
            if run.spent == before:
                halvings -= 1
