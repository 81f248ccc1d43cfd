"""Draw how well cheap scores rank architectures, fidelity by fidelity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.leaderboard import plots
from nasbench_rl.leaderboard.stats.proxy_correlation import PROXY, SHORT, games_of, mean_taus, proxy_taus

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(taus: pd.DataFrame, task: str) -> Figure:
    """Draw τ over fidelity: each seed thin, the mean thick, with a gap where one of the seeds ranks nothing."""
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
    """Write a figure for each task to ``out``; return all rows of ``proxy_taus`` and the paths."""
    taus = pd.concat([proxy_taus(bench) for bench in benches], ignore_index=True)
    written = []
    for bench in benches:
        name = bench.task.id.replace("/", ".").replace("@", ".")
        written += plots.save(draw(taus, bench.task.id), out / f"proxy_tau.{name}")
    return taus, written
