"""How good are one-shot proxies? Kendall's τ between proxy and true score, over the fidelity of the supernet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_rl import plots
from nasbench_rl.benchmark import TabularBenchmark
from nasbench_rl.ranks import kendall_tau

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROXY, SHORT = "one-shot proxy", "short training"


def proxy_taus(bench: TabularBenchmark) -> pd.DataFrame:
    """Rows (task, what, seed, fidelity, tau) of a task whose table is complete.

    ``what`` is "one-shot proxy": τ of the proxies of supernet ``seed`` after ``fidelity`` env steps of its fit; or
    "short training": τ of the validation scores of train seed ``seed`` after ``fidelity`` env steps, which is what a
    search pays for that trains every architecture a little instead. Both against the true score: max fidelity, test
    split, mean over its train seeds. NaN where a score is missing or all are equal.
    """
    true = bench.table.view("test").mean[:, -1]
    stored, rows = bench.supernets(), []
    for i, seed in enumerate(stored.seeds):
        for at, fidelity in enumerate(bench.table.fidelities):
            rows.append((bench.task.id, PROXY, seed, int(fidelity), _tau(stored.proxies[i, at], true)))
    view = bench.table.view("validation")
    for seed in bench.train_seeds("validation"):
        at_seed = int(np.searchsorted(bench.table.seeds, seed))
        for at, fidelity in enumerate(bench.table.fidelities):
            rows.append((bench.task.id, SHORT, seed, int(fidelity), _tau(view.values[:, at_seed, at], true)))
    return pd.DataFrame(rows, columns=["task", "what", "seed", "fidelity", "tau"])


def _tau(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], true: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    missing = np.isnan(scores).any() or np.isnan(true).any()
    return float("nan") if missing or np.ptp(scores) == 0 else kendall_tau(scores, true)


def draw(taus: pd.DataFrame, task: str) -> Figure:
    """τ over fidelity: each seed thin, the mean thick."""
    figure, axes = plots.new_figure()
    for what, colour in ((PROXY, "#D55E00"), (SHORT, "#0072B2")):
        of_what = taus[(taus["task"] == task) & (taus["what"] == what)]
        for _, one in of_what.groupby("seed"):
            axes.plot(one["fidelity"] / 1000, one["tau"], color=colour, alpha=0.3, linewidth=0.9)
        mean = of_what.groupby("fidelity")["tau"].mean()
        if len(mean):
            count = of_what["seed"].nunique()
            label = f"{what} ({count} {'supernet' if what == PROXY else 'train seed'}{'s' if count > 1 else ''})"
            axes.plot(mean.index / 1000, mean, color=colour, linewidth=2.2, label=label)
    axes.axhline(0, color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
    axes.set_xlabel("fidelity (1000 env steps of the supernet's fit, or of each training)")
    axes.set_ylabel("Kendall's τ with the true ranking")
    axes.set_title(f"{task}: does a cheap score rank architectures as whole trainings do?", fontsize=10)
    axes.set_ylim(-1, 1)
    axes.legend(fontsize=8, frameon=False)
    return figure


def write(benches: list[TabularBenchmark], out: Path) -> tuple[pd.DataFrame, list[Path]]:
    """All rows of ``proxy_taus``, and a figure a task in ``out``."""
    taus = pd.concat([proxy_taus(bench) for bench in benches], ignore_index=True)
    written = []
    for bench in benches:
        name = bench.task.id.replace("/", ".").replace("@", ".")
        written += plots.save(draw(taus, bench.task.id), out / f"proxy_tau.{name}")
    return taus, written
