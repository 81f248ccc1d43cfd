"""The searches that a page is made from: what every run chose is all that its statistics need."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.pool import run_all
from nasbench_rl.errors import InvalidValueError, MissingCellError, NasbenchError, TableError
from nasbench_rl.leaderboard.summary import distinct, final_rows
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import present_sha256, read_manifest
from nasbench_rl.task import get_task

FAMILIES = ("rl", "nsc", "supernet", "darts", "surrogate", "latency")
"""Of the tables that a page reads."""
WITHOUT_CELLS = ("surrogate", "latency")
TRIES = 10


@dataclass(frozen=True)
class Chosen:
    """All searches of one method on one task with one budget.

    Attributes:
        task: its id.
        budget: what each could spend, in the task's unit.
        method: with its hyperparameters where they are not its own.
        chosen: number of searches that ended with each architecture.
        approximation: ``Run.approximation``.
        spent: number of searches by the whole trainings that they paid for (one that was begun counts as whole); empty
            when every search spent all.
        configuration: digest of its hyperparameters.
    """

    task: str
    budget: int
    method: str
    chosen: dict[str, int]
    approximation: str = ""
    spent: dict[str, int] = field(default_factory=dict)
    configuration: str = ""

    @property
    def runs(self) -> int:
        """Number of search seeds."""
        return sum(self.chosen.values())


@dataclass(frozen=True)
class Searches:
    """All searches that a page is made from.

    Attributes:
        tables: 12 hex digits of each table that was read, by its name in the manifest.
        searches: by task, budget and method.
        left_out: why a method did not run on a task.
    """

    tables: dict[str, str]
    searches: tuple[Chosen, ...]
    left_out: tuple[str, ...]


def snapshot(folder: Path, to: Path) -> Path:
    """Copy a folder of tables to ``to``, so that a training that goes on meanwhile does not change them half-way.

    Raises:
        TableError: they kept changing while they were copied.
    """
    for _ in range(TRIES):
        before = (folder / MANIFEST).read_bytes()
        shutil.copytree(folder, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        if (folder / MANIFEST).read_bytes() == before:
            return to
        time.sleep(1)
    raise TableError(f"the tables in {folder} keep changing; try again when what trains there has finished a cell")


def digests(folder: Path) -> dict[str, str]:
    """Return 12 hex digits of every table that a page reads, by its name in the manifest."""
    entries = read_manifest(folder)
    family = {name: name.split("/")[0] for name in entries}
    read = [name for name, e in entries.items() if e.cells or family[name] in WITHOUT_CELLS]
    return {name: present_sha256(folder, name)[:12] for name in sorted(read) if family[name] in FAMILIES}


def record(runs: pd.DataFrame, folder: Path, left_out: Sequence[str] = ()) -> Searches:
    """Count what every run of ``runs_schema.COLUMNS`` chose.

    Raises:
        TableError: the runs were made with other tables than those in the folder.
    """
    tables, found = digests(folder), []
    if len(runs):
        runs = runs[runs["mode"] == "tabular"]
    for key, of_key in runs.groupby(["task", "budget", "method"], sort=True):
        task, budget, method = str(key[0]), int(key[1]), str(key[2])
        name = table_io.table_name(get_task(task))
        made_with = sorted(set(of_key["table"]))
        if made_with != [tables.get(name)]:
            raise TableError(
                f"the runs of {method} on {task} were made with table {', '.join(made_with)}; {folder} holds "
                f"{tables.get(name, 'none')}: run the searches again, or name the folder they read with --tables"
            )
        final = final_rows(of_key)
        chosen = _counts(final["incumbent"])
        spent = _counts(np.ceil(final["spent"] / get_task(task).max_fidelity).astype(int))
        approximation, configuration = (distinct(of_key[name]) for name in ("approximation", "configuration"))
        found.append(Chosen(task, budget, method, chosen, approximation, spent, configuration))
    return Searches(tables, tuple(found), tuple(left_out))


def _counts(values: pd.Series[Any]) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}


def search(
    tasks: Sequence[str], methods: Sequence[tuple[str, dict[str, Any]]], budgets: dict[str, list[int]], seeds: int,
    jobs: int, folder: Path, out: Path | None = None,
) -> Searches:  # fmt: skip
    """Run every method on every task with each of the task's budgets, search seeds 0 … ``seeds`` − 1.

    A method is left out where it does not suit the task or lacks stored data (no supernet yet). Finished searches are
    kept in ``out``, see ``run_all``.

    Raises:
        NasbenchError: a method failed for another reason.
    """
    wanted = [
        Search(task, name, budget, hyperparameters=given, tables=str(folder))
        for task in tasks for budget in budgets[task] for name, given in methods
    ]  # fmt: skip
    if not wanted:
        return record(pd.DataFrame(columns=["task", "budget", "method"]), folder)
    runs, failures = run_all(wanted, 0, seeds, jobs, out)
    left_out: dict[str, None] = {}
    for failure in failures:
        if not isinstance(failure, (MissingCellError, InvalidValueError)):
            raise NasbenchError(f"the page is not written: {failure}") from failure
        left_out[str(failure).replace(str(folder), "the tables")] = None
    return record(runs, folder, sorted(left_out))
