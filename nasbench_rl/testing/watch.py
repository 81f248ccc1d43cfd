"""What the contracts watch a search with: its spending, its end, what it reads, and the global random state."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import pytest

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.budget import Budget
from nasbench_rl.benchmark.coverage import tasks
from nasbench_rl.benchmark.load import load
from nasbench_rl.benchmark.method import Method
from nasbench_rl.benchmark.run import Run
from nasbench_rl.benchmark.surrogate import SurrogateBenchmark
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.benchmark.tabular import TabularBenchmark
from nasbench_rl.errors import (
    BudgetExhausted,
    MissingExtraError,
    TestDataError,
)
from nasbench_rl.spaces.base import ArchLike, size_of
from nasbench_rl.tables.results import Evaluation, Split
from nasbench_rl.tables.score_table import ScoreTable, View
from nasbench_rl.task import get_task

SECONDS = 120
"""A search in tabular mode that takes longer counts as one that does not end."""
FREE_VISITS = 400
"""So many evaluations an architecture in a row, none of them charged, count as a search that does not end."""
OLDER_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Prescott"}
"""Environment in which torch, MKL and NumPy's BLAS leave out an x86 processor's newer instructions and round as on one
without them; what does not know the names ignores them."""
Made = TypeVar("Made")


class WatchedBudget(Budget):
    """A budget that keeps accounts of its own."""

    charged = uncharged = 0

    def charge(self, amount: int, cpu_seconds: float = 0.0) -> None:
        """As ``Budget.charge``."""
        super().charge(amount, cpu_seconds)
        self.charged += amount
        if amount:
            self.uncharged = 0


class WatchedRun(Run):
    """A run that keeps accounts of its own and stops a search that goes on for nothing."""

    def __init__(self, benchmark: Benchmark, budget: int, seed: int) -> None:
        """As ``Run``."""
        super().__init__(benchmark, budget, seed)
        self._watched = self._budget = WatchedBudget(self.budget, self.task.fidelity_unit)

    @property
    def charged(self) -> int:
        """What was charged, whatever the run says."""
        return self._watched.charged

    def evaluate(
        self,
        arch: ArchLike,
        fidelity: int | None = None,
        *,
        inherit: ArchLike | None = None,
        split: Split = "validation",
    ) -> float:
        """Evaluate as ``Run.evaluate`` does; fails after too many evaluations in a row that charged nothing."""
        limit = FREE_VISITS * min(size_of(self.space), 1000)
        self._watched.uncharged += 1
        if self._watched.uncharged > limit:  # by pytest.fail, as in time_limit
            pytest.fail(
                f"{limit:,} evaluations in a row charged nothing and the search goes on with {self.remaining:,} of "
                f"{self.budget:,} {self.task.fidelity_unit} left: let it end when BudgetExhausted is raised, and when "
                "evaluate() leaves run.spent as it was too often in a row (every train seed is paid for)"
            )
        return super().evaluate(arch, fidelity, inherit=inherit, split=split)


def search(method: Method, benchmark: Benchmark, budget: int, seed: int) -> WatchedRun:
    """Run one search, as ``compare`` does; ``BudgetExhausted`` is the normal end.

    Raises:
        pytest.fail.Exception: it does not end.
        Exception: whatever the method raises.
    """
    run = WatchedRun(benchmark, budget, seed)
    with time_limit(run):
        try:
            method(run)
        except BudgetExhausted:
            pass
    return run


@contextmanager
def sealed_test_split() -> Iterator[list[str]]:
    """Raise a TestDataError for whoever reads the test split in the block; yields the list of what was tried."""
    tried: list[str] = []
    view_before = ScoreTable.view
    guess_before = Surrogate._guess

    def refuse(what: str) -> TestDataError:
        tried.append(what)
        return TestDataError(f"a search sees the validation split only; it tried to read {what}")

    def view(self: ScoreTable, split: Split, metric: str | None = None) -> View:
        found = view_before(self, split, metric)
        if split == "test" or (self.single_seed and found.column == view_before(self, "test").column):
            raise refuse(f"{found.column} of the {split} split of {self.task.id}")
        return found

    def sealed(kind: type[Benchmark]) -> Any:
        before = kind.query

        def query(self: Benchmark, arch: ArchLike, *, split: Split = "test", **rest: Any) -> Evaluation:
            if split == "test":  # a cached record is given out without a look into the table
                raise refuse(f"the test split of {self.task.id} by a query")
            return before(self, arch, split=split, **rest)

        return patch.object(kind, "query", query)

    def guess(self: Surrogate, archs: Sequence[ArchLike], split: Split, fidelities: Sequence[int]) -> Any:
        if split == "test":
            raise refuse(f"guesses of the test split of {self.task.id}")
        return guess_before(self, archs, split, fidelities)

    with (
        patch.object(ScoreTable, "view", view),
        sealed(TabularBenchmark),
        sealed(SurrogateBenchmark),
        patch.object(Surrogate, "_guess", guess),
    ):
        yield tried


def complete_tasks(tables: str | os.PathLike[str] | None = None) -> list[str]:
    """Return, of every search space, the first task in the tables on which each architecture is trained."""
    frame = tasks(tables)
    chosen: dict[str, str] = {}
    for id_ in frame.loc[frame["trained"] == frame["architectures"], "task"]:
        chosen.setdefault(get_task(id_).space.name, id_)
    return list(chosen.values())


def or_skip(make: Callable[[], Made]) -> Made:
    """Return what ``make`` gives; skip the test where an optional dependency is absent."""
    try:
        return make()
    except MissingExtraError as error:
        pytest.skip(str(error))


def search_in_child() -> None:
    """Search as the pickled job on stdin says and print the trajectory."""
    method, task, mode, tables, budget, seed = pickle.load(sys.stdin.buffer)
    print(repr(search(method, load(task, mode, tables), budget, seed).points))


def difference(one: Run, other: Run) -> str | None:
    """Return where two trajectories part, by their text, because NaN does not equal itself."""
    pairs = itertools.zip_longest(map(repr, one.points), map(repr, other.points))
    return next((f"step {i}: {a} the first time, {b} again" for i, (a, b) in enumerate(pairs) if a != b), None)


def global_state() -> dict[str, Any]:
    """Return the state of every global generator that is loaded, by name, comparable."""
    state: dict[str, Any] = {"random": random.getstate()}
    state["NumPy"] = repr(np.random.get_state(legacy=False))  # noqa: NPY002
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = torch.random.get_rng_state().numpy().tobytes()
    return state


@contextmanager
def other_global_state() -> Iterator[None]:
    """Set other seeds for whoever draws from the global state; puts the old state back afterwards."""
    before, numpy_before = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    torch_before = torch.random.get_rng_state() if torch is not None else None
    try:
        random.seed(20)
        np.random.seed(20)  # noqa: NPY002
        if torch is not None:
            torch.manual_seed(20)
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)  # noqa: NPY002
        if torch is not None:
            torch.random.set_rng_state(torch_before)


@contextmanager
def time_limit(run: Run) -> Iterator[None]:
    """Fail after ``SECONDS``, where the system has an alarm signal and this is the main thread.

    What ``pytest.fail`` raises is no ``Exception``, so that an ``except Exception`` in the search does not swallow it.
    """

    def late(number: int, frame: FrameType | None) -> None:
        pytest.fail(
            f"the search did not end within {SECONDS} s, after {len(run.points):,} evaluations and {run.spent:,} of "
            f"{run.budget:,} {run.task.fidelity_unit}; the traceback shows where it was. Let it end when run.remaining "
            "is 0 and when BudgetExhausted is raised"
        )

    try:
        before = signal.signal(signal.SIGALRM, late)
    except (AttributeError, ValueError):
        yield
        return
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
