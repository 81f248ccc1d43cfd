"""How good is a surrogate? Held-out architectures, calibration of the spread, and what seed noise leaves to predict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate, check_enough, image_task, not_chains
from nasbench_rl.benchmark.surrogate_model.info import SurrogateOptions
from nasbench_rl.errors import InvalidValueError, unknown
from nasbench_rl.leaderboard.stats.ranks import kendall_tau, sparse_kendall_tau
from nasbench_rl.spaces.nsc.isomorphism import predecessors
from nasbench_rl.tables.results import Split
from nasbench_rl.task import ImageTask, Task
from nasbench_rl.task.splits import SPLITS

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

GROUPINGS = ("layers", "prefix", "random")
"""What is held out together: all networks of the same layers in whatever order and wiring (the grouping that counts),
merges not looked at, as a mutation adds one or takes one away; all that start with the same two layers; or nothing:
single architectures at random, which flatters a surrogate because near twins of a held-out network were trained on."""
RESOLUTION = 0.001
"""Of the sparse Kendall τ: 0.1 % accuracy, as NAS-Bench-301 has it."""
ONE_SIGMA, TWO_SIGMA = math.erf(1 / math.sqrt(2)), math.erf(2 / math.sqrt(2))
NEIGHBOURS = 10
"""Repeated architectures whose mean variance is an architecture's noise; fewer of them tell no ceiling."""


@dataclass(frozen=True)
class HeldOut:
    """Guesses for architectures that the guessing surrogate was not fitted on.

    Attributes:
        task: the task.
        grouping: one of ``GROUPINGS``.
        archs: (n,) canonical strings.
        fold: (n,) the fold in which each was held out.
        mean: per split (n, fidelities) guesses.
        deviation: per split (n, fidelities) standard deviation over the members, not calibrated.
        true: per split (n, fidelities) measured accuracies, means over the train seeds.
    """

    task: ImageTask
    grouping: str
    archs: tuple[str, ...]
    fold: Integers
    mean: Mapping[Split, Floats]
    deviation: Mapping[Split, Floats]
    true: Mapping[Split, Floats]

    @cached_property
    def judged(self) -> Bools:
        """(n,) whether it is not a chain, or the space has nothing else: only what its own space adds is judged."""
        return np.isin(self.archs, not_chains(self.task, self.archs))

    def ratios(self, split: Split) -> Floats:
        """Return (n, fidelities) absolute error in deviations."""
        error = np.abs(self.true[split] - self.mean[split])
        return np.asarray(error / np.maximum(self.deviation[split], 1e-6))

    def factors(self, split: Split, without: int | None = None) -> Floats:
        """Return (fidelities,) what to multiply the deviations by so that 68 % of the judged errors lie within one.

        Where all that is judged lies in the fold to leave out, the errors of the others stand for it.

        Args:
            split: of the accuracies.
            without: a fold to leave out.
        """
        others = self.fold != without
        judged = self.judged & others
        return np.asarray(np.quantile(self.ratios(split)[judged if judged.any() else others], ONE_SIGMA, axis=0))

    def calibrated(self, split: Split) -> Floats:
        """Return (n,) errors at max fidelity in spreads, whose factor comes from the other folds alone."""
        ratios = self.ratios(split)[:, -1].copy()
        for fold in np.unique(self.fold):
            ratios[self.fold == fold] /= self.factors(split, without=int(fold))[-1]
        return np.asarray(ratios)


def group_of(task: ImageTask, arch: str, grouping: str) -> str:
    """Return the group that an architecture is held out with.

    Raises:
        UnknownNameError: no such grouping.
    """
    if grouping not in GROUPINGS:
        raise unknown("grouping", grouping, GROUPINGS)
    vectors = task.space.parse(arch).choices
    if grouping == "layers":
        definition = task.space.definition
        return str(sorted((vector[1], vector[2]) for vector in vectors if len(predecessors(vector, definition)) == 1))
    return str(vectors[:2]) if grouping == "prefix" else arch


def hold_out(
    task: Task,
    rows: pd.DataFrame,
    rng: np.random.Generator,
    *,
    grouping: str = "layers",
    folds: int = 5,
    options: SurrogateOptions | None = None,
) -> HeldOut:
    """Cross-validate in groups: each fold is guessed by a surrogate fitted on the others.

    Args:
        task: an NSC task.
        rows: its table, every architecture at every fidelity.
        rng: source of the folds and of the fits.
        grouping: one of ``GROUPINGS``.
        folds: parts of about as many architectures each.
        options: how to fit.

    Raises:
        UnknownNameError: no such grouping.
        InvalidValueError: fewer groups than folds, or too few architectures to fit on.
    """
    task = image_task(task)
    check_enough(task, rows)
    true = {split: _measured(task, rows, split) for split in SPLITS}
    archs = true["test"].index.to_numpy(dtype=str)
    fold = _folds([group_of(task, arch, grouping) for arch in archs], folds, rng)
    mean, deviation = ({split: np.zeros(true[split].shape) for split in SPLITS} for _ in range(2))
    for number in range(folds):
        out = fold == number
        surrogate = Surrogate.fit(task, rows[rows["arch"].isin(archs[~out])], rng, options=options)
        for split in SPLITS:
            mean[split][out], deviation[split][out] = surrogate.curves(archs[out].tolist(), split)
    measured = {split: true[split].to_numpy() for split in SPLITS}
    return HeldOut(task, grouping, tuple(archs.tolist()), fold, mean, deviation, measured)


