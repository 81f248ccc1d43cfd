"""Shards: one finished training each, which waits next to the tables until ``commit_shards`` moves it into its table.

Builds write them from many processes at once, atomically, so that a kill loses no training that had ended.
"""

from __future__ import annotations

import atexit
import hashlib
import re
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nasbench_rl._utils import leftovers
from nasbench_rl._utils.files import replace_file
from nasbench_rl.errors import NasbenchError, TableError
from nasbench_rl.tables import journal, seal, soundness, table_io
from nasbench_rl.tables.manifest import writing
from nasbench_rl.tables.parquet import read_parquet
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task.side_tables import TableSpec


def shard_folder(folder: Path, task: TableSpec) -> Path:
    """Return where the task's finished cells wait: ``.shards/<task>``, or ``.shards/<family>/<task>``."""
    return folder / ".shards" / table_io.table_name(task).removeprefix("rl/").removesuffix(".parquet")


def file_stem(cell: str) -> str:
    """Return a cell's name as a file name: NSC strings hold spaces and bars and may be long, so they are hashed."""
    if re.fullmatch(r"[\w.-]{1,80}", cell):
        return cell
    return hashlib.sha256(cell.encode()).hexdigest()[:32]


def shard_path(folder: Path, task: TableSpec, cell: str) -> Path:
    """Return where a finished cell waits; ``cell`` names it within the task."""
    return shard_folder(folder, task) / f"{file_stem(cell)}.parquet"


def write_shard(folder: Path, task: TableSpec, cell: str, table: pa.Table) -> Path:
    """Write one finished cell atomically; ``cell`` names it within the task."""
    path = shard_path(folder, task, cell)
    replace_file(path, seal.sealed_bytes(table))
    return path


def commit_shards(folder: Path, task: TableSpec) -> int:
    """Move every finished shard of a task into its table; returns how many cells were new.

    A table that no manifest names, as the manifest was lost, is listed again.

    The manifest first names the coming file beside the present one, then the file is renamed, then the manifest names
    it alone: whichever step a kill falls on, table and manifest agree. Shards go last; a shard left behind is folded
    again to no effect.

    Raises:
        TableError: a shard cannot be read, was changed, is of another recipe, holds a cell that is not whole, or one
            with other scores than the table's; the other shards are folded all the same.
    """
    waiting = shard_folder(folder, task)
    leftovers.sweep(waiting)
    shards = sorted(waiting.glob("*.parquet"))
    if not (shards or table_io.is_unlisted(folder, task) or journal.is_open(folder)):
        return 0
    with writing(folder):
        new: dict[Path, pa.Table] = {}
        refused: list[TableError] = []
        first = [old] if len(old := table_io.read_even_unlisted(folder, task)) else []
        known = table_io.cells_of(old)
        for path in shards:
            try:
                if path.is_file():  # another process may have folded it while this one waited
                    table = read_parquet(path, SCHEMAS[task.family])
                    table_io.check_recipe(table, task, path)
                    table_io.check_one_data(path, [*first, table])
                    _check_cells(task, table, path, known, [(folder / table_io.table_name(task), old), *new.items()])
                    known |= table_io.cells_of(table)
                    first = first or [table]
                    new[path] = table
            except TableError as error:
                refused.append(error)
        added = table_io.write_table(folder, task, list(new.values()))
        for path in new:
            path.unlink(missing_ok=True)
    if refused:
        raise type(refused[0])(
            f"{'; '.join(map(str, refused))}. The others ({added} cells) were folded. Move what is named out of "
            f"{waiting}, or delete it: its cell is trained again"
        )
    return added


_WAITING: dict[tuple[Path, str], TableSpec] = {}
"""Tables with shards that this process wrote and did not commit yet."""


def commit_later(folder: Path, task: TableSpec) -> None:
    """Commit a task's shards with the next ``commit_waiting``, at the latest when the interpreter ends."""
    if not _WAITING:
        atexit.unregister(commit_waiting)
        atexit.register(commit_waiting)
    _WAITING[folder.absolute(), table_io.table_name(task)] = task


def commit_waiting(folder: Path | None = None) -> None:
    """Commit what ``commit_later`` put off in a folder; None: in all, without a word of what cannot be committed.

    A shard that cannot be committed stays on the disk, and whoever trains into that folder next is told.
    """
    for (where, name), task in list(_WAITING.items()):
        if folder is None or folder.absolute() == where:
            del _WAITING[where, name]
            with suppress(NasbenchError) if folder is None else nullcontext():
                commit_shards(where, task)


def _check_cells(
    task: TableSpec, shard: pa.Table, path: Path, known: set[tuple[str, int]], others: Iterable[tuple[Path, pa.Table]]
) -> None:
    """Raise TableError unless a shard's cells are whole, and those known the same as in one of the ``others``."""
    for cell, rows in soundness.check_cells(task, shard, path).items():
        if cell in known:
            for there, table in others:
                mask = pc.and_(pc.equal(table["arch"], cell[0]), pc.equal(table["seed"], cell[1]))
                if double := table.filter(mask).to_pylist():
                    soundness.check_same(soundness.name(task, cell), double, there, rows, path)


def read_shard(folder: Path, task: TableSpec, cell: str) -> pa.Table | None:
    """Return the rows of a finished cell that waits; None where it is committed, or cannot be read."""
    with suppress(NasbenchError):
        return read_parquet(shard_path(folder, task, cell), SCHEMAS[task.family])
    return None


def trained_cells(folder: Path, task: TableSpec) -> set[tuple[str, int]]:
    """Return (architecture, train seed) of every cell in the table or waiting as a shard."""
    cells: set[tuple[str, int]] = set()
    # The shards first: one that is folded meanwhile is then found in the table.
    for path in shard_folder(folder, task).glob("*.parquet"):
        try:
            cells |= table_io.cells_of(read_parquet(path, SCHEMAS[task.family]))
        except NasbenchError:
            continue  # folded in between, or unreadable, which commit_shards reports
    return cells | table_io.cells_of(table_io.read_even_unlisted(folder, task))
