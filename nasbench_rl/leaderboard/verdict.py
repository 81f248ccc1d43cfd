"""The answer on top of a leaderboard: which method to use on a space, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from nasbench_rl import ranks
from nasbench_rl.improvement import FEWEST_TRAIN_SEEDS
from nasbench_rl.leaderboard.certainty import difference, pooled, pvalue
from nasbench_rl.leaderboard.columns import show
from nasbench_rl.leaderboard.judged import RANDOM_SEARCH, RANKS_BY_LUCK, JudgedTask, counted_tasks
from nasbench_rl.leaderboard.report import Report, is_random_search, methods_of
from nasbench_rl.stats import ALPHA
from nasbench_rl.summary import EXACT

Level = Literal["better", "here", "none", "unknown"]
AS_GOOD = 0.5
NAMED = 3
"""So many further methods are named."""


@dataclass(frozen=True)
class Verdict:
    """The answer for one family of tasks.

    Attributes:
        family: its name.
        tasks: ids of its tasks.
        level: ``better`` than random search, counting the noise of the train seeds too; better ``here``, on these
            tables; ``none`` is; or ``unknown`` for want of something to compare. Better takes an interval of the
            probability of improvement above one half and a lower mean regret by the test of the findings page, so that
            a few runs which happen to agree are not taken for certain.
        method: the one whose runs most probably beat random search, of those that surely do if any; empty when unknown.
        headline: the answer in one sentence.
        evidence: its numbers, in one sentence.
        sureness: what the tables' noise makes of it.
        seeds: probability of improvement with its interval over search seeds.
        tables: interval over train seeds too; NaN where unknown.
    """

    family: str
    tasks: tuple[str, ...]
    level: Level
    method: str
    headline: str
    evidence: str
    sureness: str
    seeds: tuple[float, float, float]
    tables: tuple[float, float]

    @property
    def sentence(self) -> str:
        """All of it."""
        return " ".join(text for text in (self.headline, self.evidence, self.sureness) if text)


def verdicts(report: Report) -> list[Verdict]:
    """One for each family."""
    return [_verdict(report, family) for family in report.families]


def _verdict(report: Report, family: str) -> Verdict:
    members = report.families[family]
    counted = counted_tasks(members)
    tasks = tuple(judged.task.id for judged in members)
    rows = report.rows(family)
    known = rows[rows["improvement"].notna() & (rows["mode"] != "reference")]
    others = known[[not is_random_search(name) for name in known["method"]]]
    if others.empty:
        why = _why_unknown(rows)
        nan = math.nan
        return Verdict(family, tasks, "unknown", "", "No answer yet.", why, "", (nan, nan, nan), (nan, nan))
    # A single run may happen to be the best: what is surely better than random search goes before what may be.
    exact = rows[rows["method"] == EXACT]["regret_mean"]
    to_beat = float(exact.iloc[0]) if len(exact) else math.inf
    tested = others.assign(**_tests(counted, list(others["method"])))
    surely = tested.assign(level=[_level(row, to_beat) for _, row in tested.iterrows()])
    surely["sure"], surely["spread"] = surely["level"] != "none", surely["improvement_low"].notna()
    by = ["sure", "spread", "improvement", "rank"]
    order = surely.sort_values(by, ascending=[False, False, False, True], kind="stable")
    best = order.iloc[0]
    level: Level = best["level"]
    also = [str(row["method"]) for _, row in order[1:].iterrows() if row["sure"]]
    return Verdict(
        family,
        tasks,
        level,
        str(best["method"]),
        _headline(level, str(best["method"])),
        _evidence(counted, best, rows, len(methods_of(members))) + _test_words(best, to_beat),
        _sureness(best, level) + _luck(members, counted) + _also(also),
        (best["improvement"], best["improvement_low"], best["improvement_high"]),
        (best["improvement_table_low"], best["improvement_table_high"]),
    )


def _tests(tasks: list[JudgedTask], methods: list[str]) -> dict[str, list[float]]:
    """Per method the difference of its mean regret from random search's, and p after Holm's correction over all."""
    differences, pvalues = [], []
    for method in methods:
        parts, runs = [], []
        for judged in tasks:
            outcome, reference = judged.outcome(method)
            assert reference is not None  # without one nothing is known of an improvement, which all of these have
            parts.append(difference(outcome.chosen, reference, outcome.best.mean() - outcome.scores.mean(axis=1)))
            runs.append(min(outcome.runs, reference.runs or outcome.runs))
        whole = pooled(parts, [judged.gap for judged in tasks])
        differences.append(whole.mean)
        pvalues.append(pvalue(whole, min(runs)))
    return {"difference": differences, "p": ranks.holm(pvalues).tolist()}


def _promising(row: pd.Series, to_beat: float) -> bool:
    """Better more often, and on average too; ``to_beat``: random search's expected regret."""
    return bool(row["improvement_low"] > AS_GOOD and row["regret_mean"] < to_beat and row["difference"] < 0)


