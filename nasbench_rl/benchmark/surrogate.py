"""The benchmark that guesses where a table has no row, and says so in every answer."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from nasbench_rl._utils.numeric import Integers, whole_column, whole_number
from nasbench_rl.benchmark.base import Benchmark, Memo
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, MissingCellError
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.results import Cost, Evaluation, Split
from nasbench_rl.task import Task


class SurrogateBenchmark(Benchmark):
    """A measured score where the table has one (``source="table"``), else a guess (``source="surrogate"``).

    A guess has no seeds, its ``score_std`` is the ensemble's spread and its CPU seconds are NaN: nothing was trained.
    A network that does not exist because a map vanishes scores 0 (``source="invalid"``), which is no guess. ``optimum``
    and ``coverage`` speak of what was measured alone.
    """

    mode = "surrogate"

    def __init__(self, task: Task, tables: str | os.PathLike[str] | None = None) -> None:
        """``tables``: a folder of tables, the surrogates in it; None looks in the usual places."""
        if task.exhaustive:
            raise InvalidValueError(f"{task.id} is small enough for a table and has no surrogate; use mode='tabular'")
        self._memo = Memo()
        super().__init__(task, find_tables(tables), tables)
        self.surrogate = Surrogate.load(self.folder, task, tables)

    @property
    def digest(self) -> str:
        """12 hex digits of the table that was read, a plus, and 12 of the surrogate."""
        return f"{super().digest}+{self.surrogate.sha256[:12]}"

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``; a missing row is guessed, a train seed that was never trained is not.

        Raises:
            InvalidArchitectureError: no point of the space. A network that does not exist scores 0.
            InvalidValueError, UnknownNameError: as in ``Benchmark.query``.
        """
        key = (arch, fidelity, seed, split, metric)
        known = self._memo.get(key)
        if known is None:
            known = self._evaluate(arch, fidelity, seed, split, metric)
            self._memo.put(key, known)
        return known

    def _evaluate(
        self, arch: ArchLike, fidelity: int | None, seed: int | None, split: Split, metric: str | None
    ) -> Evaluation:
        architecture = self.space.parse(arch)  # raises for what is no point of the space
        with suppress(MissingCellError, InvalidArchitectureError):
            return self.table.evaluation(architecture, fidelity, seed, split, metric)
        self._check([] if seed is None else [whole_number("train seed", seed, "0, 1, 2, …")], split, metric)
        return self._guess(architecture, fidelity, split)

    def _guess(self, arch: Architecture, fidelity: int | None, split: Split) -> Evaluation:
        """Return a guess, or 0 for a network that does not exist."""
        effort = int(self.table.fidelities[self.task.fidelity_at(fidelity)])
        mean, spread = self.surrogate.predict([arch], effort, split)
        size = self.task.size(arch) if self.task.is_valid(arch) else None
        return Evaluation(
            task=self.task.id,
            arch=arch.name,
            fidelity=effort,
            split=split,
            seeds=(),
            score=float(mean[0]),
            score_std=float(spread[0]),
            metrics={self.task.metric: float(mean[0])},
            cost=Cost(effort if size else 0, self.task.fidelity_unit, math.nan if size else 0.0),
            params=size.params if size else 0,
            flops=size.flops if size else 0,
            source="surrogate" if size else "invalid",
            metric=self.task.metric,
        )

    def _is_measured(
        self, archs: Sequence[Architecture], seeds: Integers | int | None, split: Split, metric: str | None
    ) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(n,) whether the table answers; raises for a train seed that it lacks and no guess may stand for."""
        view = self.table.view(split, metric)
        if seeds is None:
            answered = np.asarray(view.used.any(axis=1))
            rows = [self.table.row_of.get(arch.name) for arch in archs]
            return np.array([row is not None and answered[row] for row in rows], dtype=np.bool_)
        asked = np.broadcast_to(seeds, len(archs)).tolist()
        known = np.array([self.table.has(arch, seed) for arch, seed in zip(archs, asked, strict=True)], dtype=np.bool_)
        self._check([seed for seed, measured in zip(asked, known, strict=True) if not measured], split, metric)
        return known

    def _check(self, seeds: Sequence[int], split: Split, metric: str | None) -> None:
        """Raise for a metric or train seed that there is not: a guess would hide the mistake."""
        self.table.view(split, metric)
        allowed = self.train_seeds(split)
        wrong = [seed for seed in seeds if seed not in allowed]
        if wrong:
            known = ", ".join(map(str, allowed))
            raise InvalidValueError(
                f"train seed {wrong[0]} is not of the {split} split of {self.task.id}; allowed: {known}"
            )

    def query_many(
        self, archs: Sequence[ArchLike] | np.ndarray[Any, Any], fidelities: Sequence[int] | int | None = None,
        seeds: Sequence[int] | int | None = None, split: Split = "test", metric: str | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:  # fmt: skip
        """As ``Benchmark.query_many``, with two columns more.

        ``source`` is that of ``query``: ``"table"``, ``"surrogate"``, or ``"invalid"`` where a network does not exist,
        whose score and CPU seconds are 0. ``guessed`` is True where it is ``"surrogate"``.
        """
        named = self.parse_many(archs)
        at = self._fidelities_at(fidelities, len(named))
        train_seeds = whole_column("seeds", "train seed", seeds, len(named))
        measured = self._is_measured(named, train_seeds, split, metric)
        source = np.where(measured, "table", "surrogate")
        score, cpu = np.zeros(len(named)), np.full(len(named), np.nan)
        if measured.any():
            known = [named[place] for place in np.flatnonzero(measured)]
            of_known = train_seeds[measured] if isinstance(train_seeds, np.ndarray) else train_seeds
            found = super().query_many(known, self.table.fidelities[at[measured]], of_known, split, metric)
            score[measured], cpu[measured] = found["score"], found["cpu_seconds"]
        for effort in np.unique(at[~measured]):
            asked = np.flatnonzero(~measured & (at == effort))
            unknown = [named[place] for place in asked]
            score[asked] = self.surrogate.predict(unknown, int(self.table.fidelities[effort]), split)[0]
            source[asked] = ["surrogate" if self.task.is_valid(arch) else "invalid" for arch in unknown]
        cpu[source == "invalid"] = 0.0
        return {
            "score": score, "fidelity": self.table.fidelities[at], "cpu_seconds": cpu, "source": source,
            "guessed": source == "surrogate",
        }  # fmt: skip

    def _fidelities_at(self, fidelities: Sequence[int] | int | None, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(count,) positions of the fidelities; raises as ``Benchmark.query_many`` does."""
        given = whole_column("fidelities", "fidelity", fidelities, count)
        if isinstance(given, np.ndarray):
            return np.array([self.task.fidelity_at(fidelity) for fidelity in given.tolist()], dtype=np.int64)
        return np.full(count, self.task.fidelity_at(given), dtype=np.int64)

    def curve(
        self, arch: ArchLike, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """See ``Benchmark.curve``; guessed where the table has no row, zeros where no such network exists.

        ``query(arch).source`` says which.
        """
        architecture = self.space.parse(arch)
        seed = None if seed is None else whole_number("train seed", seed, "0, 1, 2, …")
        if self._is_measured([architecture], seed, split, metric)[0]:
            return super().curve(architecture, seed, split, metric)
        return self.table.fidelities.copy(), self.surrogate.curves([architecture], split)[0][0]
