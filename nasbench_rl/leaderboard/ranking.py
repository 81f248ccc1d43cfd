"""The numbers of a leaderboard as one table: a row for each method and task, and for each method and task family.

Every number is rounded here, once, so that all files written from it agree to the digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl._utils.typing import Floats
from nasbench_rl.errors import TableError
from nasbench_rl.leaderboard.evaluated_task import RANDOM_SEARCH, JudgedTask, counted_tasks, family_of, judge
from nasbench_rl.leaderboard.stats import bootstrap as stats
from nasbench_rl.leaderboard.stats import ranks
from nasbench_rl.leaderboard.stats.bootstrap import LEVEL, RESAMPLES, percentile_interval, plain_name, resampling_rng
from nasbench_rl.leaderboard.stats.random_search import (
    improvement,
    improvement_draws,
    regret_draws,
    train_seed_interval,
)
from nasbench_rl.leaderboard.summary import EXACT, Tables
from nasbench_rl.leaderboard.verdict import compare_methods, verdict
from nasbench_rl.task import task_ids

ALL = "all tasks"
NORMALISED = "normalised"
COLUMNS = (
    "family", "task", "method", "version", "configuration", "mode", "approximation", "table", "runs", "trainings",
    "unit", "rank", "improvement", "improvement_low", "improvement_high", "improvement_table_low",
    "improvement_table_high",
    "regret_mean", "regret_table_low", "regret_table_high", "regret_iqm", "regret_low", "regret_high", "test_score",
    "guessed", "spent", "p", "verdict",
)  # fmt: skip
"""Columns of ``leaderboard.csv``.

