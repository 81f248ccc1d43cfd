"""Take in cells trained elsewhere: everything found is checked first, then all of it goes in, or nothing."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nasbench_rl import files, shards, store
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, RecipeMismatchError, TableError
from nasbench_rl.task import Task, get_task, task_ids

CIRCUMSTANCES = frozenset({"cpu_seconds", "wall_seconds", "proxy_cpu_seconds", "code_version", "machine"})
"""Columns in which two trainings of one cell may differ; in all others they have to agree."""

ALWAYS_SCORED = ("validation_accuracy", "test_accuracy", "proxy", "probability")
AFTER_A_GAME = ("return_last100", "return_all")
"""Scores that no row lacks, whatever the table's family, and those that are missing until a game has finished."""

Rows = list[dict[str, Any]]


@dataclass
class Found:
    """The cells found of one table, each with the file it came from, and how many were found again.

    ``table`` is the task itself or its supernets, which have a table of the same cells.
    """

    task: Task
    table: store.Tabled
    cells: dict[tuple[str, int], tuple[Rows, Path]] = field(default_factory=dict)
    duplicates: int = 0

    @property
    def label(self) -> str:
        """The table's name in words."""
        return self.table.label

    def name(self, cell: tuple[str, int]) -> str:
        """A cell in words."""
        return f"cell {cell[0]} train seed {cell[1]} of {self.label}"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did to one table; ``task`` is the task's id, or says of whose supernets the table is."""

    task: str
    added: int
    duplicates: int


def merge(source: Path, folder: Path) -> tuple[list[Merged], list[Path]]:
    """Take every shard and table under ``source`` into the tables of ``folder``; ``source`` is left as it is.

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
        shards.fold(folder, one.table)
    with files.lock(folder, store.FOLD_LOCK):
        fresh = [_not_yet_in(folder, one) for one in found]
        for one, tables in zip(found, fresh, strict=True):
            if tables:
                store.write_table(folder, one.table, tables)
    return [Merged(f.label, len(new), f.duplicates) for f, new in zip(found, fresh, strict=True)], aside


def find_cells(source: Path) -> tuple[list[Found], list[Path]]:
    """Every cell under ``source``, checked, by task in the registry's order; and the files that hold no trainings."""
    if not source.is_dir():
        raise InvalidValueError(f"{source} is no folder; name one that holds shards or tables (*.parquet)")
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
    for manifest in (path for path in there if path.name == store.MANIFEST):
        for name, entry in store.read_manifest(manifest.parent).items():
            path = manifest.parent / name
            if files.is_file(path) and hashlib.sha256(files.read_file(path)).hexdigest() not in (
                entry.sha256,
                entry.next_sha256,
            ):
                raise TableError(f"{path} has a wrong checksum: it was changed or cut short; copy it again")


def _digests(path: Path) -> list[str] | None:
    """Recipe digests in a file; None when it is no table of trainings."""
    try:
        names = set(pq.read_schema(path).names)
        if not names & {*store.KEY, "recipe"}:
            return None
        if names == set(store.SCHEMAS["latency"].names):
            return None  # measured, not trained: latencies of two machines do not belong into one table
        if "recipe" not in names:
            raise TableError(f"{path} is of another schema: column 'recipe' is missing")
        recipes = pq.ParquetFile(path).read(columns=["recipe"], use_threads=False)["recipe"]
        return sorted(map(str, pc.unique(recipes).to_pylist()))
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} is no readable Parquet file ({str(error).partition(chr(10))[0]})") from error


def _add(found: Found, path: Path) -> None:
    """Add a file's cells of one table, each checked to be whole."""
    table = store.read_parquet(path, store.SCHEMAS[found.table.family])
    for cell, rows in _by_cell(table.filter(pc.equal(table["recipe"], found.table.digest))).items():
        fault = _fault(found.task, cell, rows)
        if fault:
            raise TableError(f"{found.name(cell)} in {path}: {fault}; train it again, or take it out")
        if cell in found.cells:
            _check_same(found.name(cell), *found.cells[cell], rows, path)
            found.duplicates += 1
        else:
            found.cells[cell] = rows, path


