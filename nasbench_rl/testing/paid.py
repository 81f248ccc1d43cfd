"""Whether a search pays for every score that it sees, whatever it does to its run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.budget import Budget
from nasbench_rl.benchmark.run import Run
from nasbench_rl.benchmark.surrogate import SurrogateBenchmark
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.benchmark.tabular import TabularBenchmark
from nasbench_rl.benchmark.weight_sharing import WeightSharing
from nasbench_rl.tables import table_io
from nasbench_rl.tables.results import Evaluation
from nasbench_rl.tables.score_table import ScoreTable

_PAYING = ((Run, "evaluate"), (Run, "curve"), (Run, "darts"), (Run, "resource"), (WeightSharing, "_stored"))
"""Where a run reads for its method what it charges, or what costs nothing to know."""
_READING = (
    (ScoreTable, "view", "its benchmark's table"),
    (Benchmark, "supernets", "its benchmark's supernets"),
    (Surrogate, "_guess", "its benchmark's surrogate"),
    (table_io, "read_table", "a table that it loads itself"),
    (table_io, "read_with_digest", "a table that it loads itself"),
)


class _Account:
    """What one run reads and charges, kept where the run's own fields do not reach.

    Attributes:
        free: what was read past the run.
    """

    def __init__(self, run: Run) -> None:
        self.free: list[str] = []
        self._run, self._depth, self._charged = run, 0, 0
        self._read: dict[tuple[str, int | None], int] = {}

    def paying(self, owner: Any, name: str) -> Any:
        """Return a patch inside which what is read is the run's own."""
        before = getattr(owner, name)

        def method(payer: Run | WeightSharing, *args: Any, **options: Any) -> Any:
            mine = payer is self._run or (isinstance(payer, WeightSharing) and payer._budget is self._run._budget)
            self._depth += mine
            try:
                return before(payer, *args, **options)
            finally:
                self._depth -= mine

        return patch.object(owner, name, method)

    def reading(self, owner: Any, name: str, what: str) -> Any:
        """Return a patch that notes who reads past the run."""
        before = getattr(owner, name)

        def method(*args: Any, **options: Any) -> Any:
            self._note(what)
            return before(*args, **options)

        return patch.object(owner, name, method)

    def _note(self, what: str) -> None:
        if not self._depth:
            self.free.append(what)

    def querying(self, kind: type[Benchmark]) -> Any:
        """Return a patch that notes which trainings are read, and how far."""
        before = kind.query

        def query(bench: Benchmark, *args: Any, seed: int | None = None, **options: Any) -> Evaluation:
            self._note("its benchmark's scores, or those of another run or benchmark")
            found = before(bench, *args, seed=seed, **options)
            self._read[found.arch, seed] = max(found.fidelity, self._read.get((found.arch, seed), 0))
            return found

        return patch.object(kind, "query", query)

    def charging(self) -> Any:
        """Return a patch that adds up what the run charges."""
        before = Budget.charge

        def charge(budget: Budget, amount: int, cpu_seconds: float = 0.0) -> None:
            before(budget, amount, cpu_seconds)
            self._charged += amount if budget is self._run._budget else 0

        return patch.object(Budget, "charge", charge)

    def columns(self) -> Any:
        """Return a patch that notes who takes a table's arrays themselves."""

        def get(table: ScoreTable) -> Any:
            self._note("the arrays of its benchmark's table")
            return table.__dict__["columns"]

        def put(table: ScoreTable, columns: Any) -> None:
            table.__dict__["columns"] = columns

        return patch.object(ScoreTable, "columns", property(get, put), create=True)

    def settle(self) -> None:
        """Compare what was charged with what the run says, and with the trainings that it read."""
        run, least = self._run, sum(self._read.values())
        unit = run.task.fidelity_unit
        if run.spent != self._charged:
            self.free.append(f"a run that says {run.spent:,} of {self._charged:,} {unit} charged")
        elif run.spent < least:
            self.free.append(f"trainings of {least:,} {unit} for {run.spent:,}")


@contextmanager
def only_paid_scores(run: Run) -> Iterator[list[str]]:
    """Note, inside the block, who reads a score past ``run``; yields the list of what was read, whole at the end.

    A score is read past the run by a copy of it, by another run, by a benchmark or table of one's own, and by the run's
    own benchmark; and by a run whose fields are written to, so that it charges less than it reads.
    """
    account = _Account(run)
    with ExitStack() as stack:
        patches = [account.paying(*paying) for paying in _PAYING]
        patches += [account.reading(*reading) for reading in _READING]
        patches += [account.querying(kind) for kind in (TabularBenchmark, SurrogateBenchmark)]
        for patched in (*patches, account.charging(), account.columns()):
            stack.enter_context(patched)
        yield account.free
    account.settle()
