"""The benchmark that looks everything up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_rl.advice import how_to_train
from nasbench_rl.benchmark import Mode
from nasbench_rl.errors import TableError, tables_option
from nasbench_rl.records import Evaluation, Split
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.stored_benchmark import StoredBenchmark
from nasbench_rl.task import Task


class TabularBenchmark(StoredBenchmark):
    """Scores from a table. What it lacks is an error."""

    mode: Mode = "tabular"

    def __init__(self, task: Task, tables: str | os.PathLike[str] | None = None) -> None:
        """``tables``: a folder of tables; None looks in the usual places (``store.table_folders``).

        Raises:
            TableError: no table, or a damaged one.
        """
        from nasbench_rl import store  # late: Arrow is a quarter of what an import takes

        super().__init__(task, store.find_tables(tables), tables)
        if not self.table.complete.any():
            raise TableError(
                f"{task.id} has no table in {self.folder}. Train one: {how_to_train(task, tables=tables)}"
                f"; what there is: python -m nasbench_rl.build status{tables_option(tables)}"
            )

    def _evaluation(
        self, arch: ArchLike, fidelity: int | None, seed: int | None, split: Split, metric: str | None
    ) -> Evaluation:
        return self.table.evaluation(self.space.parse(arch), fidelity, seed, split, metric)

    def query_many(
        self, archs: Sequence[ArchLike] | np.ndarray[Any, Any], fidelities: Sequence[int] | int | None = None,
        seeds: Sequence[int] | int | None = None, split: Split = "test", metric: str | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:  # fmt: skip
        """See ``StoredBenchmark.query_many``."""
        return self.table.gather(self._rows(archs), fidelities, seeds, split, metric)
