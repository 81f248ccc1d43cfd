"""Figures of score against cost, in the style of ``plots``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl import plots
from nasbench_rl.fronts.multi_objective import Objectives

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
AXES = {
    "params": ("parameters", 1.0),
    "flops": ("FLOPs of one forward pass (millions)", 1e-6),
    "latency": ("latency of one forward pass, batch 1, one core (ms)", 1e3),
}
"""Name and scale of the axis of each resource."""


def front(
    of: Objectives,
    found: Mapping[str, tuple[Array, Array]],
    by_validation: Sequence[int],
    size: plots.Size = plots.SIZE,
    legend: bool = True,
) -> Figure:
    """Test score against cost.

    Args:
        of: the task's objectives: every architecture is a grey dot, the true front (or that of the networks trained,
            where the space is too large for a table) a line.
        found: per method costs, and the mean score that runs attain at each (``multi_objective.attained``).
        by_validation: positions of the architectures that all validation scores together would choose: ringed.
        size: in inches.
        legend: whether the figure names its lines itself.
    """
    figure, axes = plots.new_figure(*size)
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
        axes.plot(across, up, linewidth=1.8, drawstyle="steps-post", label=method, **plots.method_style(method))
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = np.geomspace(costs.min(), costs.max(), 5)
    axes.set_xticks(ticks, [f"{tick:.3g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks])
    axes.set_xlabel(name)
    axes.set_ylabel("test " + of.bench.table.view("test").column.removeprefix("test_"))
    said = "" if of.whole_space else "\n(guesses left out)"
    axes.set_title(f"{of.bench.task.id}\nbest score at a cost or below; methods: mean over runs{said}", fontsize=10)
    if legend:
        plots.legend_beside(figure)
    return figure


def hypervolume_over_budget(
    curves: dict[str, Array],
    grid: Array,
    references: Mapping[str, float],
    of: Objectives,
    highlight: Collection[str],
    size: plots.Size = plots.SIZE,
    legend: bool = True,
) -> Figure:
    """Mean share of the true front's hypervolume with its 95 % interval over search seeds against budget.

    Args:
        curves: per method (runs, points); NaN before a first evaluation.
        grid: (points,) budgets in whole trainings.
        references: shares of fixed sets, drawn as horizontal lines.
        of: the task's objectives.
        highlight: methods in their colour; the others are thin and grey.
        size: in inches.
        legend: whether the figure names its lines itself.
    """
    figure, axes = plots.new_figure(*size)
    plots.draw_curves(axes, curves, grid, highlight)
    for name, value in references.items():
        axes.axhline(value, color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
        axes.annotate(name, (0.01, value), xycoords=("axes fraction", "data"), ha="left", va="bottom", fontsize=8,
                      zorder=5, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5})  # fmt: skip
    axes.set_xlabel("budget spent (whole trainings)")
    whose = "the true front's" if of.whole_space else "that of the networks trained"
    axes.set_ylabel(f"hypervolume (test score, {of.resource})\nshare of {whose}")
    said = "" if of.whole_space else "\n(guesses left out)"
    axes.set_title(f"{of.bench.task.id}\nwhat the front that each search would choose is worth{said}", fontsize=10)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]), top=1)  # an interval may reach below what can be
    axes.set_xlim(0, float(grid[-1]) * 1.01)
    if legend:
        if set(curves) - set(highlight):
            axes.plot([], [], linewidth=0.8, color=plots.REFERENCE, alpha=0.5, label="other methods")
        plots.legend_beside(figure)
    return figure
