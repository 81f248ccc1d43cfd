"""``python -m nasbench_rl.compare``: every method on every shipped task; tables, plots, raw runs and a page to open."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_rl._utils import cli, files
from nasbench_rl.benchmark.base import MODES
from nasbench_rl.benchmark.method import get_method, method_names
from nasbench_rl.compare import unfinished
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.options import parse_budget, parse_method, shipped_tasks
from nasbench_rl.compare.pool import is_incomplete, run_all
from nasbench_rl.errors import (
    InvalidValueError,
    MissingCellError,
    MissingExtraError,
    NasbenchError,
    SmallBudgetError,
    TableError,
    UnsuitedSpaceError,
    unknown,
)
from nasbench_rl.leaderboard.board import Leaderboard, build_board, sections
from nasbench_rl.leaderboard.command import print_answers, write_page, write_tables
from nasbench_rl.leaderboard.figures import save_figures, task_figures
from nasbench_rl.leaderboard.pareto_page import print_fronts
from nasbench_rl.leaderboard.ranking import ALL
from nasbench_rl.leaderboard.runs import RUNS, check_runs
from nasbench_rl.leaderboard.summary import Tables, approximate_note, print_choices
from nasbench_rl.tables import table_io
from nasbench_rl.tables.latencies import read_latencies
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.parquet import write_frame
from nasbench_rl.tables.results import RESOURCES
from nasbench_rl.task import get_task, task_ids
from nasbench_rl.training import workers

DEFAULT_BUDGET = {"tabular": "10x", "surrogate": "10x", "live": "4x"}
"""Live, the four trainings that weight sharing takes: a supernet and its three best."""
DEFAULT_RUNS = 100
PRESETS = "nasbench_rl.presets"
"""Entry points: functions of (options, folder of the results) that return an exit code."""


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.compare",
        "Run search methods on tasks and compare them by regret: the best test score in the table minus the test score "
        "of the architecture that a search would choose. Without arguments: every installed method on every task whose "
        "table is whole, 100 search seeds, a budget of ten whole trainings.",
        [
            "python -m nasbench_rl.compare",
            "python -m nasbench_rl.compare --tasks minatar-ss1/breakout@lite --methods random_search local_search",
            "python -m nasbench_rl.compare --runs 1000 --budget 3x --out results/three-trainings",
            "python -m nasbench_rl.compare --preset rl-agents-paper",
            "python -m nasbench_rl.compare --preset meta-rl-paper --experiment 1",
            "python -m nasbench_rl.compare --mode live --tasks minatar-ss1/breakout@smoke --runs 1 --budget 3x",
        ],
    )
    parser.add_argument(
        "--tasks", nargs="+", metavar="TASK", help="task ids (default: every task whose table is complete)"
    )
    parser.add_argument("--methods", nargs="+", metavar="METHOD",
                        help="methods, also as random_search:samples=3 (default: all installed)")  # fmt: skip
    parser.add_argument("--runs", type=cli.positive, metavar="N",
                        help=f"search seeds for each search (default {DEFAULT_RUNS}; meta-rl-paper 3)")  # fmt: skip
    parser.add_argument("--budget", metavar="B",
                        help="whole trainings as '10x', or env steps or epochs (default 10x; live 4x)")  # fmt: skip
    parser.add_argument(
        "--mode", default="tabular", metavar="MODE", help="tabular, live or surrogate (default tabular)"
    )
    parser.add_argument(
        "--out", type=cli.path, default="results", metavar="DIR", help="where results go (default results/)"
    )
    parser.add_argument("--seed", type=cli.seed, default=0, metavar="S", help="first search seed (default 0)")
    parser.add_argument("--tables", metavar="DIR",
                        help="folder of tables (default: where queries look; live: your data folder)")  # fmt: skip
    cli.add_jobs(parser, "processes, and trainings at once in live mode")
    parser.add_argument("--resource", default="flops", metavar="R",
                        help="the cost in figures of fronts: params, flops or latency (default flops)")  # fmt: skip
    parser.add_argument("--no-page", dest="page", action="store_false",
                        help="leave out the leaderboard page, whose figures take a few seconds")  # fmt: skip
    presets = ", ".join(sorted(metadata.entry_points(group=PRESETS).names))
    parser.add_argument("--preset", metavar="NAME", help=f"a paper's protocol instead: {presets}")
    parser.add_argument("--experiment", type=int, choices=(1, 2, 3), metavar="E",
                        help="meta-rl-paper: 1 training, 2 evaluation (with --mode live its intensified trainings "
                             "too, which take hours), 3 multi-branch (default 1)")  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true", help="say why each method or task is left out")
    parser.add_argument("--dry-run", action="store_true",
                        help="meta-rl-paper, experiment 2: say how long the intensified trainings take")  # fmt: skip
    parser.add_argument("--device", default="cpu", help="where live mode trains: cpu or cuda")
    return parser


Named = tuple[str, dict[str, Any]]
"""A method's name and hyperparameters."""
LeftOut = dict[str, str]
"""What is left out, by the reason why."""


