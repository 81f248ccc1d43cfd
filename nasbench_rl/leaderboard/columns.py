"""A leaderboard's numbers as text, the same in every file: which columns are shown, under which titles, how written."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from nasbench_rl.leaderboard.report import ALL, DIGITS

SURE_DIGITS = 12
"""Processors that add in another order agree on so many."""
UNKNOWN = "unknown"
NONE = "–"


@dataclass(frozen=True)
class Column:
    """A column as it is shown.

    Attributes:
        title: its header.
        value: column of ``report.COLUMNS`` with the estimate; empty for an interval alone.
        bounds: columns with an interval, or none.
        meaning: one sentence for readers who meet it the first time.
    """

    title: str
    value: str
    bounds: tuple[str, str] | None
    meaning: str


@dataclass(frozen=True)
class Cell:
    """A number as text, and what a table is sorted by (NaN sorts last)."""

    text: str
    key: float | str


_RANK = "By mean regret; over several tasks the mean of the ranks. 1 is best."
METHOD = Column("method", "method", None, "A search method, with its hyperparameters where they are not its own.")
IMPROVEMENT = Column(
    "beats random search [95 %]", "improvement", ("improvement_low", "improvement_high"),
    "Probability that a run ends with a better architecture than random search with the same budget, which some "
    "methods do not use up (python -m nasbench_rl.findings compares at equal cost); ties count half, 0.5 is as good. "
    "The interval is over search seeds, and corrected for the number of methods.",
)  # fmt: skip
IMPROVEMENT_TABLE = Column(
    "… over train seeds too", "", ("improvement_table_low", "improvement_table_high"),
    "Student's t interval that counts the agents' train seeds too: how far the noise of the table could turn it.",
)  # fmt: skip
_REGRET = (
    "Best test score in the table minus that of the architecture a run would choose. Over several tasks it is divided "
    "by the regret of a draw at random: 0 is the best architecture, 1 no better than that."
)
REGRET = Column("regret, mean", "regret_mean", None, _REGRET)
REGRET_TABLE = Column(
    "regret, mean [95 %, train seeds too]", "regret_mean", ("regret_table_low", "regret_table_high"), _REGRET
)
REGRET_IQM = Column(
    "regret, IQM [95 %]", "regret_iqm", ("regret_low", "regret_high"),
    "Interquartile mean over runs, with its interval over search seeds.",
)  # fmt: skip
TEST_SCORE = Column("test score", "test_score", None, "Mean test score of the chosen architectures.")
RUNS = Column(
    "runs", "runs", None,
    "Search seeds. A method that replays stored supernets or searches, or whose controller hears their proxies, has as "
    "many runs as are stored, and no more.",
)  # fmt: skip


GUESSED = Column(
    "guessed", "guessed", None,
    "Share of runs whose choice was never trained: its test score, and so its regret, is a surrogate's guess.",
)  # fmt: skip


def columns_of(task: str, rows: pd.DataFrame) -> tuple[Column, ...]:
    """The columns shown for a task, or for all tasks of a family, with these rows; none of which nothing is known."""
    overall = task == ALL
    rank = Column("average rank" if overall else "rank", "rank", None, _RANK)
    score = () if overall else (TEST_SCORE,)
    guessed = (GUESSED,) if has_guesses(rows) else ()
    wider = (IMPROVEMENT_TABLE,) if rows["improvement_table_low"].notna().any() else ()
    regret = REGRET_TABLE if rows["regret_table_low"].notna().any() else REGRET
    return METHOD, rank, IMPROVEMENT, *wider, regret, REGRET_IQM, *score, *guessed, RUNS


def has_guesses(rows: pd.DataFrame) -> bool:
    """Whether any run chose an architecture whose score is a guess."""
    return bool((rows["guessed"] > 0).any())


def show(value: float) -> str:
    """A number to three significant digits, or a dash where it is missing."""
    if math.isnan(value):
        return NONE
    if value == 0:
        return "0"
    value = float(f"{value:.{SURE_DIGITS}g}")  # or 5.385 is 5.38 on one processor and 5.39 on the next
    return f"{value:.0f}" if abs(value) >= 10**DIGITS else f"{value:#.{DIGITS}g}".rstrip(".")


def cell(row: pd.Series, column: Column) -> Cell:
    """One cell."""
    if column.value == "method":
        return Cell(str(row["method"]), str(row["method"]))
    if column.value == "runs":
        return Cell(NONE, math.nan) if pd.isna(row["runs"]) else Cell(f"{row['runs']}", float(row["runs"]))
    if column is GUESSED:
        share = float(row["guessed"])
        return Cell(NONE if math.isnan(share) else f"{share * 100:.0f} %", share)
    low, high = (float(row[name]) for name in column.bounds) if column.bounds else (math.nan, math.nan)
    between = "" if math.isnan(low) else f"[{show(low)}, {show(high)}]"
    if not column.value:
        is_search = not math.isnan(float(row["improvement"]))
        return Cell(between or (UNKNOWN if is_search else NONE), low)
    value = float(row[column.value])
    return Cell(f"{show(value)} {between}".strip(), value)


def table_cells(rows: pd.DataFrame, task: str) -> list[list[Cell]]:
    """All cells of a table, row by row."""
    return [[cell(row, column) for column in columns_of(task, rows)] for _, row in rows.iterrows()]
