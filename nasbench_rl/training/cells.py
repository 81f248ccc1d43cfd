"""Train one cell of a table, or one supernet, and write its shard: what ``build`` and the live benchmark both do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasbench_rl import provenance, store
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.tasks import Task
from nasbench_rl.training import ppo
from nasbench_rl.training.supernet import fit_supernet


def train_cell(
    task: Task,
    arch: ArchLike,
    seed: int,
    folder: Path,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Train ``arch`` with train seed ``seed`` and write the cell's shard under ``folder``; returns its path."""
    architecture = task.space.parse(arch)
    common = {**_origin(device), **_size(task, architecture), "seed": seed}
    trained = ppo.train(task, architecture, seed, device, progress)
    rows = [{**common, **_point(point)} for point in trained.curve]
    rows[-1] |= {
        "return_eval": statistics.fmean(trained.eval_returns),
        "return_eval_std": statistics.stdev(trained.eval_returns),
        "eval_games": len(trained.eval_returns),
    }
    return store.write_shard(folder, task, cell_name(architecture.name, seed), store.encode_rows(task, rows))


def train_supernet(
    task: Task, seed: int, folder: Path, device: str = "cpu", progress: Callable[[int], None] | None = None
) -> Path:
    """Fit one supernet with uniform paths and write the shard of all its proxies under ``folder``; returns its path.

    The shard holds a cell (architecture, supernet seed) for every architecture of the space.
    """
    origin = _origin(device)
    fitted = fit_supernet(task, seed, device, progress)
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
        for point in fitted.points
        for proxy in point.proxies
    ]
    table = store.encode_rows(task.supernet, rows)
    return store.write_shard(folder, task.supernet, cell_name("supernet", seed), table)


def cell_name(arch: str, seed: int) -> str:
    """File-name stem of a cell's shard and lock."""
    return f"{arch}.seed{seed}"


def _origin(device: str) -> dict[str, Any]:
    """Asked for before a training: the commit that is run, not one made meanwhile."""
    return {"code_version": provenance.code_version(), "machine": provenance.machine(device)}


def _size(task: Task, arch: Architecture) -> dict[str, Any]:
    network = task.network(arch)
    return {"arch": arch.name, "params": network.params, "flops": network.flops}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _point(point: ppo.CurvePoint) -> dict[str, Any]:
    return {
        "fidelity": point.fidelity,
        "return_last100": _known(point.return_last100),
        "return_all": _known(point.return_all),
        "games": point.games,
        "cpu_seconds": point.cpu_seconds,
        "wall_seconds": point.wall_seconds,
    }
