"""The benchmark that looks everything up."""

from __future__ import annotations

import os

from nasbench_rl.benchmark.base import Benchmark, Memo
from nasbench_rl.errors import TableError, tables_option
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.advice import how_to_train
from nasbench_rl.tables.results import Evaluation, Split
from nasbench_rl.task import Task


class TabularBenchmark(Benchmark):
    """Scores from a table. A warm query is one look-up; none of this needs torch."""

    mode = "tabular"

    def __init__(self, task: Task, tables: str | os.PathLike[str] | None = None) -> None:
        """``tables``: a folder of tables; None looks in the usual places (``table_folders``)."""
        from nasbench_rl.tables.locate import find_tables

        self._memo = Memo()
        super().__init__(task, find_tables(tables), tables)
        if not self.table.complete.any():
            raise TableError(
                f"{task.id} has no table in {self.folder}. Train one: {how_to_train(task, tables=tables)}"
                f"; what there is: python -m nasbench_rl.build status{tables_option(tables)}"
            )

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``."""
        key = (arch, fidelity, seed, split, metric)
        known = self._memo.get(key)
        if known is None:
            known = self.table.evaluation(self.space.parse(arch), fidelity, seed, split, metric)
            self._memo.put(key, known)
        return known
