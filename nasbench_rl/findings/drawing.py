"""The figures of the findings page, one a task and question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl import files, plots
from nasbench_rl.errors import TableError
from nasbench_rl.findings.against_random import Against, Comparison, Verdict
from nasbench_rl.findings.fidelity import HOLDS, FidelityFinding
from nasbench_rl.findings.latency import LatencyFinding
from nasbench_rl.findings.spread import SpreadFinding
from nasbench_rl.variance import Components

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT, PROXY, CEILING = "#0072B2", "#D55E00", "#009E73"
COLOURS: dict[Verdict, str] = {"better": "#0072B2", "worse": "#D55E00", "mixed": "#CC79A7", "open": "#999999"}
LABELS: dict[Verdict, str] = {
    "better": "beats random search", "worse": "loses to it", "mixed": "in the mean, not in most runs",
    "open": "not told apart",
}  # fmt: skip
SPACE_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
DPI = 110


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, the same bytes for the same figure.

    Raises:
        TableError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
    except OSError as error:
        raise TableError(files.unwritable(path, error)) from error


def against_random(comparisons: Sequence[Comparison]) -> Figure:
    """Difference from random search's expected regret, a row a method and a panel a budget.

    Args:
        comparisons: of one task, a budget each.
    """
    rows = {row.method: row for one in comparisons for row in one.rows}
    last = [row.method for row in comparisons[-1].rows]
    names = [*[name for name in rows if name not in last], *last]
    figure, first = plots.new_figure(8.4, 1.5 + 0.25 * len(names))
    first.remove()
    panels = figure.subplots(1, len(comparisons), sharey=True, squeeze=False)[0]
    for axes, comparison in zip(panels, comparisons, strict=True):
        _differences(axes, comparison, names)
    panels[0].set_yticks(range(len(names)), [_label(rows[name]) for name in names], fontsize=9)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    points = [panels[0].plot([], [], "o", color=COLOURS[one], label=LABELS[one])[0] for one in COLOURS]
    figure.legend(handles=points, loc="outside lower center", ncols=len(points), fontsize=9, frameon=False)
    figure.suptitle(comparisons[0].task, fontsize=10)
    return figure


def _label(row: Against) -> str:
    return f"{row.method} (control)" if row.is_control else row.method


def _differences(axes: Axes, comparison: Comparison, names: Sequence[str]) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
    for row in comparison.rows:
        at, colour = names.index(row.method), COLOURS[row.verdict]
        axes.plot(row.interval, (at, at), color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(row.difference, at, "o", color=colour, markersize=5)
    axes.set_title(f"{comparison.trainings:g} whole trainings", fontsize=9)
    axes.set_xlabel(f"mean regret minus random search's\n({comparison.unit}; left is better)", fontsize=9)


def rankings(finding: FidelityFinding) -> Figure:
    """Kendall's τ with the true ranking over fidelity: short trainings, one-shot proxies, two halves of seeds."""
    figure, axes = plots.new_figure(7.2, 4.0)
    scale, unit = _scale(finding.fidelities, finding.unit)
    short = finding.short
    axes.fill_between(scale, short.low, short.high, color=SHORT, alpha=0.15, linewidth=0)
    axes.plot(scale, short.tau, color=SHORT, linewidth=2, marker="o", markersize=3, label="training looked at early")
    for one in finding.supernets:
        axes.plot(scale, one.tau, color=PROXY, alpha=0.3, linewidth=0.9)
    if finding.supernets:
        count = len(finding.supernets)
        mean = np.mean([one.tau for one in finding.supernets], axis=0)
        axes.plot(scale, mean, color=PROXY, linewidth=2, label=f"one-shot proxy, mean of {count} supernets (thin)")
    if not math.isnan(finding.halves.agreement.tau):
        axes.axhline(finding.halves.agreement.tau, color=CEILING, linewidth=1.4, linestyle=(0, (6, 3)),
                     label=f"halves of {finding.halves.seeds} train seeds with each other")  # fmt: skip
    starts = ((short.even_from(), (0, (1, 2)), "from here on not told apart from the last τ"),
              (short.holds_from(), (0, (5, 2)), f"from here on at least {100 * HOLDS:g} % of the last τ"))  # fmt: skip
    for start, style, label in starts[starts[0][0] == starts[1][0] :]:  # one line where both are the same
        if start is not None:
            axes.axvline(scale[start], color=plots.REFERENCE, linewidth=1.1, linestyle=style, label=label)
    axes.axhline(0, color=plots.REFERENCE, linewidth=0.8)
    axes.set_xlim(0, scale[-1] * 1.02)
    lows = [short.low, *(one.tau for one in finding.supernets)]
    axes.set_ylim(min(-0.1, float(np.nanmin([np.nanmin(one) for one in lows if not np.isnan(one).all()]))), 1)
    axes.set_xlabel(f"fidelity ({unit})")
    axes.set_ylabel("Kendall's τ with the true ranking")
    axes.set_title(finding.task, fontsize=10)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return figure


