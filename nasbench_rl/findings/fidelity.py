"""From what fidelity on do rankings hold? Kendall's τ between a cheap ranking and that of whole trainings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.leaderboard.stats import ranks
from nasbench_rl.leaderboard.stats.bootstrap import Array, tails
from nasbench_rl.leaderboard.stats.rank_agreement import FEWEST, halves, is_luck, kendall_draws
from nasbench_rl.task import GameTask

HOLDS = 0.9
"""A ranking holds from where τ stays at or above this share of what whole trainings reach."""
TOP = 3
SHORT, PROXY = "short training", "one-shot proxy"
COLUMNS = (
    "task", "score", "fidelity", "share", "tau", "low", "high", "top", "regret", "holds", "even", "unit",
    "architectures", "same_trainings", "supernets", "halves_tau", "halves_seeds", "regret_at_random",
)  # fmt: skip


def rankings(bench: Benchmark) -> pd.DataFrame:
    """Return how well cheap scores of a task rank, as ``COLUMNS``; no row with fewer than ``FEWEST`` architectures.

    A row for each fidelity of trainings looked at early (``SHORT``) and of one-shot proxies (``PROXY``, means over
    supernets). NaN where a score is missing or all are equal.

    * ``tau``: Kendall's τ-b with the true ranking; ``low`` and ``high``: its interval over a bootstrap of the
      architectures, for proxies the lowest and highest supernet.
    * ``top``: share of the true ``TOP`` among the cheap ``TOP``; ``regret``: of the architecture put first.
    * ``holds``: from here on τ stays above ``HOLDS`` of what whole trainings reach.
    * ``even``: from here on it is nowhere surely below that.
    * ``same_trainings``: both scores are of the same trainings, so that the luck of the seed is in both.
    * ``halves_tau``: how well the rankings by two halves of the train seeds agree.
    """
    task, table = bench.task, bench.table
    if task.exhaustive and not table.full_seeds.any():
        return pd.DataFrame(columns=list(COLUMNS))
    search, true = table.view("validation"), table.view("test").mean[:, -1]
    known = ~np.isnan(true) & search.used.any(axis=1)
    if known.sum() < FEWEST:
        return pd.DataFrame(columns=list(COLUMNS))
    true, agreement = true[known], halves(bench)
    parts = [_short(search.mean[known].T, true).assign(score=SHORT, supernets=0)]
    if isinstance(task, GameTask) and len(supernets := bench.supernets().proxies[:, :, known]):
        parts.append(_proxies(supernets, true).assign(score=PROXY, supernets=len(supernets)))
    fidelity = np.array(task.fidelities)
    found = pd.concat([one.assign(fidelity=fidelity, share=fidelity / fidelity[-1]) for one in parts])
    return found.assign(
        task=task.id,
        unit=task.fidelity_unit.replace("_", " "),
        architectures=int(known.sum()),
        same_trainings=table.single_seed or task.splits.same_trainings,
        halves_tau=agreement.agreement.tau,
        halves_seeds=agreement.seeds,
        regret_at_random=float(true.max() - true.mean()),
    )[list(COLUMNS)]


def _short(scores: Array, true: Array) -> pd.DataFrame:
    """``scores``: (fidelities, architectures)."""
    found = _ranked(scores, true).assign(low=math.nan, high=math.nan)
    behind = np.full(len(scores), math.nan)  # upper bound of τ minus that of whole trainings, resampled together
    if not np.isnan(found["tau"].iloc[-1]):
        drawn = kendall_draws(scores, true, np.random.default_rng(0))
        with_tau = ~np.isnan(drawn).all(axis=0)
        found.loc[with_tau, ["low", "high"]] = np.nanquantile(drawn[:, with_tau], tails(), axis=0).T
        behind[with_tau] = np.nanquantile((drawn - drawn[:, -1:])[:, with_tau], tails()[1], axis=0)
    holds, even = settled(found["tau"].to_numpy(), found["low"].to_numpy(), behind)
    return found.assign(holds=holds, even=even)


def _proxies(scores: Array, true: Array) -> pd.DataFrame:
    """``scores``: (supernets, fidelities, architectures)."""
    each = [_ranked(one, true) for one in scores]
    taus = np.array([one["tau"] for one in each])
    mean = pd.DataFrame(np.mean(each, axis=0), columns=each[0].columns)
    return mean.assign(low=taus.min(axis=0), high=taus.max(axis=0), holds=False, even=False)


def settled(tau: Array, low: Array, behind: Array) -> tuple[Any, Any]:
    """Return at which fidelities a ranking holds, and at which it is nowhere surely worse than in the end.

    Args:
        tau: (fidelities,) with the true ranking.
        low: (fidelities,) lower bound of its interval; all False where that of whole trainings reaches 0.
        behind: (fidelities,) upper bound of τ minus that of whole trainings.
    """
    ranks_at_all = not is_luck(float(tau[-1]), float(low[-1]))

    def to_the_end(good: Any) -> Any:
        return np.logical_and.accumulate(good[::-1])[::-1] & ranks_at_all

    return to_the_end(tau >= HOLDS * tau[-1]), to_the_end(behind >= 0)


def _ranked(scores: Array, true: Array) -> pd.DataFrame:
    """τ, share of the top and regret of each of (fidelities, architectures) scores."""
    rows = []
    for one in scores:
        if np.isnan(one).any() or np.ptp(one) == 0:
            rows.append((math.nan,) * 3)
        else:
            first = float(true.max() - true[one == one.max()].mean())
            rows.append((ranks.kendall_tau(one, true), top_overlap(one, true), first))
    return pd.DataFrame(rows, columns=["tau", "top", "regret"])


def top_overlap(scores: Array, true: Array) -> float:
    """Return the share of the true top that the scores' top holds; equal scores at the edge share its places evenly."""
    best = np.argsort(-true, kind="stable")[:TOP]
    edge = np.sort(scores)[-TOP]
    inside, tied = scores > edge, scores == edge
    weight = inside + tied * (TOP - inside.sum()) / tied.sum()
    return float(weight[best].sum()) / TOP
