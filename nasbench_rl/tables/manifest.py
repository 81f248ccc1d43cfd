"""What a folder of tables holds, with checksums: ``MANIFEST.json``.

A process that is killed at any instant leaves either the old file or the new one, and the manifest accepts both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nasbench_rl._utils.files import is_file, lock, read_file, replace_file
from nasbench_rl.errors import TableError
from nasbench_rl.tables import journal
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.parquet import parquet_bytes

if TYPE_CHECKING:
    import pandas as pd


SCHEMA_VERSION = 1


FOLD_LOCK = "fold"


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


def read_manifest(folder: Path) -> dict[str, Entry]:
    """Read entries by table name; empty when the folder has no manifest yet.

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
    replace_file(folder / MANIFEST, manifest_bytes(entries))


def manifest_bytes(entries: Mapping[str, Entry]) -> bytes:
    """Return the content of a manifest with these entries."""
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


def read_checked(folder: Path, name: str) -> bytes | None:
    """Read a table's bytes and compare them with the manifest; None when the manifest does not list it."""
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
    """Return the sha-256 of a listed file as it lies there: after a killed fold not yet the manifest's.

    Raises:
        TableError: as ``read_checked``.
    """
    entry = read_manifest(folder)[name]
    if not entry.next_sha256:
        return entry.sha256
    return hashlib.sha256(read_checked(folder, name) or b"").hexdigest()


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
    """Put a file that is no task's table (``published.csv``) into the manifest, with its checksum."""
    with writing(folder):
        entry = Entry(hashlib.sha256((folder / name).read_bytes()).hexdigest(), rows, 0, (), 0, "")
        write_manifest(folder, {**read_manifest(folder), name: entry})