``task`` is ``all tasks`` in the rows of a family, whose regrets are normalised: divided by the regret of a random
architecture (``unit``); tasks whose rankings are luck do not count there (``judged.counted_tasks``). ``rank`` is by
``regret_mean``, in a family's row the mean over its tasks. ``improvement`` is the probability that a run ends with a
better architecture than random search with the same budget, with a bootstrap interval over search seeds (``_low``,
``_high``) and one over train seeds too (``_table_low``, ``_table_high``), both corrected for the number of methods in
the family (Bonferroni). ``regret_low`` and ``regret_high`` are the 95 % interval of ``regret_iqm`` over search seeds,
``regret_table_low`` and ``regret_table_high`` that of ``regret_mean`` over train seeds too. ``guessed`` is the share of
runs whose chosen architecture was never trained: its test score, and so its regret, is a surrogate's guess. ``spent``
is the mean number of whole trainings that a run paid for. ``p`` (Student's t on regret, Holm's correction) and
``verdict`` (``verdict.verdict``) compare a method with random search over the family. ``approximation`` is
``Run.approximation``. Rows of mode ``reference`` are not searches. What is unknown is missing.
"""
DIGITS = 3


@dataclass(frozen=True, eq=False)
class Ranking:
    """Average ranks over all tasks that count.

    Attributes:
        ranks: by method, ascending.
        friedman: p-value of Friedman's test that all methods are alike; NaN with fewer than three methods or two tasks.
        tasks: number of tasks.
        left_out: methods without a judged result on some task.
    """

    ranks: dict[str, float]
    friedman: float
    tasks: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """Everything a leaderboard shows, except for the facts about its tables.

    Attributes:
        frame: ``COLUMNS``, rounded; families in the order of the registry, methods by rank, references last.
        tasks: what was judged, by task id.
        ranking: over all tasks.
        left_out: tasks whose regret is unknown because no table judges them.
    """

    frame: pd.DataFrame
    tasks: dict[str, JudgedTask]
    ranking: Ranking
    left_out: tuple[str, ...]

    @property
    def families(self) -> dict[str, list[JudgedTask]]:
        """Tasks by family."""
        return _families(self.tasks)

    def rows(self, family: str, task: str = ALL) -> pd.DataFrame:
        """Return the rows of a family, or of one task in it."""
        return self.frame[(self.frame["family"] == family) & (self.frame["task"] == task)]


def _families(tasks: dict[str, JudgedTask]) -> dict[str, list[JudgedTask]]:
    found: dict[str, list[JudgedTask]] = {}
    for id_, judged in tasks.items():
        found.setdefault(family_of(id_), []).append(judged)
    return found


def build_report(runs: pd.DataFrame, tables: Tables | str | None = None) -> Report:
    """Compute all statistics of a leaderboard.

    Args:
        runs: rows of ``runs_schema.COLUMNS`` by run and step, with a different name for each method.
        tables: that judge, or their folder.

    Raises:
        TableError: no table judges any of the tasks.
    """
    tables = Tables.of(tables)
    of_task = dict(iter(runs.groupby("task", sort=False)))
    order = [id_ for id_ in task_ids() if id_ in of_task]
    tasks = {id_: judged for id_ in order if (judged := judge(id_, of_task[id_], tables)) is not None}
    if not tasks:
        raise TableError(
            f"no table tells the regret of {', '.join(order)}; name the folder that has one with --tables, or train "
            "one: python -m nasbench_rl.build --help"
        )
    rows = [row for name, members in _families(tasks).items() for row in _family_rows(name, members)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = frame.columns[frame.columns.get_loc("rank") : frame.columns.get_loc("spent") + 1]
    for name in ("trainings", *numbers):
        frame[name] = frame[name].astype(float).map(round_number)
    frame["runs"] = frame["runs"].astype("Int64")
    ranking = _ranking(counted_tasks(list(tasks.values())))
    return Report(_with_verdicts(frame, tasks), tasks, ranking, tuple(id_ for id_ in order if id_ not in tasks))


def _with_verdicts(frame: pd.DataFrame, tasks: dict[str, JudgedTask]) -> pd.DataFrame:
    """Judge every method of a family against random search over the tasks that count."""
    frame = frame.astype({"p": float, "verdict": object})
    for family, members in _families(tasks).items():
        rows = (frame["family"] == family) & (frame["task"] == ALL) & frame["improvement"].notna()
        others = frame[rows & (frame["mode"] != "reference") & ~frame["method"].map(is_random_search)]
        tested = compare_methods(counted_tasks(members), list(others["method"]))
        for at, row in others.iterrows():
            found, p = tested[row["method"]]
            frame.loc[at, "p"] = float(f"{p:.{DIGITS}g}")
            frame.loc[at, "verdict"] = verdict(found.mean, p, (row["improvement_low"], row["improvement_high"]))
    return frame


def round_number(value: float) -> float:
    """Round to ``DIGITS`` significant digits, and no fewer than the whole number has."""
    if not math.isfinite(value) or value == 0:
        return abs(value)  # no minus zero
    return round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def methods_of(tasks: Iterable[JudgedTask]) -> list[str]:
    """Names of all methods that ran on any of the tasks."""
    return list(dict.fromkeys(name for judged in tasks for name in judged.methods))


@dataclass
class _Draws:
    """Resampled estimates of one method on one task."""

    improvement: Floats
    improvement_table: Floats
    regret_table: Floats
    train_seeds: int


def _family_rows(family: str, tasks: Sequence[JudgedTask]) -> list[dict[str, Any]]:
    methods, counted = methods_of(tasks), counted_tasks(tasks)
    level = 1 - (1 - LEVEL) / len(methods)
    of_task: dict[str, list[dict[str, Any]]] = {judged.task.id: [] for judged in tasks}
    overall = []
    for method in methods:
        rows, draws = {}, {}
        for judged in tasks:
            if method in judged.methods:
                rows[judged.task.id], draws[judged.task.id] = _task_row(judged, method, level)
        for id_, row in rows.items():
            of_task[id_].append(row)
        if any(method in judged.methods for judged in counted):
            overall.append(_overall_row(family, method, counted, rows, draws, level))
    for found in of_task.values():
        _rank(found)
    complete = [row for row in overall if not math.isnan(row["regret_mean"])]
    for row, rank in zip(complete, _mean_ranks([row["method"] for row in complete], counted), strict=True):
        row["rank"] = rank
    parts = [_sorted(overall) + _overall_references(counted)]
    parts += [_sorted(of_task[judged.task.id]) + _task_references(judged) for judged in tasks]
    named = [ALL, *of_task]
    return [{**row, "family": family, "task": task} for task, part in zip(named, parts, strict=True) for row in part]


def _task_row(judged: JudgedTask, method: str, level: float) -> tuple[dict[str, Any], _Draws]:
    final = judged.methods[method]
    row = _identity(final) | {"trainings": judged.trainings, "unit": judged.task.metric}
    row |= {"guessed": _share_guessed(final), "spent": float(final["spent"].mean()) / judged.task.max_fidelity}
    nothing = np.full(RESAMPLES, math.nan)
    draws = _Draws(nothing, nothing, nothing, 0)
    if not judged.is_judged(method):
        return row, draws
    outcome, reference = judged.outcome(method)
    draws.train_seeds = outcome.train_seeds
    rng = partial(resampling_rng, judged.task.id, method, row["configuration"])
    if reference is not None:
        row["improvement"] = improvement(outcome, reference)
        draws.improvement = improvement_draws(outcome, reference, rng("improvement"), RESAMPLES)
        draws.improvement_table = improvement_draws(
            outcome, reference, rng("improvement over train seeds"), RESAMPLES, over_train_seeds=True
        )
    draws.regret_table = regret_draws(outcome, rng("regret over train seeds"), RESAMPLES)
    row |= _regret_cells(judged.regrets(method)[:, np.newaxis], rng("regret"))
    row |= _interval_cells(row, draws, level)
    row["test_score"] = float(final["test_score"].mean())
    return row, draws


def _overall_row(
    family: str, method: str, tasks: Sequence[JudgedTask], rows: dict[str, dict[str, Any]], draws: dict[str, _Draws],
    level: float,
) -> dict[str, Any]:  # fmt: skip
    """Make the row of a method over the tasks of a family that count; without a result on each, numbers are missing."""
    ids = [judged.task.id for judged in tasks if method in judged.methods]
    rows, draws = {id_: rows[id_] for id_ in ids}, {id_: draws[id_] for id_ in ids}
    final = pd.concat([judged.methods[method] for judged in tasks if method in judged.methods])
    row = _identity(final) | {"trainings": _common(judged.trainings for judged in tasks), "unit": NORMALISED}
    row["runs"] = _common(found["runs"] for found in rows.values())
    row |= {"guessed": _share_guessed(final), "regret_mean": math.nan}
    row["spent"] = float(np.mean([found["spent"] for found in rows.values()]))
    if not all(judged.is_judged(method) for judged in tasks):
        return row
    gaps = np.array([judged.gap for judged in tasks])
    mean = _Draws(
        np.mean([d.improvement for d in draws.values()], axis=0),
        np.mean([d.improvement_table for d in draws.values()], axis=0),
        np.mean([d.regret_table / g for d, g in zip(draws.values(), gaps, strict=True)], axis=0),
        min(d.train_seeds for d in draws.values()),
    )
    row["improvement"] = float(np.mean([found.get("improvement", math.nan) for found in rows.values()]))
    regrets = [judged.regrets(method) / gap for judged, gap in zip(tasks, gaps, strict=True)]
    row["regret_mean"] = float(np.mean([one.mean() for one in regrets]))
    if len({len(one) for one in regrets}) == 1:  # the interquartile mean pools tasks, which must weigh the same
        rng = resampling_rng(family, method, row["configuration"], "regret")
        row |= _regret_cells(np.stack(regrets, axis=1), rng)
    return row | _interval_cells(row, mean, level)


def _identity(final: pd.DataFrame) -> dict[str, Any]:
    def joined(column: str) -> str:
        return ", ".join(sorted({text for text in final[column] if text}))

    return {
        "method": final["method"].iloc[0], "version": joined("method_version"), "mode": joined("mode"),
        "configuration": joined("configuration"), "approximation": joined("approximation") or None,
        "table": joined("table"), "runs": len(final),
    }  # fmt: skip


def _share_guessed(final: pd.DataFrame) -> float:
    return float((final["test_source"] == "surrogate").mean())


def _common(values: Iterable[float]) -> float:
    """Return the one value that all have, or NaN."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else math.nan


