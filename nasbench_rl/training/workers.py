"""Worker processes that train cells: one process a job, one thread each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from nasbench_rl._utils import files, processes
from nasbench_rl.errors import missing_extra
from nasbench_rl.tables import shards, table_io
from nasbench_rl.task import GameTask, ImageTask, Task, get_task
from nasbench_rl.training.cell import SUPERNET, WHOLE_SPACE, Cell

REPORT_EVERY_SECONDS = 2.0
ASK_AGAIN_SECONDS = 1.0
"""How often to ask again for a cell that another build is training."""
SLOT_SECONDS = 0.3
"""How often to ask for a training slot."""


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
    from nasbench_rl.data.load import load_dataset
    from nasbench_rl.training.games.make import games_class

    for suite in dict.fromkeys(task.environment.suite for task in tasks if isinstance(task, GameTask)):
        games_class(suite)
    for name in dict.fromkeys(task.environment.name for task in tasks if isinstance(task, ImageTask)):
        load_dataset(name)


@contextmanager
def training_slot(folder: Path, slots: int, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until fewer than ``slots`` trainings run in ``folder``, over all processes, and hold a slot meanwhile.

    All that share a folder should name the same number. Don't ask for a slot while holding one.

    Args:
        folder: of tables.
        slots: how many at once; 0 is no limit.
        waiting: called a few times a second while no slot is free.
    """
    while slots:
        for i in range(slots):
            with files.lock(folder, f"turn{i}", wait=False) as mine:
                if mine:
                    yield
                    return
        waiting()
        time.sleep(SLOT_SECONDS)
    yield


def lock_name(task: Task, name: str) -> str:
    """Return the name of the lock that is held while the cell called ``name`` is trained."""
    return f"{Path(table_io.table_name(task)).stem}.{shards.file_stem(name)}"


def train(
    cells: Sequence[Cell], folder: Path, jobs: int, device: str = "cpu", slots: int = 0
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
        slots: trainings at once over all processes that ask for a ``training_slot`` in ``folder``; 0 is no limit.
    """
    work = partial(_train_cell, folder=folder, device=device, slots=slots)
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
    cell: Cell, report: Callable[[int], None], folder: Path, device: str, slots: int
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
        with training_slot(folder, slots, waiting=lambda: progress(0)):
            from nasbench_rl.training.process import tune_process  # late: torch takes its time and memory

            tune_process()
            started = time.monotonic()
            _train_one(cell, task, folder, device, progress)
        return "done", f"in {time.monotonic() - started:.0f} s"


def _train_one(cell: Cell, task: Task, folder: Path, device: str, progress: Callable[[int], None]) -> None:
    from nasbench_rl.training.train_cell import train_cell, train_darts, train_supernet

    if cell.arch in WHOLE_SPACE and isinstance(task, GameTask):
        train = train_supernet if cell.arch == SUPERNET else train_darts
        train(task, cell.seed, folder, device, progress)
    else:
        train_cell(task, cell.arch, cell.seed, folder, device, progress)
