"""Which cells a build trains: what is neither in a table nor waiting as a shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_rl.build import reuse_chains, selection
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.task import GameTask, ImageTask, Task
from nasbench_rl.training.cell import SUPERNET, Cell


def missing_cells(
    folder: Path,
    tasks: Sequence[Task],
    seeds: int,
    archs: Sequence[str] | None = None,
    depth: int = 0,
    every: int = 1,
    may_be_none: bool = False,
) -> list[Cell]:
    """Return what is neither in a table nor waiting as a shard: seed by seed, the longest training of a seed first.

    Args:
        folder: of tables.
        tasks: whose cells.
        seeds: train seeds 0 … ``seeds`` − 1.
        archs: these alone; None is the whole space, or ``selection.standing`` where it cannot be exhausted.
        depth: there, every network of at most so many layers.
        every: there, train seeds above 0 for every so-manieth architecture only.
        may_be_none: there, an empty table and no ``depth`` are allowed: what is to be trained is drawn later.
    """
    cells: list[Cell] = []
    for task in tasks:
        done = shards.trained_cells(folder, task)
        if isinstance(task, ImageTask) and not archs:
            done |= _spared(folder, task)
        if archs:
            chosen = list(dict.fromkeys(map(task.space.parse, archs)))
        elif isinstance(task, ImageTask):
            chosen = [] if may_be_none and not (done or depth) else selection.standing(task, done, depth)
        else:
            chosen = list(task.space)
        chosen.sort(key=lambda arch: -task.size(arch).flops)
        cells += [
            Cell(task.id, arch.name, seed)
            for seed in range(seeds)
            for arch in chosen
            if (arch.name, seed) not in done and (seed == 0 or selection.is_repeated(arch, every))
        ]
    return cells


def _spared(folder: Path, task: ImageTask) -> set[tuple[str, int]]:
    """Cells that a build takes over from the table of chains before it trains (``reuse_chains.adopt``)."""
    try:
        return table_io.cells_of(reuse_chains.adoptable(folder, task))
    except TableError:  # the build says so and trains them
        return set()


def missing_supernets(folder: Path, tasks: Sequence[Task], seeds: int, family: str = SUPERNET) -> list[Cell]:
    """Supernets 0 … ``seeds`` − 1 of each task that are neither in their table nor waiting as a shard.

    Args:
        folder: of tables.
        tasks: whose supernets.
        seeds: how many.
        family: of ``WHOLE_SPACE``: differentiable searches are listed likewise.

    Raises:
        InvalidValueError: a task whose space has no supernet.
    """
    cells: list[Cell] = []
    for task in tasks:
        if not isinstance(task, GameTask):
            raise InvalidValueError(f"{task.id} has no supernets: they share weights over kernel-choice spaces")
        wanted = [Cell(task.id, family, seed) for seed in range(seeds)]
        done = shards.trained_cells(folder, wanted[0].table)
        cells += [cell for cell in wanted if not cell.is_in(done)]
    return cells
