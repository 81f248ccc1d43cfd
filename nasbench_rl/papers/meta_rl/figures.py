"""Figures 9 to 16 of the meta-RL paper, drawn from trials (``meta_rl_trials``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_rl.leaderboard import plots
from nasbench_rl.papers.meta_rl.trials import WINDOW, windows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EVOLUTION = {
    "best_reward": "best reward\n(validation accuracy)",
    "length": "episode length\n(actions)",
    "accumulated_reward": "accumulated reward\n(sum of accuracies)",
}
ENTROPY_STEPS = 200
"""Steps a point of an entropy curve stands for."""
CUT = 3000
"""The episode at whose first step Figure 15a has its vertical line."""


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[list[Axes]]]:
    """Make a grid of axes; sizes are of one panel, in inches."""
    figure, _ = plots.new_figure(width * columns, height * rows + 0.5)
    figure.clear()
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    return figure, grid.tolist()


def _seeds(frame: pd.DataFrame) -> str:
    count = frame["seed"].nunique()
    return f"{count} search seeds together" if count > 1 else "one search seed"


def _band(axes: Axes, at: Any, mean: Any, std: Any, style: Mapping[str, Any], label: str, low: float = 0.0) -> None:
    at, mean, std = (np.asarray(values, dtype=float) for values in (at, mean, std))
    axes.plot(at, mean, linewidth=1.6, label=label, **style)
    axes.fill_between(at, np.maximum(mean - std, low), mean + std, color=style["color"], alpha=0.13, linewidth=0)


def style_of(label: str, labels: Sequence[str]) -> dict[str, Any]:
    """Return a method's own colour, or for variants of one method the palette in turn.

    Random search is what the others are measured by, so it is grey; its blue is hard to tell from DeepQN's.
    """
    if label == "random_search":
        return {"color": plots.REFERENCE, "linestyle": (0, (4, 1.5))}
    if len({name.split(" ")[0] for name in labels}) == len(labels):
        return plots.method_style(label.split(" ")[0])
    return {"color": plots.PALETTE[list(labels).index(label)][0], "linestyle": "-"}


def evolution(episodes: pd.DataFrame, title: str) -> Figure:
    """Draw Figures 9, 12 and 14: best reward, length and accumulated reward over episodes, a row for each task."""
    tasks, labels = list(dict.fromkeys(episodes["task"])), list(dict.fromkeys(episodes["method"]))
    figure, grid = _panels(len(tasks), len(EVOLUTION), 3.5, 2.5)
    for column, (name, label) in enumerate(EVOLUTION.items()):
        curves = windows_of(episodes, name)
        for row, task in enumerate(tasks):
            axes = grid[row][column]
            for method in labels:
                one = curves[(curves["task"] == task) & (curves["method"] == method)]
                _band(axes, one["episode"], one["mean"], one["std"], style_of(method, labels), method)
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
            axes.set_ylabel(label, fontsize=9)
            axes.set_title(task, fontsize=9)
            if row == len(tasks) - 1:
                axes.set_xlabel("episode", fontsize=9)
    if len(labels) > 1:
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    about = f"{title}\nmean ± 1 standard deviation of every {WINDOW} episodes, {_seeds(episodes)}"
    figure.suptitle(about, fontsize=10)
    return figure


def _draw_entropy(axes: Axes, one: pd.DataFrame, offset: int, style: Mapping[str, Any], label: str) -> None:
    """Draw the mean over seeds and ``ENTROPY_STEPS``, ± their standard deviation."""
    blocks = one.groupby(one["step"] // ENTROPY_STEPS)["entropy"].agg(["mean", "std", "size"])
    blocks = blocks[blocks["size"] >= 0.5 * ENTROPY_STEPS * one["seed"].nunique()]
    at = offset + (blocks.index.to_numpy() + 0.5) * ENTROPY_STEPS
    _band(axes, at, blocks["mean"], blocks["std"].fillna(0.0), style, label)


def _finish_entropy(axes: Axes, actions: int, title: str) -> None:
    axes.axhline(math.log(actions), color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
    axes.annotate("uniform policy", (0.005, math.log(actions)), xycoords=("axes fraction", "data"), ha="left",
                  va="bottom", fontsize=8, color=plots.REFERENCE)  # fmt: skip
    axes.set_ylim(0, 1.12 * math.log(actions))
    axes.set_xlim(left=0)
    axes.set_xlabel("time-step")
    axes.set_ylabel("entropy of the policy (nats)")
    axes.set_title(title, fontsize=10)


def entropy_through_tasks(steps: pd.DataFrame, actions: int) -> Figure:
    """Draw Figure 10: entropy of the policy over the time-steps of all tasks in turn."""
    figure, axes = plots.new_figure(8.0, 3.6)
    offset, top = 0, 1.12 * math.log(actions)
    for task, one in steps.groupby("task", sort=False):
        _draw_entropy(axes, one, offset, plots.method_style("meta_a2c"), "")
        length = int(one["step"].max()) + 1
        axes.annotate(str(task), (offset + length / 2, 0.03 * top), ha="center", fontsize=8)
        offset += length
        axes.axvline(offset, color=plots.REFERENCE, linewidth=0.8)
    about = f"mean ± 1 standard deviation of every {ENTROPY_STEPS} steps, {_seeds(steps)}"
    _finish_entropy(axes, actions, f"Policy entropy through environments\n{about}")
    axes.set_xlim(0, offset)
    return figure


def shares(table: pd.DataFrame, labels: Sequence[str], names: Sequence[str], title: str) -> Figure:
    """Draw Figures 11, 13 and 16: how often each action was taken.

    Args:
        table: (bars, actions) shares.
        labels: of the bars of one action, for the legend.
        names: of the actions, ``conv3``.
        title: of the figure.
    """
    figure, axes = plots.new_figure(max(7.0, 0.75 * len(names) + 1), 3.8)
    width = 0.8 / len(table)
    for at, (label, row) in enumerate(zip(labels, table.to_numpy(), strict=True)):
        places = np.arange(len(names)) - 0.4 + (at + 0.5) * width
        axes.bar(places, row, width * 0.94, color=plots.PALETTE[at][0], label=label)
    axes.axhline(1 / len(names), color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)), label="uniform")
    axes.set_xticks(range(len(names)), [f"A{at}\n{name}" for at, name in enumerate(names)], fontsize=8)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("share of the actions taken")
    axes.set_title(title, fontsize=10)
    plots.legend_beside(figure)
    return figure


def cut_steps(steps: pd.DataFrame) -> dict[str, dict[int, int]]:
    """Return, by method and search seed, the time-step at which episode ``CUT`` starts, if the seed comes so far."""
    first = steps[steps["episode"] == CUT].groupby(["method", "seed"], sort=False)["step"].min()
    found: dict[str, dict[int, int]] = {}
    for (method, seed), step in first.items():
        found.setdefault(str(method), {})[int(seed)] = int(step)
    return found


def _cut_note(steps: pd.DataFrame, cuts: Mapping[str, Mapping[int, int]]) -> str:
    """Say ``dotted: episode 3000 starts, the paper's line (in 4 of 6 trials)``."""
    trials, reached = len(steps[["method", "seed"]].drop_duplicates()), sum(map(len, cuts.values()))
    if not reached:
        return f"no trial comes to episode {CUT}, where the paper's line is"
    some = "" if reached == trials else f" (in {reached} of {trials} trials)"
    return f"dotted: episode {CUT} starts, as the paper's line{some}"


