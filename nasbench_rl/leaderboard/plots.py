"""Figures that explain themselves: axes with units, spread shown, one style for each method, PNG and SVG."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench_rl._utils import files
from nasbench_rl._utils.typing import Floats
from nasbench_rl.errors import TableError, missing_extra
from nasbench_rl.leaderboard.stats.bootstrap import LEVEL, regret_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# On white and on a dark ground. The first six are Okabe and Ito's, safe for colour-blind readers; dashes tell apart
# the methods that share a colour. Reference lines are grey.
PALETTE = (
    ("#0072B2", "#4BA3E3"),
    ("#D55E00", "#FF8A47"),
    ("#009E73", "#2FC79B"),
    ("#CC79A7", "#E6A0C8"),
    ("#E69F00", "#F4BC45"),
    ("#56B4E9", "#9AD6F7"),
    ("#6A3D9A", "#B197E6"),
    ("#8C564B", "#C99285"),
    ("#B2182B", "#F0677A"),
    ("#4D9221", "#86C653"),
)
_COLOURS = tuple(light for light, _ in PALETTE)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
REFERENCE = "#666666"
_FIGURE_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class Look:
    """How a figure is drawn where it is shown; by default on paper.

    Attributes:
        width: in inches.
        height: in inches; rows of methods take what they need.
        legend: whether the figure names its lines itself.
        styles: of the methods; None hands them out in the order in which they are drawn.
    """

    width: float = 7.0
    height: float = 4.4
    legend: bool = True
    styles: Styles | None = None

    def styles_of(self, methods: Iterable[str]) -> Styles:
        """Return the styles for some methods."""
        return self.styles or Styles(methods)


class Styles:
    """Colours and dashes of methods: those named differ as far as styles reach, any other is taken by its name."""

    def __init__(self, methods: Iterable[str] = ()) -> None:
        """``methods``: in the order in which styles are handed out; the first ten differ in colour."""
        self._at = {name: at for at, name in enumerate(dict.fromkeys(methods))}

    def _index(self, method: str) -> int:
        return self._at.get(method, zlib.crc32(method.encode())) % (len(_COLOURS) * len(_DASHES))

    def line(self, method: str) -> dict[str, Any]:
        """Return colour and dash of a method for matplotlib."""
        dash, colour = divmod(self._index(method), len(_COLOURS))
        return {"color": _COLOURS[colour], "linestyle": _DASHES[dash]}

    def css(self, method: str) -> dict[str, str]:
        """Return stroke and stroke-dasharray for a page that defines ``--method-0`` …."""
        dash, colour = divmod(self._index(method), len(_COLOURS))
        pattern = "none" if dash == 0 else " ".join(f"{2 * length:g}" for length in _DASHES[dash][1])
        return {"color": f"var(--method-{colour})", "dash": pattern}


def method_style(method: str) -> dict[str, Any]:
    """Return colour and dash of a method by its name."""
    return Styles().line(method)


def new_figure(width: float = Look.width, height: float = Look.height) -> tuple[Figure, Axes]:
    """Make an empty figure (inches) that needs no display.

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


def file_name(*parts: str) -> str:
    """Return the name of a figure's files, without their ending."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-")


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as .png and .svg; returns both.

    Raises:
        TableError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
        figure.savefig(written[0], dpi=150)
        written[1].write_text(_svg(figure, path.name), encoding="utf-8")
    except OSError as error:
        raise TableError(files.unwritable(path, error)) from error
    return written


def _svg(figure: Figure, name: str, inline: bool = False) -> str:
    """Render the same bytes for the same figure and name."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none" if inline else "path"}):
        figure.savefig(buffer, format="svg", transparent=inline, metadata=_FIGURE_METADATA)
    return buffer.getvalue()


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """Render a figure as an ``<svg>`` element, themed by a page's CSS, with ids unique to ``name`` and text as text.

    Colours of methods become ``var(--method-0)`` …, black becomes ``currentColor`` and the grey of references
    ``var(--reference)``; the page defines them for light and dark.
    """
    text = _svg(figure, name, inline=True)
    text = text[text.index("<svg") :]
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), text)
    themed = {colour.lower(): f"var(--method-{i})" for i, colour in enumerate(_COLOURS)}
    themed |= {REFERENCE: "var(--reference)", "#000000": "currentColor", "#b0b0b0": "currentColor"}
    text = re.sub("|".join(themed), lambda found: themed[found.group()], text)
    head, _, body = text.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    label = escape(description, quote=True)
    return f'<svg {box.group() if box else ""} role="img" aria-label="{label}">{body.strip()}'


