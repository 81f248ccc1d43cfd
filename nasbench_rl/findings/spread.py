"""How much of the spread is architecture and how much is seed? Variance components at each fidelity."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.leaderboard.stats.bootstrap import Array
from nasbench_rl.leaderboard.stats.rank_agreement import FEWEST, trained_scores
from nasbench_rl.leaderboard.stats.variance import Components, one_way, two_way
from nasbench_rl.task import GameTask

RELIABLE = 0.9
"""The share of architecture in a mean over repeats that ``repeats`` asks for."""
TRAINING, PROXY = "single training", "one-shot proxy"
COLUMNS = (
    "task", "score", "fidelity", "share_of_training", "share", "low", "high", "sd_architecture", "sd_rest", "sd_seed",
    "repeats", "architectures", "trainings", "unit", "metric", "repeated", "sd_all",
)  # fmt: skip


def components(bench: Benchmark) -> pd.DataFrame:
    """Return the variance components of a task, as ``COLUMNS``; no row with fewer than ``FEWEST`` architectures.

    A row for each fidelity of single trainings (one-way random effects: architecture, and what the train seed makes of
    it) and of one-shot proxies (two-way: ``sd_seed`` is what a supernet does to all architectures alike, which changes
    no ranking and is not in ``share``).

    * ``share``: of architecture; ``repeats``: trainings of each architecture that a mean takes before that is
      ``RELIABLE`` (Spearman-Brown).
    * ``repeated``: architectures with several train seeds; with fewer than ``FEWEST`` only ``sd_all`` is known,
      architecture and seed together at the end of the training.
    """
    task = bench.task
    scores = trained_scores(bench)
    known = ~np.isnan(scores[:, :, -1]) if scores.shape[1] else np.zeros((len(scores), 1), dtype=np.bool_)
    if known.any(axis=1).sum() < FEWEST:
        return pd.DataFrame(columns=list(COLUMNS))
    several = scores[known.sum(axis=1) > 1]
    enough, depth = len(several) >= FEWEST, range(len(task.fidelities))
    first = scores[known.any(axis=1)][:, :, -1]
    first = first[np.arange(len(first)), (~np.isnan(first)).argmax(axis=1)]
    rows: list[tuple[str, int, Components | None]] = [(TRAINING, -1, None)]
    if enough:
        rows = [(TRAINING, at, _one_way(several[:, :, at])) for at in depth]
    proxies: Array = bench.supernets().proxies if isinstance(task, GameTask) else np.empty((0, 0, 0))
    if len(proxies) > 1:
        rows += [(PROXY, at, two_way(proxies[:, at].T)) for at in depth]
    end = task.fidelities[-1]
    found = pd.DataFrame(
        [
            {"score": score, "fidelity": task.fidelities[at], "share_of_training": task.fidelities[at] / end}
            | ({**part._asdict(), "repeats": part.repeats(RELIABLE)} if part else {})
            for score, at, part in rows
        ]
    )
    return found.reindex(columns=list(COLUMNS)).assign(
        task=task.id,
        unit=task.fidelity_unit.replace("_", " "),
        metric=bench.table.column(task.metric, "test"),
        repeated=len(several),
        sd_all=float(first.std(ddof=1)),
    )


def _one_way(scores: Array) -> Components | None:
    """None while some training has no score yet that it has at the end."""
    trained = ~np.isnan(scores)
    return one_way(scores) if (trained.sum(axis=1) > 1).all() else None
