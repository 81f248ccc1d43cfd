"""What a cell has to be, wherever it comes from: every training whole, within its range, and the same as its double."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nasbench_rl.errors import InvalidArchitectureError, TableError
from nasbench_rl.task.side_tables import TableSpec

CIRCUMSTANCES = frozenset({"cpu_seconds", "wall_seconds", "proxy_cpu_seconds", "code_version", "machine"})
"""Columns in which two trainings of one cell may differ; in all others they have to agree."""

ALWAYS_SCORED = ("validation_accuracy", "test_accuracy", "proxy", "probability")
AFTER_A_GAME = ("return_last100", "return_all")
"""Scores that no row lacks, whatever the table's family, and those that are missing until a game has finished."""

SHARES = ("validation_accuracy", "test_accuracy", "probability")
"""Scores between 0 and 1."""

Rows = list[dict[str, Any]]
Cells = dict[tuple[str, int], Rows]


def name(table: TableSpec, cell: tuple[str, int]) -> str:
    """Return a cell in words."""
    return f"cell {cell[0]} train seed {cell[1]} of {table.label}"


def by_cell(rows: pa.Table) -> Cells:
    """Return the rows of each (architecture, train seed)."""
    cells: Cells = defaultdict(list)
    for row in rows.to_pylist():
        cells[row["arch"], row["seed"]].append(row)
    return dict(cells)


def check_cells(table: TableSpec, rows: pa.Table, path: Path) -> Cells:
    """Return the cells that a file holds of one table, each of them whole.

    Raises:
        TableError: one is not.
    """
    cells = by_cell(rows)
    for cell, own in cells.items():
        fault = _fault(table, cell, own)
        if fault:
            raise TableError(f"{name(table, cell)} in {path}: {fault}; train it again, or take it out")
    return cells


def check_same(cell: str, one: Rows, here: Path, other: Rows, there: Path) -> None:
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
                    f"and {b} in {there}; take out one of the two"
                )


def _fault(task: TableSpec, cell: tuple[str, int], rows: Rows) -> str:
    """Return what is wrong with a cell, or nothing."""
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
    last = next(row for row in rows if row["fidelity"] == task.fidelities[-1])
    if "return_eval" in last and not _finite(last["return_eval"]):
        return "the final policy was not evaluated"
    return ""


def _unsound(row: Mapping[str, Any]) -> str:
    """Return what no training measures in a row: time that is not finite, a score missing that was there to measure."""
    at, games = f"at fidelity {row['fidelity']}", row.get("games", 0)
    if games is None or games < 0:
        return f"it has finished {games} games {at}"
    names = ("cpu_seconds", *ALWAYS_SCORED, *(AFTER_A_GAME if games else ()))
    lacking = [name for name in names if name in row and not _finite(row[name])]
    if lacking:
        return f"its {lacking[0]} {at} is {row[lacking[0]]}"
    outside = [name for name in SHARES if name in row and not 0 <= row[name] <= 1]
    outside += [name for name in ("cpu_seconds",) if row[name] < 0]
    return f"its {outside[0]} {at} is {row[outside[0]]}" if outside else ""


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
