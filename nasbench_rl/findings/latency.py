"""Do parameters and FLOPs stand for the measured time of a forward pass?"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nasbench_rl.leaderboard.stats.ranks import kendall_tau
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.task import get_task, task_ids

FEWEST = 5
"""Networks; fewer are not ranked."""
COLUMNS = (
    "task", "batch", "networks", "tau_params", "tau_flops", "flops_ratio", "time_ratio", "fastest_ms", "slowest_ms"
)  # fmt: skip


def measured(folder: Path) -> pd.DataFrame:
    """Return every measured network with its task, in the registry's order; a task needs no table of its own yet.

    Raises:
        TableError: a table is damaged or of another version.
    """
    listed, found = read_manifest(folder), []
    for task in map(get_task, task_ids()):
        if table_io.table_name(task.latency) in listed:
            found.append(table_io.read_table(folder, task.latency).to_pandas().assign(task=task.id))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame({"task": [], "batch": []})


def agreement(networks: pd.DataFrame) -> pd.DataFrame:
    """Return ``COLUMNS`` of each task and batch with enough networks: Kendall's τ of both counts with the time."""
    rows = []
    for (task, batch), of_batch in networks.groupby(["task", "batch"], sort=False):
        if len(of_batch) < FEWEST:
            continue
        params, flops, seconds = (of_batch[name].to_numpy(float) for name in ("params", "flops", "latency_median"))
        fast, slow = seconds.min(), seconds.max()
        taus = kendall_tau(params, seconds), kendall_tau(flops, seconds)
        ratios = flops.max() / flops.min(), slow / fast
        rows.append((task, int(batch), len(of_batch), *taus, *ratios, 1e3 * fast, 1e3 * slow))
    return pd.DataFrame(rows, columns=list(COLUMNS))