def _regret_cells(regrets: Floats, rng: np.random.Generator) -> dict[str, float]:
    """Return mean and interquartile mean of (runs, tasks) regrets."""
    low, high = stats.bootstrap_interval(regrets, stats.interquartile_mean, rng)
    iqm = stats.interquartile_mean(regrets)
    return {"regret_mean": float(regrets.mean()), "regret_iqm": iqm, "regret_low": low, "regret_high": high}


def _interval_cells(row: dict[str, Any], draws: _Draws, level: float) -> dict[str, float]:
    """Intervals of the estimates that the row has."""
    low, high = percentile_interval(draws.improvement, level)
    chance = train_seed_interval(row.get("improvement", math.nan), draws.improvement_table, draws.train_seeds, level)
    table_low, table_high = np.clip(chance, 0.0, 1.0)
    regret_low, regret_high = train_seed_interval(row["regret_mean"], draws.regret_table, draws.train_seeds, LEVEL)
    return {
        "improvement_low": float(low), "improvement_high": float(high),
        "improvement_table_low": float(table_low), "improvement_table_high": float(table_high),
        "regret_table_low": regret_low, "regret_table_high": regret_high,
    }  # fmt: skip


def _rank(rows: list[dict[str, Any]]) -> None:
    regrets = pd.Series([row.get("regret_mean", math.nan) for row in rows], dtype=float)
    for row, rank in zip(rows, regrets.rank(method="average"), strict=True):
        row["rank"] = rank


