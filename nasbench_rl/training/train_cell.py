"""Train one cell of a table, or one network for all its architectures, and write its shard."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from nasbench_rl._utils import provenance
from nasbench_rl.errors import DatasetError
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.tables import shards, table_io
from nasbench_rl.task import GameTask, ImageTask, Task
from nasbench_rl.training.cell import DARTS, SUPERNET, cell_name

Rows = list[dict[str, Any]]
Progress = Callable[[int], None] | None


def train_cell(
    task: Task, arch: ArchLike, seed: int, folder: Path, device: str = "cpu", progress: Progress = None,
    images: Sequence[str] | None = None,
) -> pa.Table:  # fmt: skip
    """Train ``arch`` with train seed ``seed``, write the cell's shard under ``folder``, and return its rows.

    ``images``: digests of the images that the table's rows were trained on; None reads them.
    """
    from nasbench_rl.training import process

    architecture = task.space.parse(arch)
    if isinstance(task, ImageTask):  # before a training whose rows the table would refuse
        known = table_io.read_table(folder, task)["data"].unique().to_pylist() if images is None else images
        check_images(task, folder, known)
    common = {**_origin(device), **_size(task, architecture), "seed": seed}
    try:
        rows = [{**common, **point} for point in train_rows(task, architecture, seed, device, progress)]
    finally:
        process.trim_memory()
    table = table_io.encode_rows(task, rows)
    shards.write_shard(folder, task, cell_name(architecture.name, seed), table)
    return table


def check_images(task: ImageTask, folder: Path, known: Sequence[str]) -> None:
    """Raise DatasetError where the prepared images are none of those ``known`` from the rows in ``folder``."""
    from nasbench_rl.data.load import load_dataset

    name = task.environment.name
    if known and load_dataset(name).digest not in known:
        raise DatasetError(
            f"data set {name!r} was prepared otherwise here (digest {load_dataset(name).digest}) than for the table in "
            f"{folder} ({known[0]}); prepare it with the pinned packages (python -m nasbench_rl.data prepare {name}), "
            "or train into another folder of tables"
        )


def train_rows(task: Task, arch: Architecture, seed: int, device: str, progress: Progress) -> Rows:
    """Train an architecture and return what was measured at each fidelity."""
    if isinstance(task, ImageTask):
        return _train_classifier(task, arch, seed, device, progress)
    assert isinstance(task, GameTask)
    return _train_agent(task, arch, seed, device, progress)


def _train_agent(task: GameTask, arch: Architecture, seed: int, device: str, progress: Progress) -> Rows:
    from nasbench_rl.training import ppo

    trained = ppo.train(task, arch, seed, device, progress)
    rows = [{name: _known(value) for name, value in asdict(point).items()} for point in trained.curve]
    rows[-1] |= {
        "return_eval": statistics.fmean(trained.eval_returns),
        "return_eval_std": statistics.stdev(trained.eval_returns),
        "eval_games": len(trained.eval_returns),
    }
    return rows


def _train_classifier(task: ImageTask, arch: Architecture, seed: int, device: str, progress: Progress) -> Rows:
    from nasbench_rl.data.load import load_dataset
    from nasbench_rl.training import classifier, memory

    memory.check(task, arch, device)
    data = load_dataset(task.environment.name)
    rows = map(asdict, classifier.train(task.space, arch, data, task.recipe, seed, device, progress))
    common = {"density": task.space.density(arch), "data": data.digest}
    return [{"fidelity": row.pop("epoch"), **row, **common} for row in rows]


def train_supernet(task: GameTask, seed: int, folder: Path, device: str = "cpu", progress: Progress = None) -> Path:
    """Fit one supernet with uniform paths and write the shard of all its proxies under ``folder``; returns its path.

    The shard holds a cell (architecture, supernet seed) for every architecture of the space.
    """
    from nasbench_rl.training.supernet import fit_supernet

    origin = _origin(device)
    rows = [
        {
            **origin,
            **_size(task, proxy.arch),
            "seed": seed,
            "fidelity": point.fidelity,
            "proxy": proxy.mean,
            "proxy_std": _known(proxy.std),
            "proxy_games": len(proxy.returns),
            "proxy_env_steps": proxy.env_steps,
            "proxy_cpu_seconds": point.proxy_cpu_seconds,
            "cpu_seconds": point.cpu_seconds,
            "wall_seconds": point.wall_seconds,
        }
        for point in fit_supernet(task, seed, device, progress).points
        for proxy in point.proxies
    ]
    table = table_io.encode_rows(task.supernet, rows)
    return shards.write_shard(folder, task.supernet, cell_name(SUPERNET, seed), table)


def train_darts(task: GameTask, seed: int, folder: Path, device: str = "cpu", progress: Progress = None) -> Path:
    """Run one differentiable search and write the shard of the probabilities it went through; returns its path.

    The shard holds a cell (architecture, seed of the search) for every architecture of the space.
    """
    from nasbench_rl.training.darts import fit_darts

    origin = _origin(device)
    rows = [
        {
            **origin,
            **_size(task, arch),
            "seed": seed,
            "fidelity": point.fidelity,
            "probability": point.probability(task, arch),
            "return_last100": _known(point.return_last100),
            "games": point.games,
            "cpu_seconds": point.cpu_seconds,
            "wall_seconds": point.wall_seconds,
        }
        for point in fit_darts(task, seed, device, progress).points
        for arch in task.space
    ]
    return shards.write_shard(folder, task.darts, cell_name(DARTS, seed), table_io.encode_rows(task.darts, rows))


def _origin(device: str) -> dict[str, Any]:
    """Return the commit and machine; asked for before a training, during which others may be committed."""
    return {"code_version": provenance.code_version(), "machine": provenance.machine(device)}


def _size(task: Task, arch: Architecture) -> dict[str, Any]:
    size = task.size(arch)
    return {"arch": arch.name, "params": size.params, "flops": size.flops}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
