"""Worker processes that train cells: one process a job, one thread each, and a pipe to each.

A pipe of its own, and no queue that they share: a worker that is killed while it holds a queue's lock stops all others.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from nasbench_rl import files, interrupts, provenance, shards, store
from nasbench_rl.errors import missing_extra
from nasbench_rl.store import Tabled
from nasbench_rl.task import GameTask, ImageTask, Task, get_task

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
    def table(self) -> Tabled:
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


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    cell: Cell | None = None


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

    Every cell ends in one event that is not ``"steps"``, unless no worker is left. A cell that another build is
    training is waited for: it is trained here when that build is killed. A worker that dies fails its cell alone.

    Args:
        cells: what to train.
        folder: of tables.
        jobs: processes.
        device: ``cpu`` or ``cuda``.
        turns: trainings at once over all processes that take turns in ``folder`` (``turn``); 0 is no limit.
    """
    context = mp.get_context("spawn")
    todo = deque(cells)
    workers: list[_Worker] = []
    try:
        with interrupts.held_in_new_processes():
            for _ in range(min(jobs, len(cells))):
                workers.append(_start(context, folder, device, turns))
        yield from _serve(todo, workers)
    finally:
        for worker in workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _start(context: Any, folder: Path, device: str, turns: int) -> _Worker:
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, folder, device, turns, os.getpid()), daemon=True)
    # A new process runs its parent's main file again, which may be a user's script without a guard; it needs none here.
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
    there.close()
    return _Worker(process, here)


def _serve(todo: deque[Cell], workers: list[_Worker]) -> Iterator[Event]:
    """Hand out ``todo`` until it is empty and nothing is in work, or no worker is left."""
    asked: dict[Cell, float] = {}  # cells that another build has in work, and when they may be asked for again
    while workers and (todo or any(worker.cell for worker in workers)):
        for worker in workers:
            if worker.cell is None and todo and asked.get(todo[0], 0.0) <= time.monotonic():
                worker.cell = todo.popleft()
                try:
                    worker.pipe.send(worker.cell)
                except OSError:
                    pass  # it died; its pipe says so below
        for pipe in wait([worker.pipe for worker in workers], timeout=ASK_AGAIN_SECONDS):
            worker = next(one for one in workers if one.pipe is pipe)
            try:
                kind, steps, text = worker.pipe.recv()
            except (EOFError, OSError):
                workers.remove(worker)
                worker.process.join()
                if worker.cell is not None:
                    code = worker.process.exitcode
                    yield Event("failed", worker.cell, text=f"its worker process ended with exit code {code}")
                continue
            cell = worker.cell
            assert cell is not None
            if kind != "steps":
                worker.cell = None
            if kind == "busy":
                asked[cell] = time.monotonic() + ASK_AGAIN_SECONDS
                todo.append(cell)
            else:
                yield Event(kind, cell, steps, text)


def _work(pipe: Connection, folder: Path, device: str, turns: int, parent: int) -> None:
    """A worker process: trains the cells it is sent, until there is none left or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which ends the workers
    interrupts.let_through()
    provenance.code_version()  # kept from now on: hours later the checkout may hold other code than what was loaded
    try:
        while True:
            cell = pipe.recv()
            try:
                message = _train_cell(cell, pipe, folder, device, turns, parent)
            except BrokenPipeError:
                raise
            except Exception as error:
                text = " ".join(str(error).split())
                message = ("failed", 0, f"{type(error).__name__}: {text}" if text else type(error).__name__)
            pipe.send(message)
    except (EOFError, OSError):
        return  # the parent was killed, or needs no more


def _train_cell(
    cell: Cell, pipe: Connection, folder: Path, device: str, turns: int, parent: int
) -> tuple[str, int, str]:
    task, last = get_task(cell.task), 0.0

    def progress(steps: int) -> None:
        nonlocal last
        if os.getppid() != parent:
            os._exit(1)  # the parent was killed: nobody folds or counts what would be trained on
        if time.monotonic() - last > REPORT_EVERY_SECONDS:
            last = time.monotonic()
            pipe.send(("steps", steps, ""))

    with files.lock(folder, lock_name(task, cell.name), wait=False) as mine:
        if not mine:
            return "busy", 0, ""
        if cell.is_in(shards.trained_cells(folder, cell.table)):
            return "elsewhere", task.max_fidelity, "another build has trained it"
        with turn(folder, turns, waiting=lambda: progress(0)):
            from nasbench_rl.training.process import tune_process  # late: torch takes its time and memory

            tune_process()
            started = time.monotonic()
            _train_one(cell, task, folder, device, progress)
        return "done", task.max_fidelity, f"in {time.monotonic() - started:.0f} s"


def _train_one(cell: Cell, task: Task, folder: Path, device: str, progress: Callable[[int], None]) -> None:
    from nasbench_rl.training.cells import train_cell, train_darts, train_supernet

    if cell.arch in WHOLE_SPACE and isinstance(task, GameTask):
        train = train_supernet if cell.arch == SUPERNET else train_darts
        train(task, cell.seed, folder, device, progress)
    else:
        train_cell(task, cell.arch, cell.seed, folder, device, progress)
