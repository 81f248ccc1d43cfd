"""How much of the spread is architecture and how much is seed? Variance components at each fidelity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_rl.benchmark import Benchmark
from nasbench_rl.ranking_noise import FEWEST, trained_scores
from nasbench_rl.stats import Array
from nasbench_rl.variance import Components, one_way, two_way

RELIABLE = 0.9
"""The share of architecture in a mean over repeats that a table asks for."""


@dataclass(frozen=True, eq=False)
class SpreadFinding:
    """One task.

    Attributes:
        task: its id.
        unit: of fidelities.
        score: the score's name.
        fidelities: ascending.
        seeds: train seeds that can be compared; below two the trainings say nothing.
        trainings: components of trained scores at each fidelity; None where a score is missing, empty below two seeds.
        repeated: architectures that have several of those; fewer than ``FEWEST`` say nothing.
        spread: standard deviation over the architectures of one training each, at the end: architecture and seed
            together.
        supernet_seeds: number of stored supernets.
        supernets: components of their proxies at each fidelity; empty below two supernets.
    """

    task: str
    unit: str
    score: str
    fidelities: tuple[int, ...]
    seeds: int
    trainings: tuple[Components | None, ...]
    repeated: int
    spread: float
    supernet_seeds: int
    supernets: tuple[Components | None, ...]


def spread_finding(bench: Benchmark) -> SpreadFinding | None:
    """The variance components of a task; None with fewer than ``FEWEST`` architectures trained."""
    task = bench.task
    scores = trained_scores(bench)
    known = ~np.isnan(scores[:, :, -1]) if scores.shape[1] else np.zeros((len(scores), 1), dtype=np.bool_)
    if known.any(axis=1).sum() < FEWEST:
        return None
    several = scores[known.sum(axis=1) > 1]
    enough = len(several) >= FEWEST
    depth = range(len(task.fidelities))
    first = scores[known.any(axis=1)][:, :, -1]
    first = first[np.arange(len(first)), (~np.isnan(first)).argmax(axis=1)]
    proxies: Array = bench.supernets().proxies if task.one_shot else np.empty((0, 0, 0))
    return SpreadFinding(
        task=task.id,
        unit=task.fidelity_unit.replace("_", " "),
        score=task.splits.column(task.metric, "test"),
        fidelities=task.fidelities,
        seeds=int(known.sum(axis=1).max()) if enough else 1,
        trainings=tuple(_one_way(several[:, :, at]) for at in depth) if enough else (),
        repeated=len(several),
        spread=float(first.std(ddof=1)),
        supernet_seeds=len(proxies),
        supernets=tuple(two_way(proxies[:, at].T) for at in depth) if len(proxies) > 1 else (),
    )


def _one_way(scores: Array) -> Components | None:
    """None while some training has no score yet that it has at the end."""
    trained = ~np.isnan(scores)
    return one_way(scores) if (trained.sum(axis=1) > 1).all() else None
