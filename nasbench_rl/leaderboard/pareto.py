"""Score against cost: which fronts searches find, judged by hypervolume on the test split.

Two objectives: the test score, up, and a resource (params, FLOPs or measured latency), down. Both are scaled over the
table to [0, 1], the resource by its logarithm, so that halving it counts the same everywhere. The hypervolume is the
area that a set of architectures dominates from a reference point at −0.1 of either scale, as a share of what the true
front of the table dominates. Validation chooses and test judges, so the hypervolume may fall during a search. Where a
space is too large for a whole table (NSC), front and scale are those of the networks that were trained; a surrogate's
guess joins no front, and ``left_out`` is the share of networks that concerns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl._utils.typing import Floats, Ints
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import MissingCellError
from nasbench_rl.leaderboard.stats import bootstrap as stats
from nasbench_rl.leaderboard.summary import Tables, distinct
from nasbench_rl.tables.results import RESOURCES, Resource

MARGIN = 0.1
"""How far beyond the worst of the table the reference point lies, on the scale of either objective."""
COLUMNS = ("task", "method", "objective", "mode", "runs", "resource", "hypervolume", "low", "high", "left_out")
"""Of ``hypervolume.csv``: mean share of the true front's hypervolume at the end of the budget, and its 95 % bootstrap
interval over search seeds. ``left_out`` is the share of the networks a search looked at that the table has not scored,
mean over runs; missing where the table is whole. Reference rows have mode ``reference``."""
BY_VALIDATION = "front by validation scores"
Members = tuple[str, ...]


def front(costs: Floats, scores: Floats) -> Ints:
    """Positions of the points that no other beats in both: cheaper first. Of equal points the first is kept.

    Args:
        costs: (n,) lower is better.
        scores: (n,) higher is better.

    >>> front(np.array([3.0, 1.0, 2.0]), np.array([9.0, 5.0, 4.0])).tolist()
    [1, 0]
    """
    order = np.lexsort((-scores, costs))
    before = np.concatenate([[-np.inf], np.maximum.accumulate(scores[order])[:-1]])
    return order[scores[order] > before]


def hypervolume(points: Floats) -> float:
    """Area between the origin and (n, 2) points, of which more is better in both; what is below 0 counts as 0.

    >>> hypervolume(np.array([[2.0, 1.0], [1.0, 3.0]]))
    4.0
    """
    area = height = 0.0
    for across, up in sorted(np.maximum(points, 0.0).tolist(), reverse=True):
        if up > height:
            area += across * (up - height)
            height = up
    return area


@dataclass(frozen=True, eq=False)
class Objectives:
    """Both objectives of every architecture of a task's table.

    Attributes:
        names: (architectures,) canonical strings: the whole space, or those trained where no table can hold it.
        costs: (architectures,) in the unit of the resource.
        scores: (architectures,) test scores at max fidelity, mean over the train seeds of the split.
        resource: which cost.
        bench: the table.
    """

    names: Sequence[str]
    costs: Floats
    scores: Floats
    resource: Resource
    bench: Benchmark
    _known: dict[Members, float] = field(default_factory=dict, repr=False)

    @cached_property
    def at(self) -> dict[str, int]:
        """Position of each architecture."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def points(self) -> Floats:
        """(architectures, 2) both objectives on their scale, from the reference point: more is better."""
        return np.stack([_scaled(-np.log(self.costs)), _scaled(self.scores)], axis=1) + MARGIN

    @cached_property
    def whole(self) -> float:
        """Hypervolume of the true front."""
        return hypervolume(self.points)

    @property
    def whole_space(self) -> bool:
        """Whether the front is the true one, and not that of the networks that happen to be trained."""
        return self.bench.task.exhaustive

    @property
    def true_front(self) -> Ints:
        """Positions of the front by test scores, cheapest first."""
        return front(self.costs, self.scores)

    def share(self, members: Iterable[str]) -> float:
        """Hypervolume of a set of architectures by their test scores, as a share of the true front's."""
        key = tuple(members)
        if key not in self._known:
            self._known[key] = hypervolume(self.points[[self.at[name] for name in key]]) / self.whole
        return self._known[key]

    def front_of(self, scores: Mapping[str, float]) -> Members:
        """Return the front of some architectures by the scores given, cheapest first; the first of equal ones."""
        # In plain Python: on the few architectures that a search has seen it is several times as fast as ``front``.
        order = sorted(scores, key=lambda name: (self.costs[self.at[name]], -scores[name]))
        members, best = [], -math.inf
        for name in order:
            if scores[name] > best:
                members.append(name)
                best = scores[name]
        return tuple(members)


