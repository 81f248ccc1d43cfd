"""``build TASK…``: train what a table lacks, with a progress bar, safe to stop and to run twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from nasbench_rl._utils import cli, files
from nasbench_rl._utils.text import show
from nasbench_rl.benchmark.coverage import split_rules
from nasbench_rl.build import kernels, reuse_chains, selection
from nasbench_rl.build.estimate import core_hours, drawn_core_hours, measured_hours
from nasbench_rl.build.latency import measure_latencies
from nasbench_rl.build.progress import BuildProgress
from nasbench_rl.build.todo import missing_cells, missing_supernets
from nasbench_rl.errors import InvalidValueError, MissingExtraError, TableError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.locate import add_tables_option, check_kept, folder_to_fill
from nasbench_rl.task import ImageTask, Task, get_task
from nasbench_rl.training import memory, workers
from nasbench_rl.training.cell import DARTS, SUPERNET, Cell


def train_missing(cells: Sequence[Cell], folder: Path, jobs: int, device: str = "cpu") -> int:
    """Train ``cells`` with ``jobs`` worker processes, one thread each; returns how many were not finished.

    Each finished cell is folded into its table at once.
    """
    fitting = memory.side_by_side(cells, jobs, device)
    if fitting < min(jobs, len(cells)):
        cli.say(f"{fitting} at once instead of {jobs}: memory holds no more of the largest network's trainings")
    finished = 0
    with BuildProgress(cells) as progress, closing(workers.train(cells, folder, fitting, device)) as events:
        for event in events:
            if event.kind == "failed":
                cli.errors.print(f"{event.cell} failed: {event.text}", style="bold red", markup=False, highlight=False)
            elif event.kind != "steps":
                finished += 1
                shards.commit_shards(folder, event.cell.table)
                cli.console.print(f"{event.cell} {event.text}", highlight=False, soft_wrap=True)
            progress.show(event.cell, event.steps, finished)
    lost = len(cells) - finished
    if lost:
        cli.errors.print(f"{lost} of {len(cells)} cells were not finished; the same command tries them again")
    return lost


def _train_parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.build",
        "Train every cell (architecture x train seed) that the tables lack. Ctrl-C or a kill loses at most the cells "
        "in flight; the same command goes on from there. Two builds may run at once and share the work. "
        "Also: build status (coverage), build merge DIR (take in shards trained elsewhere), build surrogate TASK, "
        "build kernels (what torch runs on this CPU).",
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
    cli.add_jobs(parser, "worker processes, one thread each")
    parser.add_argument("--archs", nargs="+", metavar="ARCH", help="only these architectures, e.g. k3-k3")
    parser.add_argument("--depth", type=cli.positive, metavar="D",
                        help="NSC: every valid network of D layers or less (default: those in the table)")  # fmt: skip
    parser.add_argument("--drawn", type=cli.positive, metavar="N",
                        help="NSC: deeper ones too, drawn as an agent would, until there are N; in a space with "
                             "branches chains do not count")  # fmt: skip
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
    add_tables_option(parser)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--dry-run", action="store_true", help="print cells, env steps and core-hours; train nothing")
    parser.add_argument(kernels.ANYWAY, action="store_true",
                        help="train even where torch has only slow reference kernels (build kernels)")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
                        help="build always resumes; the flag lets a script say that it means to")  # fmt: skip
    return parser


def train_command(arguments: Sequence[str]) -> int:
    """``build TASK…``."""
    options = _train_parser().parse_args(arguments)
    tasks = [get_task(task) for task in dict.fromkeys(options.tasks)]
    if options.device != "cpu":
        if options.latency:
            raise InvalidValueError("--latency times one CPU core, as every stored latency does; leave --device out")
        workers.check_device(options.device)
    folder = folder_to_fill(options.tables)
    if not options.dry_run:
        check_kept(folder)
    if options.latency:
        if options.archs:
            raise InvalidValueError("--latency measures every network, all on one machine; leave --archs out")
        if options.dry_run:
            raise InvalidValueError(
                "--latency takes a minute (kernel spaces) to five (NSC) a task and trains nothing; leave --dry-run out"
            )
        measure_latencies(tasks, folder, options.repeats, options.tables)
        return 0
    if (options.depth or options.drawn or options.every > 1) and not all(isinstance(t, ImageTask) for t in tasks):
        raise InvalidValueError("--depth, --drawn and --every are for NSC tasks; agents are trained on whole spaces")
    for task in (task for task in tasks if isinstance(task, ImageTask)):
        selection.check_depth(task, options.depth or 0)
        if options.drawn:
            selection.check_drawn(task, options.depth or 0)
    if options.whole and options.archs:
        raise InvalidValueError(f"--{options.whole} holds every architecture of its space; leave --archs out")
    if not options.dry_run:
        for table in (table for task in tasks for table in task.tables):
            shards.commit_shards(folder, table)  # what an earlier build finished and was killed before folding
        if not (options.archs or options.whole):
            _adopt_chains(folder, tasks)
    if options.whole:
        cells = missing_supernets(folder, tasks, options.seeds, options.whole)
    else:
        cells = missing_cells(folder, tasks, options.seeds, options.archs, options.depth or 0, options.every,
                              may_be_none=bool(options.drawn))  # fmt: skip
    if options.dry_run:
        _say_cost(cells, tasks, options, folder)
        return 0
    if not cells and not options.drawn:
        cli.say("nothing to train: every cell asked for is in the tables")
        return 0
    workers.check_ready(tasks, options.device)
    files.check_writable(folder)
    before = split_rules(folder, tasks)
    lost = _train_and_say(cells, folder, options)
    if options.drawn and not lost:
        lost = _train_drawn(tasks, folder, options)
    say_new_rules(before, split_rules(folder, tasks))
    return 1 if lost else 0


def say_new_rules(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Say whose scores are made of other trainings than before, because a train seed is complete."""
    for id_, rule in after.items():
        if before.get(id_, rule) != rule:
            cli.say(f"{id_}: a train seed is complete over the space, from now on {rule}")


