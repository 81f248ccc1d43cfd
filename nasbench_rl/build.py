"""``python -m nasbench_rl.build``: train what a table lacks, take in shards from elsewhere, show coverage."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from nasbench_rl import cli, files, measure, selection, store, workers
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.merge import merge
from nasbench_rl.surrogate_report import surrogate_command
from nasbench_rl.tasks import GameTask, ImageTask, Task, get_task, task_ids
from nasbench_rl.workers import DARTS, SUPERNET, WHOLE_SPACE, Cell


def missing_cells(
    folder: Path, tasks: Sequence[Task], seeds: int, archs: Sequence[str] | None = None, depth: int = 0, every: int = 1
) -> list[Cell]:
    """What is neither in a table nor waiting as a shard: seed by seed, the longest training of a seed first.

    Args:
        folder: of tables.
        tasks: whose cells.
        seeds: train seeds 0 … ``seeds`` − 1.
        archs: these alone; None is the whole space, or ``selection.standing`` where it cannot be exhausted.
        depth: there, every network of at most so many layers.
        every: there, train seeds above 0 for every so-manieth architecture only.
    """
    cells: list[Cell] = []
    for task in tasks:
        done = store.trained_cells(folder, task)
        if archs:
            chosen = list(dict.fromkeys(map(task.space.parse, archs)))
        elif isinstance(task, ImageTask):
            chosen = selection.standing(task, done, depth)
        else:
            chosen = list(task.space)
        chosen.sort(key=lambda arch: -task.size(arch).flops)
        cells += [
            Cell(task.id, arch.name, seed)
            for seed in range(seeds)
            for arch in chosen
            if (arch.name, seed) not in done and (seed == 0 or selection.is_repeated(arch, every))
        ]
    return cells


def missing_supernets(folder: Path, tasks: Sequence[Task], seeds: int, family: str = SUPERNET) -> list[Cell]:
    """Supernets 0 … ``seeds`` − 1 of each task that are neither in their table nor waiting as a shard.

    Args:
        folder: of tables.
        tasks: whose supernets.
        seeds: how many.
        family: of ``WHOLE_SPACE``: differentiable searches are listed likewise.

    Raises:
        InvalidValueError: a task whose space has no supernet.
    """
    cells: list[Cell] = []
    for task in tasks:
        if not isinstance(task, GameTask):
            raise InvalidValueError(f"{task.id} has no supernets: they share weights over kernel-choice spaces")
        wanted = [Cell(task.id, family, seed) for seed in range(seeds)]
        done = store.trained_cells(folder, wanted[0].table)
        cells += [cell for cell in wanted if not cell.is_in(done)]
    return cells


def train_missing(cells: Sequence[Cell], folder: Path, jobs: int, device: str = "cpu") -> int:
    """Train ``cells`` with ``jobs`` worker processes, one thread each; returns how many were not finished.

    Each finished cell is folded into its table at once. Progress goes to the terminal, or a line a cell elsewhere.
    """
    tasks = {cell.task: get_task(cell.task) for cell in cells}
    share = dict.fromkeys(cells, 0.0)
    finished, started = 0, time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True), TextColumn("{task.fields[rate]}"),
    )  # fmt: skip
    units = sorted({task.fidelity_unit.replace("_", " ") for task in tasks.values()})
    with (
        Progress(*columns, console=cli.console, disable=not cli.console.is_terminal, speed_estimate_period=600) as bar,
        closing(workers.train(cells, folder, jobs, device)) as events,
    ):
        row = bar.add_task(f"0/{len(cells)} cells", total=len(cells), rate="")
        for event in events:
            share[event.cell] = event.steps / tasks[event.cell.task].max_fidelity
            if event.kind == "failed":
                cli.errors.print(f"{event.cell} failed: {event.text}", style="bold red", markup=False, highlight=False)
            elif event.kind != "steps":
                finished += 1
                store.fold(folder, event.cell.table)
                cli.console.print(f"{event.cell} {event.text}", highlight=False, soft_wrap=True)
            done = sum(part * tasks[cell.task].max_fidelity for cell, part in share.items())
            rate = f"{done / (time.monotonic() - started):,.0f} {units[0]}/s" if len(units) == 1 else ""
            bar.update(
                row, completed=sum(share.values()), rate=rate,
                description=f"{finished}/{len(cells)} cells",
            )  # fmt: skip
    lost = len(cells) - finished
    if lost:
        cli.errors.print(f"{lost} of {len(cells)} cells were not finished; the same command tries them again")
    return lost


def core_hours(cells: Sequence[Cell], folder: Path) -> tuple[float, str]:
    """(hours one core needs for ``cells``, where the estimate comes from): rows measured before, or a short probe."""
    seconds, sources = 0.0, set()
    for id_ in dict.fromkeys(cell.task for cell in cells):
        task = get_task(id_)
        mine = [cell for cell in cells if cell.task == id_]
        measured = _measured_seconds(store.read_table(folder, mine[0].table), task)
        if measured:
            mean = sum(measured.values()) / len(measured)
            seconds += sum(measured.get(cell.arch, mean) for cell in mine)
            sources.add("CPU seconds in the table")
        else:
            seconds += _probe_seconds(task, mine) * len(mine)
            sources.add("a short probe on this machine")
    return seconds / 3600, " and ".join(sorted(sources))


def _measured_seconds(table: Any, task: Task) -> dict[str, float]:
    frame = table.to_pandas(use_threads=False)
    whole = frame[frame["fidelity"] == task.max_fidelity].copy()
    if "proxy_cpu_seconds" in frame:  # the fit, and the proxies of every fidelity; both stand in every row
        whole["cpu_seconds"] += frame.groupby("seed")["proxy_cpu_seconds"].sum().mean() / len(task.space)
    return {str(arch): float(mean) for arch, mean in whole.groupby("arch")["cpu_seconds"].mean().items()}


def _probe_seconds(task: Task, cells: Sequence[Cell]) -> float:
    """CPU seconds of the middle training of ``cells`` by FLOPs, from three updates or one epoch of it."""
    workers.check_ready([task], "cpu")
    from nasbench_rl.training.cells import train_darts, train_rows, train_supernet
    from nasbench_rl.training.process import tune_process

    class Enough(Exception):  # noqa: N818
        pass

    times = [(0, time.process_time())]
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
            archs = sorted((task.space.parse(cell.arch) for cell in cells), key=lambda arch: task.size(arch).flops)
            train_rows(task, archs[len(archs) // 2], 0, "cpu", progress)
    except Enough:
        pass
    if task.fidelity_unit == "env_steps":
        del times[0]  # making the games
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
            "python -m nasbench_rl.build minatar-ss1/breakout@lite --supernet --seeds 5",
            "python -m nasbench_rl.build minatar-ss1/breakout@lite --darts --seeds 5",
            "python -m nasbench_rl.build minatar-ss1/breakout@lite --latency",
            "python -m nasbench_rl.build nsc-chain/emoji@lite --depth 3 --drawn 300",
            "python -m nasbench_rl.build nsc-chain/emoji@lite --seeds 3 --every 10",
            "python -m nasbench_rl.build status",
            "python -m nasbench_rl.build merge trained-elsewhere/",
        ],
    )
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="task ids, <space>/<environment>@<recipe>")
    parser.add_argument("--seeds", type=cli.positive, default=1, metavar="N", help="train seeds 0 … N−1 (default 1)")
    parser.add_argument("--jobs", type=cli.positive, default=os.cpu_count() or 1, metavar="J",
                        help="worker processes, one thread each (default: one a core)")  # fmt: skip
    parser.add_argument("--archs", nargs="+", metavar="ARCH", help="only these architectures, e.g. k3-k3")
    parser.add_argument("--depth", type=cli.positive, metavar="D",
                        help="NSC: every valid network of D layers or less (default: those in the table)")  # fmt: skip
    parser.add_argument("--drawn", type=cli.positive, metavar="N",
                        help="NSC: deeper ones too, drawn as an agent would, until there are N")  # fmt: skip
    parser.add_argument("--every", type=cli.positive, default=1, metavar="K",
                        help="NSC: train seeds above 0 for every K-th architecture only")  # fmt: skip
    whole = parser.add_mutually_exclusive_group()
    whole.add_argument("--supernet", dest="whole", action="store_const", const=SUPERNET,
                       help="fit N supernets instead and store the proxies of all architectures")  # fmt: skip
    whole.add_argument("--darts", dest="whole", action="store_const", const=DARTS,
                       help="run N differentiable searches instead and store their alphas")  # fmt: skip
    whole.add_argument("--latency", action="store_true",
                       help="time a forward pass of every network instead; the machine should be quiet")  # fmt: skip
    parser.add_argument("--repeats", type=cli.positive, metavar="N", help="bursts of passes a network (with --latency)")
    parser.add_argument("--tables", metavar="DIR", help="folder of tables (default: where queries look)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--dry-run", action="store_true", help="print cells, env steps and core-hours; train nothing")
    parser.add_argument("--resume", action="store_true",
                        help="build always resumes; the flag lets a script say that it means to")  # fmt: skip
    return parser


def train_command(arguments: Sequence[str]) -> int:
    """``build TASK…``."""
    options = _train_parser().parse_args(arguments)
    tasks = [get_task(task) for task in dict.fromkeys(options.tasks)]
    folder = Path(options.tables) if options.tables else store.find_tables()
    if options.latency:
        if options.archs:
            raise InvalidValueError("--latency measures every network, all on one machine; leave --archs out")
        measure.measure_latencies(tasks, folder, options.repeats)
        return 0
    if options.whole and options.archs:
        raise InvalidValueError(f"--{options.whole} holds every architecture of its space; leave --archs out")
    if not options.dry_run:
        for table in (table for task in tasks for table in task.tables):
            store.fold(folder, table)  # what an earlier build finished and was killed before folding
    if options.whole:
        cells = missing_supernets(folder, tasks, options.seeds, options.whole)
    else:
        cells = missing_cells(folder, tasks, options.seeds, options.archs, options.depth or 0, options.every)
    if options.dry_run:
        _say_cost(cells, tasks, options.drawn, folder)
        return 0
    if not cells and not options.drawn:
        _say("nothing to train: every cell asked for is in the tables")
        return 0
    workers.check_ready(tasks, options.device)
    files.check_writable(folder)
    lost = _train_and_say(cells, folder, options)
    if options.drawn and not lost:
        lost = _train_drawn(tasks, folder, options)
    return 1 if lost else 0


def _train_and_say(cells: Sequence[Cell], folder: Path, options: Any) -> int:
    if not cells:
        return 0
    _say(f"{_amount(cells)}, into {folder}")
    return train_missing(cells, folder, options.jobs, options.device)


def _train_drawn(tasks: Sequence[Task], folder: Path, options: Any) -> int:
    """Rounds of drawn architectures: later rounds mutate what earlier ones found good."""
    for task in (task for task in tasks if isinstance(task, ImageTask)):
        depth = options.depth or 0
        while archs := selection.drawn(task, store.read_table(folder, task), depth, options.drawn):
            cells = missing_cells(folder, [task], 1, [arch.name for arch in archs])
            lost = _train_and_say(cells, folder, options)
            if lost:
                return lost
    return 0


def _amount(cells: Sequence[Cell]) -> str:
    """``25 cells, 25,000,000 env steps``."""
    effort: Counter[str] = Counter()
    for task in (get_task(cell.task) for cell in cells):
        effort[task.fidelity_unit.replace("_", " ")] += task.max_fidelity
    return ", ".join([f"{len(cells)} cells", *(f"{amount:,} {unit}" for unit, amount in effort.items())])


def _say_cost(cells: Sequence[Cell], tasks: Sequence[Task], drawn: int | None, folder: Path) -> None:
    hours, source = core_hours(cells, folder) if cells else (0.0, "nothing to train")
    _say(f"{_amount(cells)}, about {hours:.2g} core-hours ({source})")
    if drawn:
        _say(f"and up to {drawn * len(tasks)} cells that are drawn when these are trained")


def merge_command(arguments: Sequence[str]) -> int:
    """``build merge DIR``."""
    parser = cli.Parser(
        "python -m nasbench_rl.build merge",
        "Take every shard and table found in DIR, or below it, into the tables. All of it is checked first (schema, "
        "checksums, recipe, no fidelity missing, no cell with other scores than one that is there already): either all "
        "goes in or nothing does. DIR is left as it is.",
        [
            "python -m nasbench_rl.build merge trained-elsewhere/",
            "python -m nasbench_rl.build merge trained-elsewhere/ --tables /tmp/mine",
        ],
    )
    parser.add_argument("source", metavar="DIR", help="folder of shards or tables trained elsewhere")
    parser.add_argument("--tables", metavar="DIR", help="folder of tables to merge into (default: where queries look)")
    options = parser.parse_args(arguments)
    folder = Path(options.tables) if options.tables else store.find_tables()
    merged, aside = merge(Path(options.source), folder)
    for path in aside:
        _say(f"{path} holds no trainings, left aside")
    for one in merged:
        _say(f"{one.task}: {one.added} cells taken in, {one.duplicates} identical duplicates skipped")
    return 0


def status_command(arguments: Sequence[str]) -> int:
    """``build status``."""
    parser = cli.Parser(
        "python -m nasbench_rl.build status",
        "What the tables hold of each task. A cell is one architecture trained with one train seed.",
        ["python -m nasbench_rl.build status", "python -m nasbench_rl.build status --tables /tmp/mine"],
    )
    parser.add_argument("--tables", metavar="DIR", help="folder of tables (default: where queries look)")
    options = parser.parse_args(arguments)
    folder = Path(options.tables) if options.tables else store.find_tables()
    if not folder.is_dir():
        raise InvalidValueError(f"{folder} is no folder; name a folder of tables")
    table = Table(*("task", "architectures", "train seeds", "cells", "rows", "recipe"), title=str(folder))
    faults, none = [], []
    for task in map(get_task, task_ids()):
        for one in (*task.tables, task.latency):
            try:
                columns = measure.coverage(folder, task) if one is task.latency else _coverage(folder, task, one)
            except TableError as error:
                faults.append(error)
                continue
            if columns:
                table.add_row(one.label, *columns)
            elif one is task:
                none.append(task.id)
    if table.row_count:
        cli.console.print(table)
    if none:
        _say(f"no cell of: {', '.join(none)}")
    for fault in faults[:-1]:
        cli.errors.print(f"error: {fault}", style="bold red", markup=False, highlight=False)
    if faults:
        raise faults[-1]
    return 0


def _coverage(folder: Path, task: Task, table: store.Tabled) -> tuple[str, ...]:
    """Status columns of a task's table, or of its supernets'; empty when it has no cell."""
    rows = store.read_table(folder, table)
    points = Counter(zip(rows["arch"].to_pylist(), rows["seed"].to_pylist(), strict=True))
    cells = [cell for cell, count in points.items() if count == len(task.fidelities)]
    waiting = len(store.trained_cells(folder, table) - points.keys())
    if not points and not waiting:
        return ()
    size = f"/{len(task.space)}" if task.exhaustive else ""
    return (
        f"{len({arch for arch, _ in cells})}{size}",
        _seeds(cells),
        f"{len(cells)}" + (f" + {waiting} not folded in yet" if waiting else ""),
        f"{len(rows):,}",
        table.digest,
    )


def _seeds(cells: Iterable[tuple[str, int]]) -> str:
    """``0, 1, 2 (7 architectures)``: the number where a seed has fewer architectures than the fullest one."""
    by_seed = Counter(seed for _, seed in cells)
    most = max(by_seed.values(), default=0)
    return ", ".join(f"{s}" if n == most else f"{s} ({n} architectures)" for s, n in sorted(by_seed.items()))


def _say(text: str) -> None:
    cli.console.print(text, markup=False, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    if not arguments:
        raise InvalidValueError(
            "name at least one task, or 'status', 'merge' or 'surrogate'; see python -m nasbench_rl.build --help"
        )
    command = {"status": status_command, "merge": merge_command, "surrogate": surrogate_command}.get(arguments[0])
    return train_command(arguments) if command is None else command(arguments[1:])


if __name__ == "__main__":
    sys.exit(cli.run(main))
