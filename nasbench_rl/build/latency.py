"""``python -m nasbench_rl.build TASK… --latency``: measure how long a forward pass of each network takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import Progress, TaskID

from nasbench_rl._utils import cli, files, provenance
from nasbench_rl.errors import TableError, missing_extra
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.tables import table_io
from nasbench_rl.tables.advice import how_to_train
from nasbench_rl.task import Task
from nasbench_rl.task.side_tables import LATENCY_BATCHES

if TYPE_CHECKING:
    from nasbench_rl.training.latency import Timing

QUIET_LOAD = 0.5
"""Load average above which other processes are at work."""


def measure_latencies(tasks: Sequence[Task], folder: Path, rounds: int | None = None, named: str | None = None) -> None:
    """Measure all networks of each task and put its table of latencies in place of the one that is there.

    Args:
        tasks: whose networks: the whole space, or those in its table where the space cannot be exhausted.
        folder: of tables.
        rounds: bursts of passes a network; None is ``training.latency.ROUNDS``.
        named: the folder as the user named it, for messages.

    Raises:
        MissingExtraError: torch is not installed.
        TableError: an NSC task without a table.
    """
    try:
        from nasbench_rl.training import latency
    except ImportError as error:
        raise missing_extra(error.name or "torch", "live", "measuring latencies") from error
    chosen = [networks(task, folder, named) for task in tasks]
    files.check_writable(folder)
    rounds = rounds or latency.ROUNDS
    _warn_when_busy()
    for task, archs in zip(tasks, chosen, strict=True):
        with Progress(console=cli.console, transient=True, disable=not cli.console.is_terminal) as bar:
            row = bar.add_task(task.id, total=rounds)
            progress = partial(_advance, bar, row)
            timings = latency.measure(task, archs, LATENCY_BATCHES, rounds, progress)
        table_io.replace_table(folder, task.latency, table_io.encode_rows(task.latency, _rows(task, timings)))
        for batch in LATENCY_BATCHES:
            _say(task, batch, [timing for timing in timings if timing.batch == batch])


def networks(task: Task, folder: Path, named: str | None = None) -> list[Architecture]:
    """Which networks are measured; ``named`` is the folder as the user named it.

    Raises:
        TableError: an NSC task without a table.
    """
    if task.exhaustive:
        return list(task.space)
    names = table_io.read_table(folder, task)["arch"].unique().to_pylist()
    if not names:
        raise TableError(
            f"{task.id} has no table in {folder}, which would tell what to measure; train one first: "
            f"{how_to_train(task, tables=named)}"
        )
    return [task.space.parse(name) for name in sorted(names)]


def coverage(folder: Path, task: Task) -> tuple[str, ...]:
    """Return columns of ``build status`` of a task's latencies; empty when there are none."""
    rows = table_io.read_table(folder, task.latency)
    if not len(rows):
        return ()
    size = f"/{len(task.space)}" if task.exhaustive else ""
    return (f"{len(rows['arch'].unique())}{size}", "–", "–", f"{len(rows):,}", task.latency.digest)


def _advance(bar: Progress, row: TaskID, rounds: int) -> None:
    bar.update(row, completed=rounds)


def _rows(task: Task, timings: Sequence[Timing]) -> list[dict[str, Any]]:
    return [
        {
            "arch": timing.arch.name,
            "batch": timing.batch,
            "latency_median": timing.median,
            "latency_p10": timing.quantile(0.1),
            "latency_p90": timing.quantile(0.9),
            "repeats": len(timing.seconds),
            "params": task.size(timing.arch).params,
            "flops": task.size(timing.arch).flops,
            "code_version": provenance.code_version(),
            "machine": provenance.machine(),
        }
        for timing in timings
    ]


def _warn_when_busy() -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > QUIET_LOAD:
        cli.errors.print(
            f"load average {load:.1f}: other processes are at work, so latencies come out longer and less sure; "
            "measure again when the machine is quiet", style="yellow", highlight=False,
        )  # fmt: skip


def _say(task: Task, batch: int, timings: Sequence[Timing]) -> None:
    medians = [1e3 * timing.median for timing in timings]
    spread = float(np.median([timing.quantile(0.9) / timing.quantile(0.1) for timing in timings]))
    cli.console.print(
        f"{task.id}: {len(timings)} networks at batch {batch}, {min(medians):.3g} to {max(medians):.3g} ms a pass, "
        f"p90 / p10 {spread:.2f} in the middle of them, {min(len(one.seconds) for one in timings)} passes or more",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
