"""From what fidelity on do rankings hold? Kendall's τ between a cheap ranking and that of whole trainings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasbench_rl import ranks
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.ranking_noise import FEWEST, Halves, halves, is_luck, kendall_draws
from nasbench_rl.stats import Array, tails

HOLDS = 0.9
"""A ranking holds from where τ stays at or above this share of what whole trainings reach."""
TOP = 3
SHOWN = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of a whole training that tables show."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well cheap scores rank, at each fidelity; NaN where a score is missing or all are equal.

    Attributes:
        tau: (fidelities,) Kendall's τ-b with the true ranking.
        low: (fidelities,) lower bound of its interval over a bootstrap of the architectures; NaN where not estimated.
        high: (fidelities,) upper bound of it.
        top: (fidelities,) share of the true ``TOP`` that are among the ``TOP`` of the cheap ranking.
        regret: (fidelities,) regret of the architecture that the cheap ranking puts first.
        behind: (fidelities,) upper bound of τ minus that of whole trainings on the same resampled architectures;
            below 0 the ranking is worse than theirs. NaN where not estimated.
    """

    tau: Array
    low: Array
    high: Array
    top: Array
    regret: Array
    behind: Array

    @property
    def ranks(self) -> bool:
        """Whether whole trainings rank the architectures at all: not where the interval of their τ holds 0."""
        return not is_luck(float(self.tau[-1]), float(self.low[-1]))

    def even_from(self) -> int | None:
        """Position of the fidelity from which on no ranking is surely worse than that of whole trainings."""
        return _after_the_last(~(self.behind >= 0)) if self.ranks else None

    def holds_from(self) -> int | None:
        """Position of the fidelity from which on the ranking holds; None where whole trainings rank at random."""
        return _after_the_last(~(self.tau >= HOLDS * self.tau[-1])) if self.ranks else None


def _after_the_last(failing: np.ndarray[Any, np.dtype[np.bool_]]) -> int | None:
    at = np.flatnonzero(failing)
    first = int(at[-1]) + 1 if len(at) else 0
    return first if first < len(failing) else None


@dataclass(frozen=True, eq=False)
class FidelityFinding:
    """One task.

    Attributes:
        task: its id.
        unit: of fidelities.
        fidelities: ascending.
        architectures: how many are ranked.
        seeds: train seeds behind the validation scores, and behind the true ranking.
        same_trainings: whether both come from the same trainings, and seed noise is therefore not in ``short``.
        short: of trainings looked at early.
        supernets: of one-shot proxies, one a supernet seed; empty where none is stored.
        halves: how well the rankings by two halves of the train seeds agree.
        gap: regret of a draw at random.
        column: the true score's name.
    """

    task: str
    unit: str
    fidelities: tuple[int, ...]
    architectures: int
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    same_trainings: bool
    short: Ranking
    supernets: tuple[Ranking, ...]
    halves: Halves
    gap: float
    column: str


def shown(count: int) -> list[int]:
    """Positions of the fidelities that a table shows, of ``count`` equally spaced ones."""
    return sorted({max(0, math.ceil(share * count - 1e-9) - 1) for share in SHOWN})


def fidelity_finding(bench: Benchmark) -> FidelityFinding | None:
    """How a task's rankings settle; None with fewer than ``FEWEST`` architectures to rank."""
    task, table = bench.task, bench.table
    if task.exhaustive and not table.full_seeds.any():
        return None
    search, report = table.view("validation"), table.view("test")
    true = report.mean[:, -1]
    known = ~np.isnan(true) & search.used.any(axis=1)
    if known.sum() < FEWEST:
        return None
    true = true[known]
    rng = np.random.default_rng(0)
    proxies: Array = bench.supernets().proxies if task.one_shot else np.empty((0, 0, len(known)))
    return FidelityFinding(
        task=task.id,
        unit=task.fidelity_unit.replace("_", " "),
        fidelities=task.fidelities,
        architectures=int(known.sum()),
        seeds=(bench.train_seeds("validation"), bench.train_seeds("test")),
        same_trainings=table.single_seed or task.splits.same_trainings,
        short=_ranking(search.mean[known].T, true, rng),
        supernets=tuple(_ranking(one, true) for one in proxies[:, :, known]),
        halves=halves(bench),
        gap=float(true.max() - true.mean()),
        column=report.column,
    )


def _ranking(scores: Array, true: Array, rng: np.random.Generator | None = None) -> Ranking:
    """``scores``: (fidelities, architectures); intervals only with a generator."""
    count = len(scores)
    found: dict[str, Any] = {name: np.full(count, math.nan) for name in Ranking.__annotations__}
    for at, one in enumerate(scores):
        if np.isnan(one).any() or np.ptp(one) == 0:
            continue
        found["tau"][at] = ranks.kendall_tau(one, true)
        found["top"][at] = _top_overlap(one, true)
        found["regret"][at] = true.max() - true[one == one.max()].mean()
    if rng is not None and not np.isnan(found["tau"][-1]):
        drawn = kendall_draws(scores, true, rng)
        with_tau = ~np.isnan(drawn).all(axis=0)
        found["low"][with_tau], found["high"][with_tau] = np.nanquantile(drawn[:, with_tau], tails(), axis=0)
        found["behind"][with_tau] = np.nanquantile((drawn - drawn[:, -1:])[:, with_tau], tails()[1], axis=0)
    return Ranking(**found)


def _top_overlap(scores: Array, true: Array) -> float:
    """Share of the true top that the scores' top holds; an equal score at the edge shares its place evenly."""
    best = np.argsort(-true, kind="stable")[:TOP]
    edge = np.sort(scores)[-TOP]
    inside, tied = scores > edge, scores == edge
    weight = inside + tied * (TOP - inside.sum()) / tied.sum()
    return float(weight[best].sum()) / TOP
