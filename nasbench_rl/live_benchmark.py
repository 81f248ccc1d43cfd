"""The benchmark that trains what it is asked for."""

from __future__ import annotations

import multiprocessing as mp
import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nasbench_rl import cores, files, shards, store
from nasbench_rl.benchmark import Mode, Progress
from nasbench_rl.errors import InvalidValueError, check_whole, missing_extra
from nasbench_rl.numeric import whole_column, whole_number
from nasbench_rl.paths import user_folder
from nasbench_rl.records import Evaluation, Source, Split
from nasbench_rl.run import Inheritance, Run
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.stored_benchmark import StoredBenchmark
from nasbench_rl.supernet_table import OneShot, SupernetScores
from nasbench_rl.task import Task, get_task, task_ids
from nasbench_rl.training import workers
from nasbench_rl.training.cell import Cell, cell_name

if TYPE_CHECKING:
    from nasbench_rl.training.warm_start import TrainedNetworks


class LiveBenchmark(StoredBenchmark):
    """Trains what is asked for, keeps it in the user's own folder of tables, and later answers from there.

    A finished training lies in the folder as a shard at once. Shards go into the table when no search of this benchmark
    goes on any more, so that an evaluation neither reads nor writes the table.
    """

    mode: Mode = "live"
    trains = True
    remembers = False

    def __init__(
        self,
        task: Task,
        tables: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        jobs: int | None = None,
        searches: int = 1,
    ) -> None:
        """Make it ready; nothing is trained yet.

        Args:
            task: whose cells.
            tables: where trained cells are kept; None is the user's data folder.
            device: ``cpu`` or ``cuda``.
            jobs: trainings at once, counting those of other searches that keep theirs in the same folder; None is one
                for each CPU that this process may use.
            searches: how many searches share those trainings, and the processes that ``prefetch`` starts.
        """
        if jobs is not None:
            jobs = whole_number("jobs", jobs, "1, 2, 3, …", least=1)
        self.device, self.jobs, self._searches = device, jobs or cores.usable(), searches
        if device != "cpu":  # checking any other device imports torch
            workers.check_device(device)
        folder = user_tables() if tables is None else store.table_folders(tables)[0]
        self._progress: Progress | None = None
        self._fresh: set[tuple[str, int]] = set()
        self._runs: weakref.WeakSet[Run] = weakref.WeakSet()
        super().__init__(task, folder, folder)

    def _load(self) -> None:
        super()._load()
        self._waiting = False

    def start(self, budget: int, seed: int) -> Run:
        """See ``Benchmark.start``. What the search trains goes into the table when it ends, or the process does."""
        run = super().start(budget, seed)
        self._runs.add(run)
        weakref.finalize(run, self.commit)
        return run

    def watch(self, progress: Progress | None) -> None:
        """See ``Benchmark.watch``."""
        self._progress = progress

    def training_progress(self) -> Progress | None:
        """See ``Benchmark.training_progress``."""
        return self._progress

    def commit(self) -> None:
        """See ``Benchmark.commit``."""
        if self._waiting:
            self._reload()

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Return the train seeds that a query may ask for: ten of each split."""
        return self.task.splits.offered(split)

    def _evaluation(
        self, arch: ArchLike, fidelity: int | None, seed: int | None, split: Split, metric: str | None
    ) -> Evaluation:
        """Answer from the table; a missing cell is trained, with train seed 0 when ``seed`` is None.

        It is trained to its end, whatever the fidelity, so that it answers every later question, and the answer is what
        tabular mode gives on the same folder. A warning says when a training completes a train seed over the space,
        which changes what scores are made of (``Table.rule``).
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
        """See ``StoredBenchmark.query_many``; missing cells are trained first, side by side."""
        view = self.table.view(split, metric)
        named = [self.space[int(row)] for row in self._rows(archs)] if self.task.exhaustive else self.parse_many(archs)
        efforts = whole_column("fidelities", "fidelity", fidelities, len(named))
        chosen = whole_column("seeds", "train seed", seeds, len(named))
        positions = [self.task.fidelity_at(f) for f in ([] if efforts is None else np.unique(efforts).tolist())]
        asked = [None] * len(named) if chosen is None else np.broadcast_to(chosen, len(named)).tolist()
        cells = [(arch, self._seed_of(seed, split)) for arch, seed in zip(named, asked, strict=True)]
        for at in positions:
            self.table.check_measured(view, at, chosen)
        self.prefetch(cells)
        for arch, seed in zip(named, asked, strict=True):
            self.query(arch, seed=seed, split=split)
        return self.table.gather(self._rows(named), fidelities, seeds, split, metric)

    def curve(
        self, arch: ArchLike, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """See ``StoredBenchmark.curve``; a missing cell is trained first, as by ``query``."""
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
        if not self.task.splits.has(seed, split, self.table.single_seed):
            raise InvalidValueError(f"train seed {seed} is not of the {split} split (validation: even, test: odd)")
        return seed

    def _train(self, arch: Architecture, seed: int, asked: int) -> None:
        """Train a cell in this process, unless another that is training it finishes it first.

        Progress counts what is charged, ``asked``, for which the whole training is done.
        """
        trainer, tell = self._ready(), self._progress

        def scaled(steps: int) -> None:
            assert tell is not None
            tell(steps * asked // self.task.max_fidelity)

        name = cell_name(arch.name, seed)
        with files.lock(self.folder, workers.lock_name(self.task, name)):
            rows = shards.read_shard(self.folder, self.task, name)
            if rows is None and self._is_in_table(arch.name, seed):
                self._reload()
                return
            if rows is None:
                with self.training_slot():
                    trainer.train_cell(self.task, arch, seed, self.folder, self.device, tell and scaled)
                self._fresh.add((arch.name, seed))
                rows = shards.read_shard(self.folder, self.task, name)
        self._take_in(rows)

    def _is_in_table(self, arch: str, seed: int) -> bool:
        """Whether another process has put the cell into the table since it was read."""
        return store.present_sha256(self.folder, store.table_name(self.task)) != self._sha256 and (
            (arch, seed) in store.cells_of(store.read_even_unlisted(self.folder, self.task))
        )

    def training_slot(self) -> AbstractContextManager[None]:
        """Hold one of ``jobs`` training slots in the folder; wait until one is free."""
        return workers.training_slot(self.folder, self.jobs)

    def _take_in(self, rows: pa.Table | None) -> None:
        """Add a finished cell to the table in memory, or to the one in the folder where no search goes on."""
        self._waiting = True
        if rows is None or not self._runs:
            self._reload()
            return
        with self._warning_of_another_rule():
            self._index(pa.concat_tables([self._rows_read, rows]))

    def _reload(self) -> None:
        """Put every shard into the table, and read it."""
        with self._warning_of_another_rule():
            shards.commit_shards(self.folder, self.task)
            self._load()

    @contextmanager
    def _warning_of_another_rule(self) -> Iterator[None]:
        before = self.table.rule()
        yield
        if self.table.rule() != before:
            warnings.warn(
                f"{self.task.id} in {self.folder}: a train seed is complete over the space, from now on "
                f"{self.table.rule()}",
                stacklevel=4,
            )

    def prefetch(self, cells: Sequence[tuple[Architecture, int]]) -> None:
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
        processes = max(2, 2 * self.jobs // self._searches)  # more than slots: one gets ready while another trains
        with closing(workers.train(missing, self.folder, processes, self.device, self.jobs)) as events:
            for event in events:
                steps[event.cell] = max(event.steps, steps[event.cell])
                if event.kind == "done":
                    self._fresh.add((event.cell.arch, event.cell.seed))
                if self._progress is not None:
                    self._progress(sum(steps.values()))
        self._reload()

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> SupernetScores:
        """See ``Benchmark.supernets``."""
        known = super().supernets(family=family)
        seed = None if seed is None else whole_number("search seed", seed, "0, 1, 2, …", least=0)
        if seed is None or seed in known.seeds:
            return known
        trainer = self._ready()
        train = trainer.train_darts if family == "darts" else trainer.train_supernet
        with files.lock(self.folder, workers.lock_name(self.task, cell_name(family, seed))):
            self._supernets = {}
            if seed not in super().supernets(family=family).seeds:  # another search may have made it meanwhile
                with self.training_slot():
                    train(self.task, seed, self.folder, self.device, self._progress)
                shards.commit_shards(self.folder, self.task.one_shot(family))
                self._supernets = {}
        return super().supernets(family=family)

    def inheritance(self) -> Inheritance:
        """See ``Benchmark.inheritance``."""
        self._ready()
        from nasbench_rl.training.warm_start import TrainedNetworks

        return _TrainedChildren(TrainedNetworks(self.task, self.device, self._progress), self.training_slot)

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


class _TrainedChildren:
    """Trains children from the weights of the networks of one run; see ``Inheritance``."""

    approximation = ""

    def __init__(self, networks: TrainedNetworks, slot: Callable[[], AbstractContextManager[None]]) -> None:
        self._networks, self._slot = networks, slot

    def child(self, arch: Architecture, parent: Architecture, seed: int, parent_seed: int, fidelity: int) -> Evaluation:
        with self._slot():
            return self._networks.train_child(arch, parent, seed, parent_seed, fidelity).evaluation


def user_tables() -> Path:
    """The user's own folder of tables, where live evaluations are kept."""
    return user_folder("data", "name one to keep live evaluations in: --tables DIR, or load(…, tables=DIR)") / "tables"
