"""Figures that explain themselves: axes with units, spread shown, one colour a method everywhere, PNG and SVG."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_rl.errors import TableError, missing_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, safe for colour-blind readers; reference lines are grey.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#6A3D9A",
    "#8C564B",
    "#B2182B",
    "#4D9221",
)
_STYLES: tuple[Any, ...] = ("-", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_FIXED = (
    "random_search", "enas", "spos", "regularized_evolution", "local_search", "dqn", "meta_a2c", "a2c", "reinforce",
    "ppo", "q_learning", "blockqnn", "mcts", "eas", "treecell", "darts", "successive_halving", "hyperband",
    "learning_curve", "predictor", "optuna", "mnas", "monas", "rena",
)  # fmt: skip
REFERENCE = "#666666"


def method_style(method: str) -> dict[str, Any]:
    """Colour and dash of a method, the same in every figure; methods from elsewhere get theirs from their name."""
    at = _FIXED.index(method) if method in _FIXED else zlib.crc32(method.encode())
    return {"color": _COLOURS[at % len(_COLOURS)], "linestyle": _STYLES[at // len(_COLOURS) % len(_STYLES)]}


def new_figure(width: float = 7.0, height: float = 4.4) -> tuple[Figure, Axes]:
    """An empty figure (inches) that needs no display.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "report", "drawing a figure") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as .png and .svg; returns both.

    Raises:
        TableError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
        figure.savefig(written[0], dpi=150)
        figure.savefig(written[1], metadata={"Date": None})
    except OSError as error:
        raise TableError(f"cannot write {path}: {error.strerror}; choose a folder that can be written") from error
    return written


def regret_over_budget(
    curves: dict[str, np.ndarray[Any, Any]],
    grid: np.ndarray[Any, Any],
    exact_random: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None,
    references: dict[str, float],
    task: str,
    metric: str,
) -> Figure:
    """Mean regret with its 95 % interval over search seeds against budget.

    Args:
        curves: per method (runs, points) anytime regret; NaN before a first evaluation.
        grid: (points,) budgets in whole trainings.
        exact_random: (evaluations,) whole trainings and the exact expected regret of random search there.
        references: regret of fixed architectures, drawn as horizontal lines.
        task: its id, for the title.
        metric: the score's name, for the axis.
    """
    figure, axes = new_figure()
    for method, runs in curves.items():
        known = ~np.isnan(runs).any(axis=0)  # where every run has recommended something
        mean = runs[:, known].mean(axis=0)
        style = method_style(method)
        axes.plot(grid[known], mean, label=method, linewidth=1.8, drawstyle="steps-post", **style)
        if len(runs) > 1:
            half = 1.96 * runs[:, known].std(axis=0, ddof=1) / np.sqrt(len(runs))
            band = (mean - half, mean + half)
            axes.fill_between(grid[known], *band, step="post", color=style["color"], alpha=0.15, linewidth=0)
    if exact_random is not None:
        axes.plot(*exact_random, "o", color=REFERENCE, markersize=3.5, label="random search, exact expectation")
    for name, value in references.items():
        axes.axhline(value, color=REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
        axes.annotate(name, (1.0, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    axes.set_xlabel("budget spent (whole trainings)")
    axes.set_ylabel(f"regret (best minus chosen, test {metric})")
    axes.set_title(f"{task}: regret of the architecture each search would choose", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, float(grid[-1]) * 1.01)
    axes.legend(fontsize=8, frameon=False)
    return figure


def curve_grid(runs: pd.DataFrame, grid: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(runs, points) anytime regret of one method's rows (``experiment.COLUMNS``) on budgets ``grid``."""
    from nasbench_rl.stats import regret_curve

    parts = [regret_curve(one["spent"], one["regret"], grid) for _, one in runs.groupby("seed", sort=True)]
    return np.stack(parts)
