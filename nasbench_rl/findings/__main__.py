"""``python -m nasbench_rl.findings``: docs/findings.md with its figures and CSV files, from the tables."""

from __future__ import annotations

if __name__ == "__main__":  # ahead of what takes long to load
    import sys

    from nasbench_rl._utils import entry

    sys.exit(
        entry.run("nasbench_rl.findings.__main__", "finished searches are kept, the same command goes on from them")
    )

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_rl._utils import cli, files
from nasbench_rl._utils.paths import user_path
from nasbench_rl.benchmark.method import get_method, method_names
from nasbench_rl.compare import unfinished
from nasbench_rl.compare.options import parse_budget, parse_method, shipped_tasks
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.findings import figures, latency
from nasbench_rl.findings.page import page
from nasbench_rl.findings.results import Results, results
from nasbench_rl.findings.searches import Searches, record, search, snapshot
from nasbench_rl.leaderboard.runs import runs_file
from nasbench_rl.leaderboard.runs_schema import read_runs
from nasbench_rl.tables.locate import add_tables_option, find_tables
from nasbench_rl.task import get_task

BUDGETS = ("3x", "10x")
SEEDS = 100


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.findings",
        "Write a page that answers three questions from the tables: does any method beat exact random search at equal "
        "cost, from what fidelity on do rankings hold, how much of the spread is architecture and how much is seed; "
        "shows how well surrogates guess, and whether FLOPs stand for time. Without --runs every installed method is "
        "run on every shipped task, 100 search seeds with budgets of 3 and of 10 whole trainings (ten minutes).",
        [
            "python -m nasbench_rl.findings",
            "python -m nasbench_rl.findings --runs results/runs.parquet --out results/findings.md",
            "python -m nasbench_rl.findings --methods random_search local_search --budgets 1x 5x --seeds 500",
            "python -m nasbench_rl.findings --redraw",
        ],
    )
    parser.add_argument("--out", type=cli.path, default="docs/findings.md", metavar="FILE",
                        help="the page; its CSV files and figures go to a folder of its name "
                             "(default docs/findings.md)")  # fmt: skip
    add_tables_option(parser)
    parser.add_argument("--runs", nargs="+", metavar="FILE", help="runs that compare wrote, instead of running methods")
    parser.add_argument("--redraw", action="store_true", help="page and figures from the CSV files that are there")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="as in compare (default: all installed)")
    parser.add_argument("--budgets", nargs="+", default=BUDGETS, metavar="B",
                        help="whole trainings as '3x', or env steps (default 3x 10x)")  # fmt: skip
    parser.add_argument("--seeds", type=cli.positive, default=SEEDS, metavar="N",
                        help=f"search seeds for each method, task and budget (default {SEEDS})")  # fmt: skip
    cli.add_jobs(parser, "processes")
    return parser


def _searches(options: Any, folder: Path, out: Path) -> Searches:
    """Read or run the searches that the command line asks for; ``out`` keeps what is finished."""
    if options.runs:
        files_of_runs = cli.names(options.runs)
        if not files_of_runs:  # as an empty variable of a shell
            raise InvalidValueError("--runs names nothing; give files that compare wrote, or leave it out")
        frames = [read_runs(runs_file(user_path(name))) for name in files_of_runs]
        return record(pd.concat(frames, ignore_index=True), folder)
    tasks = shipped_tasks(str(folder))
    methods = [parse_method(text) for text in cli.names(options.methods) or method_names()]
    for name, given in methods:
        get_method(name, **given)  # every name is checked before anything runs
    budgets = {id_: [parse_budget(text, get_task(id_)) for text in cli.names(options.budgets)] for id_ in tasks}
    files.check_writable(out.parent)  # where the page goes
    return search(tasks, methods, budgets, options.seeds, options.jobs, folder, out)


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    folder, written = out.with_suffix(""), [out]
    cli.check_report("matplotlib", "scipy", "jinja2", "tabulate")
    with tempfile.TemporaryDirectory() as copied:
        tables = find_tables(options.tables)
        if not options.redraw:
            tables = snapshot(tables, Path(copied))
            written += results(_searches(options, tables, folder), tables).write(folder)
        found = Results.read(folder)  # as rounded there, so that --redraw gives the same page
        for name, figure in figures.figures(found, latency.measured(tables)):
            written.append(folder / f"{name}.png")
            figures.save(figure, written[-1])
    files.replace_file(out, page(found, folder.name).encode())
    unfinished.clear(folder)
    cli.say("written: " + ", ".join(map(str, written)))
    if not options.redraw:
        cli.say("The sentences of the page were written by people: read them again beside these numbers.")
    return 0
