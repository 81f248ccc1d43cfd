"""The measured inference times of a task's architectures in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_rl._utils.numeric import whole_number
from nasbench_rl.errors import InvalidValueError, MissingCellError
from nasbench_rl.tables.advice import how_to_make
from nasbench_rl.task.side_tables import LATENCY_BATCHES

if TYPE_CHECKING:
    import pyarrow as pa

    from nasbench_rl.spaces.base import Architecture
    from nasbench_rl.task import Task


class Latencies:
    """The stored latencies of a task.

    Attributes:
        task: whose networks were measured.
        machine: where; all rows of a table come from one machine. Empty when nothing was measured.
    """

    def __init__(self, task: Task, rows: pa.Table, named: str | os.PathLike[str] | None = None) -> None:
        """``rows``: of the schema ``SCHEMAS["latency"]``; ``named``: as in ``read_latencies``."""
        columns = (rows[name].to_pylist() for name in ("arch", "batch", "latency_median"))
        self.task = task
        self._named = named
        self._seconds = {(arch, batch): median for arch, batch, median in zip(*columns, strict=True)}
        self.machine: str = rows["machine"][0].as_py() if len(rows) else ""

    def __len__(self) -> int:
        return len(self._seconds)

    def seconds(self, arch: Architecture, batch: int) -> float:
        """Median wall seconds of one forward pass of ``batch`` observations on one thread.

        Raises:
            InvalidArchitectureError: the network does not exist on this task's images.
            InvalidValueError: no such batch is measured.
            MissingCellError: not measured.
        """
        allowed = ", ".join(map(str, LATENCY_BATCHES))
        batch = whole_number("batch", batch, allowed)
        if batch not in LATENCY_BATCHES:
            raise InvalidValueError(f"latency is not measured at batch {batch}; allowed: {allowed}")
        found = self._seconds.get((arch.name, batch))
        if found is None:
            self.task.size(arch)  # raises for a network that does not exist
            raise MissingCellError(
                f"no latency of {arch} was measured for {self.task.id}; nothing is imputed. Measure {self._all()}: "
                f"{how_to_make(self.task, f'{self.task.id} --latency', self._named)}"
            )
        return float(found)

    def _all(self) -> str:
        """Name what the command measures; a network that no table holds has to be trained first."""
        return "all its networks" if self.task.exhaustive else "those that its table holds (build --archs adds one)"


def read_latencies(folder: Path, task: Task, named: str | os.PathLike[str] | None = None) -> Latencies:
    """Return the stored latencies of a task; none if it has no such table.

    Args:
        folder: of tables.
        task: whose networks were measured.
        named: that folder, where the caller named it: the command that measures what lacks then names it too.

    Raises:
        TableError: the table is damaged or of another version.
    """
    from nasbench_rl.tables import table_io  # late, as in benchmark.py

    return Latencies(task, table_io.read_table(folder, task.latency), named)