def _scaled(values: Floats) -> Floats:
    """Scale to [0, 1]; all 1 where all are alike."""
    low, high = values.min(), values.max()
    return np.ones_like(values) if low == high else (values - low) / (high - low)


def objectives(bench: Benchmark | None, resource: Resource) -> Objectives | None:
    """Collect both objectives of a task.

    Of a space too large for a table (NSC) they are those of the networks trained, as far as the resource is known.

    Returns:
        None where there is nothing to judge by: no table, an incomplete one of a space that a table can hold, or no
        measured latency.
    """
    if bench is None:
        return None
    scores = bench.table.view("test").mean[:, -1]
    costs = np.array([_cost(bench, name, resource) for name in bench.table.names])
    known = ~np.isnan(scores) & ~np.isnan(costs)
    if not known.any() or (bench.task.exhaustive and not known.all()):
        return None
    names = [name for name, there in zip(bench.table.names, known, strict=True) if there]
    return Objectives(names, costs[known], scores[known], resource, bench)


def _cost(bench: Benchmark, name: str, resource: Resource) -> float:
    """NaN for a latency that was not measured."""
    try:
        return bench.resource(name, resource)
    except MissingCellError:
        return math.nan


class _Seen:
    """What a search knows after each evaluation: validation scores by architecture at the highest fidelity reached.

    A run chooses its incumbent among the same architectures.
    """

    def __init__(self) -> None:
        self._fidelity = -1
        self._scores: dict[str, dict[int, float]] = {}
        self.means: dict[str, float] = {}

    def add(self, arch: str, fidelity: int, train_seed: int, score: float) -> bool:
        """Take in one evaluation; return whether it added anything.

        Networks that do not exist (train seed −1), missing scores and lower fidelities add nothing.
        """
        if train_seed < 0 or score != score or fidelity < self._fidelity:
            return False
        if fidelity > self._fidelity:
            self._fidelity, self._scores, self.means = fidelity, {}, {}
        scores = self._scores.setdefault(arch, {})
        if train_seed in scores:
            return False
        scores[train_seed] = score
        self.means[arch] = math.fsum(scores.values()) / len(scores)
        return True


def anytime_fronts(run: pd.DataFrame, of: Objectives) -> list[Members]:
    """Return the set that a search would give after each evaluation.

    Args:
        run: rows of ``runs_schema.COLUMNS`` of one run, by step.
        of: the task's objectives.
    """
    seen, found = _Seen(), []
    members: Members = ()
    for evaluation in _evaluations(run):
        if evaluation[0] in of.at and seen.add(*evaluation):
            members = of.front_of(seen.means)
        found.append(members)
    return found


EVALUATION = ["arch", "fidelity", "train_seed", "score"]
"""Columns of what a search sees."""


def _evaluations(run: pd.DataFrame) -> Iterable[tuple[str, int, int, float]]:
    return zip(*(run[name].tolist() for name in EVALUATION), strict=True)


def final_scores(runs: pd.DataFrame, of: Objectives) -> list[dict[str, float]]:
    """Return the validation scores that each run of one method on one task knows at its end, by search seed."""
    found = []
    for _, run in runs[["seed", *EVALUATION]].groupby("seed", sort=True):
        seen = _Seen()
        for evaluation in _evaluations(run):
            if evaluation[0] in of.at:
                seen.add(*evaluation)
        found.append(seen.means)
    return found


def final_fronts(runs: pd.DataFrame, of: Objectives) -> list[Members]:
    """Return the set that each run of one method on one task ends with, by search seed."""
    return [of.front_of(scores) for scores in final_scores(runs, of)]


def hypervolume_curves(runs: pd.DataFrame, of: Objectives, grid: Floats) -> Floats:
    """Return (runs, points) shares of the true front's hypervolume on budgets ``grid``, for one method and task.

    NaN before a first score; 0 while a search has seen nothing but networks that are left out.
    """
    curves, nothing = [], math.nan if of.whole_space else 0.0
    for _, run in runs[["seed", "spent", *EVALUATION]].groupby("seed", sort=True):
        shares = [of.share(members) if members else nothing for members in anytime_fronts(run, of)]
        curves.append(stats.regret_curve(run["spent"], shares, grid))
    return np.stack(curves)


