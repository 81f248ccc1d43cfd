"""Facts about the tables themselves: coverage, noise, compute, machines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nasbench_rl._utils.text import show
from nasbench_rl._utils.typing import Bools
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.load import load
from nasbench_rl.errors import TableError
from nasbench_rl.leaderboard.stats.rank_agreement import Halves, halves
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.manifest import read_manifest
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
    covered: Bools
    halves: Halves
    cpu_hours: float
    effort: int
    unit: str
    machines: tuple[str, ...]
    code_versions: tuple[str, ...]

    @property
    def cells(self) -> int:
        """Number of complete (architecture, train seed) cells."""
        return int(self.covered.sum())

    @property
    def complete_seeds(self) -> int:
        """Number of train seeds that every architecture has."""
        return int(self.covered.all(axis=1).sum())


def table_facts(tables: str | None = None) -> list[TableFacts]:
    """Collect the facts of every table of a task in the folder, in the registry's order, incomplete ones too."""
    try:
        folder = find_tables(tables)
    except TableError:
        return []
    manifest = read_manifest(folder)
    cells = {id_: entry.cells for id_ in task_ids() if (entry := manifest.get(table_io.table_name(get_task(id_))))}
    return [facts_of(load(id_, tables=folder)) for id_, count in cells.items() if count]


def facts_of(bench: Benchmark) -> TableFacts:
    """Collect the facts of one table."""
    task, table = bench.task, bench.table
    cells = int(table.complete.sum())
    return TableFacts(
        task=task.id,
        metric=task.metric,
        digest=bench.digest.partition("+")[0],
        recipe=task.digest,
        train_seeds=tuple(int(seed) for seed in table.seeds),
        covered=np.asarray(table.complete.T, dtype=np.bool_),
        halves=halves(bench),
        cpu_hours=float(table.columns["cpu_seconds"][:, :, -1][table.complete].sum()) / 3600,
        effort=cells * task.max_fidelity,
        unit=task.fidelity_unit.replace("_", " "),
        machines=table.machines,
        code_versions=table.code_versions,
    )


def agreement(halves: Halves, architectures: int) -> str:
    """Say how well two halves of a table's train seeds agree; ``architectures``: of the whole table."""
    tau, seeds, ranked = halves
    if tau.splits == 0:
        few = {0: "no complete train seed", 1: "one train seed"}
        return f"unknown with {few.get(seeds, f'{ranked} architectures that have several')}"
    spread = "" if math.isnan(tau.std) else f" ± {show(tau.std)}"
    of = f" of {ranked} architectures" * (ranked < architectures)
    return f"{show(tau.tau)}{spread} over {tau.splits} split{'s' * (tau.splits != 1)}{of}"
