"""How well parameters and FLOPs stand for the measured time of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_rl import store
from nasbench_rl.ranks import kendall_tau
from nasbench_rl.task import get_task, task_ids

Floats = np.ndarray[Any, np.dtype[np.float64]]
FEWEST = 5
"""Networks below which nothing is said of a ranking."""


@dataclass(frozen=True, eq=False)
class LatencyFinding:
    """The networks of one task at one batch.

    Attributes:
        task: task id.
        table: name of the latencies in the manifest.
        batch: observations or images a pass.
        params: (networks,).
        flops: (networks,) of one observation.
        seconds: (networks,) median wall seconds of a pass on one core.
        code_versions: by which versions of this package they were measured.
        machine: where.
    """

    task: str
    table: str
    batch: int
    params: Floats
    flops: Floats
    seconds: Floats
    code_versions: tuple[str, ...]
    machine: str

    @property
    def tau_params(self) -> float:
        """Kendall's τ of parameters with seconds."""
        return kendall_tau(self.params, self.seconds)

    @property
    def tau_flops(self) -> float:
        """Kendall's τ of FLOPs with seconds."""
        return kendall_tau(self.flops, self.seconds)


def ratio(values: Floats) -> float:
    """The greatest over the least."""
    return float(values.max() / values.min())


def latency_findings(folder: Path) -> tuple[LatencyFinding, ...]:
    """Of every task with enough latencies, by batch, in the registry's order; a task needs no table of its own yet.

    Raises:
        TableError: a table is damaged or of another version.
    """
    listed, found = store.read_manifest(folder), []
    for task in map(get_task, task_ids()):
        name = store.table_name(task.latency)
        if name not in listed:
            continue
        rows = store.read_table(folder, task.latency).to_pandas()
        for batch, of_batch in rows.groupby("batch"):
            if len(of_batch) < FEWEST:
                continue
            params, flops, seconds = (
                of_batch[column].to_numpy(dtype=np.float64) for column in ("params", "flops", "latency_median")
            )
            versions = tuple(sorted(set(of_batch["code_version"])))
            machine = str(of_batch["machine"].iloc[0])
            found.append(LatencyFinding(task.id, name, int(batch), params, flops, seconds, versions, machine))
    return tuple(found)
