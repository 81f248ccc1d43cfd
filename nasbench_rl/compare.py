"""``python -m nasbench_rl.compare``: every method on every shipped task; tables, plots, raw runs and a page to open."""

from __future__ import annotations

if __name__ == "__main__":  # ahead of what takes long to load
    import sys

    from nasbench_rl import entry

    sys.exit(
        entry.run(
            "nasbench_rl.compare", "finished searches are kept beside the results, the same command goes on from them"
        )
    )

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_rl import cli, files, store, unfinished
from nasbench_rl.benchmark import MODES
from nasbench_rl.errors import (
    MOST,
    InvalidValueError,
    MissingCellError,
    MissingExtraError,
    NasbenchError,
    SmallBudgetError,
    TableError,
    UnsuitedSpaceError,
    unknown,
)
from nasbench_rl.experiment import Search
from nasbench_rl.fronts.front_report import front_figure, hypervolume_figure, print_fronts, write_section
from nasbench_rl.fronts.multi_objective import judge_fronts, objectives
from nasbench_rl.latency_table import read_latencies
from nasbench_rl.leaderboard.command import main as leaderboard_page
from nasbench_rl.loading import load
from nasbench_rl.method import get_method, method_names
from nasbench_rl.pool import is_incomplete, run_all
from nasbench_rl.records import RESOURCES, Resource
from nasbench_rl.spaces import KernelSpace
from nasbench_rl.summary import (
    GRID_POINTS,
    curves_figure,
    judge_table,
    print_choices,
    print_summary,
    summarise,
    write_markdown,
)
from nasbench_rl.task import Task, get_task, task_ids
from nasbench_rl.training import workers

DEFAULT_BUDGET = {"tabular": "10x", "surrogate": "10x", "live": "4x"}
"""Live, the four trainings that weight sharing takes: a supernet and its three best."""
DEFAULT_RUNS = 100
PRESETS = ("rl-agents-paper", "meta-rl-paper")


def shipped_tasks(tables: str | None = None) -> list[str]:
    """Ids of the tasks of whose space every architecture has a validation and a test score."""
    folder = store.find_tables(tables)
    manifest = store.read_manifest(folder)
    ready = []
    for id_ in task_ids():
        task = get_task(id_)
        entry = manifest.get(store.table_name(task))
        if entry is not None and task.exhaustive and entry.architectures == len(task.space):
            if load(id_, tables=folder).table.whole:
                ready.append(id_)
    return ready


def parse_budget(text: str, task: Task) -> int:
    """``"10x"`` whole trainings, or a number in the task's unit.

    Raises:
        InvalidValueError: neither, or nothing at all.
    """
    number = text[:-1] if text.endswith("x") else text
    try:
        value = float(number.replace(",", "").replace("_", ""))
    except ValueError:
        value = float("nan")
    amount = value * task.max_fidelity if text.endswith("x") else value
    if not 1 <= amount <= MOST:
        wrong = "is no number" if value != value else "buys nothing" if amount < 1 else "is more than a run can count"
        raise InvalidValueError(
            f"budget {text!r} {wrong}; allowed: whole trainings as '10x' or {task.fidelity_unit} as "
            f"'{10 * task.max_fidelity}', below {MOST + 1:.3g}"
        )
    if amount < task.fidelities[0]:
        raise InvalidValueError(
            f"budget {text!r} is below the shortest training of {task.id}, {task.fidelities[0]:,} "
            f"{task.fidelity_unit}; give a larger --budget"
        )
    return int(amount)


def parse_method(text: str) -> tuple[str, dict[str, Any]]:
    """``"random_search:samples=3"`` → its name and hyperparameters; values are JSON, or text where they are none.

    Raises:
        InvalidValueError: something behind a colon is not ``key=value``.
    """
    name, *pairs = text.split(":")
    hyperparameters: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidValueError(f"{pair!r} in method {text!r} is not key=value, as in 'random_search:samples=3'")
        try:
            hyperparameters[key] = json.loads(value)
        except (ValueError, RecursionError):
            hyperparameters[key] = value
    return name, hyperparameters