def shares(finding: SpreadFinding) -> Figure | None:
    """Architecture's share of the variance that decides a ranking, over fidelity; None where nothing can be drawn."""
    parts: list[tuple[str, Sequence[Components | None], str]] = []
    if finding.trainings:
        parts.append((f"single trainings, {finding.seeds} train seeds", finding.trainings, SHORT))
    if finding.supernets:
        parts.append((f"one-shot proxies, {finding.supernet_seeds} supernets", finding.supernets, PROXY))
    if not parts:
        return None
    figure, axes = plots.new_figure(7.2, 3.6)
    scale, unit = _scale(finding.fidelities, finding.unit)
    for label, components, colour in parts:
        values = np.array([(c.share, c.low, c.high) if c else (math.nan,) * 3 for c in components]).T
        axes.fill_between(scale, values[1], values[2], color=colour, alpha=0.15, linewidth=0)
        axes.plot(scale, values[0], color=colour, linewidth=2, marker="o", markersize=3, label=label)
    axes.set_ylim(0, 1)
    axes.set_xlim(0, scale[-1] * 1.02)
    axes.set_xlabel(f"fidelity ({unit})")
    axes.set_ylabel("architecture's share of the variance")
    axes.set_title(finding.task, fontsize=10)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return figure


def latencies(findings: Sequence[LatencyFinding]) -> Figure:
    """Time of a forward pass over FLOPs, a point a network, a panel a batch; one colour a space.

    Args:
        findings: of all tasks and batches.
    """
    batches = sorted({one.batch for one in findings})
    spaces = list(dict.fromkeys(one.task.split("/")[0] for one in findings))
    figure, first = plots.new_figure(8.4, 4.2)
    first.remove()
    panels = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        of_batch = [one for one in findings if one.batch == batch]
        for one in sorted(of_batch, key=lambda one: -len(one.seconds)):  # the many points below the few
            space = one.task.split("/")[0]
            colour = SPACE_COLOURS[spaces.index(space) % len(SPACE_COLOURS)]
            axes.plot(one.flops, 1e3 * one.seconds, "o", color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
        axes.set(xscale="log", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_title(f"batch {batch}", fontsize=9)
        axes.set_xlabel("FLOPs of one observation")
    panels[0].set_ylabel("time of a forward pass (ms)")
    named = zip(spaces, SPACE_COLOURS * len(spaces), strict=False)
    points = [panels[0].plot([], [], "o", color=colour, label=space)[0] for space, colour in named]
    figure.legend(handles=points, loc="outside lower center", ncols=len(points), fontsize=9, frameon=False)
    return figure


def _scale(fidelities: Sequence[int], unit: str) -> tuple[np.ndarray[Any, np.dtype[np.float64]], str]:
    """Fidelities for an axis: thousands where they are large."""
    large = fidelities[-1] >= 10_000
    return np.asarray(fidelities, dtype=np.float64) / (1000 if large else 1), f"1000 {unit}" if large else unit
