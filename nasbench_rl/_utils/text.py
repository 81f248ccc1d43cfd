"""Numbers and tables as text, the same on every page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nasbench_rl.errors import missing_extra

NONE = "–"
"""Stands where a number is missing."""

_SURE_DIGITS = 12


def show(value: float, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits, or a dash if it is missing."""
    if math.isnan(value):
        return NONE
    if value == 0:
        return "0"
    value = float(f"{value:.{_SURE_DIGITS}g}")  # 5.385 would round to 5.38 on one processor and to 5.39 on the next
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:#.{digits}g}".rstrip(".")


def fixed(value: float, digits: int = 3) -> str:
    """Return a number with ``digits`` decimals, or a dash if it is missing."""
    return NONE if math.isnan(value) else f"{value:,.{digits}f}"


def percent(share: float) -> str:
    """Return a share as a whole percentage, or a dash if it is missing."""
    return NONE if math.isnan(share) else f"{100 * share:.0f} %"


def pvalue(p: float) -> str:
    """Return a p-value with two significant digits, ``< 0.001``, or a dash if it is missing."""
    return NONE if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.2g}"


def estimate(value: float, low: float, high: float, digits: int = 3) -> str:
    """Return ``value [low, high]``, or the value alone if the interval is missing."""
    return show(value, digits) + ("" if math.isnan(low) else f" [{show(low, digits)}, {show(high, digits)}]")


def plus_minus(mean: float, spread: float, digits: int = 1) -> str:
    """Return ``mean ± spread``, or the mean alone if the spread is missing."""
    return fixed(mean, digits) + ("" if math.isnan(mean) or math.isnan(spread) else f" ± {fixed(spread, digits)}")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; vertical bars in cells are escaped.

    Raises:
        MissingExtraError: tabulate is not installed.
    """
    try:
        from tabulate import tabulate
    except ImportError as error:
        raise missing_extra("tabulate", "report", "writing a Markdown table") from error
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return str(tabulate(cells, [name.replace("|", "\\|") for name in header], tablefmt="pipe", disable_numparse=True))
