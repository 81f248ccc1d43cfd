"""Everything that touches Parquet: where tables lie, their schema, checksums, reading, writing and the manifest.

A folder of tables holds ``MANIFEST.json``, one Parquet file a task under its family (``rl/``, ``nsc/``, …) and, while
something trains, hidden shards of one cell each under ``.shards/`` (``shards``). A process killed at any instant leaves
either the old file or the new one, and the manifest accepts both.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from nasbench_rl import journal, seal
from nasbench_rl.errors import InvalidValueError, RecipeMismatchError, TableError, nearest
from nasbench_rl.files import is_file, lock, read_file, replace_file
from nasbench_rl.paths import user_path
from nasbench_rl.schemas import KEY as KEY
from nasbench_rl.schemas import SCHEMAS as SCHEMAS
from nasbench_rl.task_tables import TableSpec

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
MANIFEST = "MANIFEST.json"
FOLD_LOCK = "fold"
ENVIRONMENT_VARIABLE = "NASBENCH_RL_TABLES"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the manifest says of one table.

    Attributes:
        sha256: of the file.
        rows: rows in it.
        architectures: architectures with at least one cell.
        train_seeds: train seeds present, ascending.
        cells: (architecture, train seed) cells; only whole ones are ever added.
        recipe: digest of the task's recipe; empty for tables without one.
        next_sha256: of the file that is about to replace it; left behind when a fold was killed in between.
    """

    sha256: str
    rows: int
    architectures: int
    train_seeds: tuple[int, ...]
    cells: int
    recipe: str
    next_sha256: str = ""


def table_name(task: TableSpec) -> str:
    """Path of a task's table inside a folder of tables."""
    return f"{task.family}/{task.id.replace('/', '.').replace('@', '.')}.parquet"


def table_folders(tables: str | os.PathLike[str] | None = None) -> list[Path]:
    """Folders where tables are looked for: the argument's or the variable's alone, or the package, then the checkout.

    A folder that was named is never passed over for another, whose numbers its user did not ask for.

    Raises:
        InvalidValueError: what was named is no path.
    """
    named = tables if tables is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if named is not None:
        if not isinstance(named, (str, os.PathLike)) or not str(named):  # as an empty variable of a shell is
            raise InvalidValueError(f"{named!r} names no folder of tables; give a path, or leave it out")
        return [user_path(named)]
    package = Path(__file__).resolve().parent
    return [package / "_tables", package.parent / "tables"]


def find_tables(tables: str | os.PathLike[str] | None = None) -> Path:
    """The first folder that has a manifest.

    Raises:
        TableError: none has; the message lists every place tried.
    """
    tried = table_folders(tables)
    for folder in tried:
        if is_file(folder / MANIFEST):
            return folder
    places = ", ".join(map(str, tried))
    raise TableError(f"no {MANIFEST} found; tried: {places}. Name a folder of tables or set ${ENVIRONMENT_VARIABLE}")


def folder_to_fill(tables: str | os.PathLike[str] | None = None) -> Path:
    """Where trained cells go: the folder that was named, which may be empty or not there yet, or where queries look.

    Raises:
        TableError: none was named, and no folder has a manifest.
    """
    folders = table_folders(tables)
    return folders[0] if len(folders) == 1 else find_tables(tables)


def is_packaged(folder: Path) -> bool:
    """Whether a folder of tables belongs to the installed package."""
    return folder == Path(__file__).resolve().parent / "_tables"


def check_kept(folder: Path) -> None:
    """Raise TableError for the tables inside an installed package: the next ``pip install`` would delete new cells."""
    if is_packaged(folder):
        raise TableError(
            f"{folder} belongs to the installed package, and the next pip install would delete what is added; name a "
            f"folder of your own with --tables or ${ENVIRONMENT_VARIABLE}, a copy of this one where its rows are needed"
        )


