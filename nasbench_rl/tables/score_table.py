"""A task's table as dense arrays in memory, and the rule of which numbers a search sees and which a report shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl._utils.numeric import read_only, whole_column, whole_number
from nasbench_rl.errors import (
    InvalidValueError,
    MissingCellError,
    TableError,
    describe_unknown,
    unknown,
)
from nasbench_rl.tables.advice import how_to_train
from nasbench_rl.tables.results import Cost, Evaluation, Source, Split
from nasbench_rl.task.splits import SPLITS

if TYPE_CHECKING:
    import pyarrow as pa

    from nasbench_rl.spaces.base import Architecture
    from nasbench_rl.task import Task

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[Any]]
Array = np.ndarray[Any, Any]
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
        by_number: the column of the odd seeds where it is another one; they are read when asked for by number alone.
    """

    values: Floats
    used: Bools
    column: str
    by_number: str = ""

    @cached_property
    def mean(self) -> Floats:
        """(architectures, fidelities) mean over the used seeds, NaN where there is none."""
        counts = self.used.sum(axis=1)
        total = np.where(self.used[:, :, None], self.values, 0.0).sum(axis=1)
        return read_only(np.where(counts[:, None] > 0, total / np.maximum(counts, 1)[:, None], np.nan))


class ScoreTable:
    """Rows of one task, indexed by (architecture, train seed, fidelity). Its arrays are read-only.

    Validation and test never mix, and the rule is the table's, whichever mode reads it. Games: validation is the even
    train seeds and test the odd ones. While no odd seed is complete over the space (``single_seed``) there is nothing
    to hold apart but the games: the validation score is the learning curve's ``return_last100`` and the test score
    ``return_eval``, fresh games of the final policy. Images: every training is measured on validation and on test
    images, and each is a column. Which train seeds a score is the mean of, tells ``seeds_behind``: it changes when a
    seed completes, and at no other cell.

    Attributes:
        names: the architecture of each row: the whole space, or what was trained where the space is too large.
        row_of: the row of each name.
        machines: on which its cells were trained.
        code_versions: by which they were trained.
    """

    def __init__(self, task: Task, rows: pa.Table, folder: str | os.PathLike[str] | None = None) -> None:
        """Index the rows.

        Args:
            task: whose rows they are.
            rows: as ``table_io.read_table`` gives them.
            folder: of tables, where the user named one: messages that say how to train what lacks name it too.

        Raises:
            TableError: rows without an architecture, seed or fidelity of the task.
        """
        self.task = task
        self._folder = folder
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
        for array in (*self.columns.values(), self.fidelities, self.seeds, self.complete, self.params, self.flops):
            read_only(array)
        self.machines, self.code_versions = (
            tuple(sorted({text for text in rows[name].unique().to_pylist() if text}))
            for name in ("machine", "code_version")
        )
        self._views: dict[tuple[str, str], View] = {}
        self._mean_cpu: dict[str, Floats] = {}

    @cached_property
    def full_seeds(self) -> Bools:
        """(seeds,) bool: trained on every architecture of the space."""
        return read_only(np.asarray(self.complete.all(axis=0)))

    @cached_property
    def single_seed(self) -> bool:
        """Whether test scores have to come from fresh games, for want of a complete odd train seed."""
        return self.task.splits.needs_fresh_games(self.seeds[self.full_seeds].tolist())

    def seeds_behind(self, split: Split) -> tuple[int, ...]:
        """Return the train seeds of a score for which no seed was named, in the table or not.

        Those of the split that are complete over the space, and train seed 0 while none is: seeds that only some
        architectures have would compare means over different seeds, and would move a score with every cell. So it is
        in a space that no table can hold, whose seeds are never complete.

        Raises:
            InvalidValueError: no such split.
        """
        if split not in SPLITS:
            raise InvalidValueError(describe_unknown("split", split, SPLITS, "Searches see validation, reports test."))
        if not self.task.exhaustive:
            return (0,)
        full, rule = self.seeds[self.full_seeds].tolist(), self.task.splits
        return tuple(seed for seed in full if rule.is_scored(seed, split, self.single_seed)) or (0,)

    def split_seeds(self, split: Split) -> tuple[int, ...]:
        """Return the table's train seeds that may be asked for by number.

        Of the test split of a table that tests on fresh games those are the even seeds, by their fresh games, and the
        odd ones by what they are once complete: their own metric.

        Raises:
            InvalidValueError: no such split.
        """
        self.seeds_behind(split)
        return tuple(seed for seed in self.seeds.tolist() if self.task.splits.has(seed, split, self.single_seed))

    def scored(self, split: Split) -> int:
        """How many architectures have a score in a split."""
        return int(self.view(split).used.any(axis=1).sum())

    @property
    def whole(self) -> bool:
        """Whether every architecture of the space has a validation and a test score."""
        return self.task.exhaustive and all(self.scored(split) == len(self.names) for split in SPLITS)

    def rule(self) -> str:
        """How validation and test scores are held apart, in words; it changes when a train seed completes."""
        seeds = {split: ", ".join(map(str, self.seeds_behind(split))) for split in SPLITS}
        scores: dict[str, str] = {split: self.column(self.task.metric, split) for split in SPLITS}
        scores |= {"test": "return_eval"} if self.single_seed else {}
        return "; ".join(f"{split}: {scores[split]} of train seed {seeds[split]}" for split in SPLITS)

    def view(self, split: Split, metric: str | None = None) -> View:
        """Return the values of a split and metric.

        Raises:
            UnknownNameError: no such metric.
            InvalidValueError: no such split.
        """
        metric = self.task.metric if metric is None else metric
        if metric not in self.task.metrics:
            raise unknown("metric", metric, self.task.metrics)
        behind = self.seeds_behind(split)
        key = (split, metric)
        if key not in self._views:
            column = self.column(metric, split)
            values, by_number = self.columns[column], ""
            if self.single_seed and split == "validation" and metric == "return_eval":
                raise InvalidValueError(
                    f"return_eval is the test score of {self.task.id} while no odd train seed is complete, so no "
                    "validation metric; allowed: return_last100, return_all"
                )
            if self.single_seed and split == "test" and metric == self.task.metric:
                column, by_number = "return_eval", column
                values = np.where((self.seeds % 2 == 1)[:, None], values, self.columns[column])
            used = self.complete & np.isin(self.seeds, behind)
            self._views[key] = View(read_only(values), read_only(used), column, by_number)
        return self._views[key]

    def column(self, metric: str, split: Split) -> str:
        """Return the stored column of a metric, before the single-seed rule."""
        return self.task.splits.column(metric, split)

    def row(self, arch: Architecture) -> int:
        """Return the row of an architecture.

        Raises:
            MissingCellError: the table holds only a part of its space, and not this.
        """
        row = self.row_of.get(arch.name)
        if row is None:
            self.task.size(arch)  # raises for a network that does not exist
            raise MissingCellError(self._absent(arch.name, "row", None, 1))
        return row

    def has(self, arch: Architecture, seed: int) -> bool:
        """Whether the cell is there, at all fidelities."""
        row, at = self.row_of.get(arch.name), np.flatnonzero(self.seeds == seed)
        return row is not None and bool(len(at)) and bool(self.complete[row, at[0]])

    def seeds_at(self, row: int, view: View, seed: int | None, split: Split) -> list[int]:
        """Positions of the train seeds to average over."""
        name = self.names[row]
        if seed is None:
            used = np.flatnonzero(view.used[row]).tolist()
            if used:
                return used
            raise self._unscored(row, split)
        seed = self._check_seed(seed, split)
        at = int(np.searchsorted(self.seeds, seed))
        if at == len(self.seeds) or self.seeds[at] != seed or not self.complete[row, at]:
            raise MissingCellError(self._absent(name, f"train seed {seed}", row, seed + 1))
        return [at]

    def _check_seed(self, seed: int, split: Split) -> int:
        """Return a train seed as a Python int; raise InvalidValueError for one that is not of the split."""
        allowed = ", ".join(map(str, self.split_seeds(split))) or "none"
        seed = whole_number(f"train seed of {self.task.id}", seed, allowed)
        if seed < 0:
            raise InvalidValueError(f"train seed {seed} of {self.task.id} is negative; allowed: {allowed}")
        if not self.task.splits.has(seed, split, self.single_seed):
            raise InvalidValueError(
                f"train seed {seed} is not of the {split} split of {self.task.id}; allowed: {allowed}"
            )
        return seed

    def _unscored(self, row: int, split: Split) -> MissingCellError:
        """For an architecture that has no score of a split, though it may have train seeds to ask for by number."""
        have = [str(seed) for seed in self.seeds[self.complete[row]] if seed in self.split_seeds(split)]
        what = f"{split} score, which is that of train seed {', '.join(map(str, self.seeds_behind(split)))},"
        error = self._absent(self.names[row], what, row, 1)
        return MissingCellError(error + (f". Or ask by number: seed={have[0]}" if have else ""))

    def _absent(self, name: str, what: str, row: int | None, count: int) -> str:
        """Why there is no such cell; ``count``: train seeds that have it, from 0 on."""
        have = [] if row is None else [str(self.seeds[i]) for i in np.flatnonzero(self.complete[row])]
        guess = ""
        if not self.task.exhaustive:
            guess = ", ask for a guess: load(…, mode='surrogate'), or let a search train what it meets: mode='live'"
        command = how_to_train(self.task, f"--seeds {count} --archs '{name}'", self._folder)
        return (
            f"{self.task.id} has no {what} of {name} (train seeds there: {', '.join(have) or 'none'}); nothing is "
            f"imputed. Train it: {command}{guess}"
        )

    def evaluation(
        self, arch: Architecture, fidelity: int | None, seed: int | None, split: Split, metric: str | None,
        source: Source = "table",
    ) -> Evaluation:  # fmt: skip
        """Return the record of one architecture; see ``Benchmark.query``."""
        row = self.row(arch)
        view, at = self.view(split, metric), self.task.fidelity_at(fidelity)
        seeds = self.seeds_at(row, view, seed, split)
        values = view.values[row, seeds, at]
        self.check_measured(view, at, seed)
        column = view.by_number if view.by_number and seed is not None and seed % 2 else view.column
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
            metric=self.task.splits.metric(column),
        )

    def curve(
        self, arch: Architecture, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[Array, Floats]:
        """Return (fidelities, scores) of one architecture; see ``Benchmark.curve``."""
        row, view = self.row(arch), self.view(split, metric)
        at = self.seeds_at(row, view, seed, split)
        self.check_measured(view, np.arange(len(self.fidelities)), seed)
        return self.fidelities.copy(), view.values[row, at].mean(axis=0)

    def check_measured(self, view: View, at: Any, seeds: Any = None) -> None:
        """Raise InvalidValueError where fresh games are asked for that were played at the end alone.

        ``at``: positions of fidelities; ``seeds``: as in ``gather``.
        """
        early = np.asarray(at) != len(self.fidelities) - 1
        if view.by_number and seeds is not None:
            early = early & (np.asarray(seeds) % 2 == 0)
        if view.column == "return_eval" and np.any(early):
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
        efforts = whole_column("fidelities", "fidelity", fidelities, len(rows))
        seeds = whole_column("seeds", "train seed", seeds, len(rows))
        if efforts is None or isinstance(efforts, int):
            at: Any = self.task.fidelity_at(efforts)
        else:
            at = np.searchsorted(self.fidelities, efforts)
            wrong = at == depth
            wrong |= self.fidelities[np.where(wrong, 0, at)] != efforts
            if wrong.any():
                self.task.fidelity_at(int(efforts[wrong][0]))
        self.check_measured(view, at, seeds)
        if seeds is None:
            flat = rows * depth + at
            score, cpu = view.mean.ravel().take(flat), self._cpu_of(split).ravel().take(flat)
        else:
            seed_at = self._seed_positions(rows, seeds, split)
            flat = (rows * len(self.seeds) + seed_at) * depth + at
            score, cpu = view.values.ravel().take(flat), self.columns["cpu_seconds"].ravel().take(flat)
        if np.isnan(score.sum()):
            self._refuse_missing(rows, np.broadcast_to(cpu, score.shape), split, seeds)
        fidelity = np.full(score.shape, self.fidelities[at])
        return {"score": score, "fidelity": fidelity, "cpu_seconds": cpu}

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
                raise self._unscored(row, split)
            seed = int(np.broadcast_to(seeds, len(rows))[gone[0]])
            raise MissingCellError(self._absent(self.names[row], f"train seed {seed}", row, seed + 1))