def _level(row: pd.Series, to_beat: float) -> Level:
    if not (_promising(row, to_beat) and row["p"] < ALPHA):
        return "none"
    return "better" if row["improvement_table_low"] > AS_GOOD else "here"


def _why_unknown(rows: pd.DataFrame) -> str:
    searches = rows[rows["mode"] != "reference"]
    if all(is_random_search(name) for name in searches["method"]):
        return "Only random search was run."
    if searches["regret_mean"].isna().all():
        return "No method has a judged result on every task."
    return f"Random search is not there to compare with: run {RANDOM_SEARCH} too, or complete the table over its space."


def _headline(level: Level, method: str) -> str:
    if level == "better":
        return f"Use {method}: it beats random search."
    if level == "here":
        return f"Use {method}: on these tables it beats random search."
    return "Use random search: no method surely beats it."


def _evidence(judged: list[JudgedTask], best: pd.Series, rows: pd.DataFrame, methods: int) -> str:
    tasks, runs = len(judged), _runs([len(one.methods[best["method"]]) for one in judged])
    budget = best["trainings"]
    spend = "the budgets listed below" if math.isnan(budget) else f"a budget of {budget:g} whole trainings"
    subject = "The nearest is " + str(best["method"]) + ": a" if best["level"] == "none" else "A"
    between = ""
    if not math.isnan(best["improvement_low"]):
        between = f"95 % interval {show(best['improvement_low'])} to {show(best['improvement_high'])}"
        between += "; " if methods == 1 else f", corrected for {methods} methods; "
    text = (
        f"{subject} run with {spend} ends with a better architecture than random search's with probability "
        f"{show(best['improvement'])} ({between}{runs}; 0.5 is as good; {tasks} task{'s' * (tasks != 1)})."
    )
    exact = rows[rows["method"] == EXACT]["regret_mean"]
    if len(exact):
        text += (
            f" Its mean regret is {show(best['regret_mean'])} of that of a draw at random, random search's "
            f"{show(float(exact.iloc[0]))}."
        )
    if (guessed := float(rows["guessed"].mean())) > 0:
        text += (
            f" Of the architectures that runs chose {guessed * 100:.0f} % were never trained: their test scores are a "
            "surrogate's guesses, and regret is against the best that was trained."
        )
    if single := [one.task.id for one in judged if one.bench.table.single_seed]:
        text += (
            f" On {', '.join(single)} there is one train seed: test scores are of fresh games of the very agents that "
            "a search saw, and the luck of that seed is in both."
        )
    return text


def _runs(counts: list[int]) -> str:
    """How many runs there were, a task each."""
    least, most = min(counts), max(counts)
    number = "a single run" if most == 1 else f"{most} runs" if least == most else f"{least} to {most} runs"
    return number + " on each task" * (len(counts) > 1)


def _test_words(best: pd.Series, to_beat: float) -> str:
    """What the test says, of a method that all else speaks for."""
    if not _promising(best, to_beat):
        return ""
    p = "p < 0.001" if best["p"] < 0.001 else f"p = {best['p']:.2g}"
    words = f"Student's t on regret, of its runs and one more of random search, gives {p} (Holm)"
    return f" {words}." if best["p"] < ALPHA else f" That is no proof: {words}, so that its runs may agree by chance."


def _sureness(best: pd.Series, level: Level) -> str:
    low, high = best["improvement_table_low"], best["improvement_table_high"]
    if math.isnan(low):
        return (
            "How far the tables' own noise could turn this is unknown: that takes "
            f"{FEWEST_TRAIN_SEEDS} train seeds of the test split on every task."
        )
    between = f"[{show(low)}, {show(high)}]"
    if level == "here":
        return f"Other train seeds could turn that: counting them, the interval is {between}."
    return f"Counting the noise of the train seeds too, the interval is {between}."


def _luck(members: list[JudgedTask], counted: list[JudgedTask]) -> str:
    if left := [judged.task.id for judged in members if judged not in counted]:
        return f" Left out of this answer: {', '.join(left)}, {RANKS_BY_LUCK}."
    if all(judged.by_luck for judged in members):
        return f" Take it for luck: it is of {', '.join(judged.task.id for judged in members)}, {RANKS_BY_LUCK}."
    return ""


def _also(methods: list[str]) -> str:
    if not methods:
        return ""
    rest = f" and {len(methods) - NAMED} more" if len(methods) > NAMED else ""
    return f" Also better than random search here: {', '.join(methods[:NAMED])}{rest}."