def _mean_ranks(methods: Sequence[str], tasks: Sequence[JudgedTask]) -> list[float]:
    if not methods:
        return []
    return ranks.average_ranks(_mean_regrets(methods, tasks), higher_is_better=False).tolist()  # type: ignore[no-any-return]


def _mean_regrets(methods: Sequence[str], tasks: Sequence[JudgedTask]) -> Floats:
    """Return the mean regrets, (methods, tasks)."""
    return np.array([[judged.regrets(method).mean() for judged in tasks] for method in methods])


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def key(row: dict[str, Any]) -> tuple[float, float, str]:
        rank, regret = row.get("rank", math.nan), row.get("regret_mean", math.nan)
        return (math.inf, math.inf, row["method"]) if math.isnan(rank) else (rank, regret, row["method"])

    return sorted(rows, key=key)


def _task_references(judged: JudgedTask) -> list[dict[str, Any]]:
    same = {"mode": "reference", "runs": math.nan, "trainings": judged.trainings, "unit": judged.task.metric}
    return [
        same | {"method": row["method"], "regret_mean": row["regret_mean"], "test_score": row["test_score"]}
        for row in judged.references
    ]


def _overall_references(tasks: Sequence[JudgedTask]) -> list[dict[str, Any]]:
    shares = []
    for judged in tasks:
        shares += [row["regret_mean"] / judged.gap for row in _task_references(judged) if row["method"] == EXACT]
    if len(shares) < len(tasks):
        return []
    same = {"mode": "reference", "runs": math.nan, "trainings": _common(judged.trainings for judged in tasks)}
    return [same | {"method": EXACT, "unit": NORMALISED, "regret_mean": float(np.mean(shares))}]


def _ranking(tasks: Sequence[JudgedTask]) -> Ranking:
    methods = methods_of(tasks)
    complete = [name for name in methods if all(judged.is_judged(name) for judged in tasks)]
    left_out = tuple(name for name in methods if name not in complete)
    if not complete:
        return Ranking({}, math.nan, len(tasks), left_out)
    scores = _mean_regrets(complete, tasks)
    enough = len(complete) >= 3 and len(tasks) >= 2
    friedman = ranks.friedman(scores).pvalue if enough else math.nan
    mean = ranks.average_ranks(scores, higher_is_better=False)
    by_rank = {complete[i]: float(mean[i]) for i in np.argsort(mean, kind="stable")}
    return Ranking(by_rank, friedman, len(tasks), left_out)


def is_random_search(method: str) -> bool:
    """Return whether a row is random search itself, whatever its hyperparameters."""
    return plain_name(method) == RANDOM_SEARCH
