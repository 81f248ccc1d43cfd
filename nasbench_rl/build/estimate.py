"""What a build would cost: from rows measured before, or a short probe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasbench_rl.build import selection
from nasbench_rl.tables import table_io
from nasbench_rl.task import GameTask, ImageTask, Task, get_task
from nasbench_rl.training import workers
from nasbench_rl.training.cell import SUPERNET, WHOLE_SPACE, Cell

PROBED_FLOPS = 250e6
"""A forward pass of so many takes seconds a probed epoch; the time of larger networks is extrapolated."""


def core_hours(cells: Sequence[Cell], folder: Path) -> tuple[float, str]:
    """Return the hours that one core needs for ``cells``, and where the estimate comes from: rows or a short probe."""
    seconds, sources = 0.0, set()
    for mine in _by_task(cells):
        known = _seconds_in_table(mine, folder)
        if known is None:
            task = get_task(mine[0].task)
            seconds += _probe_seconds(task, mine) * len(mine)
            sources.add("a short probe on this machine")
        else:
            seconds += known
            sources.add("CPU seconds in the table")
    return seconds / 3600, " and ".join(sorted(sources))


def measured_hours(cells: Sequence[Cell], folder: Path) -> float | None:
    """Return the hours that one core needs for ``cells`` by the rows of their tables; None where a task has none."""
    known = [_seconds_in_table(mine, folder) for mine in _by_task(cells)]
    return None if None in known else sum(seconds for seconds in known if seconds is not None) / 3600


def _by_task(cells: Sequence[Cell]) -> list[list[Cell]]:
    return [[cell for cell in cells if cell.task == id_] for id_ in dict.fromkeys(cell.task for cell in cells)]


def _seconds_in_table(cells: Sequence[Cell], folder: Path) -> float | None:
    """Sum the CPU seconds of one task's cells, of the mean network where its table lacks one; None without a row."""
    measured = _measured_seconds(table_io.read_even_unlisted(folder, cells[0].table), get_task(cells[0].task))
    if not measured:
        return None
    mean = sum(measured.values()) / len(measured)
    return sum(measured.get(cell.arch, mean) for cell in cells)


def drawn_core_hours(task: ImageTask, depth: int, count: int, folder: Path) -> tuple[int, float, str]:
    """Return what ``--drawn`` would cost before it is known which networks will be drawn.

    Returns:
        How many cells a table lacks of ``count`` networks that ``selection.is_drawn`` counts, the hours that one core
        needs for them, and where the estimate comes from: the mean of those in the table, or a short probe of a few.

    Raises:
        InvalidValueError: the space has not so many (``selection.drawn``).
    """
    rows = table_io.read_even_unlisted(folder, task)
    seconds = _measured_seconds(rows, task)
    there = selection.deeper(task, set(rows["arch"].to_pylist()), depth)
    lacking = max(0, count - len(there))
    kind = f"deeper than {depth}" + (", without chains" if not task.space.definition.chain else "")
    if not lacking:
        return 0, 0.0, f"the table has {len(there)} {kind}"
    measured = [mean for name, mean in seconds.items() if name in there]
    if measured:
        each = sum(measured) / len(measured)
        source = f"the mean of the table's {len(measured)} {kind}: {each:.3g} CPU seconds"
    else:
        cells = [Cell(task.id, arch.name, 0) for arch in selection.drawn(task, rows, depth, count)]
        each = _probe_seconds(task, cells)
        source = f"a short probe on this machine: the middle one of {len(cells)} drawn networks, by FLOPs"
    return lacking, lacking * each / 3600, source


def _measured_seconds(table: Any, task: Task) -> dict[str, float]:
    frame = table.to_pandas(use_threads=False)
    whole = frame[frame["fidelity"] == task.max_fidelity].copy()
    if "proxy_cpu_seconds" in frame:  # the fit, and the proxies of every fidelity; both stand in every row
        whole["cpu_seconds"] += frame.groupby("seed")["proxy_cpu_seconds"].sum().mean() / len(task.space)
    return {str(arch): float(mean) for arch, mean in whole.groupby("arch")["cpu_seconds"].mean().items()}


def _probe_seconds(task: Task, cells: Sequence[Cell]) -> float:
    """CPU seconds of the middle training of ``cells`` by FLOPs, from three updates or one epoch of it.

    Where that network is too large for a probe, from one of at most ``PROBED_FLOPS`` and the ratio of the FLOPs.
    """
    workers.check_ready([task], "cpu")
    from nasbench_rl.training.process import tune_process
    from nasbench_rl.training.train_cell import train_darts, train_rows, train_supernet

    class Enough(Exception):  # noqa: N818
        pass

    times, larger = [(0, time.process_time())], 1.0
    wanted = 5 if task.fidelity_unit == "env_steps" else 2

    def progress(steps: int) -> None:
        times.append((steps, time.process_time()))
        if len(times) == wanted:
            raise Enough

    tune_process()
    try:
        if cells[0].arch in WHOLE_SPACE and isinstance(task, GameTask):
            fit = train_supernet if cells[0].arch == SUPERNET else train_darts
            fit(task, 0, Path(), "cpu", progress)  # ends before there is a shard to write
        else:
            sizes = {arch: task.size(arch).flops for arch in (task.space.parse(cell.arch) for cell in cells)}
            middle = sorted(sizes.values())[len(sizes) // 2]
            small = [flops for flops in sizes.values() if flops <= min(middle, PROBED_FLOPS)]
            probed = max(small, default=min(sizes.values()))
            larger = middle / probed
            train_rows(task, next(arch for arch, flops in sizes.items() if flops == probed), 0, "cpu", progress)
    except Enough:
        pass
    if task.fidelity_unit == "env_steps":
        del times[0]  # making the games
    (first, start), (last, end) = times[0], times[-1]
    return larger * task.max_fidelity * (end - start) / (last - first)
