"""``build status``: what the tables hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from nasbench_rl._utils import cli
from nasbench_rl.build import latency
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.locate import add_tables_option, folder_to_fill
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.task import Task, get_task, task_ids
from nasbench_rl.task.side_tables import TableSpec


def status_command(arguments: Sequence[str]) -> int:
    """``build status``."""
    parser = cli.Parser(
        "python -m nasbench_rl.build status",
        "What the tables hold of each task. A cell is one architecture trained with one train seed.",
        ["python -m nasbench_rl.build status", "python -m nasbench_rl.build status --tables /tmp/mine"],
    )
    add_tables_option(parser)
    options = parser.parse_args(arguments)
    folder = folder_to_fill(options.tables)
    if not folder.is_dir():
        raise InvalidValueError(f"{folder} is no folder; name a folder of tables")
    read_manifest(folder)  # a bad one is one fault, and not one of every table
    table = cli.Table(*("task", "architectures", "train seeds", "cells", "rows", "recipe"), title=str(folder))
    faults, none = [], []
    for task in map(get_task, task_ids()):
        for one in (*task.tables, task.latency):
            try:
                columns = latency.coverage(folder, task) if one is task.latency else _coverage(folder, task, one)
            except TableError as error:
                faults.append(error)
                continue
            if columns:
                table.add_row(one.label, *columns)
            elif one is task:
                none.append(task.id)
    if table.row_count:
        cli.console.print(table)
    if none:
        cli.say(f"no cell of {len(none)} further tasks, such as {none[0]}; nasbench_rl.tasks() lists them all")
    for fault in faults[:-1]:
        cli.errors.print(f"error: {fault}", style="bold red", markup=False, highlight=False)
    if faults:
        raise faults[-1]
    return 0


def _coverage(folder: Path, task: Task, table: TableSpec) -> tuple[str, ...]:
    """Status columns of a task's table, or of its supernets'; empty when it has no cell."""
    rows = table_io.read_even_unlisted(folder, table)
    points = Counter(zip(rows["arch"].to_pylist(), rows["seed"].to_pylist(), strict=True))
    cells = [cell for cell, count in points.items() if count == len(task.fidelities)]
    waiting = len(shards.trained_cells(folder, table) - points.keys())
    if not points and not waiting:
        return ()
    size = f"/{len(task.space)}" if task.exhaustive else ""
    return (
        f"{len({arch for arch, _ in cells})}{size}",
        _seeds(cells),
        f"{len(cells)}" + (f" + {waiting} not folded in yet" if waiting else ""),
        f"{len(rows):,}",
        table.digest,
    )


def _seeds(cells: Iterable[tuple[str, int]]) -> str:
    """``0, 1, 2 (7 architectures)``: the number where a seed has fewer architectures than the fullest one."""
    by_seed = Counter(seed for _, seed in cells)
    most = max(by_seed.values(), default=0)
    return ", ".join(f"{s}" if n == most else f"{s} ({n} architectures)" for s, n in sorted(by_seed.items()))