def _makeable(methods: Sequence[Named], asked: bool) -> tuple[list[Named], LeftOut]:
    """Return the methods that can be made, and those that cannot.

    Raises:
        MissingExtraError: a method that was asked for needs what is not installed, or none can be made.
    """
    found: list[Named] = []
    left_out: LeftOut = {}
    for name, hyperparameters in methods:
        try:
            get_method(name, **hyperparameters)
        except MissingExtraError as error:
            if asked:
                raise
            left_out[str(error)] = name
        else:
            found.append((name, hyperparameters))
    if not found:
        raise MissingExtraError("no installed method can be made; run: pip install 'nasbench-rl[all]'")
    return found, left_out


def _partial_tables(tasks: Sequence[str], tables: Tables) -> LeftOut:
    """Return the tasks with a table that a default comparison passes over."""
    there = read_manifest(find_tables(tables.folder))
    partial = [id_ for id_ in task_ids() if id_ not in tasks and table_io.table_name(get_task(id_)) in there]
    why = "its table holds a part of its space; if it has a surrogate: --mode surrogate --tasks"
    return {f"{id_}: {why} {id_}": id_ for id_ in partial}


def _say_left_out(left_out: LeftOut, verbose: bool) -> None:
    """Name in one line what is left out without being asked for; with ``-v`` say why, a line for each reason."""
    lines = [f"left out: {reason}" for reason in left_out] if verbose else []
    if left_out and not verbose:
        lines = [f"left out: {', '.join(dict.fromkeys(left_out.values()))}; -v says why"]
    for line in lines:
        cli.errors.print(line, style="yellow", markup=False, highlight=False)


def searches_of(options: Any, tables: Tables) -> tuple[list[Search], LeftOut]:
    """Return the searches that the command line asks for, and what is left out of them.

    Every name is checked before anything runs. ``tables``: that are searched, or of live searches those that judge.
    """
    if options.mode not in MODES:
        raise unknown("mode", options.mode, MODES)
    if options.resource not in RESOURCES:
        raise unknown("resource", options.resource, RESOURCES)
    cli.check_seeds(options.seed, options.runs or DEFAULT_RUNS)
    tasks = cli.names(options.tasks, "--tasks") or shipped_tasks(tables)
    methods = [parse_method(text) for text in cli.names(options.methods, "--methods") or method_names()]
    if not tasks:
        raise TableError("no shipped table is complete; train one: python -m nasbench_rl.build --help")
    methods, left_out = _makeable(methods, asked=bool(options.methods))
    if options.tasks is None and options.mode == "tabular":
        left_out |= _partial_tables(tasks, tables)
    found = []
    for id_ in tasks:
        task = get_task(id_)
        if options.mode != "live":
            bench = tables.load(id_, options.mode)
            if options.resource == "latency" and (task.exhaustive or not len(read_latencies(bench.folder, task))):
                bench.latency(bench.table.names[0])  # raises where none was measured
        budget = parse_budget(DEFAULT_BUDGET[options.mode] if options.budget is None else options.budget, task)
        found += [
            Search(id_, m, budget, options.mode, h, options.tables, options.device, options.jobs) for m, h in methods
        ]
    return found, left_out


def run_preset(options: Any, out: Path) -> int:
    """Run a paper's protocol, which fixes methods, seeds or budgets: an entry point of the group ``PRESETS``."""
    known = {found.name: found for found in metadata.entry_points(group=PRESETS)}
    if options.preset not in known:
        raise unknown("preset", options.preset, sorted(known))
    if options.mode not in MODES:
        raise unknown("mode", options.mode, MODES)
    return int(known[options.preset].load()(options, out))


