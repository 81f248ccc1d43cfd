"""The benchmark of a task, in one of three modes, and the one-line query."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from nasbench_rl.benchmark.base import MODES, Benchmark, Mode
from nasbench_rl.benchmark.tabular import TabularBenchmark
from nasbench_rl.errors import unknown
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.results import Evaluation, Split
from nasbench_rl.task import Task, get_task


def load(
    task: str | Task,
    mode: Mode = "tabular",
    tables: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    jobs: int | None = None,
    *,
    searches: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> Benchmark:
    """Return the benchmark of a task.

    Args:
        task: ``"<space>/<environment>@<recipe>"``.
        mode: ``"tabular"`` looks up, ``"live"`` trains (and keeps what it trained), ``"surrogate"`` guesses.
        tables: a folder of tables; None looks in ``$NASBENCH_RL_TABLES``, the package and the checkout, and for live
            mode in the user's data folder.
        device: where live mode trains.
        jobs: trainings at once in live mode; None is one a core.
        searches: live searches at once that share these jobs.
        on_progress: called in live mode with how much of what is being charged is done.

    Raises:
        UnknownNameError: no such task or mode.
        TableError: no table, or a broken one.
    """
    known = get_task(task)
    if mode == "tabular":
        return TabularBenchmark(known, tables)
    if mode == "live":
        from nasbench_rl.benchmark.live import LiveBenchmark

        return LiveBenchmark(known, tables, device, jobs, searches, on_progress)
    if mode == "surrogate":
        from nasbench_rl.benchmark.surrogate import SurrogateBenchmark

        return SurrogateBenchmark(known, tables)
    raise unknown("mode", mode, MODES)


_loaded: dict[str | Task, Benchmark] = {}


def query(
    task: str | Task, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
    metric: str | None = None,
) -> Evaluation:  # fmt: skip
    """Return what a network scores in the shipped tables; see ``Benchmark.query``. A process reads a table once.

    >>> query("minatar-ss1/breakout@lite", (5, 5)).arch
    'k5-k5'
    """
    try:
        bench = _loaded[task]
    except (KeyError, TypeError):  # TypeError: what has no hash and is no task
        bench = load(task)
        with contextlib.suppress(TypeError):  # a task of one's own that has no hash
            _loaded[task] = bench  # as it was given: a task of one's own does not answer for a registered one of its id
    return bench.query(arch, fidelity=fidelity, seed=seed, split=split, metric=metric)
