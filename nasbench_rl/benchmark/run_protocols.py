"""What a run needs of a benchmark, so that neither has to import the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nasbench_rl.benchmark.weight_sharing import OneShotSource
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.tables.results import Evaluation, Resource, Split
from nasbench_rl.task import Task


class Inheritance(Protocol):
    """Scores the children of one run that inherit weights.

    Attributes:
        approximation: see ``Run``.
    """

    @property
    def approximation(self) -> str:
        """See ``Run``; empty where children are really trained from their parents' weights."""

    def evaluate(
        self, child: Architecture, parent: Architecture, seed: int, parent_seed: int, fidelity: int
    ) -> Evaluation:
        """Return the validation score of ``child``, trained for ``fidelity`` from the weights of ``parent``.

        Args:
            child: what is trained, with train seed ``seed``.
            parent: a parent whose weights are not at hand is first trained with ``parent_seed``.
            seed: a validation seed.
            parent_seed: another.
            fidelity: training effort in the task's unit.
        """


class RunBenchmark(OneShotSource, Protocol):
    """What a run needs of a benchmark; see ``Benchmark``."""

    @property
    def task(self) -> Task:
        """The task."""

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """Return what a network scores."""

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Return the train seeds of a split."""

    def prefetch(self, cells: Sequence[tuple[Architecture, int]]) -> None:
        """Train these (architecture, train seed) side by side, where the benchmark trains."""

    def inheritance(self) -> Inheritance:
        """Return what scores children that inherit weights."""

    def resource(self, arch: ArchLike, resource: Resource) -> float:
        """Return what an architecture costs to use."""
