"""The schema of a file of runs, and what no run can have: every refusal names the file, the row and the column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nasbench_rl.benchmark.base import MODES
from nasbench_rl.errors import TableError, nearest
from nasbench_rl.tables.results import RESOURCES, SOURCES

COLUMNS = (
    "task", "method", "method_version", "configuration", "objective", "mode", "approximation", "table", "budget",
    "seed", "step", "steps", "spent", "cpu_seconds", "arch", "fidelity", "train_seed", "score", "source", "incumbent",
    "test_score", "test_source", "regret", "search_seconds", "code_version", "machine",
)  # fmt: skip
"""One row an evaluation: number ``step``, from 0 on, of the run's ``steps``. ``test_score`` and ``regret`` are the
incumbent's, on the test split at max fidelity. The two sources say of ``score`` and ``test_score`` whether they were
measured (``table``, ``live``) or guessed (``surrogate``); ``invalid`` is the 0 of an NSC network that does not exist.
``objective`` is the resource that a multi-objective method weighs against the score; empty for the others.
``approximation`` is ``Run.approximation``.
"""

MAKE_AGAIN = "make it again: python -m nasbench_rl.compare --out DIR"
RUN = ("task", "method", "method_version", "configuration", "seed")
"""What identifies a run."""
ADDED_LATER = {"approximation": "", "steps": 0}
"""Columns that early files of runs lack, and what stands there instead."""


@dataclass(frozen=True)
class Column:
    """What a column may hold.

    Attributes:
        type: ``string``, ``int64`` or ``double``.
        least: smallest number.
        nan: whether a number may be missing.
        values: the texts that are allowed; None allows all.
        empty: whether a text may be empty.
    """

    type: pa.DataType
    least: float = -np.inf
    nan: bool = False
    values: tuple[str, ...] | None = None
    empty: bool = True


_TEXT, _NAME = Column(pa.string()), Column(pa.string(), empty=False)
_COUNT, _SECONDS = Column(pa.int64(), 0), Column(pa.float64(), 0.0)
_SCORE = Column(pa.float64(), nan=True)
SCHEMA: dict[str, Column] = {
    "task": _NAME, "method": _NAME, "method_version": _TEXT, "configuration": _TEXT,
    "objective": Column(pa.string(), values=("", *RESOURCES)), "mode": Column(pa.string(), values=MODES),
    "approximation": _TEXT, "table": _TEXT, "budget": Column(pa.int64(), 1), "seed": _COUNT, "step": _COUNT,
    "steps": _COUNT, "spent": _COUNT, "cpu_seconds": Column(pa.float64(), 0.0, nan=True), "arch": _NAME,
    "fidelity": Column(pa.int64(), 1),
    "train_seed": Column(pa.int64(), -1), "score": _SCORE, "source": Column(pa.string(), values=SOURCES),
    "incumbent": _TEXT, "test_score": _SCORE, "test_source": Column(pa.string(), values=("", *SOURCES)),
    "regret": _SCORE, "search_seconds": _SECONDS, "code_version": _TEXT, "machine": _TEXT,
}  # fmt: skip
"""Of ``COLUMNS``. A score is NaN before a first game has finished, a test score where no table has it, and
CPU seconds where a surrogate guessed a score."""
_ONCE = ("budget", "mode", "objective", "table", "steps", "search_seconds")
"""What is the same in every row of a run."""
_KINDS = {pa.string(): "text", pa.int64(): "whole numbers", pa.float64(): "numbers"}


def read_runs(path: Path) -> pd.DataFrame:
    """Read one file's rows as ``COLUMNS``; further columns are left out.

    Raises:
        TableError: the file cannot be read, a column is missing or there twice, it has no row, or a value is none that
            a run can have.
    """
    table = _read(path)
    if not len(table):
        raise TableError(f"{path} holds no run; {MAKE_AGAIN}")
    frame = pd.DataFrame({name: _column(path, name, table) for name in COLUMNS})
    _check_order(path, frame)
    return frame


def _read(path: Path) -> pa.Table:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names = file.schema_arrow.names
        found = [name for name in COLUMNS if name in names]
        missing = [name for name in COLUMNS if name not in names and name not in ADDED_LATER]
        if missing:
            close = nearest(missing[0], names)
            hint = f" (has {close!r})" if close else ""
            raise TableError(
                f"{path} lacks {len(missing)} of {len(COLUMNS)} columns: {', '.join(missing)}{hint}; {MAKE_AGAIN}"
            )
        twice = [name for name in found if names.count(name) > 1]
        if twice:
            raise TableError(f"{path} has column {twice[0]!r} {names.count(twice[0])} times; keep one of them")
        # Only the columns: metadata that pandas wrote may be broken, and says nothing that is needed here.
        table = file.read(columns=found, use_threads=False).replace_schema_metadata(None)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise TableError(f"{path} is no readable Parquet file ({reason}); {MAKE_AGAIN}") from error
    for name in sorted(ADDED_LATER.keys() - set(found)):
        fill = pa.array([ADDED_LATER[name]] * len(table), SCHEMA[name].type)
        table = table.append_column(name, fill)
    return table


def _column(path: Path, name: str, table: pa.Table) -> np.ndarray[Any, Any]:
    """Return one column as text, int64 or float64 without a value that is not allowed."""
    allowed, column = SCHEMA[name], table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind, wanted = column.type, _KINDS[allowed.type]
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
    if not (text if wanted == "text" else number):
        raise TableError(f"{path}: column {name!r} must hold {wanted}, and holds {kind}; {MAKE_AGAIN}")
    absent = pc.is_null(column).to_numpy(zero_copy_only=False)
    if absent.any() and not allowed.nan:
        _refuse(path, name, absent, column, f"{wanted} without gaps")
    if wanted == "text":
        return _texts(path, name, allowed, column)
    # Arrow calls a null of a whole number and a fraction by other names than NumPy: both are found as float64 first.
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    bad = np.isinf(values) | (values < allowed.least) | (np.isnan(values) & (not allowed.nan))
    least = "" if allowed.least == -np.inf else f" from {allowed.least:g} on"
    if bad.any():
        _refuse(path, name, bad, column, f"finite {wanted}{least}")
    if wanted == "numbers":
        return np.asarray(values)
    if (bad := (values != np.floor(values)) | (values >= 2.0**63)).any():
        _refuse(path, name, bad, column, f"whole numbers{least}")
    return np.asarray(column.cast(pa.int64()).to_numpy())


def _texts(path: Path, name: str, allowed: Column, column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    try:
        column.validate(full=True)  # the bytes of a text need not be UTF-8
        values = np.array(column.to_pylist(), dtype=object)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise TableError(f"{path}: column {name!r} holds text that is not UTF-8; {MAKE_AGAIN}") from error
    if not allowed.empty and (bad := values == "").any():
        _refuse(path, name, bad, column, "text that is not empty")
    if allowed.values is not None and (bad := ~np.isin(values, allowed.values)).any():
        _refuse(path, name, bad, column, ", ".join(repr(value) for value in allowed.values))
    return values


def _refuse(path: Path, name: str, bad: np.ndarray[Any, Any], column: Any, wanted: str) -> NoReturn:
    row = int(np.flatnonzero(bad)[0])
    value = column[row].as_py() if isinstance(column, pa.ChunkedArray) else column[row]
    more = f" (and {int(bad.sum()) - 1:,} more rows)" if bad.sum() > 1 else ""
    raise TableError(f"{path}: row {row}{more}, column {name!r} must hold {wanted}, and holds {value!r}; {MAKE_AGAIN}")


def _check_order(path: Path, frame: pd.DataFrame) -> None:
    """Refuse runs that lack a step, give budget back, overspend, or change what a run has once."""
    frame = frame.assign(row=np.arange(len(frame))).drop_duplicates(list(COLUMNS))  # a run may lie in a file twice
    frame = frame.sort_values([*RUN, "step"], kind="stable", ignore_index=True)
    runs = frame.groupby(list(RUN), sort=False)
    frame["length"] = runs["step"].transform("size")

    def check(column: str, wrong: pd.Series, wanted: str) -> None:
        if wrong.any():
            one = frame[wrong].sort_values("row").iloc[0]
            raise TableError(
                f"{path}: row {one['row']}, column {column!r}: {one['method']} on {one['task']}, search seed "
                f"{one['seed']}, {wanted.format(**one)}; {MAKE_AGAIN}"
            )

    check("spent", frame["spent"] > frame["budget"],
          "spent {spent:,} of a budget of {budget:,}; charge through Run.evaluate")  # fmt: skip
    check("step", frame["step"] != runs.cumcount(),
          "has step {step}, where steps 0, 1, 2, … follow each other")  # fmt: skip
    check("steps", (frame["steps"] > 0) & (frame["steps"] != frame["length"]),
          "has {length:,} of its {steps:,} evaluations")  # fmt: skip
    for name in ("spent", "cpu_seconds"):
        before = runs[name].shift()
        check(name, frame[name] < before, f"has less {name} than one step before")
    for name in _ONCE:
        check(name, frame[name] != runs[name].transform("first"), f"has two values of {name}")
