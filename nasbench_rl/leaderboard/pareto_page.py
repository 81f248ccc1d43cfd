"""Score against cost as tables and figures: the fronts that searches find, and their hypervolume over budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.console import Console

from nasbench_rl._utils.text import NONE, fixed, percent
from nasbench_rl._utils.typing import Floats
from nasbench_rl.leaderboard import plots
from nasbench_rl.leaderboard.columns import Cell, Shown
from nasbench_rl.leaderboard.evaluated_task import RANDOM_SEARCH
from nasbench_rl.leaderboard.pareto import (
    BY_VALIDATION,
    Objectives,
    attained,
    declared,
    final_fronts,
    hypervolume_curves,
    reference_fronts,
)
from nasbench_rl.task import get_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPLAINED = (
    "Hypervolume: the area of score against cost (logarithm) that the architectures found dominate, as a share of the "
    "table's true front, from a reference point a tenth beyond the worst of the table in either; 1 is the whole front. "
    "Members are chosen by validation score among what a search has trained furthest, and judged by test score. "
    "Mean over runs, interval over search seeds."
)
OF_TRAINED = (
    "The space is too large for a whole table: 1 is the front of the networks trained, and networks whose scores were "
    "guessed are left out of the searches' fronts."
)
LEFT_OUT = "left out"
WEIGHS = "The cost that a multi-objective method weighs against the score; the others see the score only."
MEANING_LEFT_OUT = (
    "Share of the networks a search looked at whose scores are not measured: they do not count here, so a search that "
    "roams beyond the table looks worse than it may be. Mean over runs."
)


def shown_fronts(task: pd.DataFrame) -> Shown:
    """Make the table of the rows of one task in ``judge_fronts``, a row for each method."""
    resources = list(dict.fromkeys(task["resource"]))
    header = [("method", "A search method, judged by the front of what it has evaluated."), ("weighs", WEIGHS)]
    header += [(f"hypervolume, {resource} [95 %]", EXPLAINED) for resource in resources]
    header += [(LEFT_OUT, MEANING_LEFT_OUT)] * trained_only(task)
    rows, references = [], []
    for method, parts in task.groupby("method", sort=False):
        by_resource, share = parts.set_index("resource"), float(parts["left_out"].min())
        weighs = str(parts["objective"].iloc[0])
        cells = [Cell(str(method), str(method)), Cell(weighs or NONE, weighs)]
        cells += [  # the best network alone may be another one where not every latency is measured
            _cell(by_resource.loc[resource], share) if resource in by_resource.index else Cell(NONE, float("nan"))
            for resource in resources
        ]
        rows.append(cells + [Cell(percent(share), share)] * trained_only(task))
        references.append(bool((parts["mode"] == "reference").all()))
    return Shown(header, rows, references)


def trained_only(task: pd.DataFrame) -> bool:
    """Return whether the rows of one task are judged by the networks trained, without a whole table."""
    return not get_task(str(task["task"].iloc[0])).exhaustive


def _cell(row: pd.Series, left_out: float) -> Cell:
    """Show a hypervolume; ``left_out``: the share in the last column, as fewer networks may have a latency."""
    interval = "" if np.isnan(row["low"]) else f" [{fixed(row['low'])}, {fixed(row['high'])}]"
    more = f", {percent(row['left_out'])} {LEFT_OUT}" if row["left_out"] > left_out else ""
    return Cell(f"{fixed(row['hypervolume'])}{interval}{more}", float(row["hypervolume"]))


def in_brief(task: pd.DataFrame) -> pd.DataFrame:
    """Choose the rows of one task for a terminal: methods that weigh a cost, random search, the best, references."""
    best = task[task["mode"] != "reference"]["method"].head(1)
    named = (task["objective"] != "") | (task["mode"] == "reference") | (task["method"] == RANDOM_SEARCH)
    return task[named | task["method"].isin(best)]


def print_fronts(judged: pd.DataFrame, console: Console) -> None:
    """Print one table for each task."""
    for id_, rows in judged.groupby("task", sort=False):
        brief = in_brief(rows)
        left = rows["method"].nunique() - brief["method"].nunique()
        caption = [OF_TRAINED] * trained_only(rows) + [f"{left} more in hypervolume.csv"] * bool(left)
        console.print(shown_fronts(brief).for_terminal(f"{id_}: score against cost", "\n".join(caption)))


def fronts_markdown(judged: pd.DataFrame) -> list[str]:
    """Write the section as Markdown, every method; nothing where nothing was judged."""
    parts = ["## Score against cost", EXPLAINED] if len(judged) else []
    for id_, rows in judged.groupby("task", sort=False):
        parts += [f"### {id_}", *[OF_TRAINED] * trained_only(rows), shown_fronts(rows).markdown]
    return parts


def coloured(runs: pd.DataFrame) -> list[str]:
    """List the methods that a figure names: those that weigh a cost, and random search."""
    names = list(dict.fromkeys(map(str, runs["method"])))
    weighed = declared(runs)
    return [name for name in names if name in weighed or name == RANDOM_SEARCH]


Draw = Callable[[plots.Look], "Figure"]
"""Makes a figure; what takes long was done before."""


def front_figure(runs: pd.DataFrame, of: Objectives) -> Draw:
    """Prepare ``draw_front`` with what the named methods attain by the end."""
    rows = dict(iter(runs.sort_values(["seed", "step"]).groupby("method", sort=False)))
    found = {name: attained(final_fronts(rows[name], of), of) for name in coloured(runs)}
    chosen = [of.at[name] for name in reference_fronts(of)[BY_VALIDATION]]
    return partial(draw_front, of=of, found=found, by_validation=chosen)


def hypervolume_figure(runs: pd.DataFrame, of: Objectives, points: int) -> Draw:
    """Prepare ``draw_hypervolume`` of every method on one task, on so many ``points`` of the budget."""
    budget, whole = int(runs["budget"].max()), of.bench.task.max_fidelity
    grid = np.linspace(0, budget, points)
    rows = dict(iter(runs.sort_values(["seed", "step"]).groupby("method", sort=False)))
    named = coloured(runs)
    order = [*(name for name in rows if name not in named), *named]  # named ones on top
    curves = {name: hypervolume_curves(rows[name], of, grid) for name in order}
    lines = {name: of.share(members) for name, members in reference_fronts(of).items()}
    return partial(draw_hypervolume, curves=curves, grid=grid / whole, references=lines, of=of, highlight=named)


AXES = {
    "params": ("parameters", 1.0),
    "flops": ("FLOPs of one forward pass (millions)", 1e-6),
    "latency": ("latency of one forward pass, batch 1, one core (ms)", 1e3),
}
"""Name and scale of the axis of each resource."""


def draw_front(
    look: plots.Look, of: Objectives, found: Mapping[str, tuple[Floats, Floats]], by_validation: Sequence[int]
) -> Figure:
    """Draw test score against cost.

    Args:
        look: how it is drawn.
        of: the task's objectives: every architecture is a grey dot, the true front (or that of the networks trained,
            where the space is too large for a table) a line.
        found: per method costs, and the mean score that runs attain at each (``multi_objective.attained``).
        by_validation: positions of the architectures that all validation scores together would choose: ringed.
    """
    styles = plots.Styles(found)
    figure, axes = plots.new_figure(look.width, look.height)
    name, scale = AXES[of.resource]
    costs, scores, best = of.costs * scale, of.scores, of.true_front
    dots, line = (
        ("architectures", "true front (test)") if of.whole_space else ("networks trained", "their front (test)")
    )
    right = costs.max() * (costs.max() / costs.min()) ** 0.03  # lines go on to the right: dearer is never needed
    axes.plot(costs, scores, "o", color=plots.REFERENCE, alpha=0.45, markersize=4, label=dots)
    axes.plot(costs[by_validation], scores[by_validation], "o", color=plots.REFERENCE, markerfacecolor="none",
              markersize=9, label="chosen by all validation scores")  # fmt: skip
    axes.plot([*costs[best], right], [*scores[best], scores[best[-1]]], color="black", linewidth=1.2,
              drawstyle="steps-post", label=line)  # fmt: skip
    for method, (at, score) in found.items():
        across, up = [*at * scale, right], [*score, score[-1]]
        axes.plot(across, up, linewidth=1.8, drawstyle="steps-post", label=method, **styles.line(method))
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = np.geomspace(costs.min(), costs.max(), 5)
    axes.set_xticks(ticks, [f"{tick:.3g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks])
    axes.set_xlabel(name)
    axes.set_ylabel("test " + of.bench.table.view("test").column.removeprefix("test_"))
    said = "" if of.whole_space else "\n(guesses left out)"
    axes.set_title(f"{of.bench.task.id}\nbest score at a cost or below; methods: mean over runs{said}", fontsize=10)
    if look.legend:
        plots.legend_beside(figure)
    return figure


def draw_hypervolume(
    look: plots.Look, curves: dict[str, Floats], grid: Floats, references: Mapping[str, float], of: Objectives,
    highlight: Collection[str],
) -> Figure:  # fmt: skip
    """Draw the mean share of the true front's hypervolume, with its 95 % interval over search seeds, against budget.

    Args:
        look: how it is drawn.
        curves: per method (runs, points); NaN before a first evaluation.
        grid: (points,) budgets in whole trainings.
        references: shares of fixed sets, drawn as horizontal lines.
        of: the task's objectives.
        highlight: methods in their colour; the others are thin and grey.
    """
    figure, axes = plots.new_figure(look.width, look.height)
    plots.draw_curves(axes, curves, grid, highlight, plots.Styles(highlight))
    for name, value in references.items():
        axes.axhline(value, color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
        axes.annotate(  # a network's name may be longer than the figure is wide
            name, (0.01, value), xycoords=("axes fraction", "data"), ha="left", va="bottom", fontsize=8, zorder=5,
            in_layout=False, clip_on=True, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5},
        )  # fmt: skip
    axes.set_xlabel("budget spent (whole trainings)")
    whose = "the true front's" if of.whole_space else "that of the networks trained"
    axes.set_ylabel(f"hypervolume (test score, {of.resource})\nshare of {whose}")
    said = "" if of.whole_space else "\n(guesses left out)"
    axes.set_title(f"{of.bench.task.id}\nwhat the front that each search would choose is worth{said}", fontsize=10)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]), top=1)  # an interval may reach below what can be
    axes.set_xlim(0, float(grid[-1]) * 1.01)
    if look.legend:
        if set(curves) - set(highlight):
            axes.plot([], [], linewidth=0.8, color=plots.REFERENCE, alpha=0.5, label="other methods")
        plots.legend_beside(figure)
    return figure
