"""Regularized ("aging") evolution.

Real et al. (2019), https://arxiv.org/abs/1802.01548, Algorithm 1. Notes: ``docs/methods/black_box.md``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._searching import FREE_LIMIT, check_positive


@dataclass(frozen=True)
class RegularizedEvolution:
    """Tournaments in a population from which the oldest dies.

    Attributes:
        population: individuals alive at once. The paper's 100 is larger than these spaces of 25 and 32.
        tournament: individuals that compete to be a parent; the paper's 25 of 100, kept at a quarter of the population.
    """

    population: int = 10
    tournament: int = 3

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(population=self.population, tournament=self.tournament)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when a repeated evaluation has become free everywhere."""
        alive: deque[tuple[Architecture, float]] = deque()
        free = 0
        while run.remaining > 0 and free < FREE_LIMIT:
            if len(alive) < self.population:
                arch = run.space.sample(run.rng)
            else:
                rivals = run.rng.integers(len(alive), size=self.tournament)  # with replacement, as in Algorithm 1
                parent = max((alive[i] for i in rivals), key=lambda individual: individual[1])[0]
                arch = run.space.mutate(parent, run.rng)
            before = run.spent
            alive.append((arch, run.evaluate(arch)))
            free = free + 1 if run.spent == before else 0
            if len(alive) > self.population:
                alive.popleft()