def _by_cell(table: pa.Table) -> dict[tuple[str, int], Rows]:
    cells: dict[tuple[str, int], Rows] = defaultdict(list)
    for row in table.to_pylist():
        cells[row["arch"], row["seed"]].append(row)
    return dict(cells)


def _fault(task: Task, cell: tuple[str, int], rows: Rows) -> str:
    """What is wrong with a cell, or nothing."""
    arch, seed = cell
    try:
        if task.space.parse(arch).name != arch:
            return f"{arch!r} is not written as {task.space.parse(arch).name!r}"
        size = task.size(arch)
    except InvalidArchitectureError as error:
        return str(error)
    if seed is None or seed < 0:
        return "a train seed is a whole number of at least 0"
    times = Counter(row["fidelity"] for row in rows)
    twice = sorted(map(str, (f for f, count in times.items() if count > 1)))
    if twice:
        return f"fidelity {twice[0]} is there more than once"
    lacking, foreign = sorted(set(task.fidelities) - set(times)), sorted(map(str, set(times) - set(task.fidelities)))
    if lacking or foreign:
        what = f"lacks fidelity {lacking[0]}" if lacking else f"has fidelity {foreign[0]}, which the task has not"
        return f"{what} ({len(task.fidelities) - len(lacking)} of {len(task.fidelities)} are there)"
    if any((row["params"], row["flops"]) != (size.params, size.flops) for row in rows):
        return f"params and FLOPs are not the architecture's ({size.params} and {size.flops})"
    unsound = next((text for row in rows if (text := _unsound(row))), "")
    if unsound:
        return unsound
    last = next(row for row in rows if row["fidelity"] == task.max_fidelity)
    if "return_eval" in last and not _finite(last["return_eval"]):
        return "the final policy was not evaluated"
    return ""


def _unsound(row: Mapping[str, Any]) -> str:
    """What no training measures: time that is not finite, a score that is no number though there was one to measure."""
    at, games = f"at fidelity {row['fidelity']}", row.get("games", 0)
    if games is None or games < 0:
        return f"it has finished {games} games {at}"
    names = ("cpu_seconds", *ALWAYS_SCORED, *(AFTER_A_GAME if games else ()))
    lacking = [name for name in names if name in row and not _finite(row[name])]
    return f"its {lacking[0]} {at} is {row[lacking[0]]}" if lacking else ""


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _not_yet_in(folder: Path, found: Found) -> list[pa.Table]:
    """The cells, one table each, that the folder's table lacks; those it has are compared and counted."""
    schema, here = store.SCHEMAS[found.table.family], folder / store.table_name(found.table)
    known = _by_cell(store.read_table(folder, found.table))
    fresh = []
    for cell, (rows, path) in found.cells.items():
        if cell in known:
            _check_same(found.name(cell), known[cell], here, rows, path)
            found.duplicates += 1
        else:
            fresh.append(pa.Table.from_pylist(rows, schema=schema))
    store.check_one_data(here, [store.read_table(folder, found.table), *fresh])
    return fresh


def _check_same(cell: str, one: Rows, here: Path, other: Rows, there: Path) -> None:
    """Raise TableError when two trainings of a cell have different scores."""

    def ordered(rows: Rows) -> Rows:
        return sorted(rows, key=lambda row: int(row["fidelity"]))

    for mine, theirs in zip(ordered(one), ordered(other), strict=True):
        for column in (name for name in mine if name not in CIRCUMSTANCES):
            a, b = mine[column], theirs[column]
            nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
            if a != b and not nan:
                raise TableError(
                    f"{cell} has {column} {a} at fidelity {mine['fidelity']} in {here} "
                    f"and {b} in {there}; nothing was taken in: take out one of the two"
                )
