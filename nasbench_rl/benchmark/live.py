"""The benchmark that trains what it is asked for."""

from __future__ import annotations

import multiprocessing as mp
import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nasbench_rl._utils import cores, files
from nasbench_rl._utils.numeric import whole_column, whole_number
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.weight_sharing import Floats, OnUpdate, SamplePath
from nasbench_rl.errors import InvalidValueError, check_whole, missing_extra
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.locate import table_folders, user_tables
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.one_shot_scores import OneShot, OneShotScores
from nasbench_rl.tables.results import Evaluation, Source, Split
from nasbench_rl.task import Task, get_task, task_ids
from nasbench_rl.task.games import with_weight_sharing
from nasbench_rl.training import workers
from nasbench_rl.training.cell import Cell

if TYPE_CHECKING:
    from nasbench_rl.training.supernet import FittedSupernet
    from nasbench_rl.training.warm_start import TrainedNetworks

Progress = Callable[[int], None]
Slot = Callable[[], AbstractContextManager[None]]


class LiveBenchmark(Benchmark):
    """Trains what is asked for, keeps it in the user's own folder of tables, and later answers from there.

    What was trained is at hand at once, and safe on the disk as a shard of its own. It is put into the table by
    ``close``, by the next ``load`` of the folder, or when the interpreter ends.
    """

    mode = "live"
    trains = True

    def __init__(
        self,
        task: Task,
        tables: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        jobs: int | None = None,
        searches: int = 1,
        on_progress: Progress | None = None,
    ) -> None:
        """Make it ready; nothing is trained yet.

        Args:
            task: whose cells.
            tables: where trained cells are kept; None is the user's data folder.
            device: ``cpu`` or ``cuda``.
            jobs: trainings at once, counting those of other searches that keep theirs in the same folder; None is one
                for each CPU that this process may use.
            searches: how many such searches there are: they share the processes that ``prefetch`` starts.
            on_progress: called with how much of what is being charged is done.
        """
        if jobs is not None:
            jobs = whole_number("jobs", jobs, "1, 2, 3, …", least=1)
        self.device, self.jobs = device, jobs or cores.usable()
        if device != "cpu":  # checking any other device imports torch
            workers.check_device(device)
        self._searches, self._on_progress = searches, on_progress
        self._fresh: set[tuple[str, int]] = set()
        folder = user_tables() if tables is None else table_folders(tables)[0]
        shards.commit_shards(folder, task)  # of a search that was killed
        super().__init__(task, folder, folder)

    def _take(self, rows: pa.Table) -> None:
        """Answer from these rows."""
        self._rows = rows
        super()._take(rows)

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Return ten train seeds of the split; live training has as many as one asks for."""
        return self.task.splits.offered(split)

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``; a missing cell is trained, with train seed 0 when ``seed`` is None.

        It is trained to its end, whatever the fidelity, so that it answers every later question, and the answer is what
        tabular mode gives on the same folder. A warning says when a training completes a train seed over the space
        and changes by that what scores are made of (``ScoreTable.rule``).
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
        """See ``Benchmark.query_many``; missing cells are trained first, side by side."""
        view = self.table.view(split, metric)
        named = (
            [self.space[int(row)] for row in self._rows_of(archs)] if self.task.exhaustive else self.parse_many(archs)
        )
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
        return super().query_many(named, fidelities, seeds, split, metric)

    def curve(
        self, arch: ArchLike, seed: int | None = None, split: Split = "test", metric: str | None = None
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """See ``Benchmark.curve``; a missing cell is trained first, as by ``query``."""
        view, _ = self.table.view(split, metric), self._seed_of(seed, split)
        self.table.check_measured(view, 0, seed)
        self.query(arch, seed=seed, split=split, metric=metric)
        return super().curve(arch, seed, split, metric)

    def _seed_of(self, seed: int | None, split: Split) -> int:
        """Return the train seed that has to be there; None is the first that the score is made of."""
        if seed is None:
            return self.table.seeds_behind(split)[0]
        seed = whole_number("train seed", seed, "0, 1, 2, …", least=0)
        check_whole("train seed", seed)
        if not self.task.splits.has(seed, split, self.table.single_seed):
            raise InvalidValueError(f"train seed {seed} is not of the {split} split (validation: even, test: odd)")
        return seed

    def _train(self, arch: Architecture, seed: int, asked: int) -> None:
        """Train a cell in this process, unless another that is training it finishes it first.

        Progress is reported in what is charged, ``asked``, for which the whole training is done.
        """
        trainer, report = self._ready(), self._on_progress

        def scaled(steps: int) -> None:
            assert report is not None
            report(steps * asked // self.task.max_fidelity)

        name = trainer.cell_name(arch.name, seed)
        with files.lock(self.folder, workers.lock_name(self.task, name)):
            self._look_for(name)
            if not self.table.has(arch, seed):
                images = self._rows["data"].unique().to_pylist() if "data" in self._rows.column_names else None
                with self.training_slot():
                    rows = trainer.train_cell(
                        self.task, arch, seed, self.folder, self.device, report and scaled, images
                    )
                self._add(rows, (arch.name, seed))

    def _look_for(self, name: str) -> None:
        """Read the table again where another process has trained the cell called ``name``, or changed the table."""
        entry = read_manifest(self.folder).get(table_io.table_name(self.task))
        changed = entry is not None and self._sha256 not in (entry.sha256, entry.next_sha256)
        if changed or shards.shard_path(self.folder, self.task, name).is_file():
            self._reload()

    def _add(self, rows: pa.Table, *cells: tuple[str, int]) -> None:
        """Answer from rows that were just trained, which wait as shards."""
        shards.commit_later(self.folder, self.task)
        self._fresh.update(cells)
        before = self.table.rule()
        self._take(pa.concat_tables([self._rows, rows]))
        self._say_rule(before)

    def _reload(self) -> None:
        before = self.table.rule()
        shards.commit_shards(self.folder, self.task)
        self._load()
        self._say_rule(before)

    def _say_rule(self, before: str) -> None:
        if self.table.rule() != before:
            warnings.warn(
                f"{self.task.id} in {self.folder}: a train seed is complete over the space, from now on "
                f"{self.table.rule()}",
                stacklevel=2,
            )

    def close(self) -> None:
        """See ``Benchmark.close``."""
        shards.commit_waiting(self.folder)

    def training_slot(self) -> AbstractContextManager[None]:
        """Wait until fewer than ``jobs`` trainings go on in the folder, and be one of them."""
        return workers.training_slot(self.folder, self.jobs)

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
        steps, done = dict.fromkeys(missing, 0), []
        processes = max(2, 2 * self.jobs // self._searches)  # more than slots: one gets ready while another trains
        with closing(workers.train(missing, self.folder, processes, self.device, self.jobs)) as events:
            for event in events:
                steps[event.cell] = max(event.steps, steps[event.cell])
                if event.kind == "done":
                    done.append(event.cell)
                if self._on_progress is not None:
                    self._on_progress(sum(steps.values()))
        trained = [shards.read_shard(self.folder, self.task, cell.name) for cell in done]
        cells_done = [(cell.arch, cell.seed) for cell in done]
        if len(done) == len(missing) and all(rows is not None for rows in trained):
            self._add(pa.concat_tables(trained), *cells_done)
        else:  # another process has trained some, or committed them
            self._fresh.update(cells_done)
            self._reload()

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> OneShotScores:
        """See ``Benchmark.supernets``."""
        known = super().supernets(family=family)
        seed = None if seed is None else whole_number("search seed", seed, "0, 1, 2, …", least=0)
        if seed is None or seed in known.seeds:
            return known
        trainer = self._ready()
        train = {"supernet": trainer.train_supernet, "darts": trainer.train_darts}[family]
        with files.lock(self.folder, workers.lock_name(self.task, trainer.cell_name(family, seed))):
            self._one_shot = {}
            if seed not in super().supernets(family=family).seeds:  # another search may have made it meanwhile
                with self.training_slot():
                    train(self.task, seed, self.folder, self.device, self._on_progress)
                shards.commit_shards(self.folder, self.task.one_shot[family])
                self._one_shot = {}
        return super().supernets(family=family)

    def fit_supernet(
        self, seed: int, sample_path: SamplePath | None, on_update: OnUpdate | None, score_all: bool
    ) -> LiveSupernet:
        """See ``Benchmark.fit_supernet``."""
        self._ready()
        from nasbench_rl.training.supernet import fit_supernet

        task = with_weight_sharing(self.task, "supernet")
        fidelities = [task.max_fidelity] if score_all else []
        with self.training_slot():
            fitted = fit_supernet(
                task, seed, self.device, self._on_progress, sample_path, on_update, fidelities=fidelities
            )
        return LiveSupernet(task, fitted, self.training_slot)

    def inheritance(self) -> WarmStarts:
        """See ``Benchmark.inheritance``."""
        self._ready()
        from nasbench_rl.training.warm_start import TrainedNetworks

        return WarmStarts(TrainedNetworks(self.task, self.device, self._on_progress), self.training_slot)

    def _ready(self) -> ModuleType:
        """Return the trainer's module, with this process set up for it."""
        try:
            from nasbench_rl.training import train_cell
            from nasbench_rl.training.process import check_device, tune_process
        except ImportError as error:
            raise missing_extra(error.name or "torch", "live", "training an architecture") from error
        check_device(self.device)
        tune_process()
        return train_cell


