"""Train one cell of a table and write its shard: what ``build`` and the live benchmark both do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasbench_rl import provenance, store
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tasks import Task
from nasbench_rl.training import ppo


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
    network = task.network(architecture)
    common = {  # before the training: the commit that is run, not one made meanwhile
        "arch": architecture.name,
        "seed": seed,
        "params": network.params,
        "flops": network.flops,
        "code_version": provenance.code_version(),
        "machine": provenance.machine(device),
    }
    trained = ppo.train(task, architecture, seed, device, progress)
    rows = [{**common, **_point(point)} for point in trained.curve]
    rows[-1] |= {
        "return_eval": statistics.fmean(trained.eval_returns),
        "return_eval_std": statistics.stdev(trained.eval_returns),
        "eval_games": len(trained.eval_returns),
    }
    return store.write_shard(folder, task, cell_name(architecture.name, seed), store.encode_rows(task, rows))


def cell_name(arch: str, seed: int) -> str:
    """File-name stem of a cell's shard and lock."""
    return f"{arch}.seed{seed}"


def _point(point: ppo.CurvePoint) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "fidelity": point.fidelity,
        "return_last100": known(point.return_last100),
        "return_all": known(point.return_all),
        "games": point.games,
        "cpu_seconds": point.cpu_seconds,
        "wall_seconds": point.wall_seconds,
    }
