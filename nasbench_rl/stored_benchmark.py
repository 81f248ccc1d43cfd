"""A benchmark that reads a table: what its three modes share."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nasbench_rl.advice import how_to_train
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import InvalidArchitectureError, MissingCellError
from nasbench_rl.latency_table import Latencies, read_latencies
from nasbench_rl.numeric import EXACT, as_int, as_integers
from nasbench_rl.records import Evaluation, Split
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.supernet_table import OneShot, SupernetScores, read_supernets
from nasbench_rl.table import Table
from nasbench_rl.task import Task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CACHE_LIMIT = 200_000
_KEYS = EXACT | {Architecture}


def _is_exact(arch: object) -> bool:
    """Whether an architecture, as a key of the memo, equals no other: (True, 1.0) equals (1, 1), a tensor changes."""
    return type(arch) is tuple and (_KEYS.issuperset(map(type, arch)) or all(map(_is_exact, arch)))


class StoredBenchmark(Benchmark):
    """Scores from a table, and what a mode does about those that it lacks. None of this needs torch."""

    remembers: ClassVar[bool] = True
    """Whether the answer to a query never changes."""
    _measured: Latencies | None = None
    _sha256 = ""
    _named: str | os.PathLike[str] | None = None
    """The folder of tables that the caller named, if any."""

    def __init__(self, task: Task, folder: Path, named: str | os.PathLike[str] | None = None) -> None:
        """Read the table.

        Args:
            task: whose table it is.
            folder: of tables.
            named: that folder, where the caller named it; messages name it too.
        """
        self.task, self.folder, self._named = task, folder, named
        self._load()

    def _load(self) -> None:
        from nasbench_rl import store

        rows, self._sha256 = store.read_with_digest(self.folder, self.task)
        self._supernets: dict[OneShot, SupernetScores] = {}
        self._index(rows)

    def _index(self, rows: pa.Table) -> None:
        self._rows_read = rows
        self.table = Table(self.task, rows, folder=self._named)
        self._cache: dict[Any, Evaluation] = {}

    def how_to_train(self, options: str) -> str:
        """See ``Benchmark``."""
        return how_to_train(self.task, options, self._named)

    @property
    def digest(self) -> str:
        """12 hex digits of the table that was read, whatever lies in its folder by now; empty when there was none."""
        return self._sha256[:12]

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``. A warm query is one look-up."""
        key = (arch, fidelity, seed, split, metric)
        try:
            known = self._cache[key]
            if type(fidelity) in _KEYS and type(seed) in _KEYS and (type(arch) in _KEYS or _is_exact(arch)):
                return known
        except (KeyError, TypeError):  # TypeError: a list or array, or a tuple of them, which has no hash
            pass
        evaluation = self._evaluation(arch, fidelity, seed, split, metric)
        if self.remembers and len(self._cache) < CACHE_LIMIT and (type(arch) in _KEYS or _is_exact(arch)):
            with contextlib.suppress(TypeError):
                self._cache[key] = evaluation
        return evaluation

    @abstractmethod
    def _evaluation(
        self, arch: ArchLike, fidelity: int | None, seed: int | None, split: Split, metric: str | None
    ) -> Evaluation:
        """Answer a query that was not asked before."""

    @abstractmethod
    def query_many(
        self, archs: Sequence[ArchLike] | np.ndarray[Any, Any], fidelities: Sequence[int] | int | None = None,
        seeds: Sequence[int] | int | None = None, split: Split = "test", metric: str | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:  # fmt: skip
        """Scores of many architectures at once.

        Args:
            archs: (n,) integer indices into the space, (n, depth) rows of choices, or a list of anything ``query``
                takes. Indices and rows may be an array, series or frame of any integer type.
            fidelities: one for all or (n,); None is the whole training.
            seeds: one train seed for all or (n,); None averages over the split's.
            split: as in ``query``.
            metric: as in ``query``.

        Returns:
            Columns of length n: ``score``, ``fidelity`` and ``cpu_seconds`` of one training.

        Raises:
            InvalidArchitectureError, InvalidValueError, UnknownNameError: bad input; the message says what is allowed.
            MissingCellError: one of them is not in the table.
        """

    def parse_many(self, archs: Sequence[ArchLike] | np.ndarray[Any, Any]) -> list[Architecture]:
        """The architectures of indices into the space, or of anything ``query`` takes."""
        self._check_many(archs)
        rows: Any = np.asarray(archs) if hasattr(archs, "__array__") else archs  # a frame would give its columns
        places = [as_int(one) for one in rows]
        return [self.space.parse(one) if at is None else self.space[at] for one, at in zip(rows, places, strict=True)]

    def _check_many(self, archs: Any) -> None:
        """Raise InvalidArchitectureError for a single architecture, which a tuple of integers is, or none."""
        if (
            isinstance(archs, (str, Architecture))
            or (isinstance(archs, tuple) and archs and all(as_int(one) is not None for one in archs))
            or not hasattr(archs, "__len__")
            or getattr(archs, "ndim", 1) == 0
        ):
            raise InvalidArchitectureError(
                f"query_many takes a list or array of architectures, not {archs!r}; one alone: [{archs!r}]"
            )

    def _rows(self, archs: Sequence[ArchLike] | np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        self._check_many(archs)
        given = as_integers(archs) if self.task.exhaustive else None
        if given is None:  # names, a list of choices, or a space in which a row is not an index
            return np.array([self.table.row(arch) for arch in self.parse_many(archs)], dtype=np.int64)
        if given.ndim == 2:
            return self.space.indices(given)
        if given.ndim != 1:
            raise InvalidArchitectureError(
                f"architectures of shape {given.shape} are neither (n,) indices nor (n, depth) rows of choices"
            )
        if given.size and not 0 <= given.min() <= given.max() < len(self.space):
            self.space[int(given[(given < 0) | (given >= len(self.space))][0])]  # raises
        return given

    def curve(
        self, arch: ArchLike, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """(fidelities, scores) of one architecture, the mean over the split's seeds when ``seed`` is None.

        A score is NaN where a return is missing: before a first game has finished.

        Raises:
            InvalidValueError: the score is that of fresh games, which are played at the end alone.
        """
        row = self.table.row(self.space.parse(arch))
        view = self.table.view(split, metric)
        at = self.table.seeds_at(row, view, seed, split)
        self.table.check_measured(view, np.arange(len(self.table.fidelities)), seed)
        return self.table.fidelities.copy(), view.values[row, at].mean(axis=0)

    def optimum(self, split: Split = "test", metric: str | None = None, partial: bool = False) -> Evaluation:
        """The best architecture by its mean score over the split's seeds; of an NSC space, of those trained.

        Args:
            split: as in ``query``.
            metric: as in ``query``.
            partial: of a table in the making, take the best of those that have a score.

        Raises:
            MissingCellError: nothing was trained to the end yet, or a table in the making and not ``partial``.
            UnknownNameError, InvalidValueError: no such split or metric.
        """
        scores = self.table.view(split, metric).mean[:, -1]
        known = self.table.scored(split)
        if np.isnan(scores).all():
            raise MissingCellError(f"{self.task.id} has no {split} score at {self.task.max_fidelity:,} yet")
        if self.task.exhaustive and known < len(scores) and not partial:
            raise MissingCellError(
                f"{self.task.id} has {split} scores of {known} of {len(scores)} architectures, so that the best is not "
                f"known; that of those trained: optimum(partial=True). Train the others: "
                f"{self.how_to_train('--seeds 1')}"
            )
        return self.query(self.table.names[int(np.nanargmax(scores))], split=split, metric=metric)

    def coverage(self) -> pd.DataFrame:
        """Architectures x train seeds: True where a cell is complete at max fidelity."""
        import pandas as pd  # late: a query does without it, and it takes most of a second's start

        # A copy by hand: pandas before 3 keeps the array that it is given.
        return pd.DataFrame(self.table.complete.copy(), index=self.table.names, columns=self.table.seeds)

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> SupernetScores:
        """See ``Benchmark``."""
        if family not in self._supernets:
            self._supernets[family] = read_supernets(self.folder, self.task, family)
        return self._supernets[family]

    def _latencies(self) -> Latencies:
        if self._measured is None:
            self._measured = read_latencies(self.folder, self.task, self._named)
        return self._measured

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Return the split's train seeds that every architecture has; train seed 0 while none is complete."""
        return tuple(seed for seed in self.table.seeds_behind(split) if seed in self.table.seeds)