def read_manifest(folder: Path) -> dict[str, Entry]:
    """Entries by table name; empty when the folder has no manifest yet.

    Raises:
        TableError: it cannot be read or is of another schema version.
    """
    path = folder / MANIFEST
    if not is_file(path):
        return {}
    try:
        content = json.loads(path.read_text())
        version = content["schema_version"]
        if version != SCHEMA_VERSION:
            raise TableError(f"{path} has schema version {version!r}; this nasbench-rl reads {SCHEMA_VERSION}")
        return {name: _read_entry(name, fields) for name, fields in content["tables"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise TableError(f"{path} is no readable manifest ({error}); restore it") from error


_ENTRY = {"sha256": str, "rows": int, "architectures": int, "train_seeds": list, "cells": int, "recipe": str,
          "next_sha256": str}  # fmt: skip


def _read_entry(name: str, fields: dict[str, Any]) -> Entry:
    """Check the types of a table's fields; raises ValueError or TypeError for what is none of them."""
    for key, value in fields.items():
        numbers = value if key == "train_seeds" and isinstance(value, list) else [0]
        if not isinstance(value, _ENTRY.get(key, object)) or not all(type(number) is int for number in numbers):
            raise ValueError(f"{name}: {key} is {value!r}")
        if type(value) is bool or (isinstance(value, int) and value < 0):
            raise ValueError(f"{name}: {key} is {value!r}")
    return Entry(**{**fields, "train_seeds": tuple(fields["train_seeds"])})


def write_manifest(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Replace the manifest atomically."""
    replace_file(folder / MANIFEST, _manifest(entries))


def _manifest(entries: Mapping[str, Entry]) -> bytes:
    tables = {}
    for name, entry in sorted(entries.items()):
        fields = asdict(entry)
        if not entry.next_sha256:
            del fields["next_sha256"]
        tables[name] = fields
    return (json.dumps({"schema_version": SCHEMA_VERSION, "tables": tables}, indent=1) + "\n").encode()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only writer of a folder of tables; what a killed one had begun to put into it is finished first."""
    with lock(folder, FOLD_LOCK):
        journal.finish(folder)
        yield


def read_parquet(path: Path, schema: pa.Schema, content: bytes | None = None) -> pa.Table:
    """A Parquet file whose columns must be ``schema``'s.

    Args:
        path: where it lies.
        schema: the columns.
        content: its bytes, when they were read and compared with the manifest already; else the file's own digests
            are compared.

    Raises:
        TableError: truncated, unreadable, changed since it was written, of another schema, or with text that is no
            UTF-8.
    """
    own = read_file(path) if content is None else content
    file, table = open_parquet(path, own)
    table = _select(path, table, schema)
    if content is None:
        seal.check_seal(path, own, file, table)
    return table


def open_parquet(path: Path, content: bytes) -> tuple[pq.ParquetFile, pa.Table]:
    """A Parquet file, opened and read.

    Raises:
        TableError: truncated, unreadable, or with text that is no UTF-8.
    """
    try:
        # Not pq.read_table: it reads in Arrow's pool, and a pool thread that lets go of Python's bytes while the
        # interpreter ends aborts the process.
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} is no readable Parquet file ({str(error).partition(chr(10))[0]})") from error
    return file, table


def _select(path: Path, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The schema's columns."""
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        close = nearest(missing[0], table.column_names)
        hint = f" (has {close!r})" if close else ""
        raise TableError(f"{path} is of another schema: column {missing[0]!r} is missing{hint}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise TableError(f"{path} is of another schema: {error}") from error


def read_table(folder: Path, task: TableSpec) -> pa.Table:
    """A task's rows, checked against the manifest and the task's recipe; no row when the task has no table.

    Raises:
        TableError: the file is absent though listed, its checksum is wrong, it is truncated or of another schema.
        RecipeMismatchError: it was trained by another recipe.
    """
    return read_with_digest(folder, task)[0]


def read_with_digest(folder: Path, task: TableSpec) -> tuple[pa.Table, str]:
    """As ``read_table``, and the sha-256 of the bytes that these rows were read from; empty when there is no table.

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
    """Whether a task has a file that no manifest names: of a fold that was killed, or of a lost manifest."""
    return table_name(task) not in read_manifest(folder) and is_file(folder / table_name(task))


def read_even_unlisted(folder: Path, task: TableSpec) -> pa.Table:
    """As ``read_table``, and the rows of a file that no manifest names too: what is trained is not trained again."""
    if not is_unlisted(folder, task):
        return read_table(folder, task)
    path = folder / table_name(task)
    table = read_parquet(path, SCHEMAS[task.family])
    check_recipe(table, task, path)
    return table


def read_checked(folder: Path, name: str) -> bytes | None:
    """A table's bytes, compared with the manifest; None when the manifest does not name it."""
    path, entry = folder / name, read_manifest(folder).get(name)
    while entry is not None:
        if not is_file(path):
            raise TableError(f"{path} is listed in {MANIFEST} but absent; restore it, or name another folder of tables")
        content = read_file(path)
        found = hashlib.sha256(content).hexdigest()
        if found in (entry.sha256, entry.next_sha256):
            return content
        before, entry = entry, read_manifest(folder).get(name)
        if entry == before:  # else a build has replaced both since the manifest was read
            raise TableError(
                f"{path} has a wrong checksum: sha256 {found[:12]}…, {MANIFEST} says {before.sha256[:12]}…. "
                "The file was changed or cut short; restore it"
            )
    return None


def present_sha256(folder: Path, name: str) -> str:
    """Of a listed file as it lies there: the manifest's, but where a fold was killed between the file and the manifest.

    Raises:
        TableError: as ``read_checked``.
    """
    entry = read_manifest(folder)[name]
    if not entry.next_sha256:
        return entry.sha256
    return hashlib.sha256(read_checked(folder, name) or b"").hexdigest()


def check_recipe(table: pa.Table, task: TableSpec, path: Path) -> None:
    """Raise RecipeMismatchError unless every row was trained by the task's recipe."""
    others = set(table["recipe"].unique().to_pylist()) - {task.digest}
    if others:
        raise RecipeMismatchError(
            f"{path} holds rows of recipe {', '.join(sorted(map(str, others)))}; {task.id} is {task.digest}"
        )


def encode_rows(task: TableSpec, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of the task's schema; the recipe's digest is filled in."""
    return pa.Table.from_pylist([{**row, "recipe": task.digest} for row in rows], schema=SCHEMAS[task.family])


def parquet_bytes(table: pa.Table) -> bytes:
    """What is no task's table, as the content of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=True, write_page_checksum=True)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


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
        journal.replace_files(folder, {**contents, MANIFEST: _manifest(settled)})
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
    """(architecture, train seed) of every cell that has a row."""
    return set(_cell_column(table))


def write_listed(frame: pd.DataFrame, folder: Path, name: str) -> None:
    """Write a file that is no task's table and list it in the manifest; a kill at any step leaves both in agreement."""
    content = parquet_bytes(pa.Table.from_pandas(frame, preserve_index=False))
    with writing(folder):
        entries, digest = read_manifest(folder), hashlib.sha256(content).hexdigest()
        if name in entries:
            write_manifest(folder, {**entries, name: replace(entries[name], next_sha256=digest)})
        replace_file(folder / name, content)
        write_manifest(folder, {**entries, name: Entry(digest, len(frame), 0, (), 0, "")})


def register(folder: Path, name: str, rows: int) -> None:
    """Put a file that is no task's table (``published.parquet``) into the manifest, with its checksum."""
    with writing(folder):
        entry = Entry(hashlib.sha256((folder / name).read_bytes()).hexdigest(), rows, 0, (), 0, "")
        write_manifest(folder, {**read_manifest(folder), name: entry})


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write results (not a task's table) as Parquet, atomically."""
    replace_file(path, parquet_bytes(pa.Table.from_pandas(frame, preserve_index=False)))


def read_frame(path: Path) -> pd.DataFrame:
    """Read results written by ``write_frame``.

    Raises:
        TableError: absent, truncated, or no Parquet file.
    """
    try:
        return pq.ParquetFile(path).read(use_threads=False).to_pandas(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} is no readable Parquet file ({str(error).splitlines()[0]})") from error