def _measured(task: ImageTask, rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Architectures x fidelities, mean over train seeds."""
    table = rows.pivot_table(index="arch", columns="fidelity", values=f"{split}_accuracy", aggfunc="mean")
    return table.reindex(columns=list(task.fidelities)).dropna().sort_index()


def _folds(groups: Sequence[str], folds: int, rng: np.random.Generator) -> Integers:
    """Return fold of each item: groups in random order, each into the fold that is smallest so far."""
    names, group = np.unique(groups, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise InvalidValueError(f"{folds} folds of {len(names)} groups; allowed: 2 … {len(names)}")
    sizes, load, fold_of = np.bincount(group), np.zeros(folds), np.zeros(len(names), dtype=np.int64)
    for name in rng.permutation(len(names)):
        fold_of[name] = int(load.argmin())
        load[fold_of[name]] += sizes[name]
    return np.asarray(fold_of[group])


def r_squared(predicted: Floats, true: Floats) -> float:
    """1 − squared error / variance of ``true``; NaN when that does not vary."""
    variance = float(np.var(true))
    return 1 - float(np.mean((true - predicted) ** 2)) / variance if variance > 0 else math.nan


def noise_ceilings(rows: pd.DataFrame, split: Split, rng: np.random.Generator, draws: int = 100) -> dict[str, float]:
    """Return what a surrogate would score that knew each architecture's mean over endless train seeds.

    Every training's noise is taken from architectures trained with several seeds, those nearest in accuracy. True means
    are imitated by the measured accuracies, drawn together until their variance is what noise leaves of the measured
    one; fresh noise on them then gives the R², τ and sparse τ of their knower against a measurement.

    Args:
        rows: the table at max fidelity.
        split: of the accuracies.
        rng: source of the noise.
        draws: repetitions to average over.

    Returns:
        ``r2``, ``tau``, ``sparse_tau`` and ``noise``, the standard deviation of one training averaged over the table's
        architectures; all NaN with fewer than ``NEIGHBOURS`` architectures of several seeds.
    """
    by_arch = rows.groupby("arch")[f"{split}_accuracy"]
    true, seeds = by_arch.mean().to_numpy(), by_arch.count().to_numpy()
    repeated = seeds > 1
    if repeated.sum() < NEIGHBOURS:
        return dict.fromkeys(("r2", "tau", "sparse_tau", "noise"), math.nan)
    known, variances = true[repeated], by_arch.var(ddof=1).to_numpy()[repeated]
    near = np.argsort(np.abs(known - true[:, None]), axis=1, kind="stable")[:, :NEIGHBOURS]
    noise = variances[near].mean(axis=1)
    left = max(0.0, 1 - float(np.mean(noise / seeds)) / float(true.var())) if true.var() > 0 else 0.0
    means = true.mean() + math.sqrt(left) * (true - true.mean())
    found: list[tuple[float, float, float]] = []
    for _ in range(draws):
        measured = means + rng.normal(size=len(means)) * np.sqrt(noise / seeds)
        found.append(scores(means, measured))
    r2, tau, sparse = np.mean(found, axis=0)
    return {"r2": float(r2), "tau": float(tau), "sparse_tau": float(sparse), "noise": math.sqrt(noise.mean())}


def scores(predicted: Floats, true: Floats) -> tuple[float, float, float]:
    """R², Kendall's τ and sparse τ; NaN when ``true`` does not vary."""
    if np.ptp(true) == 0:
        return math.nan, math.nan, math.nan
    sparse = sparse_kendall_tau(predicted, true, RESOLUTION)
    return r_squared(predicted, true), kendall_tau(predicted, true), sparse


def quality(held_out: Sequence[HeldOut], rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return a row for each grouping and split, at max fidelity; chains don't count in spaces with branches.

    Columns: task, grouping, split, architectures, r2, tau, sparse_tau, mae (mean absolute error), within_1 and within_2
    (share of errors within one and two spreads; 0.68 and 0.95 when calibrated), and of ``noise_ceilings`` noise,
    r2_ceiling, tau_ceiling, sparse_tau_ceiling.

    Args:
        held_out: of one task or of several groupings of it.
        rows: the task's table.
        rng: source of the ceilings' noise.
    """
    found: list[dict[str, Any]] = []
    task = held_out[0].task
    last = rows[(rows["fidelity"] == task.max_fidelity) & rows["arch"].isin(not_chains(task, rows["arch"].unique()))]
    ceilings = {split: noise_ceilings(last, split, rng) for split in SPLITS}
    for one in held_out:
        judged = one.judged
        for split in SPLITS:
            mean, true = one.mean[split][judged, -1], one.true[split][judged, -1]
            r2, tau, sparse = scores(mean, true)
            ratios, ceiling = one.calibrated(split)[judged], ceilings[split]
            found.append(
                {
                    "task": one.task.id, "grouping": one.grouping, "split": split, "architectures": int(judged.sum()),
                    "r2": r2, "tau": tau, "sparse_tau": sparse, "mae": float(np.abs(mean - true).mean()),
                    "within_1": float(np.mean(ratios <= 1)), "within_2": float(np.mean(ratios <= 2)),
                    "noise": ceiling["noise"],
                    **{f"{name}_ceiling": ceiling[name] for name in ("r2", "tau", "sparse_tau")},
                }
            )  # fmt: skip
    return pd.DataFrame(found)
