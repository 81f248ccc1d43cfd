"""SPOS: single path one-shot with uniform sampling, as the RL-agents paper adapts it (sections 4.3 and 5.3).

Guo et al. (2019), "Single path one-shot neural architecture search with uniform sampling",
https://arxiv.org/abs/1904.00420, whose evolutionary selection (its section 3.3) is there for spaces too large to list.

It costs one whole training for the supernet and one for each of the top 3. In tabular mode a stored supernet is
replayed, which is exact: its fit depends on nothing that it finds. Proxies are inference and not charged, as in the
RL-agents paper; on MinAtar their games take another 0.5 to 2.6 M env steps (``docs/budget.md``).

Changed from the RL-agents paper: the fit is one whole training of the task's recipe, so that ``lite`` has 1 M env steps
on MinAtar and 500 k on ALE, and not 10 M.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._searching import check_positive

Floats = np.ndarray[Any, np.dtype[np.float64]]
TRIES = 10


@dataclass(frozen=True)
class Spos:
    """Fit a supernet with uniform paths, rank architectures by proxy score, train the best from scratch.

    Attributes:
        top_k: architectures trained from scratch; the best of them by validation score is returned.
        full_search: up to so many architectures every proxy is read (the paper's "full search"); in larger spaces an
            evolutionary search over proxies selects.
        population: of that evolutionary search; the original's, as are the next four.
        generations: of it.
        parents: best individuals that a generation is bred from.
        crossovers: children of two parents a generation; the rest are mutants.
        mutation: probability that a mutant changes a choice.
    """

    top_k: int = 3
    full_search: int = 10_000
    population: int = 50
    generations: int = 20
    parents: int = 10
    crossovers: int = 25
    mutation: float = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(top_k=self.top_k, population=self.population, generations=self.generations, parents=self.parents)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted when the budget does not reach the supernet and one training."""
        supernet, listed = run.supernet(), size_of(run.space) <= self.full_search
        supernet.fit(score_all=listed)
        if listed:
            best = np.argsort(-supernet.proxies(), kind="stable")[: self.top_k]
            run.recommend([run.space[int(i)] for i in best])
        else:
            run.recommend(self._evolve(run, supernet.proxies_of))

    def _evolve(self, run: Run, proxies_of: Callable[[list[Architecture]], Floats]) -> list[Architecture]:
        """The top K that the original's evolutionary search finds by proxy score, each measured once."""
        seen, scored = set[Architecture](), dict[Architecture, float]()

        def unseen(make: Callable[[], Architecture], count: int) -> list[Architecture]:
            """Up to ``count`` that no generation had, in ten tries for each, as the original draws them."""
            found: list[Architecture] = []
            for _ in range(TRIES * count):
                if len(found) < count and (arch := make()) not in seen:
                    seen.add(arch)
                    found.append(arch)
            return found

        alive = unseen(lambda: run.space.sample(run.rng), self.population)
        for _ in range(self.generations):
            scored |= dict(zip(alive, proxies_of(alive).tolist(), strict=True)) if alive else {}
            parents = sorted(scored, key=scored.__getitem__, reverse=True)[: self.parents]
            alive = unseen(partial(self._cross, run, parents), min(self.crossovers, self.population))
            alive += unseen(partial(self._mutate, run, parents), max(0, self.population - self.crossovers))
            alive += unseen(lambda: run.space.sample(run.rng), self.population - len(alive))
        return sorted(scored, key=scored.__getitem__, reverse=True)[: self.top_k]

    def _cross(self, run: Run, parents: list[Architecture]) -> Architecture:
        one, two = (parents[int(i)].choices for i in run.rng.integers(len(parents), size=2))
        take = run.rng.random(len(one)) < 0.5
        return run.space.parse(tuple(a if first else b for a, b, first in zip(one, two, take, strict=True)))

    def _mutate(self, run: Run, parents: list[Architecture]) -> Architecture:
        parent, other = parents[int(run.rng.integers(len(parents)))], run.space.sample(run.rng).choices
        change = run.rng.random(len(other)) < self.mutation
        return run.space.parse(tuple(b if new else a for a, b, new in zip(parent.choices, other, change, strict=True)))
