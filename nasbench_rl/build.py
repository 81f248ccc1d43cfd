"""``python -m nasbench_rl.build``: train what a table lacks, take in shards from elsewhere, show coverage."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nasbench_rl import cli, store
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.tasks import Task, get_task

REPORT_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: a task's architecture with one train seed."""

    task: str
    arch: str
    seed: int

    @property
    def name(self) -> str:
        """File-name stem of its shard and lock."""
        return f"{self.arch}.seed{self.seed}"


def missing_cells(folder: Path, tasks: Sequence[Task], seeds: int, archs: Sequence[str] | None) -> list[Cell]:
    """What is neither in a table nor waiting as a shard: seed by seed, the longest training of a seed first."""
    cells: list[Cell] = []
    for task in tasks:
        done = store.trained_cells(folder, task)
        chosen = [task.space.parse(arch) for arch in archs] if archs else list(task.space)
        chosen.sort(key=lambda arch: -task.network(arch).flops)
        cells += [
            Cell(task.id, arch.name, seed) for seed in range(seeds) for arch in chosen if (arch.name, seed) not in done
        ]
    return cells


def _work(jobs: Any, reports: Any, folder: Path, device: str, parent: int) -> None:
    """A worker process: trains cells until there is none left, or its parent is gone."""
    from nasbench_rl.training.cells import train_cell
    from nasbench_rl.training.process import tune_process

    tune_process()
    for cell in iter(jobs.get, None):
        last = 0.0

        def progress(steps: int, cell: Cell = cell) -> None:
            nonlocal last
            if os.getppid() != parent:
                os._exit(1)  # the parent was killed: nobody folds or counts what would be trained on
            if time.monotonic() - last > REPORT_EVERY_SECONDS:
                last = time.monotonic()
                reports.put(("steps", cell, steps))

        task = get_task(cell.task)
        with store.lock(folder, f"{Path(store.table_name(task)).stem}.{cell.name}", wait=False) as mine:
            if not mine:
                reports.put(("skipped", cell, "another build is training it"))
                continue
            if (cell.arch, cell.seed) in store.trained_cells(folder, task):
                reports.put(("skipped", cell, "another build has trained it"))
                continue
            started = time.monotonic()
            train_cell(task, cell.arch, cell.seed, folder, device, progress)
            reports.put(("done", cell, time.monotonic() - started))
    reports.put(("idle", None, None))


def train_missing(cells: Sequence[Cell], folder: Path, jobs: int, device: str = "cpu") -> int:
    """Train ``cells`` with ``jobs`` worker processes, one thread each; returns how many were not finished.

    Each finished cell is folded into its table at once. Progress goes to the terminal, or a line a cell elsewhere.
    """
    context = mp.get_context("spawn")
    todo, reports = context.Queue(), context.Queue()
    for cell in cells:
        todo.put(cell)
    for _ in range(jobs):
        todo.put(None)
    workers = [
        context.Process(target=_work, args=(todo, reports, folder, device, os.getpid()), daemon=True)
        for _ in range(min(jobs, len(cells)))
    ]
    for worker in workers:
        worker.start()
    try:
        return _follow(cells, folder, reports, workers)
    finally:
        for worker in workers:
            worker.terminate()


def _follow(cells: Sequence[Cell], folder: Path, reports: Any, workers: Sequence[Any]) -> int:
    sizes = {cell: get_task(cell.task).max_fidelity for cell in cells}
    steps = dict.fromkeys(cells, 0)
    finished = skipped = 0
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True), TextColumn("{task.fields[rate]}"),
    )  # fmt: skip
    started = time.monotonic()
    with Progress(*columns, console=cli.console, disable=not cli.console.is_terminal, speed_estimate_period=600) as bar:
        row = bar.add_task(f"0/{len(cells)} cells", total=sum(sizes.values()), rate="")
        while finished + skipped < len(cells):
            try:
                kind, cell, detail = reports.get(timeout=1.0)
            except queue.Empty:
                if not any(worker.is_alive() for worker in workers):
                    break
                continue
            if kind == "idle":
                continue
            if kind == "steps":
                steps[cell] = detail
            else:
                steps[cell] = sizes[cell]
                finished, skipped = finished + (kind == "done"), skipped + (kind == "skipped")
                if kind == "done":
                    store.fold(folder, get_task(cell.task))
                text = f"in {detail:.0f} s" if kind == "done" else f"skipped: {detail}"
                cli.console.print(f"{cell.task} {cell.arch} train seed {cell.seed} {text}", highlight=False)
            rate = sum(steps.values()) / (time.monotonic() - started)
            bar.update(
                row, completed=sum(steps.values()), rate=f"{rate:,.0f} steps/s",
                description=f"{finished + skipped}/{len(cells)} cells",
            )  # fmt: skip
    lost = len(cells) - finished - skipped
    if lost:
        cli.errors.print(f"{lost} cells were not finished: a worker process ended; run the same command again")
    return lost


