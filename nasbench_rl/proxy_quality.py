"""How good are one-shot proxies? Kendall's τ between proxy and true score, over the fidelity of the supernet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from nasbench_rl import plots
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import missing_extra
from nasbench_rl.ranks import kendall_tau
from nasbench_rl.stats import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROXY, SHORT = "one-shot proxy", "short training, one seed"


def proxy_taus(bench: Benchmark) -> pd.DataFrame:
    """Rows (task, what, seed, fidelity, tau, games, reliability) of a task whose table is complete.

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
    """See ``MeanProxy``.

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


def _reliability(proxies: Array, variances: Array) -> float:
    if np.isnan(variances).any() or np.ptp(proxies) == 0:
        return math.nan
    return max(0.0, 1 - float(variances.mean() / proxies.var(ddof=1)))


def _tau(scores: Array, true: Array) -> float:
    missing = np.isnan(scores).any() or np.isnan(true).any()
    return float("nan") if missing or np.ptp(scores) == 0 else kendall_tau(scores, true)


def mean_taus(rows: pd.DataFrame) -> pd.Series:
    """τ by fidelity, mean over the seeds of rows of one task and kind; NaN where a seed has none."""
    return rows.groupby("fidelity")["tau"].agg(lambda taus: taus.mean(skipna=False))


def games_of(rows: pd.DataFrame) -> str:
    """Games a proxy: ``2, at the end 16``, or ``64`` where there are as many at the end."""
    by_fidelity = rows.sort_values("fidelity")["games"]
    before, end = by_fidelity.iloc[0], by_fidelity.iloc[-1]
    return f"{before}" if before == end else f"{before}, at the end {end}"


def draw(taus: pd.DataFrame, task: str) -> Figure:
    """τ over fidelity: each seed thin, the mean thick, with a gap where one of the seeds ranks nothing."""
    figure, axes = plots.new_figure()
    for what, colour in ((PROXY, "#D55E00"), (SHORT, "#0072B2")):
        of_what = taus[(taus["task"] == task) & (taus["what"] == what)]
        for _, one in of_what.groupby("seed"):
            axes.plot(one["fidelity"] / 1000, one["tau"], color=colour, alpha=0.3, linewidth=0.9)
        mean = mean_taus(of_what)
        if len(mean):
            count = of_what["seed"].nunique()
            label = f"{what} ({count} {'supernet' if what == PROXY else 'train seed'}{'s' if count > 1 else ''}"
            label += f"; games a score: {games_of(of_what)})" if what == PROXY else ")"
            axes.plot(mean.index / 1000, mean, color=colour, linewidth=2.2, label=label)
    axes.axhline(0, color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
    axes.set_xlabel("fidelity (1000 env steps of the supernet's fit, or of each training)")
    axes.set_ylabel("Kendall's τ with the true ranking")
    axes.set_title(f"{task}: does a cheap score rank architectures as whole trainings do?", fontsize=10)
    axes.set_ylim(-1, 1)
    axes.legend(fontsize=8, frameon=False)
    return figure


def write(benches: list[Benchmark], out: Path) -> tuple[pd.DataFrame, list[Path]]:
    """All rows of ``proxy_taus``, and a figure a task in ``out``."""
    taus = pd.concat([proxy_taus(bench) for bench in benches], ignore_index=True)
    written = []
    for bench in benches:
        name = bench.task.id.replace("/", ".").replace("@", ".")
        written += plots.save(draw(taus, bench.task.id), out / f"proxy_tau.{name}")
    return taus, written
