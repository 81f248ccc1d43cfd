"""Tables made from a formula, for tests that need known scores; nothing of them is ever shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nasbench_rl.tables import shards, table_io
from nasbench_rl.task import GameTask, ImageTask, Task, get_task
from nasbench_rl.task.side_tables import LATENCY_BATCHES

TWO_BY_SEED = "minatar-ss1/breakout@lite"
SINGLE_SEED = "atari-ss1/breakout@lite"
DEEP = "minatar-ss2/freeway@lite"


def made_return(task: Task, arch: str, seed: int, at: int) -> float:
    """Grows with the kernels and the fidelity, plus noise that seed and architecture fix."""
    choices = task.space.parse(arch).choices
    noise = np.random.default_rng([seed, task.space.index(arch), at]).normal()
    return (10.0 + 2.0 * sum(choices)) * (at + 1) / len(task.fidelities) + noise


def made_tail(at: int, cpu: float, params: int = 1, flops: int = 1) -> dict[str, Any]:
    """The columns that every family has; seconds grow with the place of the fidelity."""
    return {
        "cpu_seconds": cpu * (at + 1),
        "wall_seconds": (cpu + 1) * (at + 1),
        "params": params,
        "flops": flops,
        "code_version": "made",
        "machine": "made",
    }


def made_rows(task: Task, arch: str, seed: int) -> list[dict[str, Any]]:
    """The rows of one cell, all but the recipe's digest."""
    network = task.size(arch)
    rows: list[dict[str, Any]] = []
    for at, fidelity in enumerate(task.fidelities):
        last, end = made_return(task, arch, seed, at), at == len(task.fidelities) - 1
        rows.append(
            {
                "arch": arch,
                "seed": seed,
                "fidelity": fidelity,
                "return_last100": last,
                "return_all": 0.6 * last,
                "games": 100 * (at + 1),
                "return_eval": last + 0.25 if end else None,
                "return_eval_std": 1.0 if end else None,
                "eval_games": 32 if end else None,
                **made_tail(at, 10.0, network.params, network.flops),
            }
        )
    return rows


def made_cell(task: Task, arch: str = "k1-k1", seed: int = 0, **changes: Any) -> pa.Table:
    """The rows of one cell as a table, with ``changes`` in each."""
    return table_io.encode_rows(task, [{**row, **changes} for row in made_rows(task, arch, seed)])


def write_made_shard(folder: Path, task: Task, arch: str = "k1-k1", seed: int = 0, **changes: Any) -> Path:
    """Write one cell as a shard, which waits to be folded."""
    return shards.write_shard(folder, task, f"{arch}.seed{seed}", made_cell(task, arch, seed, **changes))


def stored_cells(folder: Path, task: Task) -> set[tuple[str, int]]:
    """(architecture, train seed) of every cell in a task's table."""
    return table_io.cells_of(table_io.read_table(folder, task))


def write_made_table(folder: Path, id_: str, seeds: int, archs: list[str] | None = None) -> Task:
    """Add a made table of ``seeds`` train seeds to a folder of tables."""
    task = get_task(id_)
    names = archs or [a.name for a in task.space]
    rows = [row for arch in names for seed in range(seeds) for row in made_rows(task, arch, seed)]
    table_io.write_table(folder, task, [table_io.encode_rows(task, rows)])
    return task


def write_made_supernets(folder: Path, id_: str, seeds: int) -> None:
    """Add ``seeds`` made supernets of a task, whose proxies are the made returns with noise of their own."""
    task = get_task(id_)
    assert isinstance(task, GameTask)
    rows = []
    for seed in range(seeds):
        for arch in task.space:
            for at, fidelity in enumerate(task.fidelities):
                rows.append(
                    {
                        "arch": arch.name,
                        "seed": seed,
                        "fidelity": fidelity,
                        "proxy": made_return(task, arch.name, 1000 + seed, at),
                        "proxy_std": 1.0,
                        "proxy_games": 64,
                        "proxy_env_steps": 1000,
                        "proxy_cpu_seconds": 3.0,
                        **made_tail(at, 10.0),
                    }
                )
    table_io.write_table(folder, task.supernet, [table_io.encode_rows(task.supernet, rows)])


def made_accuracy(arch: str, seed: int, epoch: int, split: int) -> float:
    """Between 0.3 and 1, from the architecture's string, the seed, the epoch and the split alone."""
    steady, noise = np.random.default_rng(list(arch.encode())), np.random.default_rng([seed, epoch, split, len(arch)])
    return float(0.3 + 0.5 * steady.random() + 0.01 * epoch + 0.02 * noise.random())


def write_made_accuracies(folder: Path, id_: str, archs: list[str], seeds: int) -> None:
    """Add made rows of an image task to a folder of tables."""
    task = get_task(id_)
    assert isinstance(task, ImageTask)
    rows = [
        {
            "arch": task.space.parse(arch).name,
            "seed": seed,
            "fidelity": epoch,
            "train_loss": 1.0 / epoch,
            "validation_accuracy": made_accuracy(arch, seed, epoch, 0),
            "test_accuracy": made_accuracy(arch, seed, epoch, 1),
            "density": task.space.density(arch),
            "data": "made",
            **made_tail(epoch - 1, 0.5, task.size(arch).params, task.size(arch).flops),
            "wall_seconds": 0.6 * epoch,
        }
        for arch in archs
        for seed in range(seeds)
        for epoch in task.fidelities
    ]
    table_io.write_table(folder, task, [table_io.encode_rows(task, rows)])


def made_mixture(task: GameTask, seed: int, at: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(layers, kernels) softmax of noise that grows with the fidelity, as alphas do."""
    alphas = np.random.default_rng([seed]).normal(size=(task.space.depth, len(task.space.kernels))) * (at + 1)
    powers = np.exp(alphas - alphas.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def write_made_darts(folder: Path, id_: str, seeds: int) -> None:
    """Add ``seeds`` made differentiable searches of a task."""
    task = get_task(id_)
    assert isinstance(task, GameTask)
    rows = []
    for seed in range(seeds):
        for at, fidelity in enumerate(task.fidelities):
            mixture = made_mixture(task, seed, at)
            for arch in task.space:
                kernels = [task.space.kernels.index(kernel) for kernel in arch.choices]
                rows.append(
                    {
                        "arch": arch.name,
                        "seed": seed,
                        "fidelity": fidelity,
                        "probability": float(np.prod(mixture[range(task.space.depth), kernels])),
                        "return_last100": 1.0,
                        "games": 100,
                        **made_tail(at, 30.0),
                    }
                )
    table_io.write_table(folder, task.darts, [table_io.encode_rows(task.darts, rows)])


def write_made_latencies(folder: Path, id_: str, factor: float = 1.0, archs: list[str] | None = None) -> None:
    """Put latencies of ``factor`` nanoseconds an operation beside a task's made table; of the space or of ``archs``."""
    task = get_task(id_)
    rows = [
        {
            "arch": arch.name,
            "batch": batch,
            "repeats": 100,
            "code_version": "made",
            "machine": "made",
            "latency_median": 1e-9 * factor * batch * task.size(arch).flops,
            "latency_p10": 0.9e-9 * factor * batch * task.size(arch).flops,
            "latency_p90": 1.2e-9 * factor * batch * task.size(arch).flops,
            "params": task.size(arch).params,
            "flops": task.size(arch).flops,
        }
        for arch in (task.space if archs is None else map(task.space.parse, archs))
        for batch in LATENCY_BATCHES
    ]
    table_io.replace_table(folder, task.latency, table_io.encode_rows(task.latency, rows))