def core_hours(cells: Sequence[Cell], folder: Path) -> tuple[float, str]:
    """(hours one core needs for ``cells``, where the estimate comes from): rows measured before, or a short probe."""
    seconds, sources = 0.0, set()
    for id_ in dict.fromkeys(cell.task for cell in cells):
        task = get_task(id_)
        mine = [cell for cell in cells if cell.task == id_]
        measured = _measured_seconds(store.read_table(folder, task), task)
        if measured:
            mean = sum(measured.values()) / len(measured)
            seconds += sum(measured.get(cell.arch, mean) for cell in mine)
            sources.add("CPU seconds in the table")
        else:
            seconds += _probe_seconds(task) * len(mine)
            sources.add("a probe of three updates on this machine")
    return seconds / 3600, " and ".join(sorted(sources))


def _measured_seconds(table: Any, task: Task) -> dict[str, float]:
    frame = table.to_pandas()
    whole = frame[frame["fidelity"] == task.max_fidelity]
    return {str(arch): float(mean) for arch, mean in whole.groupby("arch")["cpu_seconds"].mean().items()}


def _probe_seconds(task: Task) -> float:
    from nasbench_rl.training.ppo import train
    from nasbench_rl.training.process import tune_process

    class Enough(Exception):  # noqa: N818
        pass

    times: list[tuple[int, float]] = []

    def progress(steps: int) -> None:
        times.append((steps, time.process_time()))
        if len(times) == 4:
            raise Enough

    tune_process()
    archs = sorted(task.space, key=lambda arch: task.network(arch).flops)
    try:
        train(task, archs[len(archs) // 2], 0, progress=progress)
    except Enough:
        pass
    (first, start), (last, end) = times[0], times[-1]
    return task.max_fidelity * (end - start) / (last - first)


def _train_parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.build",
        "Train every cell (architecture x train seed) that the tables lack. Ctrl-C or a kill loses at most the cells "
        "in flight; the same command goes on from there. Two builds may run at once and share the work. "
        "Also: build status (coverage), build merge DIR (take in shards trained elsewhere).",
        [
            "python -m nasbench_rl.build minatar-ss1/breakout@lite --seeds 2 --jobs 2",
            "python -m nasbench_rl.build minatar-ss1/breakout@lite --seeds 5 --dry-run",
            "python -m nasbench_rl.build minatar-ss1/breakout@smoke --archs k1-k1 k3-k3 --tables /tmp/mine",
            "python -m nasbench_rl.build status",
            "python -m nasbench_rl.build merge trained-elsewhere/",
        ],
    )
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="task ids, <space>/<environment>@<recipe>")
    parser.add_argument("--seeds", type=cli.positive, default=1, metavar="N", help="train seeds 0 … N−1 (default 1)")
    parser.add_argument("--jobs", type=cli.positive, default=os.cpu_count() or 1, metavar="J",
                        help="worker processes, one thread each (default: one a core)")  # fmt: skip
    parser.add_argument("--archs", nargs="+", metavar="ARCH", help="only these architectures, e.g. k3-k3")
    parser.add_argument("--tables", metavar="DIR", help="folder of tables (default: where queries look)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--dry-run", action="store_true", help="print cells, env steps and core-hours; train nothing")
    parser.add_argument("--resume", action="store_true",
                        help="build always resumes; the flag lets a script say that it means to")  # fmt: skip
    return parser


def train_command(arguments: Sequence[str]) -> int:
    """``build TASK…``."""
    options = _train_parser().parse_args(arguments)
    tasks = [get_task(task) for task in options.tasks]
    folder = Path(options.tables) if options.tables else store.find_tables()
    for task in tasks:
        store.fold(folder, task)  # what an earlier build finished and was killed before folding
    cells = missing_cells(folder, tasks, options.seeds, options.archs)
    steps = sum(get_task(cell.task).max_fidelity for cell in cells)
    if options.dry_run:
        hours, source = core_hours(cells, folder) if cells else (0.0, "nothing to train")
        cli.console.print(f"{len(cells)} cells, {steps:,} env steps, about {hours:.1f} core-hours ({source})")
        return 0
    if not cells:
        cli.console.print("nothing to train: every cell asked for is in the tables")
        return 0
    cli.console.print(f"{len(cells)} cells, {steps:,} env steps, into {folder}", highlight=False)
    return 1 if train_missing(cells, folder, options.jobs, options.device) else 0


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    if not arguments:
        raise InvalidValueError(
            "name at least one task, or 'status' or 'merge'; see python -m nasbench_rl.build --help"
        )
    return train_command(arguments)


if __name__ == "__main__":
    sys.exit(cli.run(main))