class LiveSupernet:
    """A supernet in memory; see ``weight_sharing.FreshSupernet``."""

    def __init__(self, task: Any, fitted: FittedSupernet, slot: Slot) -> None:
        """``slot``: held while games are played."""
        self._task, self._fitted, self._slot = task, fitted, slot
        self.proxies: Floats | None = None
        self.cpu_seconds = fitted.cpu_seconds
        if fitted.points:
            self.proxies = np.array([proxy.mean for proxy in fitted.points[-1].proxies])
            self.cpu_seconds += fitted.points[-1].proxy_cpu_seconds

    def measure(self, archs: Sequence[ArchLike]) -> tuple[Floats, float]:
        """See ``weight_sharing.FreshSupernet``."""
        from nasbench_rl.training.supernet import measure_proxies

        fitted, games = self._fitted, self._task.supernet_recipe.final_games
        device, seeds = next(fitted.supernet.parameters()).device, fitted.proxy_seeds.spawn(1)[0]
        started = time.process_time()
        with self._slot():
            measured = measure_proxies(fitted.supernet, self._task, archs, games, seeds, device)
        return np.array([proxy.mean for proxy in measured]), time.process_time() - started


class WarmStarts:
    """Children trained from their parents' weights; see ``run.Inheritance``."""

    approximation = ""

    def __init__(self, networks: TrainedNetworks, slot: Slot) -> None:
        """``slot``: held while a child is trained."""
        self._networks, self._slot = networks, slot

    def evaluate(
        self, child: Architecture, parent: Architecture, seed: int, parent_seed: int, fidelity: int
    ) -> Evaluation:
        """See ``run.Inheritance``."""
        with self._slot():
            return self._networks.train_child(child, parent, seed, parent_seed, fidelity).evaluation
