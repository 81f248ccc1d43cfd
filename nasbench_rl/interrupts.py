"""Ctrl-C where Python alone would lose it or print a traceback, and the end of processes whose parent was killed."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HAS_MASKS = hasattr(signal, "pthread_sigmask")
"""Not on Windows, where a process that starts cannot be told to hold Ctrl-C back."""


@contextmanager
def deferred() -> Iterator[None]:
    """Ctrl-C takes effect at the end of the block: for what could swallow the exception, or be left half done by it."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield  # ignored, or the end of the process at once; and Python raises in the main thread alone
        return
    came: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[0])


@contextmanager
def held_in_new_processes() -> Iterator[None]:
    """Ctrl-C waits in processes started in the block until they call ``let_through``; here until the block ends.

    A new process loads its modules before any line of its own runs, and Ctrl-C meanwhile would print a traceback.
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


def let_through() -> None:
    """In a new process: from now on Ctrl-C does what it is set to, also one that came earlier."""
    if HAS_MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """End this process at once when the one that started it is gone: a pool's would wait for its next job for ever."""
    parent = mp.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