def write_results(
    runs: pd.DataFrame, summary: pd.DataFrame, fronts: pd.DataFrame, out: Path, tables: str | None
) -> list[Path]:
    """``runs.parquet``, ``summary.csv``, ``summary.md``, and ``hypervolume.csv`` where a method weighs a cost."""
    for stale in (*(out / f"leaderboard.{kind}" for kind in ("html", "md", "csv")), out / "hypervolume.csv"):
        stale.unlink(missing_ok=True)  # of the comparison that these runs replace
    written = [out / "runs.parquet", out / "summary.csv", out / "summary.md"]
    store.write_frame(runs, written[0])
    files.replace_file(written[1], summary.to_csv(index=False).encode())
    files.replace_file(written[2], (write_markdown(summary, runs, tables) + write_section(fronts)).encode())
    if len(fronts):
        written.append(out / "hypervolume.csv")
        files.replace_file(written[-1], fronts.to_csv(index=False).encode())
    return written


def write_figures(
    runs: pd.DataFrame, fronts: pd.DataFrame, folder: Path, tables: str | None, resource: Resource
) -> list[Path]:
    """Regret over budget of each task, and where a method weighs a cost its front and hypervolume for one ``resource``.

    The leaderboard's page has the same figures and more, under the same names.
    """
    from nasbench_rl import plots

    written = []
    for task, of_task in runs.groupby("task", sort=False):
        bench = judge_table(str(task), tables, of_task["mode"])
        figure = curves_figure(of_task, bench)
        if figure is not None:
            written += plots.save(figure, folder / plots.file_name("regret", str(task)))
        of = objectives(bench, resource) if len(fronts) else None
        if of is not None:
            for kind, draw in (
                ("front", front_figure(of_task, of)), ("hypervolume", hypervolume_figure(of_task, of, GRID_POINTS))
            ):  # fmt: skip
                written += plots.save(draw(plots.SIZE, True), folder / plots.file_name(kind, resource, str(task)))
    return written


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
                        help=f"search seeds a method and task (default {DEFAULT_RUNS}; meta-rl-paper 3)")  # fmt: skip
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
    parser.add_argument("--preset", metavar="NAME", help="a paper's protocol instead: " + ", ".join(PRESETS))
    parser.add_argument("--experiment", type=int, choices=(1, 2, 3), metavar="E",
                        help="meta-rl-paper: 1 training, 2 evaluation (with --mode live its intensified trainings "
                             "too, which take hours), 3 multi-branch (default 1)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true",
                        help="meta-rl-paper, experiment 2: say how long the intensified trainings take")  # fmt: skip
    parser.add_argument("--device", default="cpu", help="where live mode trains: cpu or cuda")
    return parser


def _is_there(name: str, hyperparameters: dict[str, Any], asked: bool) -> bool:
    """Whether a method can be made; one that nobody asked for and that needs what is not installed is left out."""
    try:
        get_method(name, **hyperparameters)
    except MissingExtraError as error:
        if asked:
            raise
        cli.errors.print(f"left out: {error}", style="yellow", markup=False, highlight=False)
        return False
    return True


def _say_partial(tasks: Sequence[str], tables: str | None) -> None:
    """Name the shipped tables that a default comparison passes over."""
    there = store.read_manifest(store.find_tables(tables))
    partial = [id_ for id_ in task_ids() if id_ not in tasks and store.table_name(get_task(id_)) in there]
    if partial:
        cli.errors.print(
            f"left out, whose tables hold a part of their space: {', '.join(partial)}; those that have a surrogate are "
            "searched with --mode surrogate --tasks …", style="yellow", markup=False, highlight=False,
        )  # fmt: skip


def searches_of(options: Any) -> list[Search]:
    """The searches that the command line asks for; every name is checked before anything runs."""
    if options.mode not in MODES:
        raise unknown("mode", options.mode, MODES)
    if options.resource not in RESOURCES:
        raise unknown("resource", options.resource, RESOURCES)
    cli.check_seeds(options.seed, options.runs or DEFAULT_RUNS)
    tasks = cli.names(options.tasks, "--tasks") or shipped_tasks(
        None if options.mode == "live" else options.tables  # live, --tables is where new cells go
    )
    if options.tasks is None and options.mode == "tabular":
        _say_partial(tasks, options.tables)
    methods = [parse_method(text) for text in cli.names(options.methods, "--methods") or method_names()]
    if not tasks:
        raise TableError("no shipped table is complete; train one: python -m nasbench_rl.build --help")
    methods = [one for one in methods if _is_there(*one, asked=bool(options.methods))]
    if not methods:
        raise MissingExtraError("no installed method can be made; run: pip install 'nasbench-rl[all]'")
    found = []
    for id_ in tasks:
        task = get_task(id_)
        if options.mode != "live":
            bench = load(task, tables=options.tables)
            if options.resource == "latency" and (task.exhaustive or not len(read_latencies(bench.folder, task))):
                bench.latency(bench.table.names[0])  # raises where none was measured
        budget = parse_budget(DEFAULT_BUDGET[options.mode] if options.budget is None else options.budget, task)
        found += [
            Search(id_, m, budget, options.mode, h, options.tables, options.device, options.jobs) for m, h in methods
        ]
    return found


