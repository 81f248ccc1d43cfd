"""The interface to a task's scores, whatever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from nasbench_rl.advice import how_to_train
from nasbench_rl.errors import InvalidValueError, MissingCellError, unknown
from nasbench_rl.latency_table import Latencies
from nasbench_rl.records import RESOURCES, Evaluation, Resource, Split
from nasbench_rl.run import Inheritance, Run, StoredInheritance
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace
from nasbench_rl.supernet_table import OneShot, SupernetScores
from nasbench_rl.task import Task

Mode = Literal["tabular", "surrogate", "live"]
MODES: tuple[Mode, ...] = ("tabular", "surrogate", "live")
Progress = Callable[[int], None]
"""Called with the steps trained so far."""


class Benchmark(ABC):
    """Answer queries about a task's networks and start searches. Made by ``load``.

    Numbers may be of any integer type of Python and NumPy; True, 1.0 and "1" are refused. Arrays and frames that a call
    returns are the caller's own.
    """

    task: Task
    mode: Mode
    device = "cpu"
    trains: bool = False
    """Whether a missing score is trained for."""

    @property
    def space(self) -> SearchSpace:
        """The task's search space."""
        return self.task.space

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.task.id}>"

    @abstractmethod
    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """What a network scores.

        Args:
            arch: a tuple of choices ``(3, 3)``, a canonical string ``"k3-k3"`` or an Architecture.
            fidelity: training effort in the task's unit; None is the whole training.
            seed: one train seed of the split; None is the mean over those that every architecture has, and train
                seed 0 while none is complete (``Table.seeds_behind``).
            split: ``"test"`` (what reports use) or ``"validation"`` (what searches see).
            metric: a stored metric; None is the task's.

        Raises:
            InvalidArchitectureError, InvalidValueError, UnknownNameError: bad input; the message says what is allowed.
            MissingCellError: not in the table; nothing is imputed.
        """

    def prefetch(self, cells: Sequence[tuple[Architecture, int]]) -> None:  # noqa: B027 (only live mode trains)
        """Announce which (architecture, train seed) will be asked for next; live mode trains them side by side."""

    def watch(self, progress: Progress | None) -> None:  # noqa: B027 (only live mode trains)
        """Call ``progress`` with the steps of the trainings that follow; None stops that."""

    def training_progress(self) -> Progress | None:
        """Return what ``watch`` was given, if anything trains."""
        return None

    def commit(self) -> None:  # noqa: B027 (only live mode trains)
        """Write what was trained into its table; live mode does so when a search ends."""

    def how_to_train(self, options: str) -> str:
        """Return the command that trains what this benchmark lacks; ``options`` are those of ``build``."""
        return how_to_train(self.task, options)

    def training_slot(self) -> AbstractContextManager[None]:
        """Hold one of the machine's training slots; live mode waits until one is free."""
        return nullcontext()

    @abstractmethod
    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """The train seeds of a split that a query may ask for, ascending."""

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> SupernetScores:
        """Proxy scores of stored supernets; live mode first fits the one of ``seed`` when it is not there.

        Args:
            seed: of the supernet to be fitted.
            family: ``"supernet"``, or ``"darts"`` for differentiable searches, whose proxy scores are probabilities.

        Raises:
            InvalidValueError: this benchmark has none.
        """
        raise InvalidValueError(f"{self.task.id} has no supernets in {self.mode} mode")

    def latency(self, arch: ArchLike, batch: int = 1) -> float:
        """Median wall seconds of one forward pass of ``batch`` observations or images on one core, as measured.

        Args:
            arch: as in ``query``.
            batch: 1 or 32.

        Raises:
            MissingCellError: not measured; the message has the command that does.
        """
        return self._latencies().seconds(self.space.parse(arch), batch)

    def _latencies(self) -> Latencies:
        raise MissingCellError(f"no latency of {self.task.id} was measured: this benchmark reads no tables")

    def resource(self, arch: ArchLike, resource: Resource) -> float:
        """What an architecture costs to use: ``"params"``, ``"flops"`` (one observation) or ``"latency"`` (seconds).

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

    def inheritance(self) -> Inheritance:
        """Return what scores children that inherit weights, for one run."""
        return StoredInheritance(self)

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
