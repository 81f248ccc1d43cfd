"""Many searches in a pool of processes under one progress bar; what is finished is kept for the next call."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nasbench_rl._utils import cli, processes
from nasbench_rl.compare import unfinished
from nasbench_rl.compare.experiment import Search, run_search, split_seeds
from nasbench_rl.errors import LostWorkerError, NasbenchError

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
UNSTARTED = "no worker process could be started ({why}), so that searches are missing from the results"


@dataclass(frozen=True, eq=False)
class Chunk:
    """A job: some search seeds of a search. Another is never equal.

    Attributes:
        search: which.
        seeds: its search seeds.
        key: under which the result is kept; empty where it is not.
        tables: digest of what it is to read; the result is kept only if that is so to its end.
    """

    search: Search
    seeds: range
    key: str = ""
    tables: str = ""

    @property
    def cost(self) -> int:
        """The budgets of all of its searches."""
        return self.search.budget * len(self.seeds)


def _work(chunk: Chunk, report: Callable[[int], None]) -> pd.DataFrame:
    last = 0.0

    def progress(seed: int, spent: int) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_EVERY_SECONDS:
            last = time.monotonic()
            report((seed - chunk.seeds.start) * chunk.search.budget + min(spent, chunk.search.budget))

    return run_search(chunk.search, chunk.seeds, progress)


def _work_and_keep(
    chunk: Chunk, report: Callable[[int], None], work: Callable[..., pd.DataFrame], out: Path | None
) -> tuple[pd.DataFrame, str]:
    """Search in a worker; return what was found, and why it could not be kept, if so."""
    as_asked = _reads_the_same(chunk)
    found = work(chunk, report)
    if out is not None and as_asked and _reads_the_same(chunk):
        try:
            unfinished.save(out, chunk.key, found)
        except NasbenchError as error:  # the results are there all the same
            return found, str(error)
    return found, ""


def _reads_the_same(chunk: Chunk) -> bool:
    try:
        return bool(chunk.key) and unfinished.tables_of(chunk.search) == chunk.tables
    except NasbenchError:
        return False


def run_all(
    searches: Sequence[Search], first_seed: int, runs: int, jobs: int, out: Path | None = None
) -> tuple[pd.DataFrame, list[NasbenchError]]:
    """Run every search with search seeds ``first_seed`` … ``first_seed + runs − 1``.

    Args:
        searches: which.
        first_seed: the first search seed.
        runs: search seeds a search.
        jobs: processes; in live mode trainings at once.
        out: folder in which what is finished is kept, and taken over from a call that was killed; whoever has written
            all results calls ``unfinished.clear``, unless ``is_incomplete``. None keeps nothing.

    Returns:
        All rows (``runs_schema.COLUMNS``), and one error for each failure; the other searches are not held up by it.

    Raises:
        NasbenchError: no search finished.
    """
    chunks = _split(searches, first_seed, runs, jobs, out)
    frames = {} if out is None else _take_over(chunks, out)
    failures = _run([chunk for chunk in chunks if chunk not in frames], frames, out)
    # In the order of the searches, whichever ended first; one that only repeated earlier search seeds is empty.
    found = [frames[chunk] for chunk in chunks if chunk in frames and len(frames[chunk])]
    if not found:
        raise NasbenchError("no search finished; " + str(next(iter(failures))))
    order = ["task", "method", "seed", "step"]
    together = pd.concat(found, ignore_index=True).sort_values(order, ignore_index=True, kind="stable")
    return together, failures


def is_incomplete(failures: Sequence[NasbenchError]) -> bool:
    """Return whether the same command has more to do for a reason other than a search's own failure."""
    return any(isinstance(failure, LostWorkerError) for failure in failures)


def _split(searches: Sequence[Search], first_seed: int, runs: int, jobs: int, out: Path | None) -> list[Chunk]:
    """Split into jobs; without keys if nothing is kept, or if a search cannot be made, which a worker will say."""
    live = any(search.mode == "live" for search in searches)
    size = 1 if live else CHUNK
    at_once = min(jobs * WAITING if live else jobs, len(searches) * math.ceil(runs / size), MOST_PROCESSES)
    chunks: list[Chunk] = []
    for search in searches:
        search = replace(search, searches=at_once, first_seed=first_seed)
        tables = everything = ""
        if out is not None:
            with suppress(NasbenchError):
                tables, everything = unfinished.search_key(search)
        for _, seeds in split_seeds([search], first_seed, runs, size):
            key = unfinished.key(everything, seeds.start, seeds.stop) if everything else ""
            chunks.append(Chunk(search, seeds, key, tables))
    return chunks


def _take_over(chunks: Sequence[Chunk], out: Path) -> dict[Chunk, pd.DataFrame]:
    """Return what an earlier call has finished, and say so in a line."""
    kept = unfinished.kept(out, [chunk.key for chunk in chunks])
    frames = {chunk: kept[chunk.key] for chunk in chunks if chunk.key in kept}
    if frames:
        there, all_ = (sum(len(chunk.seeds) for chunk in of) for of in (frames, chunks))
        cli.say(f"taken over: {there:,} of {all_:,} searches, which an earlier call had finished")
    return frames


def _run(chunks: Sequence[Chunk], frames: dict[Chunk, pd.DataFrame], out: Path | None) -> list[NasbenchError]:
    """Search; what is found goes into ``frames``. Returns an error for each different failure."""
    failures: dict[str, NasbenchError] = {}
    unkept = ""
    spent = {chunk: chunk.cost for chunk in frames} | {chunk: 0 for chunk in chunks}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    work = partial(_work_and_keep, work=_work, out=out)
    at_once = chunks[0].search.searches if chunks else 1
    with (
        Progress(*columns, console=cli.console, disable=not cli.console.is_terminal, speed_estimate_period=300) as bar,
        processes.Pool(work, chunks, at_once) as pool,
    ):
        row = bar.add_task("searching", total=sum(chunk.cost for chunk in spent), completed=sum(spent.values()))
        for message in pool.messages():
            chunk = message.job
            if message.kind == "report":
                spent[chunk] = max(spent[chunk], message.value)
            else:
                spent[chunk] = chunk.cost
                bar.update(row, description=f"{chunk.search.label} on {chunk.search.task}")
            if message.kind == "done":
                frames[chunk], why = message.value
                unkept = why or unkept
            elif message.kind != "report":
                error = _failure(message)
                failures.setdefault(str(error), error)
            bar.update(row, completed=sum(spent.values()))
    if unkept:
        cli.errors.print(f"not kept for a next call: {unkept}", style="yellow", markup=False, highlight=False)
    return [*failures.values()]


def _failure(message: processes.Message[Chunk]) -> NasbenchError:
    search, value = message.job.search, message.value
    if message.kind == "lost":
        return LostWorkerError(KILLED)
    if message.kind == "unstarted":
        return LostWorkerError(UNSTARTED.format(why=value))
    if value.error is not None:
        return value.error  # type: ignore[no-any-return]
    return NasbenchError(f"method {search.label!r} failed on {search.task}: {value.text}")  # a full disk, say
