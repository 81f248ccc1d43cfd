"""A task's table as dense arrays in memory, and the rule of which numbers a search sees and which a report shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl.errors import (
    InvalidValueError,
    MissingCellError,
    TableError,
    check_number,
    describe_unknown,
    tables_option,
    unknown,
)
from nasbench_rl.records import Cost, Evaluation, Source, Split

if TYPE_CHECKING:
    import pyarrow as pa

    from nasbench_rl.spaces.base import Architecture
    from nasbench_rl.task import Task

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[Any]]
SPLITS: tuple[Split, ...] = ("validation", "test")
SCORES = {
    "rl": ("return_last100", "return_all", "return_eval", "games"),
    "nsc": ("validation_accuracy", "test_accuracy", "train_loss"),
}
"""The stored scores of each family."""


@dataclass(frozen=True)
class View:
    """One metric of one split.

    Attributes:
        values: (architectures, seeds, fidelities), NaN where missing.
        used: (architectures, seeds) bool, the seeds that a query without ``seed`` averages over.
        column: the stored column the values come from.
    """

    values: Floats
    used: Bools
    column: str

    @cached_property
    def mean(self) -> Floats:
        """(architectures, fidelities) mean over the used seeds, NaN where there is none."""
        counts = self.used.sum(axis=1)
        total = np.where(self.used[:, :, None], self.values, 0.0).sum(axis=1)
        return np.where(counts[:, None] > 0, total / np.maximum(counts, 1)[:, None], np.nan)


def _check_column(name: str, given: Any, count: int) -> None:
    """Raise InvalidValueError unless ``given`` is None, a number for all architectures, or one for each."""
    try:
        values = np.asarray(0 if given is None else given)
    except ValueError:  # rows of different lengths
        values = np.asarray("ragged")
    if values.dtype.kind not in "iuf" or values.shape not in ((), (count,)):
        shown = repr(given) if values.ndim == 0 or values.size <= 5 else f"of shape {values.shape}"
        raise InvalidValueError(f"{name}={shown} does not fit; give one number for all, or {count:,} for as many rows")


class Table:
    """Rows of one task, indexed by (architecture, train seed, fidelity).

    Validation and test never mix. Games: validation is the even train seeds and test the odd ones. A table in which no
    odd seed is complete (``single_seed``) has nothing to hold apart but the games: its validation score is the learning
    curve's ``return_last100`` and its test score ``return_eval``, fresh games of the final policy. Images: every
    training is measured on validation and on test images, and each is a column.

    Attributes:
        names: the architecture of each row: the whole space, or what was trained where the space is too large.
        row_of: the row of each name.
    """

    def __init__(
        self, task: Task, rows: pa.Table, always_by_seed: bool = False, folder: str | os.PathLike[str] | None = None
    ) -> None:
        """Index the rows.

        Args:
            task: whose rows they are.
            rows: as ``store.read_table`` gives them.
            always_by_seed: never fall back to the single-seed rule.
            folder: of tables, where the user named one: messages that say how to train what lacks name it too.

        Raises:
            TableError: rows without an architecture, seed or fidelity of the task.
        """
        self.task = task
        self._always_by_seed = always_by_seed
        self._into = tables_option(folder)
        for column in ("arch", "seed", "fidelity", "params", "flops"):
            if rows[column].null_count:
                raise TableError(f"the table of {task.id} has rows without {column}; train it again, or restore it")
        names = rows["arch"].to_pylist()
        self.names: list[str] = [arch.name for arch in task.space] if task.exhaustive else sorted(set(names))
        self.row_of: dict[str, int] = {name: i for i, name in enumerate(self.names)}
        self.fidelities = np.array(task.fidelities)
        foreign = sorted(set(rows["fidelity"].to_pylist()) - set(task.fidelities))
        if foreign:
            raise TableError(
                f"the table of {task.id} has rows at fidelity {foreign[0]:,}, which the task has not (allowed: "
                f"{task.fidelities[0]:,} … {task.max_fidelity:,} {task.fidelity_unit}); train it again, or restore it"
            )
        seeds = rows["seed"].to_numpy()
        self.seeds = np.unique(seeds)
        shape = (len(self.row_of), len(self.seeds), len(self.fidelities))
        try:
            arch_at = np.array([self.row_of[name] for name in names], dtype=np.int64)
        except KeyError as error:
            raise TableError(
                f"the table of {task.id} names an architecture that {task.space.name} lacks: {error}"
            ) from None
        where = (
            arch_at,
            np.searchsorted(self.seeds, seeds),
            np.searchsorted(self.fidelities, rows["fidelity"].to_numpy()),
        )
        self.columns: dict[str, Floats] = {}
        for name in (*SCORES[task.family], "cpu_seconds", "wall_seconds"):
            values = np.full(shape, np.nan)
            values[where] = rows[name].cast("double").to_numpy(zero_copy_only=False)
            self.columns[name] = values
        stored = np.zeros(shape, dtype=np.bool_)
        stored[where] = True
        if int(stored.sum()) != len(rows):
            raise TableError(
                f"the table of {task.id} has {len(rows) - int(stored.sum()):,} rows that repeat an architecture, train "
                "seed and fidelity; train it again, or restore it"
            )
        self.complete: Bools = np.asarray(stored.all(axis=2))
        self.params, self.flops = (np.zeros(shape[0], dtype=np.int64) for _ in range(2))
        self.params[arch_at], self.flops[arch_at] = rows["params"].to_numpy(), rows["flops"].to_numpy()
        self._views: dict[tuple[str, str], View] = {}
        self._mean_cpu: dict[str, Floats] = {}

    @cached_property
    def full_seeds(self) -> Bools:
        """(seeds,) bool: trained on every architecture of the space."""
        return np.asarray(self.complete.all(axis=0))

    @cached_property
    def single_seed(self) -> bool:
        """Whether test scores have to come from fresh games, for want of a complete odd train seed."""
        if self.task.split_by == "column":
            return False
        return not self._always_by_seed and not bool((self.full_seeds & (self.seeds % 2 == 1)).any())

    def split_seeds(self, split: Split) -> tuple[int, ...]:
        """The train seeds behind a split.

        Raises:
            InvalidValueError: no such split.
        """
        if split not in SPLITS:
            raise InvalidValueError(describe_unknown("split", split, SPLITS, "Searches see validation, reports test."))
        if self.task.split_by == "column":
            return tuple(int(seed) for seed in self.seeds)
        if self.single_seed:
            return tuple(int(seed) for seed in self.seeds if seed % 2 == 0)
        return tuple(int(seed) for seed in self.seeds if seed % 2 == (split == "test"))

    def view(self, split: Split, metric: str | None = None) -> View:
        """The values behind a split and metric.

        Raises:
            UnknownNameError: no such metric.
            InvalidValueError: no such split.
        """
        metric = self.task.metric if metric is None else metric
        if metric not in self.task.metrics:
            raise unknown("metric", metric, self.task.metrics)
        seeds = self.split_seeds(split)
        key = (split, metric)
        if key not in self._views:
            chosen = np.isin(self.seeds, seeds)
            column = self.column(metric, split)
            if self.single_seed and split == "validation" and metric == "return_eval":
                raise InvalidValueError(
                    f"return_eval is the test score of {self.task.id} while no odd train seed is complete, so no "
                    "validation metric; allowed: return_last100, return_all"
                )
            if self.single_seed and split == "test" and metric == self.task.metric:
                column = "return_eval"
            # Seeds that only some architectures have would compare means over different seeds; they are used only
            # where no seed is complete, or when asked for by number.
            even_handed = chosen & self.full_seeds
            used = self.complete & (even_handed if even_handed.any() else chosen)
            self._views[key] = View(self.columns[column], used, column)
        return self._views[key]

    def column(self, metric: str, split: Split) -> str:
        """The stored column of a metric, before the single-seed rule."""
        return metric if self.task.split_by == "seed" else f"{split}_{metric}"

    def row(self, arch: Architecture) -> int:
        """The row of an architecture.

        Raises:
            MissingCellError: the table holds only a part of its space, and not this.
        """
        row = self.row_of.get(arch.name)
        if row is None:
            self.task.size(arch)  # raises for a network that does not exist
            raise MissingCellError(self._absent(arch.name, "row", None))
        return row

    def has(self, arch: Architecture, seed: int) -> bool:
        """Whether the cell is there, at all fidelities."""
        row, at = self.row_of.get(arch.name), np.flatnonzero(self.seeds == seed)
        return row is not None and bool(len(at)) and bool(self.complete[row, at[0]])

    def seeds_at(self, row: int, view: View, seed: int | None, split: Split) -> list[int]:
        """Positions of the train seeds to average over."""
        name = self.names[row]
        if seed is not None:
            self._check_seed(seed, split)
        if seed is None:
            used = np.flatnonzero(view.used[row]).tolist()
            if used:
                return used
            raise MissingCellError(self._absent(name, f"{split} train seed", row))
        at = int(np.searchsorted(self.seeds, seed))
        if at == len(self.seeds) or self.seeds[at] != seed or not self.complete[row, at]:
            raise MissingCellError(self._absent(name, f"train seed {seed}", row, int(seed) + 1))
        return [at]

    def _check_seed(self, seed: int, split: Split) -> None:
        """Raise InvalidValueError for what is no train seed of the split, trained or not."""
        allowed = ", ".join(map(str, self.split_seeds(split))) or "none"
        check_number(f"train seed of {self.task.id}", seed, allowed, whole=True)
        if seed < 0:
            raise InvalidValueError(f"train seed {seed} of {self.task.id} is negative; allowed: {allowed}")
        odd = split == "test" and not self.single_seed
        if self.task.split_by == "seed" and seed % 2 != odd:
            why = ""
            if self.single_seed and split == "test":
                why = (
                    ": test scores are those of fresh games until an odd train seed is complete over the space. Train "
                    f"one: python -m nasbench_rl.build {self.task.id} --seeds {max(2, seed + 1)}{self._into}"
                )
            raise InvalidValueError(
                f"train seed {seed} is not of the {split} split of {self.task.id}; allowed: {allowed}{why}"
            )

    def _absent(self, name: str, what: str, row: int | None, count: int | None = None) -> str:
        """Why there is no such cell; ``count``: train seeds that have it, where one was asked for."""
        have = [] if row is None else [str(self.seeds[i]) for i in np.flatnonzero(self.complete[row])]
        count = count or (1 if row is None or self.single_seed else max(2, len(self.seeds) + 1))
        guess = ""
        if not self.task.exhaustive:
            guess = ", ask for a guess: load(…, mode='surrogate'), or let a search train what it meets: mode='live'"
        command = f"python -m nasbench_rl.build {self.task.id} --seeds {count} --archs '{name}'{self._into}"
        return (
            f"{self.task.id} has no {what} of {name} (train seeds there: {', '.join(have) or 'none'}); nothing is "
            f"imputed. Train it: {command}{guess}"
        )

    def evaluation(
        self, arch: Architecture, fidelity: int | None, seed: int | None, split: Split, metric: str | None,
        source: Source = "table",
    ) -> Evaluation:  # fmt: skip
        """The record of one architecture; see ``TabularBenchmark.query``."""
        row = self.row(arch)
        view, at = self.view(split, metric), self.task.fidelity_at(fidelity)
        seeds = self.seeds_at(row, view, seed, split)
        values = view.values[row, seeds, at]
        self.check_measured(view, at)
        columns = {name: self.column(name, split) for name in self.task.metrics}
        if self.single_seed and split == "validation":
            del columns["return_eval"]  # it is the test score here
        metrics = {name: float(self.columns[column][row, seeds, at].mean()) for name, column in columns.items()}
        cpu = float(self.columns["cpu_seconds"][row, seeds, at].mean())
        return Evaluation(
            task=self.task.id,
            arch=arch.name,
            fidelity=int(self.fidelities[at]),
            split=split,
            seeds=tuple(int(self.seeds[i]) for i in seeds),
            score=float(values.mean()),
            score_std=float(values.std(ddof=1)) if len(seeds) > 1 else float("nan"),
            metrics={name: value for name, value in metrics.items() if value == value},
            cost=Cost(int(self.fidelities[at]), self.task.fidelity_unit, cpu),
            params=int(self.params[row]),
            flops=int(self.flops[row]),
            source=source,
            metric=view.column if self.task.split_by == "seed" else (metric or self.task.metric),
        )

    def check_measured(self, view: View, at: Any) -> None:
        """Raise InvalidValueError where fresh games are asked for that were played at the end alone.

        ``at``: positions of fidelities.
        """
        if view.column == "return_eval" and np.any(at != len(self.fidelities) - 1):
            raise InvalidValueError(
                f"{self.task.id} has {view.column} at {self.fidelities[-1]:,} {self.task.fidelity_unit} only"
                + ("; its test scores come from there, as no odd train seed is complete" if self.single_seed else "")
                + "; at lower fidelities take metric='return_all', or split='validation'"
            )

    def gather(
        self, rows: np.ndarray[Any, Any], fidelities: Sequence[int] | np.ndarray[Any, Any] | int | None,
        seeds: Sequence[int] | np.ndarray[Any, Any] | int | None, split: Split, metric: str | None,
    ) -> dict[str, np.ndarray[Any, Any]]:  # fmt: skip
        """Columns ``score``, ``fidelity``, ``cpu_seconds`` for many architectures; see ``query_many``."""
        view, depth = self.view(split, metric), len(self.fidelities)
        for name, given in (("fidelities", fidelities), ("seeds", seeds)):
            _check_column(name, given, len(rows))
        if fidelities is None or np.ndim(fidelities) == 0:
            at: Any = self.task.fidelity_at(fidelities.item() if isinstance(fidelities, np.ndarray) else fidelities)  # type: ignore[arg-type]
        else:
            at = np.searchsorted(self.fidelities, fidelities)
            wrong = at == depth
            wrong |= self.fidelities[np.where(wrong, 0, at)] != fidelities
            if wrong.any():
                self.task.fidelity_at(np.asarray(fidelities)[wrong][0].item())
        self.check_measured(view, at)
        if seeds is None:
            flat = rows * depth + at
            score, cpu = view.mean.ravel().take(flat), self._cpu_of(split).ravel().take(flat)
        else:
            seed_at = self._seed_positions(rows, seeds, split)
            flat = (rows * len(self.seeds) + seed_at) * depth + at
            score, cpu = view.values.ravel().take(flat), self.columns["cpu_seconds"].ravel().take(flat)
        if np.isnan(score.sum()):
            self._refuse_missing(rows, np.broadcast_to(cpu, score.shape), split, seeds)
        fidelity = self.fidelities[at]
        return {"score": score, "fidelity": np.broadcast_to(fidelity, score.shape), "cpu_seconds": cpu}

    def _seed_positions(self, rows: np.ndarray[Any, Any], seeds: Any, split: Split) -> np.ndarray[Any, Any]:
        """Positions of train seeds, one for all rows or one each; raises what ``query`` does for the first wrong."""
        asked = np.asarray(seeds)
        wrong = np.flatnonzero(np.broadcast_to(~np.isin(asked, self.split_seeds(split)), rows.shape))
        if len(wrong):
            row, seed = int(rows[wrong[0]]), np.broadcast_to(asked, rows.shape)[wrong[0]].item()
            self._check_seed(seed, split)
            raise MissingCellError(self._absent(self.names[row], f"train seed {seed}", row, int(seed) + 1))
        return np.searchsorted(self.seeds, asked)

    def _cpu_of(self, split: Split) -> Floats:
        """(architectures, fidelities) CPU seconds of one training, the mean over the split's seeds."""
        if split not in self._mean_cpu:
            view = View(self.columns["cpu_seconds"], self.view(split).used, "cpu_seconds")
            self._mean_cpu[split] = view.mean
        return self._mean_cpu[split]

    def _refuse_missing(self, rows: Any, cpu: Any, split: Split, seeds: Any) -> None:
        """Raise for a cell that is not there; a return that is missing before a first game stays NaN."""
        gone = np.flatnonzero(np.isnan(np.atleast_1d(cpu)))
        if len(gone):
            row = int(np.atleast_1d(rows)[gone[0]])
            if seeds is None:
                raise MissingCellError(self._absent(self.names[row], f"{split} train seed", row))
            seed = int(np.broadcast_to(seeds, len(rows))[gone[0]])
            raise MissingCellError(self._absent(self.names[row], f"train seed {seed}", row, seed + 1))
