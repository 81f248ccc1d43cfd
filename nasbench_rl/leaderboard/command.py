"""``python -m nasbench_rl.leaderboard``: runs of any origin, checked against their tables, as one page and its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_rl._utils import cli, files
from nasbench_rl.errors import unknown
from nasbench_rl.leaderboard.board import Leaderboard, build_board, latex, markdown
from nasbench_rl.leaderboard.figures import page_figures, save_figures
from nasbench_rl.leaderboard.page import html
from nasbench_rl.leaderboard.runs import RUNS, read_all, runs_file
from nasbench_rl.leaderboard.summary import Tables
from nasbench_rl.tables.locate import add_tables_option, find_tables
from nasbench_rl.tables.results import RESOURCES, Resource


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "python -m nasbench_rl.leaderboard",
        "Read the runs that compare wrote, or any others with the same columns, check them against their tables, and "
        "write leaderboard.html (one file to open from disk), .md, .csv, .tex, and figures as PNG and SVG.",
        [
            "python -m nasbench_rl.leaderboard results",
            "python -m nasbench_rl.leaderboard results --add mine.parquet --out results/with-mine",
            "python -m nasbench_rl.leaderboard results results-of-a-friend --tables tables",
        ],
    )
    parser.add_argument(
        "results", nargs="+", type=cli.path, metavar="DIR", help=f"folders with a {RUNS}, or such files"
    )
    parser.add_argument("--add", nargs="+", action="extend", type=cli.path, default=[], metavar="FILE",
                        help="further files of runs, or folders")  # fmt: skip
    parser.add_argument(
        "--out", type=cli.path, metavar="DIR", help="where the leaderboard goes (default: the first DIR)"
    )
    add_tables_option(parser)
    parser.add_argument("--resource", default="flops", metavar="R",
                        help="the cost in figures of fronts: params, flops or latency (default flops)")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    if options.resource not in RESOURCES:
        raise unknown("resource", options.resource, RESOURCES)
    paths = [runs_file(path) for path in [*options.results, *options.add]]
    out: Path = options.out or paths[0].parent
    find_tables(options.tables)  # before anything is made for a folder without tables
    tables = Tables(options.tables)
    runs = read_all(list(dict.fromkeys(paths)), tables)
    files.check_writable(out)
    board = build_board(runs, tables)
    written = write_tables(board, out)
    write_page(board, out, options.resource)
    print_answers(board, written, out)
    return 0


def write_tables(board: Leaderboard, out: Path) -> list[Path]:
    """Write ``leaderboard.csv`` and ``.md``, and ``hypervolume.csv`` where a method weighs a cost."""
    texts = {"leaderboard.csv": board.report.frame.to_csv(index=False), "leaderboard.md": markdown(board)}
    if len(board.fronts):
        texts["hypervolume.csv"] = board.fronts.to_csv(index=False)
    for name, text in texts.items():
        files.replace_file(out / name, text.encode())
    return [out / name for name in texts]


def write_page(board: Leaderboard, out: Path, resource: Resource) -> None:
    """Write ``leaderboard.html``, ``.tex`` and the figures."""
    figures = page_figures(board.report, resource)
    files.replace_file(out / "leaderboard.tex", latex(board).encode())
    files.replace_file(out / "leaderboard.html", html(board, figures).encode())
    save_figures(board.report, figures, out / "figures")


def print_answers(board: Leaderboard, written: Sequence[Path], out: Path) -> None:
    """Print the answers, what is left out, and where everything was written."""
    for answer in board.answers:
        cli.say(f"{answer.family}: {answer.headline}")
    for task in board.report.left_out:
        cli.errors.print(f"left out: {task}, as no table judges it", style="yellow", markup=False)
    cli.say(f"written: {', '.join(map(str, written))}, {out / 'leaderboard.tex'}, {out / 'figures'}/")
    cli.say(f"open: {out / 'leaderboard.html'}")
