"""The figures of the findings page, one a question, drawn from its CSV files (times from the tables)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_rl._utils import files
from nasbench_rl.errors import TableError
from nasbench_rl.findings import fidelity, spread
from nasbench_rl.findings.latency import FEWEST
from nasbench_rl.findings.results import Results
from nasbench_rl.leaderboard import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
VERDICTS = {
    "better": (BLUE, "beats random search"),
    "worse": (ORANGE, "loses to it"),
    "mixed": (PINK, "differs in the mean, not in most runs"),
    "open": (GREY, "cannot be told apart"),
}
DASHED = (0, (6, 3))
COLUMNS = 3
"""Panels side by side."""


def figures(results: Results, networks: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of every question that has an answer.

    Args:
        results: of the page.
        networks: of ``latency.measured``.
    """
    if len(results.random_search):
        task = results.random_search["task"].iloc[0]  # all tasks, or the only one
        yield "random_search", _random_search(results.random_search[results.random_search["task"] == task])
    if len(results.fidelity):
        yield "fidelity", _panels(results.fidelity, _tau, "share of a whole training", "Kendall's τ", -0.5)
    if results.spread["share"].notna().any():
        known = results.spread[results.spread["share"].notna()]
        yield "spread", _panels(known, _share, "share of a whole training", "architecture's share", 0)
    if len(results.latency):
        yield "latency", _latency(networks)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, the same bytes for the same figure.

    Raises:
        TableError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, metadata={"Software": None})
    except OSError as error:
        raise TableError(files.unwritable(path, error)) from error


def _grid(count: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """``count`` panels; sizes are of the whole figure's width and of one row, in inches."""
    rows = -(-count // columns)
    figure, first = plots.new_figure(width, height * rows + 0.6)
    first.remove()
    panels = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[:count]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    return figure, list(panels[:count])


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def _random_search(rows: pd.DataFrame) -> Figure:
    """Difference from random search's expected regret: a row for each method, a panel for each budget."""
    last = rows[rows["trainings"] == rows["trainings"].max()]["method"]
    names = list(dict.fromkeys([*rows["method"][~rows["method"].isin(last)], *last]))
    budgets = rows.groupby("trainings")
    figure, panels = _grid(len(budgets), len(budgets), 8.4, 0.9 + 0.25 * len(names), sharey=True)
    for axes, (budget, of_budget) in zip(panels, budgets, strict=True):
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.axvline(0, color=plots.REFERENCE, linewidth=1, linestyle=DASHED)
        for row in of_budget.itertuples():
            at, colour = names.index(row.method), VERDICTS.get(str(row.verdict), (GREY, ""))[0]
            axes.plot((row.low, row.high), (at, at), color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(row.difference, at, "o", color=colour, markersize=5)
        axes.set_title(f"budget: {budget:g} whole trainings", fontsize=9)
        unit = of_budget["unit"].iloc[0]
        axes.set_xlabel(f"mean regret minus random search's\n({unit}; left is better)", fontsize=9)
    controls = set(rows[rows["verdict"] == "control"]["method"])
    labels = [f"{name} (control)" if name in controls else name for name in names]
    panels[0].set_yticks(range(len(names)), labels, fontsize=9)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    for colour, label in VERDICTS.values():
        panels[0].plot([], [], "o", color=colour, label=label)
    _legend(figure, panels[0], len(VERDICTS))
    return figure


def _panels(rows: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None], x: str, y: str, low: float) -> Figure:
    """Draw a panel for each task, with one legend of all that any of them shows."""
    tasks = list(rows.groupby("task", sort=False))
    figure, panels = _grid(len(tasks), min(COLUMNS, len(tasks)), 8.4, 1.9, sharey=True)
    for axes, (task, of_task) in zip(panels, tasks, strict=True):
        axes.axhline(0, color=plots.REFERENCE, linewidth=0.8)
        draw(axes, of_task)
        axes.set_title(str(task), fontsize=8)
        axes.set(xlim=(0, 1.02), ylim=(low, 1.02))
        axes.tick_params(labelsize=7)
    for axes in panels[::COLUMNS]:
        axes.set_ylabel(y, fontsize=8)
    for axes in panels[-COLUMNS:]:
        axes.set_xlabel(x, fontsize=8)
    every = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(every.values(), every.keys(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _band(axes: Axes, x: pd.Series, rows: pd.DataFrame, value: str, colour: str, label: str) -> None:
    axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, rows[value], color=colour, linewidth=1.8, marker="o", markersize=2.5, label=label)


def _tau(axes: Axes, rows: pd.DataFrame) -> None:
    for score, colour in ((fidelity.SHORT, BLUE), (fidelity.PROXY, ORANGE)):
        of_score = rows[rows["score"] == score]
        if len(of_score):
            _band(axes, of_score["share"], of_score, "tau", colour, score)
    halves = rows["halves_tau"].iloc[0]
    if not np.isnan(halves):
        axes.axhline(halves, color=GREEN, linewidth=1.4, linestyle=DASHED, label="halves of the train seeds")
    if rows["holds"].any():
        start = rows[rows["holds"]]["share"].min()
        axes.axvline(start, color=plots.REFERENCE, linewidth=1.1, linestyle=(0, (5, 2)), label="holds from here on")


def _share(axes: Axes, rows: pd.DataFrame) -> None:
    for score, colour in ((spread.TRAINING, BLUE), (spread.PROXY, ORANGE)):
        of_score = rows[rows["score"] == score]
        if len(of_score):
            _band(axes, of_score["share_of_training"], of_score, "share", colour, score)


def _latency(networks: pd.DataFrame) -> Figure:
    """Time of a forward pass over FLOPs: a point for each network, a panel for each batch, a colour for each space."""
    spaces = networks["task"].str.split("/").str[0]
    colours = dict(zip(dict.fromkeys(spaces), (ORANGE, BLUE, GREEN, PINK, GREY), strict=False))
    batches = networks.groupby("batch")
    figure, panels = _grid(len(batches), len(batches), 8.4, 3.6, sharey=True)
    for axes, (batch, of_batch) in zip(panels, batches, strict=True):
        tasks = [rows for _, rows in of_batch.groupby("task") if len(rows) >= FEWEST]
        for rows in sorted(tasks, key=len, reverse=True):  # the many points below the few
            colour = colours.get(spaces[rows.index[0]], GREY)
            seconds = 1e3 * rows["latency_median"]
            axes.plot(rows["flops"], seconds, "o", color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
        axes.set(xscale="log", yscale="log")
        axes.set_title(f"batch {batch}", fontsize=9)
        axes.set_xlabel("FLOPs of one observation")
    panels[0].set_ylabel("time of a forward pass (ms)")
    for space, colour in colours.items():
        panels[0].plot([], [], "o", color=colour, label=space)
    _legend(figure, panels[0], len(colours))
    return figure
