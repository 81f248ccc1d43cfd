"""One training of a table, by name."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl.task import get_task
from nasbench_rl.task.side_tables import TableSpec

SUPERNET, DARTS = "supernet", "darts"
WHOLE_SPACE = (SUPERNET, DARTS)
"""Trainings that score every architecture of a space, by the family of their table."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: a task's architecture with one train seed, or one for all (``arch`` is of ``WHOLE_SPACE``)."""

    task: str
    arch: str
    seed: int

    @property
    def name(self) -> str:
        """File-name stem of its shard and lock."""
        return cell_name(self.arch, self.seed)

    @property
    def table(self) -> TableSpec:
        """The table it goes into: the task's own, or that of its supernets or differentiable searches."""
        task = get_task(self.task)
        return next((table for table in task.tables if table.family == self.arch), task)

    def is_in(self, trained: set[tuple[str, int]]) -> bool:
        """Return whether it is among the (architecture, seed) of ``shards.trained_cells(folder, self.table)``."""
        if self.arch not in WHOLE_SPACE:
            return (self.arch, self.seed) in trained
        return {(arch.name, self.seed) for arch in get_task(self.task).space} <= trained

    def __str__(self) -> str:
        return f"{self.task} {self.arch} {'' if self.arch in WHOLE_SPACE else 'train '}seed {self.seed}"


def cell_name(arch: str, seed: int) -> str:
    """Return the file-name stem of a cell's shard and lock."""
    return f"{arch}.seed{seed}"
