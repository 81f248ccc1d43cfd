"""``python -m nasbench_rl.findings``: docs/findings.md with its figures, every number from a table."""

from __future__ import annotations

if __name__ == "__main__":  # ahead of what takes long to load
    import sys

    from nasbench_rl import entry

    sys.exit(
        entry.run("nasbench_rl.findings.__main__", "finished searches are kept, the same command goes on from them")
    )

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_rl import cli, files, store, unfinished
from nasbench_rl.compare_options import parse_budget, parse_method, shipped_tasks
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.findings import drawing, page
from nasbench_rl.findings.answers import Answers, answers
from nasbench_rl.findings.searches import Searches, digests, record, search, snapshot
from nasbench_rl.leaderboard.runs import runs_file
from nasbench_rl.leaderboard.runs_schema import read_runs
from nasbench_rl.method import get_method, method_names
from nasbench_rl.paths import user_path
from nasbench_rl.task import get_task

BUDGETS = ("3x", "10x")
SEEDS = 100
RECORD = "searches.json"


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.findings",
        "Write a page that answers three questions from the tables: does any method beat exact random search at equal "
        "cost, from what fidelity on do rankings hold, how much of the spread is architecture and how much is seed; "
        "shows how well surrogates guess, and whether FLOPs stand for time. Without --runs every installed method is "
        "run on every shipped task, 100 search seeds with budgets of 3 and of 10 whole trainings.",
        [
            "python -m nasbench_rl.findings",
            "python -m nasbench_rl.findings --runs results/runs.parquet --out results/findings.md",
            "python -m nasbench_rl.findings --methods random_search local_search --budgets 1x 5x --seeds 500",
            "python -m nasbench_rl.findings --redraw",
        ],
    )
    parser.add_argument("--out", type=cli.path, default="docs/findings.md", metavar="FILE",
                        help="the page; figures go to a folder of its name (default docs/findings.md)")  # fmt: skip
    parser.add_argument("--tables", metavar="DIR", help="folder of tables (default: where queries look)")
    parser.add_argument("--runs", nargs="+", metavar="FILE", help="runs that compare wrote, instead of running methods")
    parser.add_argument("--redraw", action="store_true",
                        help=f"take the searches of the page that is there ({RECORD} beside its figures)")  # fmt: skip
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="as in compare (default: all installed)")
    parser.add_argument("--budgets", nargs="+", default=BUDGETS, metavar="B",
                        help="whole trainings as '3x', or env steps (default 3x 10x)")  # fmt: skip
    parser.add_argument("--seeds", type=cli.positive, default=SEEDS, metavar="N",
                        help=f"search seeds a method, task and budget (default {SEEDS})")  # fmt: skip
    cli.add_jobs(parser, "processes")
    return parser


def searches_of(options: Any, folder: Path, recorded: Path) -> Searches:
    """The searches that the command line asks for: recorded, read, or run."""
    if options.redraw:
        found = Searches.read(recorded)
        if found.tables != digests(folder):
            raise TableError(f"{recorded} was made from other tables than those there now; run without --redraw")
        return found
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
    files.check_writable(recorded.parent.parent)  # where the page goes
    return search(tasks, methods, budgets, options.seeds, options.jobs, folder, recorded.parent)


def write(found: Answers, out: Path) -> list[Path]:
    """The page, its figures and the searches behind them; returns the paths."""
    folder = out.with_suffix("")
    written = [out, folder / RECORD]
    files.replace_file(written[1], found.searches.to_json().encode())
    for name, figure in page.figures(found):
        written.append(folder / f"{name}.png")
        drawing.save(figure, written[-1])
    files.replace_file(out, page.markdown(found, folder.name).encode())
    return written


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    cli.check_report("matplotlib", "scipy")
    with tempfile.TemporaryDirectory() as copied:
        folder = snapshot(store.find_tables(options.tables), Path(copied))
        found = answers(searches_of(options, folder, out.with_suffix("") / RECORD), folder)
    for line in (text for answer in page.headlines(found) for text in answer):
        cli.console.print(line, highlight=False, markup=False, soft_wrap=True)
    written = write(found, out)
    unfinished.clear(out.with_suffix(""))
    cli.console.print("written: " + ", ".join(map(str, written)), highlight=False, soft_wrap=True)
    return 0
