"""What names a table and its rows: a task does, and so do the tables stored next to a task's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from nasbench_rl.spaces.base import ArchLike, SearchSpace, Size
from nasbench_rl.task.recipes import digest

LATENCY_BATCHES = (1, 32)
"""Observations or images of the forward passes whose inference time is measured."""
LATENCY_PROTOCOL = 1
"""Raised whenever inference times are measured otherwise than before."""


class TableSpec(Protocol):
    """What has a table: a task, or a ``SideTable`` of one."""

    @property
    def id(self) -> str:
        """The task's id, which names the file."""

    @property
    def label(self) -> str:
        """The table's name in lists."""

    @property
    def family(self) -> str:
        """The folder of the file, and which of ``SCHEMAS`` its columns are."""

    @property
    def digest(self) -> str:
        """Identifies all that fixes a row."""

    @property
    def fidelities(self) -> tuple[int, ...]:
        """The fidelities of a training, ascending."""

    @property
    def space(self) -> SearchSpace:
        """The space of the architectures in it."""

    def size(self, arch: ArchLike) -> Size:
        """Return the params and FLOPs of an architecture's network."""


@dataclass(frozen=True)
class SideTable:
    """A table stored next to a task's own: latencies, proxy scores of supernets, outcomes of differentiable searches.

    See ``TableSpec`` for the attributes.
    """

    id: str
    family: str
    label: str
    digest: str
    fidelities: tuple[int, ...]
    space: SearchSpace = field(repr=False, compare=False)
    size: Callable[[ArchLike], Size] = field(repr=False, compare=False)

    @classmethod
    def of(cls, task: TableSpec, family: str, label: str, **fixed: Any) -> SideTable:
        """Name a table of a task; ``fixed``: what else fixes its rows."""
        return cls(
            task.id, family, f"{label} of {task.id}", digest(task=task.digest, **fixed), task.fidelities, task.space,
            task.size,
        )  # fmt: skip