def attained(fronts: Sequence[Members], of: Objectives) -> tuple[Floats, Floats]:
    """Return costs, ascending, and the best test score that a run's set offers up to each, mean over runs.

    A run that offers nothing at a cost counts there with the worst score of the table.
    """
    order = np.argsort(of.costs, kind="stable")
    best = np.full((len(fronts), len(order)), of.scores.min())
    for row, members in enumerate(fronts):
        at = [of.at[name] for name in members]
        best[row, at] = of.scores[at]
    costs, best = of.costs[order], np.maximum.accumulate(best[:, order], axis=1)
    last = np.append(np.diff(costs) > 0, True)  # of equal costs the last has seen all
    return costs[last], best.mean(axis=0)[last]


def declared(runs: pd.DataFrame) -> dict[str, str]:
    """Return the resource that each multi-objective method among ``runs`` weighs, by method."""
    known = runs.loc[runs["objective"].isin(RESOURCES), ["method", "objective"]].drop_duplicates("method")
    return {str(method): str(objective) for method, objective in known.itertuples(index=False, name=None)}


def judge_fronts(runs: pd.DataFrame, tables: Tables | str | None = None) -> pd.DataFrame:
    """Judge every method on every task that ``objectives`` knows, the best mean over the resources first.

    Args:
        runs: rows of ``runs_schema.COLUMNS``, by run and step.
        tables: that judge, or their folder.

    Returns:
        No rows where no method among ``runs`` declares an objective.
    """
    tables, rows = Tables.of(tables), list[dict[str, Any]]()
    weighed = declared(runs)
    for task, of_task in runs.groupby("task", sort=False) if weighed else ():
        bench = tables.judge(str(task), of_task["mode"])
        known = [of for resource in RESOURCES if (of := objectives(bench, resource)) is not None]
        found: list[list[dict[str, Any]]] = []
        for method, of_method in of_task.groupby("method", sort=False):
            of_method = of_method.sort_values(["seed", "step"])
            same = {
                "task": task, "method": method, "objective": weighed.get(str(method), ""),
                "mode": of_method["mode"].iloc[0], "runs": of_method["seed"].nunique(),
            }  # fmt: skip
            found.append([{**same, **part} for part in _method_rows(of_method, known)])
        found.sort(key=lambda parts: -sum(part["hypervolume"] for part in parts))
        rows += [part for parts in found for part in parts]
        rows += [{"task": task, "objective": "", "mode": "reference", "runs": 0, **r} for r in _references(known)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _method_rows(runs: pd.DataFrame, known: Sequence[Objectives]) -> list[dict[str, Any]]:
    """Make a row for each resource, of one method's runs on one task."""
    scores: dict[Members, list[dict[str, float]]] = {}  # latency may be known of fewer networks than the others
    first = runs.iloc[0]
    rng = partial(stats.resampling_rng, first["task"], first["method"], distinct(runs["configuration"]))
    rows = []
    for of in known:
        names = tuple(of.names)
        if names not in scores:
            scores[names] = final_scores(runs, of)
        rows.append({**_row(scores[names], of, rng(f"hypervolume of {of.resource}")), "left_out": _left_out(runs, of)})
    return rows


def _left_out(runs: pd.DataFrame, of: Objectives) -> float:
    """Share of the networks a run looked at that are none of ``of``, mean over runs; NaN where the table is whole."""
    if of.whole_space:
        return math.nan
    seen = runs.loc[runs["train_seed"].ge(0) | runs["source"].eq("surrogate"), ["seed", "arch"]].drop_duplicates()
    if seen.empty:
        return math.nan
    return float((~seen["arch"].isin(of.at)).groupby(seen["seed"]).mean().mean())


def _row(scores: Sequence[Mapping[str, float]], of: Objectives, rng: np.random.Generator) -> dict[str, Any]:
    shares = np.array([[of.share(of.front_of(of_run))] for of_run in scores])
    low, high = stats.bootstrap_interval(shares, np.mean, rng)
    return {
        "resource": of.resource, "hypervolume": float(shares.mean()), "low": float(low), "high": float(high),
    }  # fmt: skip


def reference_fronts(of: Objectives) -> dict[str, Members]:
    """Return what all validation scores together would choose, and the best a search for the score only could find."""
    best = of.names[int(np.argmax(of.scores))]
    seen = of.bench.table.view("validation").mean[:, -1]
    scores = {name: float(seen[of.bench.table.row_of[name]]) for name in of.names}
    scores = {name: score for name, score in scores.items() if not math.isnan(score)}
    return {BY_VALIDATION: of.front_of(scores), f"best architecture alone ({best})": (best,)}


def _references(known: Sequence[Objectives]) -> list[dict[str, Any]]:
    rows = [
        {"method": name, "resource": of.resource, "hypervolume": of.share(members)}
        for of in known
        for name, members in reference_fronts(of).items()
    ]
    return sorted(rows, key=lambda row: str(row["method"]) != BY_VALIDATION)
