"""The answer on top of a leaderboard: which method to use on a space, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from nasbench_rl._utils.text import estimate, percent, pvalue, show
from nasbench_rl.leaderboard.evaluated_task import RANDOM_SEARCH, RANKS_BY_LUCK, JudgedTask, counted_tasks
from nasbench_rl.leaderboard.ranking import Report, is_random_search, methods_of
from nasbench_rl.leaderboard.stats.bootstrap import EVEN
from nasbench_rl.leaderboard.stats.random_search import FEWEST_TRAIN_SEEDS
from nasbench_rl.leaderboard.summary import EXACT

Level = Literal["better", "here", "none", "unknown"]
HEADLINES: dict[Level, str] = {
    "better": "Use {}: it beats random search.",
    "here": "Use {}: on these tables it beats random search.",
    "none": "Use random search: no method surely beats it.",
    "unknown": "No answer yet.",
}
NAMED = 3
"""How many further methods are named."""


@dataclass(frozen=True)
class Answer:
    """The answer for one family of tasks.

    Attributes:
        family: its name.
        level: whether a method is ``better`` than random search, also counting the noise of the train seeds; better
            ``here``, on these tables; ``none`` is; or ``unknown``, without anything to compare with.
        method: the one whose runs most probably beat random search, of those that surely do if any; empty if unknown.
        numbers: its numbers, in one line.
        notes: what a reader has to know about these numbers.
        seeds: probability of improvement with its interval over search seeds.
        tables: its interval over train seeds too; NaN where unknown.
    """

    family: str
    level: Level
    method: str = ""
    numbers: str = ""
    notes: tuple[str, ...] = ()
    seeds: tuple[float, float, float] = (math.nan,) * 3
    tables: tuple[float, float] = (math.nan,) * 2

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        return HEADLINES[self.level].format(self.method)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(filter(None, (self.headline, self.numbers, *self.notes)))


def answers(report: Report) -> list[Answer]:
    """Answer for each family."""
    return [_answer(report, family) for family in report.families]


def _answer(report: Report, family: str) -> Answer:
    rows, members = report.rows(family), report.families[family]
    known = rows[rows["improvement"].notna() & (rows["mode"] != "reference")]
    others = known[~known["method"].map(is_random_search).astype(bool)]
    if others.empty:
        return Answer(family, "unknown", numbers=_why_unknown(rows))
    # A single run may happen to be the best: what surely beats random search goes before what may.
    ordered = others.assign(sure=others["verdict"] == "better", spread=others["improvement_low"].notna()).sort_values(
        ["sure", "spread", "improvement", "rank"], ascending=[False, False, False, True], kind="stable"
    )
    best, counted = ordered.iloc[0], counted_tasks(members)
    level: Level = "none"
    if best["sure"]:
        level = "better" if best["improvement_table_low"] > EVEN else "here"
    also = [str(row["method"]) for _, row in ordered[1:].iterrows() if row["sure"]]
    answer = Answer(
        family, level, str(best["method"]), _numbers(best, rows, counted, len(methods_of(members))),
        seeds=(best["improvement"], best["improvement_low"], best["improvement_high"]),
        tables=(best["improvement_table_low"], best["improvement_table_high"]),
    )  # fmt: skip
    return replace(answer, notes=tuple(_notes(answer, rows, members, also)))


def _why_unknown(rows: pd.DataFrame) -> str:
    searches = rows[rows["mode"] != "reference"]
    if all(is_random_search(name) for name in searches["method"]):
        return "Only random search was run."
    if searches["regret_mean"].isna().all():
        return "No method has a judged result on every task."
    return f"Random search is missing as the reference: run {RANDOM_SEARCH} too, or complete the table over its space."


def _numbers(best: pd.Series[Any], rows: pd.DataFrame, counted: list[JudgedTask], methods: int) -> str:
    exact = rows[rows["method"] == EXACT]["regret_mean"]
    against = f" (random search {show(float(exact.iloc[0]))})" if len(exact) else ""
    runs = [len(judged.methods[best["method"]]) for judged in counted]
    count = f"{min(runs)}" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"
    budget = "" if math.isnan(best["trainings"]) else f", {best['trainings']:g} whole trainings each"
    return (
        f"{best['method']}: probability of ending with a better architecture than random search "
        f"{estimate(best['improvement'], best['improvement_low'], best['improvement_high'])}; normalised regret "
        f"{show(best['regret_mean'])}{against}; p {pvalue(best['p'])}, {methods} method{'s' * (methods != 1)}, "
        f"{count} run{'s' * (max(runs) != 1)} on {'each of ' * (len(runs) > 1)}{len(runs)} task{'s' * (len(runs) != 1)}"
        f"{budget}."
    )


def _notes(answer: Answer, rows: pd.DataFrame, members: list[JudgedTask], also: list[str]) -> list[str]:
    notes, counted = [], counted_tasks(members)
    if (guessed := float(rows["guessed"].mean())) > 0:
        notes.append(
            f"{percent(guessed)} of the chosen architectures were never trained: a surrogate guesses their score."
        )
    if single := [judged.task.id for judged in counted if judged.bench.table.single_seed]:
        notes.append(f"One train seed on {', '.join(single)}: searches and test scores share its luck.")
    if math.isnan(answer.tables[0]):
        notes.append(
            "How much the noise of the tables could change this is unknown: that takes "
            f"{FEWEST_TRAIN_SEEDS} train seeds of the test split on every task."
        )
    else:
        notes.append(
            f"Interval with the noise of the train seeds: [{show(answer.tables[0])}, {show(answer.tables[1])}]."
        )
    if left := [judged.task.id for judged in members if judged not in counted]:
        notes.append(f"Left out: {', '.join(left)}, {RANKS_BY_LUCK}.")
    elif all(judged.by_luck for judged in members):
        notes.append(f"This may be luck: it is of {', '.join(judged.task.id for judged in members)}, {RANKS_BY_LUCK}.")
    if also:
        rest = f" and {len(also) - NAMED} more" if len(also) > NAMED else ""
        notes.append(f"Also better than random search: {', '.join(also[:NAMED])}{rest}.")
    return notes