def _adopt_chains(folder: Path, tasks: Sequence[Task]) -> None:
    """Take over what the table of chains spares a task with branches; a broken table spares nothing."""
    for task in (task for task in tasks if isinstance(task, ImageTask)):
        try:
            if adopted := reuse_chains.adopt(folder, task):
                cli.say(f"taken over into {task.id}: {adopted} cells of chains, which were trained alike")
        except TableError as error:
            cli.say(f"no chains are taken over into {task.id}: {error}")


def _train_and_say(cells: Sequence[Cell], folder: Path, options: Any) -> int:
    if not cells:
        return 0
    if options.device == "cpu" and not options.allow_reference:
        kernels.check_cells(cells)
    hours = measured_hours(cells, folder)  # what no row tells, the first steps will: a probe would delay them
    cost = "" if hours is None else f", about {show(hours, 2)} core-hours (CPU seconds in the table)"
    cli.say(f"{_amount(cells)}{cost}, into {folder}")
    return train_missing(cells, folder, options.jobs, options.device)


def _train_drawn(tasks: Sequence[Task], folder: Path, options: Any) -> int:
    """Train rounds of drawn architectures; later rounds mutate what earlier ones found good."""
    for task in (task for task in tasks if isinstance(task, ImageTask)):
        depth = options.depth or 0
        shards.commit_shards(folder, task)
        while archs := selection.drawn(task, table_io.read_table(folder, task), depth, options.drawn):
            cells = missing_cells(folder, [task], 1, [arch.name for arch in archs])
            lost = _train_and_say(cells, folder, options)
            if lost:
                return lost
            shards.commit_shards(folder, task)  # of a killed build, too: what is drawn looks at the table alone
    return 0


def _amount(cells: Sequence[Cell]) -> str:
    """``25 cells, 25,000,000 env steps``."""
    effort: Counter[str] = Counter()
    for task in (get_task(cell.task) for cell in cells):
        effort[task.fidelity_unit.replace("_", " ")] += task.max_fidelity
    return ", ".join([f"{len(cells)} cells", *(f"{amount:,} {unit}" for unit, amount in effort.items())])


def _say_cost(cells: Sequence[Cell], tasks: Sequence[Task], options: Any, folder: Path) -> None:
    if cells or not options.drawn:
        cost = "about 0 core-hours (nothing to train)"
        if cells:
            try:
                hours, source = core_hours(cells, folder)
                cost = f"about {show(hours, 2)} core-hours ({source})"
            except MissingExtraError as error:  # what no row tells is probed
                cost = f"core-hours unknown: {error}"
        cli.say(f"{_amount(cells)}, {cost}")
    for task in (task for task in tasks if options.drawn and isinstance(task, ImageTask)):
        count, hours, source = drawn_core_hours(task, options.depth or 0, options.drawn, folder)
        cli.say(
            f"{'and ' if cells else ''}{count} cells of {task.id} that are drawn, "
            f"{count * task.max_fidelity:,} epochs, about {show(hours, 2)} core-hours ({source})"
        )
