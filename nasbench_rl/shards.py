"""Shards: one finished training each, which waits beside the tables until ``fold`` moves it into its table.

Builds write them from many processes at once, atomically, so that a kill loses no training that had ended.
"""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from nasbench_rl import store
from nasbench_rl.errors import NasbenchError, TableError
from nasbench_rl.files import lock, replace_file
from nasbench_rl.schemas import SCHEMAS, Tabled

STALE = 3600
"""Seconds after which a half-written file is of a process that was killed."""


def shard_folder(folder: Path, task: Tabled) -> Path:
    """Where the task's finished cells wait to be folded in: ``.shards/<task>``, or ``.shards/<family>/<task>``."""
    return folder / ".shards" / store.table_name(task).removeprefix("rl/").removesuffix(".parquet")


def file_stem(cell: str) -> str:
    """A cell's name as a file name: NSC strings hold spaces and bars and may be long, so they are hashed."""
    if re.fullmatch(r"[\w.-]{1,80}", cell):
        return cell
    return hashlib.sha256(cell.encode()).hexdigest()[:32]


def write_shard(folder: Path, task: Tabled, cell: str, table: pa.Table) -> Path:
    """Write one finished cell atomically; ``cell`` names it within the task."""
    path = shard_folder(folder, task) / f"{file_stem(cell)}.parquet"
    replace_file(path, store.parquet_bytes(table))
    return path


def fold(folder: Path, task: Tabled) -> int:
    """Move every finished shard of a task into its table; returns how many cells were new.

    A table that no manifest names, as the manifest was lost, is listed again.

    The manifest first names the coming file beside the present one, then the file is renamed, then the manifest names
    it alone: whichever step a kill falls on, table and manifest agree. Shards go last; a shard left behind is folded
    again to no effect.

    Raises:
        TableError: a shard cannot be read or is of another recipe; the others are folded all the same.
    """
    waiting = shard_folder(folder, task)
    shards = sorted(waiting.glob("*.parquet"))
    if not shards and not store.is_unlisted(folder, task):
        return 0
    with lock(folder, store.FOLD_LOCK):
        new: dict[Path, pa.Table] = {}
        refused: list[TableError] = []
        first = [old] if len(old := store.read_even_unlisted(folder, task)) else []
        for path in shards:
            try:
                if path.is_file():  # another process may have folded it while this one waited
                    table = store.read_parquet(path, SCHEMAS[task.family])
                    store.check_recipe(table, task, path)
                    store.check_one_data(path, [*first, table])
                    first = first or [table]
                    new[path] = table
            except TableError as error:
                refused.append(error)
        added = store.write_table(folder, task, list(new.values()))
        for path in new:
            path.unlink(missing_ok=True)
        for stale in waiting.glob(".*.tmp"):  # of a training that was killed as it wrote
            with suppress(FileNotFoundError):  # or of one that has just finished to
                if time.time() - stale.stat().st_mtime > STALE:
                    stale.unlink()
    if refused:
        raise type(refused[0])(
            f"{'; '.join(map(str, refused))}. The others ({added} cells) were folded. Move what is named out of "
            f"{waiting}, or delete it: its cell is trained again"
        )
    return added


def trained_cells(folder: Path, task: Tabled) -> set[tuple[str, int]]:
    """(architecture, train seed) of every cell in the table or waiting as a shard."""
    cells: set[tuple[str, int]] = set()
    # The shards first: one that is folded meanwhile is then found in the table.
    for path in shard_folder(folder, task).glob("*.parquet"):
        try:
            cells |= store.cells_of(store.read_parquet(path, SCHEMAS[task.family]))
        except NasbenchError:
            continue  # folded in between, or unreadable, which fold reports
    return cells | store.cells_of(store.read_even_unlisted(folder, task))
