"""Score against cost as text and figures: the fronts that searches find, and their hypervolume over budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.console import Console

from nasbench_rl import cli, plots
from nasbench_rl.fronts import front_plots
from nasbench_rl.fronts.multi_objective import (
    BY_VALIDATION,
    Objectives,
    attained,
    declared,
    final_fronts,
    hypervolume_curves,
    reference_fronts,
)
from nasbench_rl.leaderboard.columns import NONE, Cell
from nasbench_rl.leaderboard.judged import RANDOM_SEARCH
from nasbench_rl.task import get_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPLAINED = (
    "Hypervolume: the area of score against cost (logarithm) that the architectures found dominate, as a share of the "
    "table's true front, from a reference point a tenth beyond the worst of the table in either; 1 is the whole front. "
    "Members are chosen by validation score among what a search has trained furthest, and judged by test score. "
    "Mean over runs, interval over search seeds. Where a space is too large for a whole table (NSC) the front is that "
    "of the networks trained, and what a search looked at beside them is left out."
)
OF_TRAINED = (
    "The space is too large for a whole table: 1 is the front of the networks trained, and networks whose scores were "
    "guessed are left out of the searches' fronts."
)
LEFT_OUT = "left out"

FRONT_MEANINGS = {
    "method": "A search method; every one can be judged by the front of what it has evaluated.",
    LEFT_OUT: "Share of the networks a search looked at whose scores are no measurements of the table: they count for "
    "nothing here, so a search that roams beyond the table looks worse than it may be. Mean over runs.",
    "weighs": "The cost that a multi-objective method weighs against the score; the others see the score alone.",
}


def shown_cells(task: pd.DataFrame) -> tuple[list[str], list[list[Cell]]]:
    """(header, one row a method) of the rows of one task in ``judge_fronts``."""
    resources = list(dict.fromkeys(task["resource"]))
    header = ["method", "weighs", *(f"hypervolume, {resource} [95 %]" for resource in resources)]
    if trained_alone(task):
        header.append(LEFT_OUT)
    rows = []
    for method, parts in task.groupby("method", sort=False):
        by_resource, share = parts.set_index("resource"), float(parts["left_out"].min())
        weighs = str(parts["objective"].iloc[0])
        rows.append([Cell(str(method), str(method)), Cell(weighs or NONE, weighs)])
        rows[-1] += [  # the best network alone may be another one where not every latency is measured
            _cell(by_resource.loc[resource], share) if resource in by_resource.index else Cell(NONE, math.nan)
            for resource in resources
        ]
        if trained_alone(task):
            rows[-1].append(Cell(_percent(share), share))
    return header, rows


def trained_alone(task: pd.DataFrame) -> bool:
    """Whether the rows of one task are judged by the networks trained, for want of a whole table."""
    return not get_task(str(task["task"].iloc[0])).exhaustive


def _percent(share: float) -> str:
    return NONE if math.isnan(share) else f"{100 * share:.0f} %"


def _cell(row: pd.Series, left_out: float) -> Cell:
    """``left_out``: the share that the row's last column tells; latencies may be measured of fewer networks."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    more = f", {_percent(row['left_out'])} {LEFT_OUT}" if row["left_out"] > left_out else ""
    return Cell(f"{row['hypervolume']:.3f}{interval}{more}", float(row["hypervolume"]))


def in_brief(task: pd.DataFrame) -> pd.DataFrame:
    """The rows of one task that a terminal shows: methods that weigh a cost, random search, the best, references."""
    best = task[task["mode"] != "reference"]["method"].head(1)
    named = (task["objective"] != "") | (task["mode"] == "reference") | (task["method"] == RANDOM_SEARCH)
    return task[named | task["method"].isin(best)]


def print_fronts(judged: pd.DataFrame, console: Console) -> None:
    """One table a task."""
    for id_, rows in judged.groupby("task", sort=False):
        header, cells = shown_cells(in_brief(rows))
        left = rows["method"].nunique() - len(cells)
        caption = [OF_TRAINED] * trained_alone(rows) + [f"{left} more in summary.md"] * bool(left)
        table = cli.Table(title=f"{id_}: score against cost", title_justify="left",
                          caption="\n".join(caption), caption_justify="left")  # fmt: skip
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i < 2 else "right")
        references = set(rows[rows["mode"] == "reference"]["method"])
        for row in cells:
            table.add_row(*(cell.text for cell in row), style="dim" if row[0].key in references else None)
        console.print(table)


def write_section(judged: pd.DataFrame) -> str:
    """The same as Markdown, every method, behind an empty line; nothing where nothing was judged."""
    parts: list[str] = []
    for id_, rows in judged.groupby("task", sort=False):
        header, cells = shown_cells(rows)
        parts += [f"### {id_}", "", *([OF_TRAINED, ""] if trained_alone(rows) else [])]
        parts += ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
        parts += [*("| " + " | ".join(cell.text for cell in row) + " |" for row in cells), ""]
    return "\n".join(["", "## Score against cost", "", EXPLAINED, "", *parts]) if parts else ""


def coloured(runs: pd.DataFrame) -> list[str]:
    """The methods that a figure names: those that weigh a cost, and random search."""
    names = list(dict.fromkeys(map(str, runs["method"])))
    weighed = declared(runs)
    return [name for name in names if name in weighed or name == RANDOM_SEARCH]


Draw = Callable[[plots.Size, bool], "Figure"]
"""Makes a figure of a size (inches), with or without its legend; what takes long was done before."""


def front_figure(runs: pd.DataFrame, of: Objectives) -> Draw:
    """All architectures, the true front, and what the named methods attain by the end; see ``front_plots.front``."""
    rows = dict(iter(runs.sort_values(["seed", "step"]).groupby("method", sort=False)))
    found = {name: attained(final_fronts(rows[name], of), of) for name in coloured(runs)}
    chosen = [of.at[name] for name in reference_fronts(of)[BY_VALIDATION]]
    return partial(front_plots.front, of, found, chosen)


def hypervolume_figure(runs: pd.DataFrame, of: Objectives, points: int) -> Draw:
    """Hypervolume over budget of every method on one task, on so many ``points`` of the budget."""
    budget, whole = int(runs["budget"].max()), of.bench.task.max_fidelity
    grid = np.linspace(0, budget, points)
    rows = dict(iter(runs.sort_values(["seed", "step"]).groupby("method", sort=False)))
    named = coloured(runs)
    order = [*(name for name in rows if name not in named), *named]  # named ones on top
    curves = {name: hypervolume_curves(rows[name], of, grid) for name in order}
    lines = {name: of.share(members) for name, members in reference_fronts(of).items()}
    return partial(front_plots.hypervolume_over_budget, curves, grid / whole, lines, of, named)
