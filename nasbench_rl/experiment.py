"""One method on one task with one search seed, recorded row by row: what compare runs and leaderboards read."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nasbench_rl import provenance
from nasbench_rl.benchmark import Benchmark, Mode
from nasbench_rl.errors import BudgetExhausted, MissingCellError, NasbenchError, SmallBudgetError, TableError
from nasbench_rl.loading import load
from nasbench_rl.method import Method, configuration, get_method, method_version, objective_of
from nasbench_rl.run import Run

COLUMNS = (
    "task", "method", "method_version", "configuration", "objective", "mode", "approximation", "table", "budget",
    "seed", "step", "steps", "spent", "cpu_seconds", "arch", "fidelity", "train_seed", "score", "source", "incumbent",
    "test_score", "test_source", "regret", "search_seconds", "code_version", "machine",
)  # fmt: skip
"""One row an evaluation: number ``step``, from 0 on, of the run's ``steps``. ``test_score`` and ``regret`` are the
incumbent's, on the test split at max fidelity. The two sources say of ``score`` and ``test_score`` whether they were
measured (``table``, ``live``) or guessed (``surrogate``); ``invalid`` is the 0 of an NSC network that does not exist.
``objective`` is the resource that a multi-objective method weighs against the score; empty for the others.
``approximation`` is ``Run.approximation``.
"""


@dataclass(frozen=True)
class Search:
    """What identifies a search but for its seed."""

    task: str
    method: str
    budget: int
    mode: Mode = "tabular"
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    tables: str | None = None
    device: str = "cpu"
    jobs: int | None = None
    searches: int = 1
    first_seed: int = 0

    @property
    def label(self) -> str:
        """The method's name with its hyperparameters, as it was typed: ``random_search:samples=3``."""
        return ":".join([self.method, *(f"{key}={value}" for key, value in self.hyperparameters.items())])


def configuration_digest(method: Method) -> str:
    """8 hex digits of a method's hyperparameters."""
    return hashlib.sha256(json.dumps(configuration(method), sort_keys=True, default=str).encode()).hexdigest()[:8]


def table_digest(bench: Benchmark) -> str:
    """12 hex digits of the table a benchmark reads, and 12 of its surrogate; empty when there is no table yet."""
    return bench.digest


class Judge:
    """Test scores for reports: of a chosen architecture, and its distance from the best. A search never sees it.

    Of a table in the making the best is that of the architectures that have a score (``summary.table_note`` says so).

    In live mode the shipped table judges too, where there is one: training the test seeds of every architecture to
    know the best would be the exhaustive search that a table is for.
    """

    def __init__(self, bench: Benchmark) -> None:
        """``bench``: of the search; live ones are judged by the shipped table."""
        self.table: Benchmark | None = bench
        if bench.trains:
            try:
                self.table = load(bench.task)
            except TableError:
                self.table = None
        self.best = self.table.optimum(partial=True).score if self.table is not None else float("nan")
        self._known: dict[str, tuple[float, str]] = {"": (bench.task.splits.nothing, "")}

    def test_score(self, arch: str) -> tuple[float, str]:
        """(mean test score at max fidelity, its source); NaN without a source where no table has it."""
        if arch not in self._known:
            self._known[arch] = (float("nan"), "")
            if self.table is not None:
                try:
                    found = self.table.query(arch)
                    self._known[arch] = (found.score, found.source)
                except MissingCellError:
                    pass
        return self._known[arch]


Progress = Callable[[int, int], None]
"""Told (search seed, budget spent so far, counting the training in flight)."""


def run_search(search: Search, seeds: range, progress: Progress | None = None) -> pd.DataFrame:
    """Run one search for each search seed; returns ``COLUMNS``, one row an evaluation.

    Args:
        search: what to run.
        seeds: search seeds.
        progress: told how far a live search is, every few seconds; a tabular one is over before that.

    Raises:
        NasbenchError: bad input, or the method failed; the message names it and the search seed.
    """
    now: list[Run] = []  # the search that goes on
    bench = load(
        search.task, search.mode, search.tables, search.device, search.jobs, searches=search.searches,
        on_progress=progress and (lambda steps: progress(now[0].seed, now[0].spent + steps)),
    )  # fmt: skip
    method = get_method(search.method, **search.hyperparameters)
    judge = Judge(bench)
    same = {
        "task": search.task,
        "method": search.label,
        "method_version": method_version(search.method),
        "configuration": configuration_digest(method),
        "objective": objective_of(method),
        "mode": search.mode,
        "table": "" if judge.table is None else table_digest(judge.table),
        "budget": search.budget,
        "code_version": provenance.code_version(),
        "machine": provenance.machine(search.device),
    }
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        now[:] = [bench.start(search.budget, seed)]
        run, seconds = now[0], _search_once(now[0], method, search)
        bench.close()
        if _is_repetition(run, search.first_seed):
            continue
        for step, point in enumerate(run.points):
            test_score, test_source = judge.test_score(point.incumbent)
            rows.append(
                {
                    "seed": seed,
                    "approximation": run.approximation,
                    "step": step,
                    "steps": len(run.points),
                    "spent": point.spent,
                    "cpu_seconds": point.cpu_seconds,
                    "arch": point.arch,
                    "fidelity": point.fidelity,
                    "train_seed": point.seed,
                    "score": point.score,
                    "source": point.source,
                    "incumbent": point.incumbent,
                    "test_score": test_score,
                    "test_source": test_source,
                    "regret": judge.best - test_score,
                    "search_seconds": seconds,
                }  # fmt: skip
            )
    return pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in same]).assign(**same)[list(COLUMNS)]


def _is_repetition(run: Run, first_seed: int) -> bool:
    """Whether an earlier search seed had the same stored outcome.

    A hundred replays of one stored search are one search: counted as a hundred they would look like certainty. So would
    a hundred controllers that all heard the proxies of one supernet, whose luck they share.
    """
    return bool(run.replays) and run.seed - run.replays >= first_seed


def _search_once(run: Run, method: Method, search: Search) -> float:
    """Search; returns the seconds that it took."""
    started = time.perf_counter()
    try:
        method(run)
    except BudgetExhausted:
        pass
    except NasbenchError as error:
        raise type(error)(f"{search.label}: {error}") from error
    except Exception as error:  # a third party's method may fail in any way; the others go on
        raise NasbenchError(
            f"method {search.label!r} failed on {search.task} with search seed {run.seed}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not run.points:
        one = run.task.max_fidelity
        raise SmallBudgetError(
            f"method {search.label!r} evaluated nothing on {search.task}: a budget of {search.budget:,} "
            f"{run.task.fidelity_unit} ({search.budget / one:.3g} whole trainings) does not reach its first "
            "evaluation; give it a larger --budget"
        )
    return time.perf_counter() - started


def split_seeds(searches: list[Search], first: int, runs: int, chunk: int) -> list[tuple[Search, range]]:
    """Search seeds ``first`` … ``first + runs − 1`` of every search in chunks for a pool of processes."""
    starts = range(first, first + runs, chunk)
    return [(s, range(a, min(a + chunk, first + runs))) for s in searches for a in starts]