def legend_beside(figure: Figure) -> None:
    """Name the lines to the right of the axes, on a larger figure."""
    figure.set_size_inches(figure.get_figwidth() * 1.25, figure.get_figheight() * 1.1)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")


def draw_curves(
    axes: Axes, curves: dict[str, Floats], grid: Floats, highlight: Collection[str] | None, styles: Styles
) -> None:
    """Draw the mean over runs with its 95 % interval over search seeds, a line for each method.

    ``curves`` are (runs, points) on the budgets ``grid``, NaN before a first evaluation; methods that are not in
    ``highlight`` are thin and grey, unless it is None.
    """
    try:
        import scipy.stats
    except ImportError as cause:
        raise missing_extra("scipy", "report", "drawing an interval") from cause
    for method, runs in curves.items():
        known = ~np.isnan(runs).any(axis=0)  # where every run has recommended something
        mean = runs[:, known].mean(axis=0)
        if not _draw_line(axes, method, grid[known], mean, highlight, styles) or len(runs) < 2:
            continue
        error = runs[:, known].std(axis=0, ddof=1) / np.sqrt(len(runs))
        half = error * scipy.stats.t.ppf((1 + LEVEL) / 2, len(runs) - 1)  # few runs know their own spread badly
        _draw_band(axes, method, grid[known], (mean - half, mean + half), styles)


def _draw_line(
    axes: Axes, method: str, x: Floats, y: Floats, highlight: Collection[str] | None, styles: Styles
) -> bool:
    """Draw a method's step function; return whether it is in colour."""
    if highlight is not None and method not in highlight:
        axes.plot(x, y, linewidth=0.8, color=REFERENCE, alpha=0.5, drawstyle="steps-post")
        return False
    axes.plot(x, y, label=method, linewidth=1.8, drawstyle="steps-post", **styles.line(method))
    return True


def _draw_band(axes: Axes, method: str, x: Floats, band: tuple[Floats, Floats], styles: Styles) -> None:
    axes.fill_between(x, *band, step="post", color=styles.line(method)["color"], alpha=0.15, linewidth=0)


