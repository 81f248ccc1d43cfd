"""The proxy scores of a task's stored supernets, or of its differentiable searches, as dense arrays in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nasbench_rl._utils.numeric import read_only

if TYPE_CHECKING:
    import pyarrow as pa

    from nasbench_rl.task import Task
    from nasbench_rl.task.side_tables import TableSpec

Floats = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
OneShot = Literal["supernet", "darts"]
"""Families of networks that hold every architecture: trained path by path, or as weighted sums of all kernels."""

_SCORE: dict[str, str] = {"supernet": "proxy", "darts": "probability"}


class OneShotScores:
    """The stored supernets of a task, or its differentiable searches, as dense arrays, which are read-only.

    Attributes:
        seeds: those that are complete.
        proxies: (seeds, fidelities, architectures) proxy scores; of a differentiable search, probabilities.
        variances: (seeds, fidelities, architectures) of a proxy score as the mean of its games: s² / games. NaN of a
            single game, and of a differentiable search.
        games: (fidelities,) that each proxy score is the mean of; 0 of a differentiable search.
        final_env_steps: (seeds,) env steps played for the proxies of the last fidelity, all architectures together.
        fit_seconds: (seeds,) CPU seconds of fitting alone.
        final_seconds: (seeds,) of measuring the proxies of the last fidelity, all architectures together; 0 of a
            differentiable search, which measures nothing.
        cpu_seconds: (seeds,) of making what is stored: of fitting, and of the proxies of every fidelity.
    """

    def __init__(self, task: TableSpec, rows: pa.Table, family: str = "supernet") -> None:
        """``rows``: of the schema ``SCHEMAS[family]``."""
        names = {arch.name: i for i, arch in enumerate(task.space)}
        seeds, seed_at = np.unique(rows["seed"].to_numpy(), return_inverse=True)
        fidelity_at = np.searchsorted(task.fidelities, rows["fidelity"].to_numpy())
        arch_at = np.array([names[name] for name in rows["arch"].to_pylist()], dtype=np.int64)
        proxies = np.full((len(seeds), len(task.fidelities), len(names)), np.nan)
        proxies[seed_at, fidelity_at, arch_at] = rows[_SCORE[family]].to_numpy()
        fit, proxy = (np.zeros((len(seeds), len(task.fidelities))) for _ in range(2))
        fit[seed_at, fidelity_at] = rows["cpu_seconds"].to_numpy()
        variances, steps = np.full(proxies.shape, np.nan), np.zeros(proxies.shape, dtype=np.int64)
        self.games: Counts = np.zeros(len(task.fidelities), dtype=np.int64)
        if family == "supernet":  # a differentiable search measures nothing: its probabilities are its alphas
            games = rows["proxy_games"].to_numpy()
            self.games[fidelity_at] = games
            proxy[seed_at, fidelity_at] = rows["proxy_cpu_seconds"].to_numpy()
            variances[seed_at, fidelity_at, arch_at] = rows["proxy_std"].to_numpy() ** 2 / games
            steps[seed_at, fidelity_at, arch_at] = rows["proxy_env_steps"].to_numpy()
        whole = ~np.isnan(proxies).any(axis=(1, 2))
        self.seeds: tuple[int, ...] = tuple(int(seed) for seed in seeds[whole])
        self.proxies: Floats = read_only(proxies[whole])
        self.variances: Floats = read_only(variances[whole])
        self.final_env_steps: Counts = read_only(steps[whole, -1].sum(axis=1))
        self.fit_seconds: Floats = read_only(fit[whole, -1])
        self.final_seconds: Floats = read_only(proxy[whole, -1])
        self.cpu_seconds: Floats = read_only(self.fit_seconds + proxy[whole].sum(axis=1))
        read_only(self.games)


def read_supernets(folder: Path, task: Task, family: OneShot = "supernet") -> OneShotScores:
    """Return the stored supernets of a task, or its differentiable searches; none if it has no such table."""
    from nasbench_rl.tables import table_io  # late, as in benchmark.py

    return OneShotScores(task, table_io.read_table(folder, task.one_shot[family]), family)
