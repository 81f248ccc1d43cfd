"""Tasks: a search space, an environment and a recipe under one id, ``<space>/<environment>@<recipe>``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from nasbench_rl._utils.numeric import as_int
from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    check_number,
)
from nasbench_rl.spaces.base import ArchLike, SearchSpace, Size
from nasbench_rl.task.side_tables import LATENCY_BATCHES, LATENCY_PROTOCOL, SideTable, TableSpec
from nasbench_rl.task.splits import SplitRule


@dataclass(frozen=True)
class Task(ABC):
    """What is trained and measured. A task is a ``GameTask`` or an ``ImageTask``.

    Attributes:
        space: the search space.
        environment: the game or the data set.
        recipe: everything else that fixes a training; it has a name and fidelities.
        metric: the metric that is the task's score.
        metrics: every metric that can be asked for.
        direction: ``"maximize"``; all metrics of all tasks here are.
        fidelity_unit: of budgets and fidelities.
        family: the task's folder under ``tables/``, and its schema.
        splits: what holds validation and test apart.
        exhaustive: whether the space is small enough for a table of every architecture.
    """

    space: SearchSpace
    environment: Any
    recipe: Any
    metric: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    direction: ClassVar[Literal["maximize"]] = "maximize"
    fidelity_unit: ClassVar[Literal["env_steps", "epochs"]]
    family: ClassVar[str]
    splits: ClassVar[SplitRule]
    exhaustive: ClassVar[bool]

    @cached_property
    def id(self) -> str:
        """``<space>/<environment>@<recipe>``."""
        return f"{self.space.name}/{self.environment.name}@{self.recipe.name}"

    @property
    def label(self) -> str:
        """The table's name in lists: the task's id."""
        return self.id

    @property
    def built_by(self) -> str:
        """What ``python -m nasbench_rl.build`` takes to train the task's table."""
        return self.id

    @cached_property
    def fidelities(self) -> tuple[int, ...]:
        """Training efforts that are stored, in ``fidelity_unit``, ascending."""
        return tuple(self.recipe.fidelities)

    @property
    def max_fidelity(self) -> int:
        """The whole training."""
        return self.fidelities[-1]

    def fidelity_at(self, fidelity: int | None) -> int:
        """Position of a fidelity among ``fidelities``; None is the maximal one.

        Raises:
            InvalidValueError: it is not stored.
        """
        stored = self.fidelities
        if fidelity is None:
            return len(stored) - 1
        wanted = as_int(fidelity)
        if wanted not in stored:
            given = fidelity if wanted is None else wanted
            check_number(f"fidelity of {self.id}", given, f"{stored[0]:,} … {stored[-1]:,}")
            near = min(stored, key=lambda other: abs(other - given))
            first = ", ".join(f"{one:,}" for one in stored[:3])
            why = (
                f"{given!r} of {self.id} is not a whole number"
                if wanted is None
                else f"{wanted:,} of {self.id} is not stored"
            )
            raise InvalidValueError(
                f"fidelity {why}; did you mean {near:,}? allowed: {first}, … {stored[-1]:,} {self.fidelity_unit}"
            )
        return stored.index(wanted)

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """Every table of trainings that the task has, its own first."""
        return (self, *self.one_shot.values())

    @property
    def one_shot(self) -> Mapping[str, SideTable]:
        """The tables of networks that hold every architecture, by family; empty where the space has no such network."""
        return {}

    @cached_property
    def latency(self) -> SideTable:
        """The table of the measured inference times of the task's networks."""
        return SideTable.of(self, "latency", "latencies", latency=LATENCY_PROTOCOL, batches=LATENCY_BATCHES)

    def indices(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the positions of (n, depth) rows of choices in the space.

        Raises:
            InvalidArchitectureError: a row is no point of the space, or rows do not name its points.
        """
        raise InvalidArchitectureError(
            f"architectures of shape {rows.shape} are neither (n,) indices nor (n, depth) rows of choices"
        )

    @cached_property
    @abstractmethod
    def digest(self) -> str:
        """Identifies all that fixes a training; rows of another digest are another task's."""

    @abstractmethod
    def size(self, arch: ArchLike) -> Size:
        """Params and FLOPs of an architecture's network."""

    def is_valid(self, arch: ArchLike) -> bool:
        """Whether the architecture has a network for this environment; only NSC spaces have points without."""
        return True

    @abstractmethod
    def keeps_function(self, parent: ArchLike, child: ArchLike) -> bool:
        """Whether ``child`` can begin with the weights of ``parent`` and compute what it does."""
