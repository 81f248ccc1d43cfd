"""Workers that are killed, stopped or cannot start: their jobs are tried again, and nobody waits for ever."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

from nasbench_rl._utils.processes import TRIES, Message, Pool, Work
from nasbench_rl.errors import InvalidValueError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
LARGE = 20_000_000
"""Bytes that no pipe holds."""


def answer_at_length(job: str, report: object) -> bytes:
    report(os.getpid())  # type: ignore[operator]
    return bytes(LARGE)


def die_on_bad(job: str, report: object) -> str:
    if job == "bad":
        os.kill(os.getpid(), signal.SIGKILL)
    return job.upper()


def die_once(job: str, report: object, marks: Path) -> int:
    mark = marks / job
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


class Stubborn(InvalidValueError):
    """An exception that no pickle brings back."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def refuse(job: str, report: object) -> None:
    if job == "ours":
        raise InvalidValueError("no such thing")
    if job == "stubborn":
        raise Stubborn("a", "b")
    raise RuntimeError("two\nlines")


def sleep(job: int, report: object) -> None:
    report(os.getpid())  # type: ignore[operator]
    time.sleep(600)


def ends(work: Work, jobs: list[str], processes: int) -> dict[str, Message[str]]:
    with Pool(work, jobs, processes) as pool:
        return {message.job: message for message in pool.messages() if message.kind != "report"}


def test_a_worker_that_is_killed_in_the_middle_of_its_message_is_replaced() -> None:
    killed: list[int] = []
    with Pool(answer_at_length, ["a"], 1) as pool:
        for message in pool.messages():
            if message.kind == "report" and not killed:
                assert pool._workers[0].pipe.poll(300), "no message began"
                os.kill(message.value, signal.SIGKILL)
                killed.append(message.value)
            elif message.kind != "report":
                assert message.kind == "done" and len(message.value) == LARGE
    assert killed


def test_a_job_whose_workers_are_killed_is_lost_alone() -> None:
    found = ends(die_on_bad, ["a", "bad", "b", "c"], 1)
    assert {job: message.kind for job, message in found.items()} == {
        "a": "done", "bad": "lost", "b": "done", "c": "done"
    }  # fmt: skip
    assert found["bad"].value == "its worker process ended with exit code -9" and found["c"].value == "C"


def test_a_job_whose_worker_is_killed_once_is_done_again(tmp_path: Path) -> None:
    found = ends(partial(die_once, marks=tmp_path), ["a", "b"], 2)
    assert [message.kind for message in found.values()] == ["done", "done"] and TRIES > 1


def test_what_a_job_raises_is_told() -> None:
    found = ends(refuse, ["ours", "stubborn", "theirs"], 1)
    assert {message.kind for message in found.values()} == {"failed"}
    ours, stubborn, theirs = (found[job].value for job in ("ours", "stubborn", "theirs"))
    assert type(ours.error) is InvalidValueError and str(ours.error) == "no such thing"
    assert str(stubborn.error) == "ab" and stubborn.text == "Stubborn: ab"
    assert theirs.error is None and theirs.text == "RuntimeError: two lines"


def test_workers_that_cannot_start_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    here_alone = ModuleType("here_alone")
    monkeypatch.setitem(sys.modules, "here_alone", here_alone)
    work = type("work", (), {"__module__": "here_alone", "__qualname__": "work"})
    here_alone.work = work  # type: ignore[attr-defined]
    found = ends(work, ["a", "b"], 2)
    assert {message.kind for message in found.values()} == {"unstarted"}
    assert found["a"].value == "its worker process ended with exit code 1"


def test_leaving_ends_a_worker_that_is_stopped() -> None:
    with Pool(sleep, [0, 1], 2) as pool:
        pids = [message.value for message in islice(pool.messages(), 2)]
        os.kill(pids[0], signal.SIGSTOP)
        started = time.monotonic()
    assert time.monotonic() - started < 30
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
