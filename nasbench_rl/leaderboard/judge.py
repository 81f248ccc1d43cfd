"""Judge what a search chose, on scores that no search sees."""

from __future__ import annotations

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.load import load
from nasbench_rl.errors import MissingCellError, TableError


class Judge:
    """Test scores for reports: of a chosen architecture, and its distance from the best. A search never sees it.

    Of a table in the making the best is that of the architectures that have a score (``summary.table_note`` says so).

    In live mode the shipped table judges too, where there is one: training the test seeds of every architecture to
    know the best would be the exhaustive search that a table is for.
    """

    def __init__(self, bench: Benchmark) -> None:
        """``bench``: of the search; live ones are judged by the shipped table."""
        self.table: Benchmark | None = bench
        if bench.trains:
            try:
                self.table = load(bench.task)
            except TableError:
                self.table = None
        self.best = self.table.optimum(partial=True).score if self.table is not None else float("nan")
        self._known: dict[str, tuple[float, str]] = {"": (bench.task.splits.nothing, "")}

    def test_score(self, arch: str) -> tuple[float, str]:
        """Return the mean test score at max fidelity and its source; NaN without a source where no table has it."""
        if arch not in self._known:
            self._known[arch] = (float("nan"), "")
            if self.table is not None:
                try:
                    found = self.table.query(arch)
                    self._known[arch] = (found.score, found.source)
                except MissingCellError:
                    pass
        return self._known[arch]
