"""Read a task's table and add cells to it.

A folder of tables has one Parquet file per task under its family (``rl/``, ``nsc/``, …) and, while something trains,
hidden shards of one cell each under ``.shards/`` (see ``shards``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from nasbench_rl._utils.files import is_file, replace_file
from nasbench_rl.errors import RecipeMismatchError, TableError
from nasbench_rl.tables import journal, seal
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import Entry, manifest_bytes, read_checked, read_manifest, write_manifest, writing
from nasbench_rl.tables.parquet import read_parquet
from nasbench_rl.tables.schemas import KEY, SCHEMAS
from nasbench_rl.task.side_tables import TableSpec


def table_name(task: TableSpec) -> str:
    """Return the path of a task's table inside a folder of tables."""
    return f"{task.family}/{task.id.replace('/', '.').replace('@', '.')}.parquet"


def read_table(folder: Path, task: TableSpec) -> pa.Table:
    """Read a task's rows, checked against manifest and recipe; no row when the task has no table.

    Raises:
        TableError: the file is absent though listed, its checksum is wrong, it is truncated or of another schema.
        RecipeMismatchError: it was trained by another recipe.
    """
    return read_with_digest(folder, task)[0]


def read_with_digest(folder: Path, task: TableSpec) -> tuple[pa.Table, str]:
    """Read as ``read_table``, and return the sha-256 of the bytes read too; empty when there is no table.

    The manifest may name another file by now: a build goes on, or one was killed before it wrote the manifest.
    """
    schema, path = SCHEMAS[task.family], folder / table_name(task)
    content = read_checked(folder, table_name(task))
    if content is None:
        return schema.empty_table(), ""
    table = read_parquet(path, schema, content)
    check_recipe(table, task, path)
    return table, hashlib.sha256(content).hexdigest()


def is_unlisted(folder: Path, task: TableSpec) -> bool:
    """Return whether a task has a file that no manifest lists: of a killed fold, or of a lost manifest."""
    return table_name(task) not in read_manifest(folder) and is_file(folder / table_name(task))


def read_even_unlisted(folder: Path, task: TableSpec) -> pa.Table:
    """Read as ``read_table``, and a file that no manifest lists too: what is trained is not trained again."""
    if not is_unlisted(folder, task):
        return read_table(folder, task)
    path = folder / table_name(task)
    table = read_parquet(path, SCHEMAS[task.family])
    check_recipe(table, task, path)
    return table


def check_recipe(table: pa.Table, task: TableSpec, path: Path) -> None:
    """Raise RecipeMismatchError unless every row was trained by the task's recipe."""
    others = set(table["recipe"].unique().to_pylist()) - {task.digest}
    if others:
        raise RecipeMismatchError(
            f"{path} holds rows of recipe {', '.join(sorted(map(str, others)))}; {task.id} is {task.digest}"
        )


def encode_rows(task: TableSpec, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of the task's schema, with the recipe's digest filled in."""
    return pa.Table.from_pylist([{**row, "recipe": task.digest} for row in rows], schema=SCHEMAS[task.family])


def write_table(folder: Path, task: TableSpec, new: Sequence[pa.Table]) -> int:
    """Add cells to a task's table; returns how many were added. See ``write_tables``."""
    return write_tables(folder, [(task, new)])[0]


def write_tables(folder: Path, news: Sequence[tuple[TableSpec, Sequence[pa.Table]]]) -> list[int]:
    """Add cells to several tables, to all or to none; returns how many were added to each.

    The caller is the folder's only writer (``writing``). A cell that is there already is kept as it is. A file that no
    manifest names is taken in as it lies there, and never written over.
    """
    entries, changes, counts = read_manifest(folder), [], []
    for task, new in news:
        old = read_even_unlisted(folder, task)
        known = cells_of(old)
        fresh = []
        for table in new:
            keep = [cell not in known for cell in _cell_column(table)]
            known.update(_cell_column(table))
            fresh.append(table.filter(pa.array(keep, pa.bool_())))
        counts.append(sum(len(cells_of(table)) for table in fresh))
        check_one_data(folder / table_name(task), [old, *fresh])
        entry = entries.get(table_name(task))
        unsettled = bool(len(old)) and (entry is None or bool(entry.next_sha256))  # of a fold that was killed, or lost
        if counts[-1] or unsettled:
            changes.append((task, old, pa.concat_tables([old, *fresh])))
    _commit(folder, changes)
    return counts


def replace_table(folder: Path, task: TableSpec, table: pa.Table) -> None:
    """Put a table in place of the one that is there, of whatever recipe: what is measured all at once (latencies)."""
    name, schema = table_name(task), SCHEMAS[task.family]
    with writing(folder):
        content = read_checked(folder, name)
        old = schema.empty_table() if content is None else read_parquet(folder / name, schema, content)
        _commit(folder, [(task, old, table)])


def check_one_data(path: Path, tables: Sequence[pa.Table]) -> None:
    """Raise TableError when trainings on different images would stand in one table."""
    if "data" in tables[0].column_names:
        digests = sorted({str(digest) for table in tables for digest in table["data"].unique().to_pylist()})
        if len(digests) > 1:
            raise TableError(
                f"{path} would hold trainings on different images (data digests {', '.join(digests)}): the data set "
                "was prepared otherwise here. Prepare it with the pinned packages, or train into another folder"
            )


def _commit(folder: Path, changes: Sequence[tuple[TableSpec, pa.Table, pa.Table]]) -> None:
    """Put tables in the place of old ones: (task, old, new)."""
    entries = read_manifest(folder)
    announced, settled, contents = dict(entries), dict(entries), {}
    for task, old, table in changes:
        key = [column for column in (*KEY, "batch") if column in table.column_names]
        table, name = table.sort_by([(column, "ascending") for column in key]), table_name(task)
        contents[name] = seal.sealed_bytes(table)
        settled[name] = _entry(task, table, contents[name])
        if name in entries:  # a file that no manifest names is no table yet, so a first one needs no announcing
            # A kill may have left the file that was announced last in place: announce beside what lies there now.
            present = _entry(task, old, (folder / name).read_bytes())
            announced[name] = replace(present, next_sha256=settled[name].sha256)
    if announced != entries:
        write_manifest(folder, announced)
    if len(contents) > 1:
        journal.replace_files(folder, {**contents, MANIFEST: manifest_bytes(settled)})
        return
    for name, content in contents.items():
        replace_file(folder / name, content)
        write_manifest(folder, settled)


def _entry(task: TableSpec, table: pa.Table, content: bytes) -> Entry:
    trained = "seed" in table.column_names
    return Entry(
        sha256=hashlib.sha256(content).hexdigest(),
        rows=len(table),
        architectures=len(table["arch"].unique()),
        train_seeds=tuple(sorted(table["seed"].unique().to_pylist())) if trained else (),
        cells=len(cells_of(table)) if trained else 0,
        recipe=task.digest,
    )


def _cell_column(table: pa.Table) -> list[tuple[str, int]]:
    return list(zip(table["arch"].to_pylist(), table["seed"].to_pylist(), strict=True))


def cells_of(table: pa.Table) -> set[tuple[str, int]]:
    """Return (architecture, train seed) of every cell that has a row."""
    return set(_cell_column(table))
