"""Take in cells trained elsewhere: everything found is checked first, then all of it goes in, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nasbench_rl._utils import files
from nasbench_rl.errors import InvalidValueError, NasbenchError, RecipeMismatchError, TableError
from nasbench_rl.tables import shards, soundness, table_io
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import FOLD_LOCK, read_manifest, writing
from nasbench_rl.tables.parquet import open_parquet, read_parquet
from nasbench_rl.tables.schemas import KEY, SCHEMAS
from nasbench_rl.tables.soundness import Rows
from nasbench_rl.task import Task, get_task, task_ids
from nasbench_rl.task.side_tables import TableSpec

TRIES = 20
"""How often a folder is listed anew whose files vanish while they are read."""


@dataclass
class Found:
    """The cells found of one table, each with the file it came from, and how many were found again.

    ``table`` is the task itself or its supernets, which have a table of the same cells.
    """

    task: Task
    table: TableSpec
    cells: dict[tuple[str, int], tuple[Rows, Path]] = field(default_factory=dict)
    duplicates: int = 0

    @property
    def label(self) -> str:
        """The table's name in words."""
        return self.table.label

    def name(self, cell: tuple[str, int]) -> str:
        """Return a cell in words."""
        return soundness.name(self.table, cell)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did to one table; ``task`` is the task's id, or says of whose supernets the table is."""

    task: str
    added: int
    duplicates: int


def merge(source: Path, folder: Path) -> tuple[list[Merged], list[Path]]:
    """Take every shard and table under ``source`` into the tables of ``folder``; ``source`` is left as it is.

    A build that goes on in ``source`` waits with its folds while that is read. A kill leaves no part of it behind: once
    all files are written, whoever writes into ``folder`` next finishes, and before that nothing has changed.

    Returns:
        What was done to each task, and the Parquet files that hold no trainings and were left aside.

    Raises:
        InvalidValueError: there is no such folder, or no training in it.
        TableError: a file is unreadable, changed or of another schema, a cell is incomplete, or a cell that is known
            already has other scores. Nothing was taken in.
        RecipeMismatchError: rows of a recipe that no task has. Nothing was taken in.
    """
    found, aside = find_cells(source)
    files.check_writable(folder)
    for one in found:
        shards.commit_shards(folder, one.table)
    with writing(folder):
        fresh = [_not_yet_in(folder, one) for one in found]
        table_io.write_tables(folder, [(one.table, new) for one, new in zip(found, fresh, strict=True) if new])
    return [Merged(f.label, len(new), f.duplicates) for f, new in zip(found, fresh, strict=True)], aside


def find_cells(source: Path) -> tuple[list[Found], list[Path]]:
    """Return every cell under ``source``, checked, in the registry's order, and the files that hold no trainings.

    Where a file is refused and the folder has changed since it was listed, a build goes on in it: it is listed anew.
    """
    if not source.is_dir():
        raise InvalidValueError(f"{source} is no folder; name one that holds shards or tables (*.parquet)")
    for _ in range(TRIES):
        before = _state(source)
        try:
            with _folds_waiting(source):
                return _find(source)
        except NasbenchError:
            if _state(source) == before:
                raise
    raise TableError(
        f"the files of {source} change faster than they can be read: a build goes on there. Merge when it has ended, "
        "or merge a copy of the folder"
    )


@contextmanager
def _folds_waiting(source: Path) -> Iterator[None]:
    """Hold the builds' locks of all folders of tables under ``source``, as far as they can be written."""
    with ExitStack() as held:
        for locks in sorted({path.parent for path in files.files_below(source) if path.parent.name == files.LOCKS}):
            with suppress(TableError):  # read-only: no build goes on there, or one of another machine
                held.enter_context(files.lock(locks.parent, FOLD_LOCK))
        yield


def _state(source: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what tells whether a table, shard or manifest was written, replaced or folded."""
    state = {}
    for path in files.files_below(source):
        if path.suffix == ".parquet" or path.name == MANIFEST:
            with suppress(OSError):
                found = path.stat()
                state[path] = found.st_ino, found.st_size, found.st_mtime_ns
    return state


def _find(source: Path) -> tuple[list[Found], list[Path]]:
    there = files.files_below(source)
    _check_sums(there)
    tasks = [get_task(id_) for id_ in task_ids()]
    found = {table.digest: Found(task, table) for task in tasks for table in task.tables}
    aside = []
    for path in (path for path in there if path.suffix == ".parquet"):
        digests = _digests(path)
        if digests is None:
            aside.append(path)
        for digest in digests or ():
            if digest not in found:
                raise RecipeMismatchError(
                    f"{path} holds rows of recipe {digest!r}, which no task of this version has; "
                    "install the version that trained them, or take the file out"
                )
            _add(found[digest], path)
    if not any(one.cells for one in found.values()):
        raise InvalidValueError(f"{source} holds no training: no *.parquet with a column 'recipe' in it or below it")
    return [one for one in found.values() if one.cells], aside


def _check_sums(there: Sequence[Path]) -> None:
    """Compare every table found with the manifest beside it."""
    for manifest in (path for path in there if path.name == MANIFEST):
        for name, entry in read_manifest(manifest.parent).items():
            path = manifest.parent / name
            if files.is_file(path) and hashlib.sha256(files.read_file(path)).hexdigest() not in (
                entry.sha256,
                entry.next_sha256,
            ):
                raise TableError(f"{path} has a wrong checksum: it was changed or cut short; copy it again")


def _digests(path: Path) -> list[str] | None:
    """Return the recipe digests in a file; None for a file without trainings."""
    _, table = open_parquet(path, files.read_file(path))
    names = set(table.column_names)
    if not names & {*KEY, "recipe"}:
        return None
    if names == set(SCHEMAS["latency"].names):
        return None  # measured, not trained: latencies of two machines do not belong into one table
    if "recipe" not in names:
        raise TableError(f"{path} is of another schema: column 'recipe' is missing")
    return sorted(map(str, pc.unique(table["recipe"]).to_pylist()))


def _add(found: Found, path: Path) -> None:
    """Add a file's cells of one table, each checked to be whole."""
    table = read_parquet(path, SCHEMAS[found.table.family])
    own = table.filter(pc.equal(table["recipe"], found.table.digest))
    for cell, rows in soundness.check_cells(found.table, own, path).items():
        if cell in found.cells:
            soundness.check_same(found.name(cell), *found.cells[cell], rows, path)
            found.duplicates += 1
        else:
            found.cells[cell] = rows, path


def _not_yet_in(folder: Path, found: Found) -> list[pa.Table]:
    """Return the cells, one table each, that the folder lacks; those it has are compared and counted."""
    schema, here = SCHEMAS[found.table.family], folder / table_io.table_name(found.table)
    known = soundness.by_cell(table_io.read_table(folder, found.table))
    fresh = []
    for cell, (rows, path) in found.cells.items():
        if cell in known:
            soundness.check_same(found.name(cell), known[cell], here, rows, path)
            found.duplicates += 1
        else:
            fresh.append(pa.Table.from_pylist(rows, schema=schema))
    table_io.check_one_data(here, [table_io.read_table(folder, found.table), *fresh])
    return fresh
