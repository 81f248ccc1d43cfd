"""Many searches in a pool of processes under one progress bar."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import pandas as pd
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nasbench_rl import cli, interrupts
from nasbench_rl.errors import NasbenchError
from nasbench_rl.experiment import Search, run_search, split_seeds

CHUNK = 25
"""Search seeds a tabular job: short enough for a smooth progress bar, long enough to hide the start of a job."""
REPORT_EVERY_SECONDS = 2.0
WAITING = 2
"""Live searches at once for each training at once: while one waits for its trainings, or its turn, another goes on."""
MOST_PROCESSES = 61 if sys.platform == "win32" else 10_000
"""Windows waits for no more."""
KILLED = (
    "a worker process was killed, perhaps for want of memory: the searches that were not finished are missing from the "
    "results, so that methods differ in search seeds. Run the comparison again, with fewer --jobs if memory was short"
)

_reports: Any = None


def _start_worker(reports: Any) -> None:
    """One thread a process, before torch is loaded: the pool already has a process a core. Ctrl-C ends it at once."""
    global _reports
    _reports = reports
    interrupts.end_with_parent()  # nobody would read what it searches on
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    interrupts.let_through()
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _work(job: int, search: Search, seeds: range) -> pd.DataFrame:
    last = 0.0

    def progress(seed: int, spent: int) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_EVERY_SECONDS:
            last = time.monotonic()
            _reports.put((job, (seed - seeds.start) * search.budget + min(spent, search.budget)))

    return run_search(search, seeds, progress)


def run_all(
    searches: Sequence[Search], first_seed: int, runs: int, jobs: int
) -> tuple[pd.DataFrame, list[NasbenchError]]:
    """Every search with search seeds ``first_seed`` … ``first_seed + runs − 1``.

    Returns:
        All rows (``experiment.COLUMNS``), and one error for each failure; the other searches are not held up by it.

    Raises:
        NasbenchError: no search finished.
    """
    live, others = any(search.mode == "live" for search in searches), set(mp.active_children())
    processes = jobs * WAITING if live else jobs
    chunks = split_seeds(list(searches), first_seed, runs, 1 if live else CHUNK)
    processes = min(processes, len(chunks), MOST_PROCESSES)
    chunks = [(replace(search, searches=processes, first_seed=first_seed), seeds) for search, seeds in chunks]
    frames: list[pd.DataFrame] = []
    failures: dict[str, NasbenchError] = {}
    context = mp.get_context("spawn")
    reports = context.Queue()
    done_of = [0] * len(chunks)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with (
        Progress(*columns, console=cli.console, disable=not cli.console.is_terminal, speed_estimate_period=300) as bar,
        ProcessPoolExecutor(processes, context, _start_worker, (reports,)) as pool,
    ):
        row = bar.add_task("searching", total=sum(search.budget * len(seeds) for search, seeds in chunks))
        waiting: dict[Future[pd.DataFrame], int] = {}
        try:
            for job, chunk in enumerate(chunks):
                try:
                    with interrupts.held_in_new_processes():  # a pool starts a process as a job is handed in
                        waiting[pool.submit(_work, job, *chunk)] = job
                except BrokenProcessPool:  # so soon: the jobs before this one say it too
                    failures[KILLED] = NasbenchError(KILLED)
                    break
            while waiting:
                done, _ = wait(waiting, timeout=1.0, return_when="FIRST_COMPLETED")
                _read(reports, done_of)
                for future in done:
                    job = waiting.pop(future)
                    search, seeds = chunks[job]
                    done_of[job] = search.budget * len(seeds)
                    bar.update(row, description=f"{search.label} on {search.task}")
                    try:
                        found = future.result()
                        frames += [found] if len(found) else []  # none where all repeated earlier search seeds
                    except NasbenchError as error:
                        failures[str(error)] = error
                    except BrokenProcessPool:  # every search that was not finished ends here
                        failures[KILLED] = NasbenchError(KILLED)
                    except Exception as error:  # a full disk, say; the other searches go on
                        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
                        text = f"method {search.label!r} failed on {search.task}: {what}"
                        failures[text] = NasbenchError(text)
                bar.update(row, completed=sum(done_of))
        except KeyboardInterrupt:
            # A terminal interrupts the workers too, whoever sends the signal to this process alone does not.
            for worker in set(mp.active_children()) - others:
                worker.terminate()
            # Until all have ended: one that still loads its modules would miss the queue that goes away here.
            pool.shutdown(cancel_futures=True)
            raise
    if not frames:
        raise NasbenchError("no search finished; " + next(iter(failures)))
    order = ["task", "method", "seed", "step"]
    return pd.concat(frames, ignore_index=True).sort_values(order, ignore_index=True), [*failures.values()]


def _read(reports: Any, done_of: list[int]) -> None:
    try:
        while True:
            job, spent = reports.get_nowait()
            done_of[job] = max(done_of[job], spent)
    except queue.Empty:
        return
