"""What the tables say, as numbers: one frame a question, and one CSV file for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from nasbench_rl._utils import files
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.load import load
from nasbench_rl.errors import TableError
from nasbench_rl.findings import fidelity, latency, sources, spread
from nasbench_rl.findings.random_search import Comparison, compare_task, frame_of, over_tasks
from nasbench_rl.findings.searches import Chosen, Searches
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.table_io import table_name
from nasbench_rl.task import get_task, task_ids

DIGITS = "%.6g"
"""Of numbers in CSV files; processors that add in another order agree on so many."""


@dataclass(frozen=True, eq=False)
class Results:
    """Every number of a page.

    Attributes:
        random_search: ``random_search.COLUMNS``, over all tasks first where there are several.
        fidelity: ``fidelity.COLUMNS``.
        spread: ``spread.COLUMNS``.
        surrogates: ``sources.QUALITY``.
        latency: ``latency.COLUMNS``.
        tables: ``sources.TABLES``.
        left_out: method, reason: where a method could not run.
    """

    random_search: pd.DataFrame
    fidelity: pd.DataFrame
    spread: pd.DataFrame
    surrogates: pd.DataFrame
    latency: pd.DataFrame
    tables: pd.DataFrame
    left_out: pd.DataFrame

    def write(self, folder: Path) -> list[Path]:
        """Write a CSV file for each frame; return the paths."""
        written = []
        for one in fields(self):
            written.append(folder / f"{one.name}.csv")
            content = getattr(self, one.name).to_csv(index=False, float_format=DIGITS)
            files.replace_file(written[-1], content.encode())
        return written

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read what ``write`` wrote.

        Raises:
            TableError: a file is absent or unreadable.
        """
        try:
            return cls(*(pd.read_csv(folder / f"{one.name}.csv", keep_default_na=True) for one in fields(cls)))
        except (OSError, ValueError) as error:
            raise TableError(f"{folder} does not hold the numbers of a page ({error}); run without --redraw") from error


def results(searches: Searches, folder: Path) -> Results:
    """Work out everything.

    Args:
        searches: recorded with the tables of ``folder``.
        folder: of tables.
    """
    listed = read_manifest(folder)
    trained = [id_ for id_ in task_ids() if (entry := listed.get(table_name(get_task(id_)))) and entry.cells]
    benches = {id_: load(id_, tables=folder) for id_ in trained}
    rankings = _together((fidelity.rankings(bench) for bench in benches.values()), fidelity.COLUMNS)
    infos = sources.surrogate_infos(folder)
    left_out = [text.partition(": ")[::2] for text in searches.left_out]
    return Results(
        _against_random_search(searches, benches, rankings),
        rankings,
        _together((spread.components(bench) for bench in benches.values()), spread.COLUMNS),
        sources.surrogate_quality(infos, benches, searches.tables),
        latency.agreement(latency.measured(folder)),
        sources.tables_read(folder, searches, benches, infos),
        pd.DataFrame(left_out, columns=["method", "reason"]),
    )


def _together(frames: Iterable[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    some = [frame for frame in frames if len(frame)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame(columns=list(columns))


def _against_random_search(searches: Searches, benches: dict[str, Benchmark], rankings: pd.DataFrame) -> pd.DataFrame:
    groups: dict[tuple[str, int], list[Chosen]] = {}
    for one in searches.searches:
        groups.setdefault((one.task, one.budget), []).append(one)
    compared: dict[str, list[Comparison]] = {}
    for task in benches:
        for _, budget in sorted(key for key in groups if key[0] == task):
            comparison = compare_task(benches[task], budget, groups[task, budget])
            if comparison is not None:
                compared.setdefault(task, []).append(comparison)
    counted = [of_task for task, of_task in compared.items() if task not in ranked_by_chance(rankings)]
    every = [one for of_task in compared.values() for one in of_task]
    approximations = {one.method: one.approximation for one in searches.searches if one.approximation}
    return frame_of([*_overall(counted), *every], approximations)


def ranked_by_chance(rankings: pd.DataFrame) -> list[str]:
    """Return the tasks on which not even whole trainings rank the architectures as their test scores do."""
    short = rankings[rankings["score"] == fidelity.SHORT]
    return [str(task) for task, rows in short.groupby("task", sort=False) if not rows["holds"].any()]


def _overall(counted: list[list[Comparison]]) -> list[Comparison]:
    """One comparison over all tasks for each budget that every task has; none with a single task."""
    if len(counted) < 2:
        return []
    budgets = set.intersection(*({one.trainings for one in of_task} for of_task in counted))
    return [
        over_tasks([one for of_task in counted for one in of_task if one.trainings == budget])
        for budget in sorted(budgets)
    ]
