"""The benchmark that trains what it is asked for."""

from __future__ import annotations

import multiprocessing as mp
import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl import cores, files, shards, store
from nasbench_rl.benchmark import Mode, TabularBenchmark
from nasbench_rl.errors import InvalidValueError, check_whole, missing_extra
from nasbench_rl.numeric import whole_column, whole_number
from nasbench_rl.paths import user_folder
from nasbench_rl.records import Evaluation, Source, Split
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.supernet_table import OneShot, SupernetScores
from nasbench_rl.task import GameTask, Task, get_task, task_ids
from nasbench_rl.training import workers
from nasbench_rl.training.cell import Cell, cell_name

if TYPE_CHECKING:
    from nasbench_rl.training.warm_start import TrainedNetworks


class LiveBenchmark(TabularBenchmark):
    """Trains what is asked for, keeps it in the user's own folder of tables, and later answers from there."""

    mode: Mode = "live"

    def __init__(
        self,
        task: Task,
        tables: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        jobs: int | None = None,
    ) -> None:
        """Make it ready; nothing is trained yet.

        Args:
            task: whose cells.
            tables: where trained cells are kept; None is the user's data folder.
            device: ``cpu`` or ``cuda``.
            jobs: trainings at once, counting those of other searches that keep theirs in the same folder; None is one
                for each CPU that this process may use.

        ``searches`` is how many such searches there are: they share the processes that ``prepare`` starts.
        """
        if jobs is not None:
            jobs = whole_number("jobs", jobs, "1, 2, 3, …", least=1)
        self.task, self.device, self.jobs = task, device, jobs or cores.usable()
        if device != "cpu":  # which alone needs no torch to be told
            workers.check_device(device)
        self.searches = 1
        self.folder = user_tables() if tables is None else store.table_folders(tables)[0]
        self._named = self.folder
        self._fresh: set[tuple[str, int]] = set()
        self._load()

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Live training has as many seeds as one asks for; ten of each split are offered."""
        if self.task.split_by == "column":
            return tuple(range(10))
        return tuple(range(0 if split == "validation" else 1, 20, 2))

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``; a missing cell is trained, with train seed 0 when ``seed`` is None.

        It is trained to its end, whatever the fidelity, so that it answers every later question, and the answer is what
        tabular mode gives on the same folder. A warning says when a training completes a train seed over the space
        and changes by that what scores are made of (``Table.rule``).
        """
        architecture = self.space.parse(arch)
        view, at = self.table.view(split, metric), self.task.fidelity_at(fidelity)  # all that is wrong, before training
        wanted = self._seed_of(seed, split)
        self.table.check_measured(view, at, seed)
        self.task.size(architecture)  # raises for a network that does not exist
        if not self.table.has(architecture, wanted):
            self._train(architecture, wanted, self.task.fidelities[at])
        cell = (architecture.name, wanted)
        source: Source = "live" if cell in self._fresh else "table"
        self._fresh.discard(cell)  # trained once, it is an answer from the table from now on
        return self.table.evaluation(architecture, fidelity, seed, split, metric, source)

    def query_many(
        self, archs: Sequence[ArchLike] | np.ndarray[Any, Any], fidelities: Sequence[int] | int | None = None,
        seeds: Sequence[int] | int | None = None, split: Split = "test", metric: str | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:  # fmt: skip
        """See ``TabularBenchmark.query_many``; missing cells are trained first, side by side."""
        view = self.table.view(split, metric)
        named = [self.space[int(row)] for row in self._rows(archs)] if self.task.exhaustive else self.parse_many(archs)
        efforts = whole_column("fidelities", "fidelity", fidelities, len(named))
        chosen = whole_column("seeds", "train seed", seeds, len(named))
        positions = [self.task.fidelity_at(f) for f in ([] if efforts is None else np.unique(efforts).tolist())]
        asked = [None] * len(named) if chosen is None else np.broadcast_to(chosen, len(named)).tolist()
        cells = [(arch, self._seed_of(seed, split)) for arch, seed in zip(named, asked, strict=True)]
        for at in positions:
            self.table.check_measured(view, at, chosen)
        self.prepare(cells)
        for arch, seed in zip(named, asked, strict=True):
            self.query(arch, seed=seed, split=split)
        return super().query_many(named, fidelities, seeds, split, metric)

    def curve(
        self, arch: ArchLike, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """See ``TabularBenchmark.curve``; a missing cell is trained first, as by ``query``."""
        view, _ = self.table.view(split, metric), self._seed_of(seed, split)
        self.table.check_measured(view, 0, seed)
        self.query(arch, seed=seed, split=split, metric=metric)
        return super().curve(arch, seed, split, metric)

    def _seed_of(self, seed: int | None, split: Split) -> int:
        """The train seed that has to be there; None is the first that the score is made of."""
        if seed is None:
            return self.table.seeds_behind(split)[0]
        seed = whole_number("train seed", seed, "0, 1, 2, …", least=0)
        check_whole("train seed", seed)
        fresh = self.table.single_seed and split == "test"  # an even seed's fresh games, an odd seed's own score
        if self.task.split_by == "seed" and seed % 2 != (split == "test") and not fresh:
            raise InvalidValueError(f"train seed {seed} is not of the {split} split (validation: even, test: odd)")
        return seed

    def _train(self, arch: Architecture, seed: int, asked: int) -> None:
        """Train a cell in this process, unless another that is training it finishes it first.

        Progress is told in what is charged, ``asked``, for which the whole training is done.
        """
        trainer, tell = self._ready(), self.on_progress

        def scaled(steps: int) -> None:
            assert tell is not None
            tell(steps * asked // self.task.max_fidelity)

        with files.lock(self.folder, workers.lock_name(self.task, cell_name(arch.name, seed))):
            if (arch.name, seed) not in shards.trained_cells(self.folder, self.task):
                with self.turn():
                    trainer.train_cell(self.task, arch, seed, self.folder, self.device, tell and scaled)
                self._fresh.add((arch.name, seed))
        self._take_in()

    def turn(self) -> AbstractContextManager[None]:
        """Waits until fewer than ``jobs`` trainings go on in the folder, and is one of them while it is held."""
        return workers.training_slot(self.folder, self.jobs)

    def _take_in(self) -> None:
        before = self.table.rule()
        shards.fold(self.folder, self.task)
        self._load()
        if self.table.rule() != before:
            warnings.warn(
                f"{self.task.id} in {self.folder}: a train seed is complete over the space, from now on "
                f"{self.table.rule()}",
                stacklevel=2,
            )

    def prepare(self, cells: Sequence[tuple[Architecture, int]]) -> None:
        """Train those that are missing side by side, a process each; a single one is left to ``query``.

        A cell whose training fails is left to ``query`` too, which says why.
        """
        longest_first = sorted(cells, key=lambda cell: -self.task.size(cell[0]).flops)
        missing = [Cell(self.task.id, a.name, seed) for a, seed in longest_first if not self.table.has(a, seed)]
        known = self.task.id in task_ids() and get_task(self.task.id) is self.task  # a worker finds it by its id
        if len(missing) < 2 or self.jobs < 2 or not known or mp.current_process().daemon:  # which may have no children
            return
        self._ready()
        steps = dict.fromkeys(missing, 0)
        processes = max(2, 2 * self.jobs // self.searches)  # more than turns: one gets ready while another trains
        with closing(workers.train(missing, self.folder, processes, self.device, self.jobs)) as events:
            for event in events:
                steps[event.cell] = max(event.steps, steps[event.cell])
                if event.kind == "done":
                    self._fresh.add((event.cell.arch, event.cell.seed))
                if self.on_progress is not None:
                    self.on_progress(sum(steps.values()))
        self._take_in()

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> SupernetScores:
        """See ``TabularBenchmark.supernets``."""
        known = super().supernets(family=family)
        seed = None if seed is None else whole_number("search seed", seed, "0, 1, 2, …", least=0)
        if seed is None or seed in known.seeds or not isinstance(self.task, GameTask):
            return known
        trainer, darts = self._ready(), family == "darts"
        train = trainer.train_darts if darts else trainer.train_supernet
        with files.lock(self.folder, workers.lock_name(self.task, cell_name(family, seed))):
            self._supernets = {}
            if seed not in super().supernets(family=family).seeds:  # another search may have made it meanwhile
                with self.turn():
                    train(self.task, seed, self.folder, self.device, self.on_progress)
                shards.fold(self.folder, self.task.darts if darts else self.task.supernet)
                self._supernets = {}
        return super().supernets(family=family)

    def networks(self) -> TrainedNetworks:
        """See ``Benchmark.networks``."""
        self._ready()
        from nasbench_rl.training.warm_start import TrainedNetworks

        return TrainedNetworks(self.task, self.device, self.on_progress)

    def _ready(self) -> ModuleType:
        """The trainer's module, with this process set up for it."""
        try:
            from nasbench_rl.training import train_cell
            from nasbench_rl.training.process import check_device, tune_process
        except ImportError as error:
            raise missing_extra(error.name or "torch", "live", "training an architecture") from error
        check_device(self.device)
        tune_process()
        return train_cell


def user_tables() -> Path:
    """The user's own folder of tables, where live evaluations are kept."""
    return user_folder("data", "name one to keep live evaluations in: --tables DIR, or load(…, tables=DIR)") / "tables"
