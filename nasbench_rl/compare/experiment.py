"""One method on one task with one search seed, recorded row by row: what comparisons run and leaderboards read."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nasbench_rl._utils import provenance
from nasbench_rl.benchmark.base import Mode
from nasbench_rl.benchmark.load import load
from nasbench_rl.benchmark.method import Method, configuration, get_method, method_version, objective_of
from nasbench_rl.benchmark.run import Run
from nasbench_rl.errors import BudgetExhausted, NasbenchError, SmallBudgetError
from nasbench_rl.leaderboard.judge import Judge
from nasbench_rl.leaderboard.runs_schema import COLUMNS


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
    """Return 8 hex digits of a method's hyperparameters."""
    return hashlib.sha256(json.dumps(configuration(method), sort_keys=True, default=str).encode()).hexdigest()[:8]


Progress = Callable[[int, int], None]
"""Called with (search seed, budget spent so far, including the training in progress)."""


def run_search(search: Search, seeds: range, progress: Progress | None = None) -> pd.DataFrame:
    """Run one search for each search seed; return ``COLUMNS``, one row an evaluation.

    Args:
        search: what to run.
        seeds: search seeds.
        progress: called every few seconds of a live search; a tabular one is over before that.

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
        "table": "" if judge.table is None else judge.table.digest,
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
    """Return whether an earlier search seed had the same stored outcome.

    A hundred replays of one stored search are one search: counted as a hundred they would look like certainty. So would
    a hundred controllers that all learned from the proxies of one supernet, whose luck they share.
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
            f"{search.label}: evaluated nothing on {search.task}: a budget of {search.budget:,} "
            f"{run.task.fidelity_unit} ({search.budget / one:.3g} whole trainings) does not reach its first "
            "evaluation; give it a larger --budget"
        )
    return time.perf_counter() - started


def split_seeds(searches: list[Search], first: int, runs: int, chunk: int) -> list[tuple[Search, range]]:
    """Split the search seeds ``first`` … ``first + runs − 1`` of every search into chunks for a pool."""
    starts = range(first, first + runs, chunk)
    return [(s, range(a, min(a + chunk, first + runs))) for s in searches for a in starts]
