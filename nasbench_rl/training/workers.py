"""Worker processes that train cells: one process a job, one thread each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from nasbench_rl import files, processes, shards, store
from nasbench_rl.errors import missing_extra
from nasbench_rl.task import GameTask, ImageTask, Task, get_task
from nasbench_rl.task_tables import TableSpec

REPORT_EVERY_SECONDS = 2.0
ASK_AGAIN_SECONDS = 1.0
"""How often a cell that another build is training is asked for again."""
TURN_SECONDS = 0.3
"""How often a turn is asked for."""


SUPERNET, DARTS = "supernet", "darts"
WHOLE_SPACE = (SUPERNET, DARTS)
"""Trainings that score every architecture of a space, by the family of their table."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: a task's architecture with one train seed, or one for all (``arch`` is of ``WHOLE_SPACE``)."""

    task: str
    arch: str
    seed: int

    @property
    def name(self) -> str:
        """File-name stem of its shard and lock."""
        return f"{self.arch}.seed{self.seed}"

    @property
    def table(self) -> TableSpec:
        """The table it goes into: the task's own, or that of its supernets or differentiable searches."""
        task = get_task(self.task)
        return next((table for table in task.tables if table.family == self.arch), task)

    def is_in(self, trained: set[tuple[str, int]]) -> bool:
        """Whether it is among the (architecture, seed) of ``shards.trained_cells(folder, self.table)``."""
        if self.arch not in WHOLE_SPACE:
            return (self.arch, self.seed) in trained
        return {(arch.name, self.seed) for arch in get_task(self.task).space} <= trained

    def __str__(self) -> str:
        return f"{self.task} {self.arch} {'' if self.arch in WHOLE_SPACE else 'train '}seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a cell.

    Attributes:
        kind: ``"steps"``: it is at ``steps``; ``"done"``: trained, its shard is written; ``"elsewhere"``: another build
            has trained it; ``"failed"``: it was not trained, ``text`` says why.
        cell: which.
        steps: env steps trained so far.
        text: for a person to read, one line.
    """

    kind: Literal["steps", "done", "elsewhere", "failed"]
    cell: Cell
    steps: int = 0
    text: str = ""


def check_device(device: str) -> None:
    """Raise unless torch is there and can train on ``device``, which commands that train nothing are given too.

    Raises:
        MissingExtraError: torch is not installed.
        InvalidValueError: no such device.
    """
    try:
        from nasbench_rl.training.process import check_device as check
    except ImportError as error:
        raise missing_extra(error.name or "torch", "live", "training") from error
    check(device)


def check_ready(tasks: Sequence[Task], device: str) -> None:
    """Raise what every worker would raise: an extra that is not installed, a device that is not there.

    Raises:
        MissingExtraError: torch or an emulator is not installed.
        InvalidValueError: no such device.
        DatasetError: a data set is not prepared.
    """
    check_device(device)
    from nasbench_rl.training.datasets import load_dataset
    from nasbench_rl.training.games import games_class

    for suite in dict.fromkeys(task.environment.suite for task in tasks if isinstance(task, GameTask)):
        games_class(suite)
    for name in dict.fromkeys(task.environment.name for task in tasks if isinstance(task, ImageTask)):
        load_dataset(name)


@contextmanager
def turn(folder: Path, turns: int, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until fewer than ``turns`` trainings that take turns go on in ``folder``, whichever processes they are in.

    All that share a folder should name the same number. A turn is not to be asked for while one is held.

    Args:
        folder: of tables.
        turns: how many at once; 0 is no limit.
        waiting: called a few times a second while there is no turn.
    """
    while turns:
        for i in range(turns):
            with files.lock(folder, f"turn{i}", wait=False) as mine:
                if mine:
                    yield
                    return
        waiting()
        time.sleep(TURN_SECONDS)
    yield


def lock_name(task: Task, name: str) -> str:
    """Of the lock that whoever trains the cell called ``name`` holds meanwhile."""
    return f"{Path(store.table_name(task)).stem}.{shards.file_stem(name)}"


def train(
    cells: Sequence[Cell], folder: Path, jobs: int, device: str = "cpu", turns: int = 0
) -> Generator[Event, None, None]:
    """Train ``cells`` with up to ``jobs`` processes; close the iterator to stop them.

    Every cell ends in one event that is not ``"steps"``. A cell that another build is training is waited for: it is
    trained here when that build is killed. A worker that is killed is replaced, and its cell begun again
    (``processes.TRIES``).

    Args:
        cells: what to train.
        folder: of tables.
        jobs: processes.
        device: ``cpu`` or ``cuda``.
        turns: trainings at once over all processes that take turns in ``folder`` (``turn``); 0 is no limit.
    """
    work = partial(_train_cell, folder=folder, device=device, turns=turns)
    with processes.Pool(work, cells, min(jobs, len(cells)), daemon=True) as pool:
        for message in pool.messages():
            cell, value = message.job, message.value
            if message.kind == "report":
                yield Event("steps", cell, value)
            elif message.kind == "failed":
                yield Event("failed", cell, text=value.text)
            elif message.kind != "done":
                yield Event("failed", cell, text=value)
            elif value is None:
                pool.put_off(cell, ASK_AGAIN_SECONDS)
            else:
                kind, text = value
                yield Event(kind, cell, get_task(cell.task).max_fidelity, text)


def _train_cell(
    cell: Cell, report: Callable[[int], None], folder: Path, device: str, turns: int
) -> tuple[Literal["done", "elsewhere"], str] | None:
    """In a worker: train a cell; returns the kind and text of its event, None while another build has it in work."""
    task, last = get_task(cell.task), 0.0

    def progress(steps: int) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_EVERY_SECONDS:
            last = time.monotonic()
            report(steps)

    with files.lock(folder, lock_name(task, cell.name), wait=False) as mine:
        if not mine:
            return None
        if cell.is_in(shards.trained_cells(folder, cell.table)):
            return "elsewhere", "another build has trained it"
        with turn(folder, turns, waiting=lambda: progress(0)):
            from nasbench_rl.training.process import tune_process  # late: torch takes its time and memory

            tune_process()
            started = time.monotonic()
            _train_one(cell, task, folder, device, progress)
        return "done", f"in {time.monotonic() - started:.0f} s"


def _train_one(cell: Cell, task: Task, folder: Path, device: str, progress: Callable[[int], None]) -> None:
    from nasbench_rl.training.cells import train_cell, train_darts, train_supernet

    if cell.arch in WHOLE_SPACE and isinstance(task, GameTask):
        train = train_supernet if cell.arch == SUPERNET else train_darts
        train(task, cell.seed, folder, device, progress)
    else:
        train_cell(task, cell.arch, cell.seed, folder, device, progress)
