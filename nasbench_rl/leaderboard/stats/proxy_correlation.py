"""How good are one-shot proxies? Kendall's τ between proxy and true score, over the fidelity of the supernet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from nasbench_rl._utils.typing import Floats
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import missing_extra
from nasbench_rl.leaderboard.stats.ranks import kendall_tau

if TYPE_CHECKING:
    pass

PROXY, SHORT = "one-shot proxy", "short training, one seed"


def proxy_taus(bench: Benchmark) -> pd.DataFrame:
    """Return rows (task, what, seed, fidelity, tau, games, reliability) of a task whose table is complete.

    ``what`` is ``PROXY``: τ of the proxies of supernet ``seed`` after ``fidelity`` env steps of its fit; or
    ``SHORT``: τ of the validation scores of train seed ``seed`` after ``fidelity`` env steps, which is what a
    search pays for that trains every architecture a little instead. Both against the true score: max fidelity, test
    split, mean over its train seeds. NaN where a score is missing or all are equal.

    ``games`` are those that a proxy is the mean of, and ``reliability`` the share of the proxies' variance over
    architectures that is not the luck of these games, from 0 to 1; NaN for trainings and for a single game. Where it is
    near 0, τ is of games, and says nothing of weight sharing.
    """
    true = bench.table.view("test").mean[:, -1]
    stored, rows = bench.supernets(), []
    for i, seed in enumerate(stored.seeds):
        for at, fidelity in enumerate(bench.table.fidelities):
            proxies, games = stored.proxies[i, at], int(stored.games[at])
            reliability = _reliability(proxies, stored.variances[i, at])
            rows.append((bench.task.id, PROXY, seed, int(fidelity), _tau(proxies, true), games, reliability))
    view = bench.table.view("validation")
    for seed in bench.train_seeds("validation"):
        at_seed = int(np.searchsorted(bench.table.seeds, seed))
        for at, fidelity in enumerate(bench.table.fidelities):
            tau = _tau(view.values[:, at_seed, at], true)
            rows.append((bench.task.id, SHORT, seed, int(fidelity), tau, 0, math.nan))
    return pd.DataFrame(rows, columns=["task", "what", "seed", "fidelity", "tau", "games", "reliability"])


class MeanProxy(NamedTuple):
    """τ of the proxies of whole fits, averaged over all stored supernets, with the true score, and its p.

    ``p`` is that of Kendall's test, two-sided, of no association over the architectures. NaN where nothing ranks.
    """

    tau: float
    p: float


def mean_proxy(bench: Benchmark) -> MeanProxy:
    """Compute ``MeanProxy``.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy import stats
    except ImportError:
        raise missing_extra("scipy", "report", "Kendall's test") from None
    stored, true = bench.supernets(), bench.table.view("test").mean[:, -1]
    if not stored.seeds:
        return MeanProxy(math.nan, math.nan)
    proxies = stored.proxies[:, -1].mean(axis=0)
    return MeanProxy(_tau(proxies, true), float(stats.kendalltau(proxies, true).pvalue))


def _reliability(proxies: Floats, variances: Floats) -> float:
    if np.isnan(variances).any() or np.ptp(proxies) == 0:
        return math.nan
    return max(0.0, 1 - float(variances.mean() / proxies.var(ddof=1)))


def _tau(scores: Floats, true: Floats) -> float:
    missing = np.isnan(scores).any() or np.isnan(true).any()
    return float("nan") if missing or np.ptp(scores) == 0 else kendall_tau(scores, true)


def mean_taus(rows: pd.DataFrame) -> pd.Series:
    """Average τ by fidelity over the seeds of rows of one task and kind; NaN where a seed has none."""
    return rows.groupby("fidelity")["tau"].agg(lambda taus: taus.mean(skipna=False))


def games_of(rows: pd.DataFrame) -> str:
    """Return the games of a proxy: ``2, at the end 16``, or ``64`` where there are as many at the end."""
    by_fidelity = rows.sort_values("fidelity")["games"]
    before, end = by_fidelity.iloc[0], by_fidelity.iloc[-1]
    return f"{before}" if before == end else f"{before}, at the end {end}"
