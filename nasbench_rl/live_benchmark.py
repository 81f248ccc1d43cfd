"""The benchmark that trains what it is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from nasbench_rl import store
from nasbench_rl.benchmark import Mode, TabularBenchmark
from nasbench_rl.errors import InvalidValueError, missing_extra
from nasbench_rl.records import Evaluation, Split
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.supernet_table import OneShot, SupernetScores
from nasbench_rl.table import Table
from nasbench_rl.tasks import GameTask, Task

if TYPE_CHECKING:
    from nasbench_rl.training.inherit import Networks


class LiveBenchmark(TabularBenchmark):
    """Trains what is asked for, keeps it in the user's own folder of tables, and later answers from there."""

    mode: Mode = "live"

    def __init__(self, task: Task, tables: str | os.PathLike[str] | None = None, device: str = "cpu") -> None:
        """``tables``: where trained cells are kept; None is the user's data folder. ``device``: ``cpu`` or ``cuda``."""
        self.task, self.device = task, device
        self.folder = Path(tables) if tables is not None else user_tables()
        self._load()

    def _load(self) -> None:
        self.table = Table(self.task, store.read_table(self.folder, self.task), always_by_seed=True)
        self._supernets = {}

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        """Live training has as many seeds as one asks for; ten of each split are offered."""
        if self.task.split_by == "column":
            return tuple(range(10))
        return tuple(range(0 if split == "validation" else 1, 20, 2))

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        """See ``Benchmark.query``; a missing cell is trained, with the split's first seed when ``seed`` is None."""
        architecture = self.space.parse(arch)
        self.table.fidelity_at(fidelity)
        self.table.view(split, metric)  # before a long training: an unknown metric or split
        if seed is not None and seed < 0:
            raise InvalidValueError(f"train seed {seed} is negative; allowed: 0, 1, 2, …")
        if split not in ("validation", "test"):
            self.table.split_seeds(split)  # raises
        if seed is None:
            known = [s for s in self.table.split_seeds(split) if self.table.has(architecture, s)]
            seed = known[0] if known else self.train_seeds(split)[0]
        if self.task.split_by == "seed" and seed % 2 != (split == "test"):
            raise InvalidValueError(f"train seed {seed} is not of the {split} split (validation: even, test: odd)")
        self.task.size(architecture)  # raises for a network that does not exist
        trained = not self.table.has(architecture, seed)
        if trained:
            self._train(architecture, seed)
        return self.table.evaluation(architecture, fidelity, seed, split, metric, "live" if trained else "table")

    def _train(self, arch: Architecture, seed: int) -> None:
        self._ready().train_cell(self.task, arch, seed, self.folder, self.device, self.on_progress)
        store.fold(self.folder, self.task)
        self._load()

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> SupernetScores:
        """See ``TabularBenchmark.supernets``."""
        known = super().supernets(family=family)
        if seed is None or seed in known.seeds or not isinstance(self.task, GameTask):
            return known
        cells, darts = self._ready(), family == "darts"
        train = cells.train_darts if darts else cells.train_supernet
        train(self.task, seed, self.folder, self.device, self.on_progress)
        store.fold(self.folder, self.task.darts if darts else self.task.supernet)
        self._supernets = {}
        return super().supernets(family=family)

    def networks(self) -> Networks:
        """See ``Benchmark.networks``."""
        self._ready()
        from nasbench_rl.training.inherit import Networks

        return Networks(self.task, self.device, self.on_progress)

    def _ready(self) -> ModuleType:
        """The trainer's module, with this process set up for it."""
        try:
            from nasbench_rl.training import cells
            from nasbench_rl.training.process import check_device, tune_process
        except ImportError as error:
            raise missing_extra(error.name or "torch", "live", "training an architecture") from error
        check_device(self.device)
        tune_process()
        return cells


def user_tables() -> Path:
    """The user's own folder of tables, where live evaluations are kept."""
    import platformdirs

    return Path(platformdirs.user_data_dir("nasbench-rl")) / "tables"