def exploration(steps: pd.DataFrame, episodes: pd.DataFrame, actions: int) -> Figure:
    """Draw Figure 15: entropy over time-steps, and different multi-branch networks an episode."""
    labels = list(dict.fromkeys(steps["method"]))
    figure, grid = _panels(1, 2, 5.2, 3.6)
    left, right = grid[0]
    counts, cuts = windows_of(episodes, "multi_branch"), cut_steps(steps)
    for label in labels:
        style = style_of(label, labels)
        _draw_entropy(left, steps[steps["method"] == label], 0, style, label)
        for at in cuts.get(label, {}).values():
            left.axvline(at, color=style["color"], linewidth=1, linestyle=(0, (1, 1.5)))
        one = counts[counts["method"] == label]
        _band(right, one["episode"], one["mean"], one["std"], style, label)
    _finish_entropy(left, actions, f"Policy entropy, means of {ENTROPY_STEPS} steps\n{_cut_note(steps, cuts)}")
    right.set_xlim(left=0)
    right.set_ylim(bottom=0)
    right.set_xlabel("episode")
    right.set_ylabel("multi-branch networks an episode")
    right.set_title(f"Multi-branch networks,\nmeans of {WINDOW} episodes", fontsize=10)
    right.legend(fontsize=8, frameon=False)
    figure.suptitle(f"Exploration of the agent: means ± 1 standard deviation, {_seeds(steps)}", fontsize=10)
    return figure
