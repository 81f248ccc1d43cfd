"""The tables beside a task's own: inference times, supernets' proxy scores, what differentiable searches ended in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from nasbench_rl.recipes import DartsRecipe, SupernetRecipe, digest

if TYPE_CHECKING:
    from nasbench_rl.task import GameTask, Task

LATENCY_PROTOCOL = 1
"""Raised whenever inference times are measured otherwise than before."""


@dataclass(frozen=True)
class LatencyTable:
    """A further table of a task: how long a forward pass takes, by architecture and batch."""

    task: Task
    family: ClassVar[str] = "latency"
    batches: ClassVar[tuple[int, ...]] = (1, 32)

    @property
    def id(self) -> str:
        """The task's."""
        return self.task.id

    @property
    def label(self) -> str:
        """The table's name in lists."""
        return f"latencies of {self.task.id}"

    @cached_property
    def digest(self) -> str:
        """Identifies the networks and how they were measured."""
        return digest(task=self.task.digest, latency=LATENCY_PROTOCOL, batches=self.batches)


@dataclass(frozen=True)
class OneShotTable:
    """A further table of a task, with a score of every architecture by seed and fidelity of one network that holds all.

    Attributes:
        task: whose architectures, games, PPO recipe and fidelities these are.
        recipe: what the network needs beside the task's recipe.
        family: the table's folder, and its schema.
    """

    task: GameTask
    recipe: SupernetRecipe | DartsRecipe
    family: ClassVar[str]

    @property
    def id(self) -> str:
        """The task's."""
        return self.task.id

    @cached_property
    def digest(self) -> str:
        """Identifies all that fixes the network and its scores, the task included."""
        return digest(**{"task": self.task.digest, self.family: self.recipe})


@dataclass(frozen=True)
class SupernetTable(OneShotTable):
    """The proxy scores of supernets fitted with uniform paths."""

    recipe: SupernetRecipe
    family = "supernet"

    @property
    def label(self) -> str:
        """The table's name in lists."""
        return f"supernets of {self.task.id}"


@dataclass(frozen=True)
class DartsTable(OneShotTable):
    """The architecture probabilities that differentiable searches ended in."""

    recipe: DartsRecipe
    family = "darts"

    @property
    def label(self) -> str:
        """The table's name in lists."""
        return f"differentiable searches of {self.task.id}"
