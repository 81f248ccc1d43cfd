"""Tables of a leaderboard as they are shown: which columns, under which titles, the same in every format."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from nasbench_rl._utils import cli
from nasbench_rl._utils.text import NONE as NONE  # the findings pages take both from here
from nasbench_rl._utils.text import estimate, fixed, markdown_table, percent, pvalue
from nasbench_rl._utils.text import show as show
from nasbench_rl.leaderboard.ranking import ALL


@dataclass(frozen=True)
class Cell:
    """A number as text, and what a table is sorted by (NaN sorts last)."""

    text: str
    key: float | str


@dataclass(frozen=True)
class Column:
    """A column as it is shown.

    Attributes:
        title: its header.
        meaning: one sentence for readers who meet it the first time.
        cell: makes the cell of a row of ``report.COLUMNS``.
    """

    title: str
    meaning: str
    cell: Callable[[pd.Series], Cell]


@dataclass(frozen=True)
class Shown:
    """A table as it is shown.

    Attributes:
        header: titles and meanings of the columns.
        rows: cells, a list for each row.
        references: which rows are references and not searches.
    """

    header: Sequence[tuple[str, str]]
    rows: list[list[Cell]]
    references: Sequence[bool]

    @property
    def frame(self) -> pd.DataFrame:
        """The texts."""
        return pd.DataFrame(self.texts, columns=[title for title, _ in self.header])

    @property
    def texts(self) -> list[list[str]]:
        """The texts, row by row."""
        return [[cell.text for cell in row] for row in self.rows]

    @property
    def markdown(self) -> str:
        """The table as Markdown."""
        return markdown_table([title for title, _ in self.header], self.texts)

    def for_terminal(self, title: str, caption: str) -> cli.Table:
        """Return the table for a terminal."""
        table = cli.Table(title=title, title_justify="left", caption=caption, caption_justify="left")
        for at, (name, _) in enumerate(self.header):
            table.add_column(name, justify="right" if at else "left")
        for cells, reference in zip(self.texts, self.references, strict=True):
            table.add_row(*cells, style="dim" if reference else None)
        return table


def text_cell(name: str, row: pd.Series) -> Cell:
    """Show a text."""
    return Cell(NONE, "") if pd.isna(row[name]) else Cell(str(row[name]), str(row[name]))


def number_cell(
    name: str, row: pd.Series, bounds: tuple[str, str] | None = None, form: Callable[[float], str] = show
) -> Cell:
    """Show a number, with its interval if there is one."""
    value = math.nan if pd.isna(row[name]) else float(row[name])
    low, high = (float(row[bound]) for bound in bounds) if bounds else (math.nan, math.nan)
    return Cell(form(value) if math.isnan(low) else estimate(value, low, high), value)


def _number(title: str, meaning: str, name: str, low: str = "", high: str = "") -> Column:
    return Column(title, meaning, partial(number_cell, name, bounds=(low, high) if low else None))


_REGRET = (
    "Best test score in the table minus that of the architecture a run would choose. Over several tasks it is divided "
    "by the regret of a random architecture: 0 is the best architecture, 1 no better than a random one."
)
METHOD = Column(
    "method", "A search method, with its hyperparameters if they are not the default.", partial(text_cell, "method")
)
RANK = _number("rank", "By mean regret; over several tasks the mean of the ranks. 1 is best.", "rank")
VERDICT = Column(
    "verdict",
    "Compared with random search: better or worse if p is below 0.05 and the interval of the probability of "
    "improvement lies on that side of 0.5, mixed if they disagree, otherwise open.",
    partial(text_cell, "verdict"),
)
PVALUE = Column(
    "p", "Student's t on mean regret against random search's, with Holm's correction for the number of methods.",
    partial(number_cell, "p", form=pvalue),
)  # fmt: skip
IMPROVEMENT = _number(
    "beats random search [95 %]",
    "Probability that a run ends with a better architecture than random search with the same budget, which some "
    "methods do not use up; ties count half, 0.5 is as good. The interval is over search seeds, and corrected for the "
    "number of methods.",
    "improvement", "improvement_low", "improvement_high",
)  # fmt: skip
REGRET = _number("regret, mean", _REGRET, "regret_mean")
TEST_SCORE = _number("test score", "Mean test score of the chosen architectures.", "test_score")
RUNS = Column(
    "runs",
    "Search seeds. A method that replays stored supernets or searches has as many runs as are stored.",
    partial(number_cell, "runs", form=lambda count: fixed(count, 0)),
)
SPENT = _number("trainings spent", "Whole trainings that a run paid for, mean over runs.", "spent")
REGRET_IQM = _number(
    "regret, IQM [95 %]", "Interquartile mean over runs, with its interval over search seeds.",
    "regret_iqm", "regret_low", "regret_high",
)  # fmt: skip
IMPROVEMENT_TABLE = _number(
    "beats random search [95 %, train seeds too]",
    "Student's t interval that includes the agents' train seeds: how far the noise of the table could move it.",
    "improvement", "improvement_table_low", "improvement_table_high",
)  # fmt: skip
REGRET_TABLE = _number(
    "regret, mean [95 %, train seeds too]", _REGRET, "regret_mean", "regret_table_low", "regret_table_high"
)
GUESSED = Column(
    "guessed",
    "Share of runs whose chosen architecture was never trained: a surrogate guesses its test score, and so its regret.",
    partial(number_cell, "guessed", form=percent),
)


def main_columns(task: str) -> tuple[Column, ...]:
    """Choose the columns for a task, or for all tasks of a family."""
    if task == ALL:
        return METHOD, RANK, VERDICT, PVALUE, IMPROVEMENT, REGRET, RUNS
    return METHOD, RANK, IMPROVEMENT, REGRET, TEST_SCORE, SPENT, RUNS


def detail_columns(task: str, rows: pd.DataFrame) -> tuple[Column, ...]:
    """Choose the columns that are folded away; none of which nothing is known."""
    over_seeds = (IMPROVEMENT_TABLE, REGRET_TABLE) if rows["regret_table_low"].notna().any() else ()
    guessed = (GUESSED,) if bool((rows["guessed"] > 0).any()) else ()
    return METHOD, REGRET_IQM, *over_seeds, *guessed, *((SPENT,) if task == ALL else ())


def shown(rows: pd.DataFrame, columns: Sequence[Column]) -> Shown:
    """Make a table of rows of ``report.COLUMNS``."""
    cells = [[column.cell(row) for column in columns] for _, row in rows.iterrows()]
    return Shown([(one.title, one.meaning) for one in columns], cells, [mode == "reference" for mode in rows["mode"]])


def details(rows: pd.DataFrame, task: str) -> Shown:
    """Make the table that is folded away, of the searches only."""
    return shown(rows[rows["mode"] != "reference"], detail_columns(task, rows))
