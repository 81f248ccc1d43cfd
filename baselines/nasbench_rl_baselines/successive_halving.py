"""Successive halving: many short trainings, the best part of them longer, the best of those to the end.

Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization",
https://arxiv.org/abs/1502.07943, Algorithm 1; with η = 3 as in Li et al. (2018), "Hyperband",
https://arxiv.org/abs/1603.06560.

Changed for spaces of 25 or 32 points: fidelities are the stored twentieths of a training nearest to η^−k, and a bracket
is as large as the budget allows or the space is. When budget is left after a bracket over the whole space, the next one
trains on other train seeds, and one that has become free begins a rung higher. A promoted training goes on where it
stopped and is charged the difference.
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
