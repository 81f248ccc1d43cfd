"""Ctrl-C and signals like it, where Python would lose them, print a traceback or leave files; orphaned processes."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HAS_MASKS = hasattr(signal, "pthread_sigmask")
"""Not on Windows, where Ctrl-C cannot be blocked in a process that starts."""
REQUESTS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals by which a scheduler, or a terminal that goes away, asks a command to end."""


class EndRequested(KeyboardInterrupt):
    """One of ``REQUESTS`` came: what Ctrl-C cleans up is cleaned up.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        """Keep the signal's ``number``."""
        super().__init__()
        self.number = number


@contextmanager
def requests_heeded() -> Iterator[None]:
    """Raise ``EndRequested`` in the block for each of ``REQUESTS`` that would end this process on the spot."""

    def end(number: int, frame: Any) -> None:
        raise EndRequested(number)

    heeded = [number for number in REQUESTS if signal.getsignal(number) == signal.SIG_DFL]  # not ignored, as by nohup
    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return what a shell shows of a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (interrupt.number if isinstance(interrupt, EndRequested) else signal.SIGINT)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer Ctrl-C and ``REQUESTS`` to the end of the block, which could swallow them or be left half done."""
    came: list[tuple[int, Any]] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # Python raises in no other
        for number in (signal.SIGINT, *REQUESTS):
            handler = signal.getsignal(number)
            if callable(handler):  # else ignored, or the end of the process at once
                handlers[number] = handler
                signal.signal(number, lambda *what: came.append(what))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            handlers[came[0][0]](*came[0])


@contextmanager
def held_in_new_processes() -> Iterator[None]:
    """Block Ctrl-C in processes started in the block; here it waits until the block ends.

    A new process loads its modules before any of its own lines run, and Ctrl-C meanwhile would print a traceback.
    """
    with deferred():
        if not HAS_MASKS:
            yield
            return
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # before, as its start lets Ctrl-C through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone: it would wait for its next job for ever."""
    parent = mp.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
