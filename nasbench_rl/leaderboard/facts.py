"""What is known of the tables themselves: coverage, noise, compute, machines; shown beside the methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from nasbench_rl import store
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import TableError
from nasbench_rl.loading import load
from nasbench_rl.ranking_noise import Halves, halves
from nasbench_rl.task import get_task, task_ids


@dataclass(frozen=True, eq=False)
class TableFacts:
    """One table.

    Attributes:
        task: its id.
        metric: the task's score.
        digest: 12 hex digits of the file's checksum.
        recipe: digest of all that fixes a training.
        train_seeds: those present.
        covered: (train seeds, architectures) bool, complete cells.
        halves: how well the rankings by two halves of the train seeds agree.
        cpu_hours: of all complete cells.
        effort: training effort of all complete cells, in ``unit``.
        unit: of it.
        machines: where cells were trained.
        code_versions: by which versions of this package.
    """

    task: str
    metric: str
    digest: str
    recipe: str
    train_seeds: tuple[int, ...]
    covered: np.ndarray[Any, np.dtype[np.bool_]]
    halves: Halves
    cpu_hours: float
    effort: int
    unit: str
    machines: tuple[str, ...]
    code_versions: tuple[str, ...]

    @property
    def cells(self) -> int:
        """Complete (architecture, train seed) cells."""
        return int(self.covered.sum())

    @property
    def complete_seeds(self) -> int:
        """Train seeds that every architecture has."""
        return int(self.covered.all(axis=1).sum())


def table_facts(tables: str | None = None) -> list[TableFacts]:
    """Facts of every table of a task in the folder, in the registry's order, those still in the making too."""
    try:
        folder = store.find_tables(tables)
    except TableError:
        return []
    manifest = store.read_manifest(folder)
    cells = {id_: entry.cells for id_ in task_ids() if (entry := manifest.get(store.table_name(get_task(id_))))}
    return [_facts(load(id_, tables=folder)) for id_, count in cells.items() if count]


def _facts(bench: Benchmark) -> TableFacts:
    task, table = bench.task, bench.table
    rows = store.read_table(bench.folder, task)
    cells = int(table.complete.sum())
    return TableFacts(
        task=task.id,
        metric=task.metric,
        digest=bench.digest,
        recipe=task.digest,
        train_seeds=tuple(int(seed) for seed in table.seeds),
        covered=np.asarray(table.complete.T, dtype=np.bool_),
        halves=halves(bench),
        cpu_hours=float(table.columns["cpu_seconds"][:, :, -1][table.complete].sum()) / 3600,
        effort=cells * task.max_fidelity,
        unit=task.fidelity_unit.replace("_", " "),
        machines=_distinct(rows["machine"]),
        code_versions=_distinct(rows["code_version"]),
    )


def _distinct(column: Any) -> tuple[str, ...]:
    return tuple(sorted(text for text in pc.unique(column).to_pylist() if text))
