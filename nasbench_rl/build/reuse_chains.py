"""Trainings that two tasks share: a chain is the same network in a space of chains and in one with branches.

With the same recipe on the same images it is trained alike, to the bit, so that its rows belong into both tables.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.manifest import writing
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task import ImageTask, get_task, task_ids


def chain_task(task: ImageTask) -> ImageTask | None:
    """Return the task whose chains are networks of ``task``, trained alike; None for a space of chains."""
    if task.space.definition.chain:
        return None
    for other in map(get_task, task_ids()):
        if (
            isinstance(other, ImageTask)
            and other.space.definition.chain
            and (other.environment, other.recipe) == (task.environment, task.recipe)
        ):
            return other
    return None


def adoptable(folder: Path, task: ImageTask) -> pa.Table:
    """Return the rows of ``chain_task``'s chains under the names that ``task`` has for them; none without a table.

    Rows keep the code version and the machine that they were trained with. Chains with a layer that the space lacks, or
    whose parameters are counted otherwise, are left out.

    Raises:
        TableError: the table of the chains is broken or of another recipe.
    """
    source = chain_task(task)
    if source is None:
        return SCHEMAS[task.family].empty_table()
    rows = table_io.read_even_unlisted(folder, source)
    names: dict[str, str] = {}
    for name in dict.fromkeys(rows["arch"].to_pylist()):
        chain = source.space.parse(name)
        mine = _same_network(task, chain)
        if mine is not None and task.size(mine) == source.size(chain):
            names[name] = mine.name
    return table_io.encode_rows(
        task, [{**row, "arch": names[row["arch"]]} for row in rows.to_pylist() if row["arch"] in names]
    )


def adopt(folder: Path, task: ImageTask) -> int:
    """Put the ``adoptable`` rows into the task's table; returns how many cells were new.

    Raises:
        TableError: a table is broken, or the two are of different images.
    """
    rows = adoptable(folder, task)
    if table_io.cells_of(rows) <= shards.trained_cells(folder, task):
        return 0
    with writing(folder):
        return table_io.write_table(folder, task, [rows])


def _same_network(task: ImageTask, chain: Architecture) -> Architecture | None:
    try:
        return task.space.parse(list(chain.choices))
    except InvalidArchitectureError:
        return None
