"""What a comparison has finished, kept in its folder until all of it is: the same command goes on from there.

A file's name is a digest of all that decides its content, and a digest of the content. So nothing of another table,
method, budget or code is ever taken for what is asked, nor a file that was changed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nasbench_rl._utils import files, provenance
from nasbench_rl.benchmark.method import get_method, method_version, methods
from nasbench_rl.compare.experiment import Search, configuration_digest
from nasbench_rl.errors import NasbenchError, TableError
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.parquet import parquet_bytes, read_frame
from nasbench_rl.task import get_task

FOLDER = ".unfinished"
DIGITS = 32


def key(*content: Any) -> str:
    """Return a digest of what decides a result; values that JSON does not know are taken as their text."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def tables_digest(task: str, tables: str | None) -> str:
    """Of every table of a task in a folder: its own, and those of supernets, surrogates and latencies.

    Raises:
        TableError: there is no folder of tables, or its manifest cannot be read.
    """
    stem = Path(table_io.table_name(get_task(task))).stem
    entries = read_manifest(find_tables(tables))
    return key({name: str(e) for name, e in entries.items() if name.split("/")[-1].removesuffix(".parquet") == stem})


def tables_of(search: Search) -> str:
    """``tables_digest`` of what a search reads; of what judges it, if anything does, in live mode.

    Raises:
        TableError: there are no tables.
    """
    if search.mode != "live":
        return tables_digest(search.task, search.tables)
    try:
        return tables_digest(search.task, None)
    except TableError:
        return ""


def search_key(search: Search) -> tuple[str, str]:
    """Digests of all that decides what a search finds, but for its seeds: of its tables, and of everything.

    Raises:
        NasbenchError: the method cannot be made, or there are no tables.
    """
    live, tables = search.mode == "live", tables_of(search)
    method = get_method(search.method, **search.hyperparameters)
    where = [search.device, os.path.abspath(search.tables) if search.tables else ""] if live else []
    return tables, key(
        tables, get_task(search.task).digest, search.task, search.label, search.hyperparameters,
        configuration_digest(method), method_version(search.method), search.budget, search.mode, search.first_seed,
        where, surroundings(search.method, search.device),
    )  # fmt: skip


def trials_key(trials: Sequence[Any], seed: int, tables: str | None, scratch: Path | None = None) -> str:
    """Return a digest of all that decides trials (dataclasses with a task and a method) that follow each other.

    Args:
        trials: in turn.
        seed: search seed.
        tables: folder.
        scratch: of files whose place is another each time.
    """
    told = json.dumps([asdict(trial) for trial in trials], sort_keys=True, default=str)
    tasks, names = sorted({trial.task for trial in trials}), sorted({trial.method for trial in trials})
    read = [[get_task(task).digest, tables_digest(task, tables)] for task in tasks]
    code = [[method_version(name), surroundings(name)] for name in names]
    return key(read, told.replace(str(scratch), "") if scratch else told, seed, code)


def surroundings(method: str, device: str = "cpu") -> str:
    """Return a digest of the code that runs a method, of the machine and of the installed packages."""
    code = methods().set_index("method")["code"][method]
    of = sorted({"nasbench_rl", code.split(":")[0].split(".")[0]})
    return key([_sources(name) for name in of], provenance.code_version(), provenance.machine(device), _installed())


@functools.cache
def _installed() -> list[tuple[str, str]]:
    return sorted({(str(one.metadata["Name"]), one.version) for one in metadata.distributions()})


@functools.cache
def _sources(package: str) -> str:
    """Of the source files of a package or module: code that is worked on has one version for many states."""
    found = find_spec(package)
    places = [] if found is None else [*(found.submodule_search_locations or [found.origin or ""])]
    digest = hashlib.sha256()
    for place in map(Path, places):
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            with suppress(OSError):
                digest.update(f"{path.relative_to(place.parent)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def save(out: Path, name: str, frame: pd.DataFrame) -> None:
    """Keep a result under its ``key``, atomically.

    Raises:
        TableError: the folder cannot be written.
    """
    content = parquet_bytes(pa.Table.from_pandas(frame, preserve_index=False))
    files.replace_file(out / FOLDER / f"{name}.{hashlib.sha256(content).hexdigest()[:DIGITS]}.parquet", content)


def kept(out: Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Of the results of these keys, those that are there, whole and unchanged."""
    wanted, found = set(names), {}
    for path in sorted((out / FOLDER).glob("*.parquet")):
        name, _, digest = path.stem.partition(".")
        if name in wanted and name not in found:
            with suppress(NasbenchError):
                if hashlib.sha256(files.read_file(path)).hexdigest()[:DIGITS] == digest:
                    found[name] = read_frame(path)
    return found


def clear(out: Path) -> None:
    """Remove all that is kept: the comparison is finished, and its results are written."""
    for path in [*(out / FOLDER).glob("*.parquet"), *(out / FOLDER).glob(".*.tmp")]:
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):
        (out / FOLDER).rmdir()
