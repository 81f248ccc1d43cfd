"""Draw the README's picture, five methods labelled at their lines, from the runs of a comparison.

python tools/readme_picture.py results
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_rl import load
from nasbench_rl.leaderboard import plots
from nasbench_rl.leaderboard.summary import curves_figure

TASK = "minatar-ss1/breakout@lite"
METHODS = ("regularized_evolution", "ppo", "successive_halving", "dqn", "blockqnn")
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "regret-minatar-breakout.png"
GAP = 0.42
"""Least distance between two labels, in units of regret."""


def draw(runs: pd.DataFrame, picture: Path) -> None:
    """Draw ``METHODS`` on ``TASK`` from rows that ``compare`` wrote."""
    shown = runs[(runs["task"] == TASK) & runs["method"].isin(METHODS)]
    figure = curves_figure(shown, load(TASK))
    assert figure is not None  # the task has a table
    axes = figure.axes[0]
    axes.get_legend().remove()
    lines = {line.get_label(): line for line in axes.lines if line.get_label() in METHODS}
    lows = spread([float(np.asarray(line.get_ydata())[-1]) for line in lines.values()])
    for (name, line), low in zip(lines.items(), lows, strict=True):
        axes.annotate(name, (1.01, low), xycoords=("axes fraction", "data"), color=line.get_color(), va="center")
    exact = next(line for line in axes.lines if line.get_marker() == "o")
    at = (exact.get_xdata()[4], exact.get_ydata()[4])
    arrow = {"arrowstyle": "-", "color": plots.REFERENCE}
    label = {"xytext": (-30, -62), "textcoords": "offset points", "color": plots.REFERENCE, "arrowprops": arrow}
    axes.annotate("random search (exact)", at, **label)
    figure.set_size_inches(8.4, 4.4)
    figure.savefig(picture, dpi=150)


def spread(heights: list[float]) -> list[float]:
    """Return the heights moved up until no two are closer than ``GAP``."""
    placed = np.array(heights)
    order = np.argsort(placed, kind="stable")
    for lower, upper in zip(order, order[1:], strict=False):
        placed[upper] = max(placed[upper], placed[lower] + GAP)
    return placed.tolist()


if __name__ == "__main__":
    draw(pd.read_parquet(Path(sys.argv[1]) / "runs.parquet"), PICTURE)