def _of_one_table(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[NasbenchError]]:
    """Drop the runs on tasks whose table changed meanwhile; return the rest, and an error for each of these tasks.

    Live runs read no table; what judges them is looked up again when they are read.

    Raises:
        TableError: the tables of all tasks changed.
    """
    changed = runs[runs["mode"] != "live"].groupby("task")["table"].nunique()
    errors: list[NasbenchError] = [
        TableError(
            f"the table of {task} changed while it was searched (a build that goes on?), so that its searches were "
            "dropped; run them again, or on a copy of the tables (--tables)"
        )
        for task in changed.index[changed > 1]
    ]
    kept = runs[~runs["task"].isin(changed.index[changed > 1])]
    if errors and kept.empty:
        raise errors[0]
    return kept.reset_index(drop=True), errors


def _as_searched(tables: Tables, runs: pd.DataFrame, out: Path) -> Tables:
    """Return the tables; loaded again if a build replaced one between their loading and the searches.

    Raises:
        TableError: it was replaced once more since.
    """
    searched = runs[runs["mode"] != "live"].groupby("task")
    if any(tables.load(str(task), of["mode"].iloc[0]).digest != of["table"].iloc[0] for task, of in searched):
        tables = Tables(tables.folder)
        check_runs(out / RUNS, runs, tables, {})
    return tables


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    if options.device != "cpu":  # needs no torch
        workers.check_device(options.device)
    if options.preset is not None:
        return run_preset(options, out)
    for flag, value in (("--dry-run", options.dry_run), ("--experiment", options.experiment)):
        if value:
            raise InvalidValueError(f"{flag} belongs to --preset meta-rl-paper (--experiment 2); nothing was run")
    # Live, --tables is where new cells go: what judges the runs are the shipped tables.
    tables = Tables(None if options.mode == "live" else options.tables)
    searches, left_out = searches_of(options, tables)
    cli.check_report("matplotlib", "scipy", "tabulate", *(("jinja2",) if options.page else ()))
    files.check_writable(out)

    runs, failures = run_all(searches, options.seed, options.runs or DEFAULT_RUNS, options.jobs, out)
    runs, changed = _of_one_table(runs)
    write_frame(runs, out / RUNS)  # before anything is made of them
    failures += changed
    # Unasked for, a method is left out and does not fail where its stored data lack (no supernet yet), the space has
    # nothing for it to do, or the budget does not reach its first evaluation.
    unsuited = (MissingCellError, UnsuitedSpaceError, SmallBudgetError)
    absent = [f for f in failures if isinstance(f, unsuited) and not options.methods]
    for reason in map(str, absent):
        method = reason.split(": ")[0]
        left_out[reason] = method + " (on some tasks)" * (method in set(runs["method"]))
    _say_left_out(left_out, options.verbose)
    for failure in failures:
        if failure not in absent:
            cli.errors.print(f"error: {failure}", style="red", markup=False, highlight=False)
    _report(runs, _as_searched(tables, runs, out), options, out)
    if not is_incomplete(failures):
        unfinished.clear(out)
    return 1 if len(failures) > len(absent) else 0


def _report(runs: pd.DataFrame, tables: Tables, options: Any, out: Path) -> None:
    """Print and write what the runs say."""
    for stale in (*(out / f"leaderboard.{kind}" for kind in ("html", "md", "csv", "tex")), out / "hypervolume.csv"):
        stale.unlink(missing_ok=True)  # of the comparison that these runs replace
    print_choices(runs, tables, cli.console)
    if not any(tables.judge(str(task), modes) for task, modes in runs.groupby("task")["mode"]):
        cli.say(f"written: {out / RUNS}")
        cli.errors.print("no leaderboard: no table knows the best of these tasks, and so no regret", style="yellow")
        return
    board = build_board(runs, tables)
    _print_board(board)
    written = [out / RUNS, *write_tables(board, out)]
    if options.page:
        write_page(board, out, options.resource)
        print_answers(board, written, out)
    else:
        save_figures(board.report, task_figures(board.report, options.resource), out / "figures")
        cli.say(f"written: {', '.join(map(str, written))}, {out / 'figures'}/")


def _print_board(board: Leaderboard) -> None:
    for family in board.report.families:
        for section in sections(board.report, family):
            if section.task != ALL or len(board.report.families[family]) > 1:
                approximate = approximate_note(board.report.rows(family, section.task))
                notes = "\n".join(dict.fromkeys(filter(None, (section.budget, *section.notes, approximate))))
                cli.console.print(section.main.for_terminal(section.caption, notes))
    print_fronts(board.fronts, cli.console)
