"""``python -m nasbench_rl.leaderboard``: runs of any origin, checked against their tables, as one page and its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_rl import cli, files, store
from nasbench_rl.errors import unknown
from nasbench_rl.fronts.multi_objective import judge_fronts
from nasbench_rl.leaderboard.checklist import checklist
from nasbench_rl.leaderboard.facts import table_facts
from nasbench_rl.leaderboard.render import Leaderboard, latex, markdown
from nasbench_rl.leaderboard.report import build_report
from nasbench_rl.leaderboard.runs import RUNS, read_all, runs_file
from nasbench_rl.leaderboard.verdict import verdicts
from nasbench_rl.records import RESOURCES


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.leaderboard",
        "Read the runs that compare wrote, or anyone's in the same columns, check them against their tables, and "
        "write leaderboard.html (one file to open from disk), .md, .csv, .tex, .parquet, and figures as PNG and SVG.",
        [
            "python -m nasbench_rl.leaderboard results",
            "python -m nasbench_rl.leaderboard results --add mine.parquet --out results/with-mine",
            "python -m nasbench_rl.leaderboard results results-of-a-friend --tables tables",
        ],
    )  # fmt: skip
    parser.add_argument(
        "results", nargs="+", type=cli.path, metavar="DIR", help=f"folders with a {RUNS}, or such files"
    )
    parser.add_argument("--add", nargs="+", action="extend", type=cli.path, default=[], metavar="FILE",
                        help="further files of runs, or folders")  # fmt: skip
    parser.add_argument(
        "--out", type=cli.path, metavar="DIR", help="where the leaderboard goes (default: the first DIR)"
    )
    parser.add_argument("--tables", metavar="DIR", help="folder of tables (default: where queries look)")
    parser.add_argument("--resource", default="flops", metavar="R",
                        help="the cost in figures of fronts: params, flops or latency (default flops)")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    from nasbench_rl.leaderboard.figures import page_figures, save_figures
    from nasbench_rl.leaderboard.page import html

    options = _parser().parse_args(arguments)
    if options.resource not in RESOURCES:
        raise unknown("resource", options.resource, RESOURCES)
    paths = [runs_file(path) for path in [*options.results, *options.add]]
    out: Path = options.out or paths[0].parent
    runs = read_all(list(dict.fromkeys(paths)), options.tables)
    facts = table_facts(options.tables)
    files.check_writable(out)
    report = build_report(runs, options.tables)
    fronts = judge_fronts(runs, options.tables)
    board = Leaderboard(report, verdicts(report), facts, checklist(report, runs, facts), fronts)
    figures = page_figures(report, options.resource)

    store.write_frame(report.frame, out / "leaderboard.parquet")
    for suffix, text in (
        ("csv", report.frame.to_csv(index=False)),
        ("tex", latex(board)),
        ("md", markdown(board)),
        ("html", html(board, figures)),
    ):
        files.replace_file(out / f"leaderboard.{suffix}", text.encode())
    save_figures(figures, out / "figures")
    for verdict in board.verdicts:
        cli.console.print(f"{verdict.family}: {verdict.sentence}", highlight=False, markup=False)
    for task in report.left_out:
        cli.errors.print(f"left out: {task}, as no table tells its regret", style="yellow", markup=False)
    written = ", ".join(str(out / f"leaderboard.{suffix}") for suffix in ("md", "csv", "tex", "parquet"))
    cli.say(f"written: {written}, {out / 'figures'}/")
    cli.say(f"open: {out / 'leaderboard.html'}")
    return 0