def regret_over_budget(
    look: Look,
    curves: dict[str, Floats],
    grid: Floats,
    exact_random: tuple[Floats, Floats] | None,
    references: dict[str, float],
    task: str,
    metric: str,
    highlight: Collection[str] | None = None,
) -> Figure:
    """Draw mean regret with its 95 % interval over search seeds against budget.

    Args:
        look: how it is drawn.
        curves: as in ``draw_curves``, anytime regret.
        grid: as in ``draw_curves``.
        exact_random: (evaluations,) whole trainings and the exact expected regret of random search there.
        references: regret of fixed architectures, drawn as horizontal lines.
        task: its id, for the title.
        metric: the score's name, for the axis.
        highlight: as in ``draw_curves``.
    """
    figure, axes = new_figure(look.width, look.height)
    draw_curves(axes, curves, grid, highlight, look.styles_of(highlight or curves))
    if exact_random is not None:
        axes.plot(*exact_random, "o", color=REFERENCE, markersize=3.5, label="random search, exact expectation")
    for name, value in references.items():
        axes.axhline(value, color=REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
        axes.annotate(name, (1.0, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    axes.set_xlabel("budget spent (whole trainings)")
    axes.set_ylabel(f"regret (test {metric.removeprefix('test_')})")
    axes.set_title(f"{task}\nregret of the architecture each search would choose", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, float(grid[-1]) * 1.01)
    if look.legend and len(curves) > 6:  # beside the curves: a long list would cover them
        legend_beside(figure)
    elif look.legend:
        axes.legend(fontsize=8, frameon=False)
    return figure


Interval = tuple[float, float, float]
"""(estimate, low, high); bounds are NaN where unknown."""


def _rows_figure(names: Sequence[str], width: float) -> tuple[Figure, Axes]:
    """Make a figure with a named row for each item, the first on top."""
    figure, axes = new_figure(width, 1.0 + 0.27 * len(names))
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    return figure, axes


def improvement_over_random(look: Look, methods: dict[str, tuple[Interval, Interval]], title: str) -> Figure:
    """Draw the probability of improvement over random search, a row for each method.

    ``methods``: the estimate with its interval over search seeds, and with that over train seeds too.
    """
    styles = look.styles_of(methods)
    figure, axes = _rows_figure(list(methods), look.width)
    axes.axvline(0.5, color=REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
    for row, (method, (seeds, tables)) in enumerate(methods.items()):
        colour = styles.line(method)["color"]
        axes.plot(tables[1:], (row, row), color=colour, linewidth=1.2, solid_capstyle="butt")
        axes.plot(seeds[1:], (row, row), color=colour, linewidth=4.5, alpha=0.55, solid_capstyle="butt")
        axes.plot(seeds[0], row, "o", color=colour, markersize=5.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("probability of improvement over random search\n(dashed: as good as random search)")
    axes.set_title(title, fontsize=10)
    return figure


def profiles(
    look: Look, shares: dict[str, Floats], thresholds: Floats, title: str, highlight: Collection[str] | None = None
) -> Figure:
    """Draw performance profiles: the share of runs whose normalised regret is at most a threshold, higher is better.

    Args:
        look: how it is drawn.
        shares: per method (3, points): share, lower and upper bound of its interval (NaN where unknown).
        thresholds: (points,) normalised regrets.
        title: what was compared.
        highlight: as in ``draw_curves``.
    """
    styles = look.styles_of(highlight or shares)
    figure, axes = new_figure(look.width, look.height)
    for method, (share, low, high) in shares.items():
        if _draw_line(axes, method, thresholds, share, highlight, styles):
            _draw_band(axes, method, thresholds, (low, high), styles)
    axes.set_xlabel("normalised regret (0: the best, 1: a random architecture)")
    axes.set_ylabel("share of runs at or below it")
    axes.set_title(title, fontsize=10)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, float(thresholds[-1]))
    if look.legend:
        axes.legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def average_ranks(look: Look, ranks: dict[str, float], title: str) -> Figure:
    """Draw average ranks, best on top; ``ranks``: per method, ascending."""
    names, styles = list(ranks), look.styles_of(ranks)
    figure, axes = _rows_figure(names, look.width)
    for row, method in enumerate(names):
        axes.plot(ranks[method], row, "o", markersize=7, color=styles.line(method)["color"])
        axes.annotate(f"{ranks[method]:.3g}", (ranks[method], row), xytext=(7, 0), textcoords="offset points",
                      va="center", fontsize=8)  # fmt: skip
    axes.set_xlim(0.8, len(names) + 0.8)
    axes.set_xticks(range(1, len(names) + 1, max(1, len(names) // 8)))
    axes.set_xlabel("average rank by mean regret (1 is best)")
    axes.set_title(title, fontsize=10)
    return figure


def curve_grid(runs: pd.DataFrame, grid: Floats) -> Floats:
    """Return the (runs, points) anytime regret of one method's rows (``runs_schema.COLUMNS``) on budgets ``grid``."""
    by_seed = runs[["seed", "spent", "regret"]].groupby("seed", sort=True)
    parts = [regret_curve(one["spent"], one["regret"], grid) for _, one in by_seed]
    return np.stack(parts)


def histogram(values: Floats, marks: dict[str, float], title: str, xlabel: str, ylabel: str, bins: int = 12) -> Figure:
    """Draw the distribution of a score over architectures with some of them marked (RL-agents paper, Figure 4).

    Args:
        values: (architectures,) scores.
        marks: scores of named architectures, drawn as vertical lines.
        title: of the figure.
        xlabel: what the score is, with its unit.
        ylabel: what is counted.
        bins: bars.
    """
    figure, axes = new_figure()
    axes.hist(values[~np.isnan(values)], bins=bins, color="#9DB8CC", edgecolor="white")
    for i, (name, value) in enumerate(marks.items()):
        colour = _COLOURS[(i + 1) % len(_COLOURS)]
        axes.axvline(
            value, color=colour, linestyle=_DASHES[i % len(_DASHES)], linewidth=2, label=f"{name}: {value:.3g}"
        )
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if marks:
        axes.legend(fontsize=8, frameon=False)
    return figure
