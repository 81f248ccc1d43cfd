"""Which tasks there are, and how much of each is trained."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_rl.errors import TableError
from nasbench_rl.spaces.base import size_of
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.score_table import ScoreTable
from nasbench_rl.task import Task, get_task, task_ids

if TYPE_CHECKING:
    import pandas as pd


def split_rules(folder: Path, tasks: Iterable[Task]) -> dict[str, str]:
    """Say how validation and test scores are held apart (``ScoreTable.rule``), for every task of agents with a table.

    A table that cannot be read is left out: whoever needs its rows says so.
    """
    rules = {}
    for task in (task for task in tasks if not task.splits.in_words):
        with suppress(TableError):
            table = ScoreTable(task, table_io.read_table(folder, task))
            if table.complete.any():
                rules[task.id] = table.rule()
    return rules


def tasks(tables: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """List every task with its coverage, a row each, those with a table first.

    Columns: task, architectures (of the space, missing where they are not counted), trained (architectures with a
    complete cell), train_seeds, cells, metric, max_fidelity, unit, split (how validation and test are held apart).
    """
    import pandas as pd  # late: `import nasbench_rl` and a query do without it

    folder = find_tables(tables)
    manifest = read_manifest(folder)
    rows = []
    for id_ in task_ids():
        task = get_task(id_)
        entry = manifest.get(table_io.table_name(task))
        seeds = entry.train_seeds if entry else ()
        if task.splits.in_words:
            split = task.splits.in_words
        elif len(seeds) > 1 and not ScoreTable(task, table_io.read_table(folder, task)).single_seed:
            split = "even and odd train seeds"
        else:
            split = "one seed: test = return_eval of fresh games" if entry else ""
        rows.append(
            {
                "task": id_,
                "architectures": None if size_of(task.space) == float("inf") else len(task.space),
                "trained": entry.architectures if entry else 0,
                "train_seeds": len(seeds),
                "cells": entry.cells if entry else 0,
                "metric": task.metric,
                "max_fidelity": task.max_fidelity,
                "unit": task.fidelity_unit,
                "split": split,
            }
        )
    frame = pd.DataFrame(rows).astype({"architectures": "Int64"})
    return frame.sort_values("cells", ascending=False, kind="stable", ignore_index=True)
