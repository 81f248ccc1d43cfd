"""The benchmark that guesses where a table has no row, and says so in every answer."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_rl import store
from nasbench_rl.benchmark import CACHE_LIMIT, Mode, TabularBenchmark
from nasbench_rl.errors import InvalidValueError, MissingCellError
from nasbench_rl.records import Cost, Evaluation, Split
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.surrogate import Surrogate
from nasbench_rl.task import Task


class SurrogateBenchmark(TabularBenchmark):
    """A measured score where the table has one (``source="table"``), else a guess (``source="surrogate"``).

    A guess has no seeds, its ``score_std`` is the ensemble's spread and its CPU seconds are NaN: nothing was trained.
    ``optimum`` and ``coverage`` speak of what was measured alone.
    """

    mode: Mode = "surrogate"

    def __init__(self, task: Task, tables: str | os.PathLike[str] | None = None) -> None:
        """``tables``: a folder of tables, the surrogates in it; None looks in the usual places."""
        if task.exhaustive:
            raise InvalidValueError(f"{task.id} is small enough for a table and has no surrogate; use mode='tabular'")
        self.task = task
        self.folder = store.find_tables(tables)
        self._load()
        self.surrogate = Surrogate.load(self.folder, task)

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``; a missing row is guessed, a train seed that was never trained is not."""
        try:
            return super().query(arch, fidelity=fidelity, seed=seed, split=split, metric=metric)
        except MissingCellError:
            self._check(seed, split, metric)
        guess = self._guess(self.space.parse(arch), fidelity, split)
        if isinstance(arch, (tuple, str, Architecture)) and len(self._cache) < CACHE_LIMIT:
            self._cache[arch, fidelity, seed, split, metric] = guess
        return guess

    def _guess(self, arch: Architecture, fidelity: int | None, split: Split) -> Evaluation:
        effort = int(self.table.fidelities[self.table.fidelity_at(fidelity)])
        mean, spread = self.surrogate.predict([arch], effort, split)
        size = self.task.size(arch)
        return Evaluation(
            task=self.task.id,
            arch=arch.name,
            fidelity=effort,
            split=split,
            seeds=(),
            score=float(mean[0]),
            score_std=float(spread[0]),
            metrics={self.task.metric: float(mean[0])},
            cost=Cost(effort, self.task.fidelity_unit, math.nan),
            params=size.params,
            flops=size.flops,
            source="surrogate",
        )

    def _check(self, seeds: Sequence[int] | int | None, split: Split, metric: str | None) -> None:
        """Raise for a metric or train seed that there is not: a guess would hide the mistake."""
        self.table.view(split, metric)
        allowed = self.train_seeds(split)
        wrong = [seed for seed in np.atleast_1d([] if seeds is None else seeds).tolist() if seed not in allowed]
        if wrong:
            known = ", ".join(map(str, allowed))
            raise InvalidValueError(
                f"train seed {wrong[0]} is not of the {split} split of {self.task.id}; allowed: {known}"
            )

    def query_many(
        self, archs: Sequence[ArchLike] | np.ndarray[Any, Any], fidelities: Sequence[int] | int | None = None,
        seeds: Sequence[int] | int | None = None, split: Split = "test", metric: str | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:  # fmt: skip
        """As ``TabularBenchmark.query_many``, with a column ``guessed``: True where the score is no measurement.

        All rows are of one fidelity.
        """
        if fidelities is not None and np.ndim(fidelities):
            raise InvalidValueError("guesses of many are made at one fidelity; give fidelities as one number or None")
        self._check(seeds, split, metric)
        effort = self.table.fidelity_at(None if fidelities is None else int(fidelities))  # type: ignore[arg-type]
        named = self.parse_many(archs)
        guessed = np.array([arch.name not in self.table.row_of for arch in named], dtype=np.bool_)
        score, cpu = np.empty(len(named)), np.full(len(named), np.nan)
        known = [arch for arch, guess in zip(named, guessed, strict=True) if not guess]
        if known:
            found = super().query_many(known, fidelities, seeds, split, metric)
            score[~guessed], cpu[~guessed] = found["score"], found["cpu_seconds"]
        if guessed.any():
            unknown = [arch for arch, guess in zip(named, guessed, strict=True) if guess]
            score[guessed] = self.surrogate.predict(unknown, int(self.table.fidelities[effort]), split)[0]
        fidelity = np.full(len(named), self.table.fidelities[effort])
        return {"score": score, "fidelity": fidelity, "cpu_seconds": cpu, "guessed": guessed}

    def curve(
        self, arch: ArchLike, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """See ``TabularBenchmark.curve``; guessed where the table has no row."""
        architecture = self.space.parse(arch)
        if architecture.name in self.table.row_of:
            return super().curve(architecture, seed, split, metric)
        self._check(seed, split, metric)
        return self.table.fidelities.copy(), self.surrogate.curves([architecture], split)[0][0]
