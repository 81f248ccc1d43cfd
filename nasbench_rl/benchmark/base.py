"""One interface to a task's scores: looked up in a table, guessed by a surrogate, or trained live."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nasbench_rl._utils.numeric import EXACT, as_int, as_integers
from nasbench_rl.benchmark.run import Run
from nasbench_rl.benchmark.run_protocols import Inheritance
from nasbench_rl.benchmark.weight_sharing import FreshSupernet, OnUpdate, SamplePath
from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    MissingCellError,
    unknown,
)
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace
from nasbench_rl.tables.advice import how_to_train
from nasbench_rl.tables.latencies import Latencies, read_latencies
from nasbench_rl.tables.one_shot_scores import OneShot, OneShotScores, read_supernets
from nasbench_rl.tables.results import RESOURCES, Evaluation, Resource, Split
from nasbench_rl.tables.score_table import ScoreTable
from nasbench_rl.task import Task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Mode = Literal["tabular", "surrogate", "live"]
MODES: tuple[Mode, ...] = ("tabular", "surrogate", "live")
CACHE_LIMIT = 200_000
_KEYS = EXACT | {Architecture}


def _is_exact(arch: object) -> bool:
    """Tell whether an architecture equals no other key of the memo: (True, 1.0) equals (1, 1), a tensor changes."""
    return type(arch) is tuple and (_KEYS.issuperset(map(type, arch)) or all(map(_is_exact, arch)))


class Memo:
    """Answers to questions that were asked before, so that a repeated one takes a microsecond."""

    def __init__(self) -> None:
        """Begin empty."""
        self._kept: dict[Any, Evaluation] = {}

    def get(self, key: tuple[Any, ...]) -> Evaluation | None:
        """Return the answer to (arch, fidelity, seed, split, metric); None where it has to be looked up."""
        try:
            known = self._kept[key]
        except (KeyError, TypeError):  # TypeError: a list or array, or a tuple of them, which has no hash
            return None
        arch, fidelity, seed, _, _ = key
        exact = type(fidelity) in _KEYS and type(seed) in _KEYS and (type(arch) in _KEYS or _is_exact(arch))
        return known if exact else None

    def put(self, key: tuple[Any, ...], evaluation: Evaluation) -> None:
        """Keep an answer, unless its architecture may change."""
        if len(self._kept) < CACHE_LIMIT and (type(key[0]) in _KEYS or _is_exact(key[0])):
            with contextlib.suppress(TypeError):
                self._kept[key] = evaluation


class FromScratch:
    """Children that should inherit weights, scored as trainings from scratch of that length."""

    approximation = "a child that inherits weights scores as a training from scratch of that length does"

    def __init__(self, benchmark: Benchmark) -> None:
        """``benchmark``: has the scores."""
        self._benchmark = benchmark

    def evaluate(
        self, child: Architecture, parent: Architecture, seed: int, parent_seed: int, fidelity: int
    ) -> Evaluation:
        """Return the validation score of ``child``; see ``run.Inheritance``."""
        return self._benchmark.query(child, fidelity=fidelity, seed=seed, split="validation")


class Benchmark(ABC):
    """A task's scores, whatever they come from. Made by ``load``.

    Numbers may be of any integer type of Python and NumPy; True, 1.0 and "1" are refused. Arrays and frames that a call
    returns are the caller's own.

    Attributes:
        task: the task.
        mode: which of the three.
        trains: whether it trains what it lacks.
        folder: the folder of tables.
        table: the task's table in memory.
    """

    task: Task
    mode: ClassVar[Mode]
    trains: ClassVar[bool] = False
    folder: Path
    table: ScoreTable
    _measured: Latencies | None = None
    _sha256 = ""
    _named: str | os.PathLike[str] | None = None

    def __init__(self, task: Task, folder: Path, named: str | os.PathLike[str] | None) -> None:
        """Read the table; ``named``: the folder as the caller named it, if they did."""
        self.task, self.folder, self._named = task, folder, named
        self._load()

    def _load(self) -> None:
        from nasbench_rl.tables import shards, table_io  # late: Arrow is a quarter of what an import takes

        shards.commit_waiting(self.folder)
        rows, self._sha256 = table_io.read_with_digest(self.folder, self.task)
        self._take(rows)

    def _take(self, rows: pa.Table) -> None:
        """Answer from these rows."""
        self.table = ScoreTable(self.task, rows, folder=self._named)
        self._one_shot: dict[OneShot, OneShotScores] = {}

    def close(self) -> None:  # noqa: B027 (nothing to do but in live mode)
        """Put what was trained into its table; the benchmark can still be used."""

    @property
    def space(self) -> SearchSpace:
        """The task's search space."""
        return self.task.space

    @property
    def digest(self) -> str:
        """12 hex digits of the table that was read, whatever lies in its folder by now; empty when there was none."""
        return self._sha256[:12]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.task.id}>"

    @abstractmethod
    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """Return what a network scores.

        Args:
            arch: a tuple of choices ``(3, 3)``, a canonical string ``"k3-k3"`` or an Architecture.
            fidelity: training effort in the task's unit; None is the whole training.
            seed: one train seed of the split; None is the mean over those that every architecture has, and train
                seed 0 while none is complete (``ScoreTable.seeds_behind``).
            split: ``"test"`` (what reports use) or ``"validation"`` (what searches see).
            metric: a stored metric; None is the task's.

        Raises:
            InvalidArchitectureError, InvalidValueError, UnknownNameError: bad input; the message says what is allowed.
            MissingCellError: not in the table; nothing is imputed.
        """

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
        return self.table.gather(self._rows_of(archs), fidelities, seeds, split, metric)

    def parse_many(self, archs: Sequence[ArchLike] | np.ndarray[Any, Any]) -> list[Architecture]:
        """Return the architectures of indices into the space, or of anything that ``query`` takes."""
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

    def _rows_of(self, archs: Sequence[ArchLike] | np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        self._check_many(archs)
        given = as_integers(archs) if self.task.exhaustive else None
        if given is None:  # names, a list of choices, or a space in which a row is not an index
            return np.array([self.table.row(arch) for arch in self.parse_many(archs)], dtype=np.int64)
        if given.ndim != 1:
            return self.task.indices(given)
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
        return self.table.curve(self.space.parse(arch), seed, split, metric)

    def optimum(self, split: Split = "test", metric: str | None = None, partial: bool = False) -> Evaluation:
        """Return the best architecture by its mean score over the split's seeds; in an NSC space, of those trained.

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

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Return the train seeds of a split that a search may ask for, ascending.

        Those that every architecture has; train seed 0, if it is there, while none is complete.
        """
        return tuple(seed for seed in self.table.seeds_behind(split) if seed in self.table.seeds)

    def how_to_train(self, options: str) -> str:
        """Return the command that trains what this benchmark lacks; ``options`` of ``build``."""
        return how_to_train(self.task, options, self._named)

    def prefetch(self, cells: Sequence[tuple[Architecture, int]]) -> None:  # noqa: B027 (as close)
        """Train these (architecture, train seed), which are asked for next, side by side; only live mode does."""

    def training_slot(self) -> AbstractContextManager[None]:
        """Hold a slot while something trains; live mode waits for one among all that train on the machine."""
        return nullcontext()

    def inheritance(self) -> Inheritance:
        """Return what scores the children of one run that inherit weights."""
        return FromScratch(self)

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> OneShotScores:
        """Return the proxy scores of stored supernets; live mode first fits that of ``seed`` when it is not there.

        Args:
            seed: of the supernet to be fitted.
            family: ``"supernet"``, or ``"darts"`` for differentiable searches, whose proxy scores are probabilities.

        Raises:
            InvalidValueError: the task has none.
        """
        if not self.task.one_shot:
            raise InvalidValueError(f"{self.task.id} has no supernets: they share weights over kernel-choice spaces")
        if family not in self._one_shot:
            self._one_shot[family] = read_supernets(self.folder, self.task, family)
        return self._one_shot[family]

    def fit_supernet(
        self, seed: int, sample_path: SamplePath | None, on_update: OnUpdate | None, score_all: bool
    ) -> FreshSupernet:
        """Fit a supernet that is not stored; only live mode can. See ``WeightSharing.fit`` for the arguments.

        Raises:
            InvalidValueError: this benchmark trains nothing.
        """
        raise InvalidValueError(f"{self.task.id} trains nothing in {self.mode} mode; load it with mode='live'")

    def latency(self, arch: ArchLike, batch: int = 1) -> float:
        """Return the median wall seconds of a forward pass of ``batch`` observations or images, measured on one core.

        Args:
            arch: as in ``query``.
            batch: 1 or 32.

        Raises:
            MissingCellError: not measured; the message has the command that does.
        """
        if self._measured is None:
            self._measured = read_latencies(self.folder, self.task, self._named)
        return self._measured.seconds(self.space.parse(arch), batch)

    def resource(self, arch: ArchLike, resource: Resource) -> float:
        """Return what an architecture costs to use: ``"params"``, ``"flops"`` (one observation) or ``"latency"`` (s).

        Raises:
            UnknownNameError: another resource.
            InvalidArchitectureError: a network that does not exist.
            MissingCellError: a latency that was not measured.
        """
        if resource not in RESOURCES:
            raise unknown("resource", resource, RESOURCES)
        if resource == "latency":
            return self.latency(arch)
        return float(getattr(self.task.size(arch), resource))

    def start(self, budget: int, seed: int) -> Run:
        """Begin a search.

        Args:
            budget: what the search may spend, in the task's unit (env steps or epochs).
            seed: the search seed.

        Raises:
            InvalidValueError: a budget below the smallest fidelity, or a seed that is no whole number from 0 on.
            MissingCellError: tabular mode, and the validation split has no complete train seed.
        """
        return Run(self, budget, seed)