def run_preset(options: Any, out: Path) -> int:
    """A paper's protocol, whose methods, seeds and budgets are fixed."""
    if options.preset not in PRESETS:
        raise unknown("preset", options.preset, PRESETS)
    given = {"--methods": options.methods, "--budget": options.budget}
    if options.mode not in MODES:
        raise unknown("mode", options.mode, MODES)
    trains = options.preset == "meta-rl-paper" and options.experiment == 2
    given |= {"--dry-run": options.dry_run and not trains, "--mode": options.mode != "tabular" and not trains}
    if options.preset == "meta-rl-paper":
        given |= {"--tasks": options.tasks}
    else:
        given |= {"--runs": options.runs, "--experiment": options.experiment}
    if ignored := [name for name, value in given.items() if value]:
        raise InvalidValueError(f"--preset {options.preset} fixes what {', '.join(ignored)} would change; leave it out")
    if options.preset == "meta-rl-paper":
        return _run_meta_rl(options, out)
    cli.check_report("matplotlib", "scipy")
    from nasbench_rl.presets import rl_agents

    tasks = cli.names(options.tasks) or shipped_tasks(options.tables)
    kernel = [id_ for id_ in tasks if isinstance(get_task(id_).space, KernelSpace)]
    return rl_agents.run(kernel, out, options.tables, options.seed, options.jobs)


def _run_meta_rl(options: Any, out: Path) -> int:
    from nasbench_rl.presets import meta_rl as preset

    train: preset.Train = "estimate" if options.dry_run else "yes" if options.mode == "live" else "no"
    runs = options.runs or preset.DEFAULT_RUNS
    cli.check_seeds(options.seed, runs)
    cli.check_report("matplotlib", "scipy")
    return preset.run(
        options.experiment or 1, out, options.tables, options.seed, runs, options.jobs, train, options.device
    )  # fmt: skip


def _of_one_table(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[NasbenchError]]:
    """The runs without those on tasks whose table changed meanwhile, and an error for each of these tasks.

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


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    if options.device != "cpu":  # which alone needs no torch
        workers.check_device(options.device)
    if options.preset is not None:
        return run_preset(options, out)
    for flag, value in (("--dry-run", options.dry_run), ("--experiment", options.experiment)):
        if value:
            raise InvalidValueError(f"{flag} belongs to --preset meta-rl-paper (--experiment 2); nothing was run")
    searches = searches_of(options)
    cli.check_report("matplotlib", "scipy", *(("jinja2",) if options.page else ()))
    files.check_writable(out)

    runs, failures = run_all(searches, options.seed, options.runs or DEFAULT_RUNS, options.jobs, out)
    runs, changed = _of_one_table(runs)
    store.write_frame(runs, out / "runs.parquet")  # before anything is made of them
    failures += changed
    # Unasked for, a method is left out and does not fail where its stored data lack (no supernet yet), the space has
    # nothing for it to do, or the budget does not reach its first evaluation.
    unsuited = (MissingCellError, UnsuitedSpaceError, SmallBudgetError)
    absent = [f for f in failures if isinstance(f, unsuited) and not options.methods]
    for failure in failures:
        text, style = ("left out", "yellow") if failure in absent else ("error", "red")
        cli.errors.print(f"{text}: {failure}", style=style, markup=False, highlight=False)
    tables = None if options.mode == "live" else options.tables  # live runs are judged by the shipped tables
    summary = summarise(runs, tables)
    fronts = judge_fronts(runs, tables)
    written = write_results(runs, summary, fronts, out, tables)
    print_summary(summary, tables, cli.console)
    print_choices(runs, tables, cli.console)
    print_fronts(fronts, cli.console)
    if not options.page:
        written += write_figures(runs, fronts, out / "figures", tables, options.resource)
    cli.say("written: " + ", ".join(str(path) for path in written))
    if options.page and not any(judge_table(str(task), tables, modes) for task, modes in runs.groupby("task")["mode"]):
        cli.errors.print(
            "no leaderboard page: no table tells what is best on these tasks, and so no regret", style="yellow"
        )
    elif options.page:
        leaderboard_page([str(out), "--resource", options.resource, *(["--tables", tables] if tables else [])])
    if not is_incomplete(failures):
        unfinished.clear(out)
    return 1 if len(failures) > len(absent) else 0
