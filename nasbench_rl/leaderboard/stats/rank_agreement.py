"""How much of a table's ranking of architectures is the luck of train seeds, on agents and images alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nasbench_rl._utils.typing import Floats
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.leaderboard.stats import ranks
from nasbench_rl.leaderboard.stats.bootstrap import RESAMPLES, percentile_interval
from nasbench_rl.leaderboard.stats.ranks import NoiseCeiling

FEWEST = 10
"""Architectures; fewer are not ranked."""


class Halves(NamedTuple):
    """How well the rankings by two halves of the train seeds agree.

    Attributes:
        agreement: Kendall's τ of the two; NaN with a single train seed or fewer than ``FEWEST`` architectures.
        seeds: number of train seeds it is measured on.
        architectures: how many have all of those.
    """

    agreement: NoiseCeiling
    seeds: int
    architectures: int


def trained_scores(bench: Benchmark) -> Floats:
    """Return (architectures, seeds, fidelities) scores of trainings that may be compared over seeds; NaN if missing.

    Of an exhaustive space the train seeds that every architecture has: those of a seed in the making would be the
    architectures that happened to come first. Of other spaces every complete cell. Image tasks: test accuracy.
    """
    table, task = bench.table, bench.task
    values = table.columns[table.column(task.metric, "test")]
    if task.exhaustive:
        return np.asarray(values[:, table.full_seeds])
    return np.asarray(np.where(table.complete[:, :, np.newaxis], values, np.nan))


def halves(bench: Benchmark) -> Halves:
    """Measure the agreement of two halves of the train seeds, on the architectures that have all of those."""
    single = trained_scores(bench)[:, :, -1]
    several = single[(~np.isnan(single)).all(axis=1)]
    tau = NoiseCeiling(math.nan, math.nan, 0)
    if several.shape[1] > 1 and len(several) >= FEWEST:
        tau = ranks.noise_ceiling(several, np.random.default_rng(0))  # drawn only where there are too many splits
    return Halves(tau, several.shape[1], len(several))


def is_luck(tau: float, low: float) -> bool:
    """Return whether a ranking may be luck: the interval of its τ with the true one reaches 0.

    Args:
        tau: Kendall's τ; NaN where all scores tie, which ranks nothing.
        low: lower bound of its interval; NaN where not estimated.
    """
    return not tau > 0 or low <= 0


class SplitsAgreement(NamedTuple):
    """Kendall's τ of whole trainings, validation seeds against test seeds, and its 95 % interval over architectures."""

    tau: float
    low: float
    high: float

    @property
    def by_luck(self) -> bool:
        """Whether it may be luck."""
        return is_luck(self.tau, self.low)


def splits_agreement(bench: Benchmark) -> SplitsAgreement | None:
    """Measure how well whole trainings of some train seeds rank as those of the others do.

    None where too little is trained to tell, and where a search and its judge see the same trainings (a single train
    seed; images), whose luck they share.
    """
    if bench.table.single_seed or bench.task.splits.same_trainings:
        return None
    search, true = bench.table.view("validation").mean[:, -1], bench.table.view("test").mean[:, -1]
    known = ~np.isnan(search) & ~np.isnan(true)
    search, true = search[known], true[known]
    if known.sum() < FEWEST or np.ptp(search) == 0 or np.ptp(true) == 0:
        return None
    drawn = kendall_draws(search[np.newaxis], true, np.random.default_rng(0))
    low, high = percentile_interval(drawn[~np.isnan(drawn)])
    return SplitsAgreement(ranks.kendall_tau(search, true), float(low), float(high))


def ranks_by_luck(bench: Benchmark) -> bool:
    """Return whether the ranking by some train seeds may be luck, judged by that of the others.

    Who wins on such a table is the luck of its train seeds. False where that cannot be told (``splits_agreement``).
    """
    agreement = splits_agreement(bench)
    return agreement is not None and agreement.by_luck


def kendall_draws(scores: Floats, true: Floats, rng: np.random.Generator) -> Floats:
    """Return (resamples, rankings) τ-b on architectures drawn with replacement, the same ones for every ranking.

    A resample is how often each architecture was drawn, so that pairs are compared only once; an architecture and its
    copy tie in both rankings, as they should. NaN where a resample ties all.

    Args:
        scores: (rankings, architectures); a ranking with a NaN has none.
        true: (architectures,).
        rng: source of every draw.
    """
    count = len(true)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    order = np.sign(true[:, np.newaxis] - true)
    taus = np.full((RESAMPLES, len(scores)), math.nan)
    for at, one in enumerate(scores):
        if np.isnan(one).any():
            continue
        cheap = np.sign(one[:, np.newaxis] - one)
        agree, first, second = (
            ((drawn @ pairs) * drawn).sum(axis=1) for pairs in (cheap * order, np.abs(cheap), np.abs(order))
        )
        ranked = (first > 0) & (second > 0)
        taus[ranked, at] = agree[ranked] / np.sqrt(first[ranked] * second[ranked])
    return taus
