"""Worker processes that work through jobs: a pipe to each, replaced when killed, and their jobs tried again.

A pipe of its own, and no queue that they share: a worker that is killed while it holds a queue's lock, or has written
half of a message, stops all others.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar

from nasbench_rl._utils import interrupts, provenance
from nasbench_rl.errors import NasbenchError

TRIES = 3
"""How often a job is begun whose worker is killed: once, and twice again."""
FAILED_STARTS = 3
"""Workers in a row that end before they can take a job, until no more are started."""
PATIENCE_SECONDS = 1.0
"""For a worker that was told to end, until it is killed."""
LOOK_SECONDS = 1.0
"""How often jobs that were put off are looked at while no worker says anything."""

J = TypeVar("J")
Work = Callable[[Any, Callable[[Any], None]], Any]
"""Importable, or a partial of such: called with a job and a function that sends reports; returns the job's result."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a job raised.

    Attributes:
        text: the exception's type and message, one line.
        error: itself, where it is one of this package's and can travel.
    """

    text: str
    error: NasbenchError | None = None


@dataclass(frozen=True, slots=True)
class Message(Generic[J]):
    """What a worker says of its job, or what became of the worker.

    Attributes:
        kind: ``"report"``; or its end: ``"done"``; ``"failed"``, it raised; ``"lost"``, its workers were killed;
            ``"unstarted"``, there was no worker for it.
        job: which.
        value: the report; the result; a ``Failure``; of lost and unstarted ones a text that says how workers ended.
    """

    kind: Literal["report", "done", "failed", "lost", "unstarted"]
    job: J
    value: Any


@dataclass
class _Task(Generic[J]):
    job: J
    tries: int = 0
    not_before: float = 0.0


@dataclass
class _Worker(Generic[J]):
    process: Any
    pipe: Connection
    ready: bool = False
    task: _Task[J] | None = None


class Pool(Generic[J]):
    """Up to so many processes that work through jobs. Leaving its ``with`` block ends them, whatever they do."""

    def __init__(self, work: Work, jobs: Sequence[J], processes: int, daemon: bool = False) -> None:
        """Make it ready; ``messages`` starts the processes.

        Args:
            work: what is done for a job.
            jobs: in this order.
            processes: the most at once.
            daemon: whether they are to have no processes of their own.
        """
        self.work, self.most, self.daemon = work, processes, daemon
        self._todo = deque(_Task(job) for job in jobs)
        self._workers: list[_Worker[J]] = []
        self._failed_starts, self._why = 0, ""

    def __enter__(self) -> Pool[J]:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers."""
        with interrupts.deferred():
            for worker in self._workers:
                worker.pipe.close()
                worker.process.terminate()
            patience = time.monotonic() + PATIENCE_SECONDS
            for worker in self._workers:
                worker.process.join(max(0.0, patience - time.monotonic()))
                worker.process.kill()  # one that is stopped (Ctrl-Z) heeds nothing else
                worker.process.join()
            self._workers.clear()

    def put_off(self, job: J, seconds: float) -> None:
        """Do a job again that has just ended, after so many seconds."""
        self._todo.append(_Task(job, not_before=time.monotonic() + seconds))

    def messages(self) -> Iterator[Message[J]]:
        """Work until every job has ended; exactly one message of a job is no report."""
        while self._todo or any(worker.task for worker in self._workers):
            self._start_missing()
            if not self._workers:
                while self._todo:
                    yield Message("unstarted", self._todo.popleft().job, self._why)
                return
            self._hand_out()
            for pipe in wait([worker.pipe for worker in self._workers], timeout=LOOK_SECONDS):
                worker = next(one for one in self._workers if one.pipe is pipe)
                try:
                    kind, value = worker.pipe.recv()
                except (EOFError, OSError):  # with half of a message behind it, perhaps
                    yield from self._bury(worker)
                    continue
                if kind == "ready":
                    worker.ready, self._failed_starts = True, 0
                    continue
                assert worker.task is not None
                task = worker.task
                if kind != "report":
                    worker.task = None
                yield Message(kind, task.job, value)

    def _start_missing(self) -> None:
        working = sum(worker.task is not None for worker in self._workers)
        wanted = min(self.most, working + len(self._todo))
        while len(self._workers) < wanted and self._failed_starts < FAILED_STARTS:
            try:
                with interrupts.held_in_new_processes():
                    self._workers.append(_start(self.work, self.daemon))
            except OSError as error:  # no more processes or memory, or it ended before it had read what to do
                self._failed_starts, self._why = self._failed_starts + 1, " ".join(str(error).split())

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.ready and worker.task is None and self._todo and self._todo[0].not_before <= time.monotonic():
                worker.task = self._todo.popleft()
                try:
                    worker.pipe.send(worker.task.job)
                except OSError:
                    pass  # it died; its pipe says so next

    def _bury(self, worker: _Worker[J]) -> Iterator[Message[J]]:
        """Take a dead worker away; its job goes to the end of the line, where less is done beside it."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        ended = f"its worker process ended with exit code {worker.process.exitcode}"
        if not worker.ready:
            self._failed_starts, self._why = self._failed_starts + 1, ended
        if worker.task is None:
            return
        worker.task.tries += 1
        if worker.task.tries < TRIES:
            self._todo.append(worker.task)
        else:
            yield Message("lost", worker.task.job, ended)


def _start(work: Work, daemon: bool) -> _Worker[Any]:
    context = mp.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work), daemon=daemon)
    # A new process runs its parent's main file again, which may be a user's script without a guard; it needs none here.
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        process.start()
    except BaseException:
        here.close()
        raise
    finally:
        sys.modules["__main__"] = main
        there.close()
    return _Worker(process, here)


def _serve(pipe: Connection, work: Work) -> None:
    """Do the jobs that are sent to this worker, until there are none left or its parent is gone."""
    interrupts.end_with_parent()  # nobody would read what it works on
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which ends the workers
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: there is a process a core already
    provenance.code_version()  # kept from now on: hours later the checkout may hold other code than what was loaded

    def report(value: Any) -> None:
        pipe.send(("report", value))

    try:
        pipe.send(("ready", None))
        while True:
            job = pipe.recv()
            try:
                answer = ("done", work(job, report))
            except Exception as error:
                answer = ("failed", _failure(error))
            pipe.send(answer)
    except (EOFError, OSError):
        return  # the parent needs no more


def _failure(error: Exception) -> Failure:
    said = " ".join(str(error).split())
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, NasbenchError):
        try:
            return Failure(text, pickle.loads(pickle.dumps(error)))
        except Exception:  # a third party's, which does not survive the journey
            return Failure(text, NasbenchError(said))
    return Failure(text)
