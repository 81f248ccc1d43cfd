"""Every speed the project promises, as ratios measured in one run on the same table.

    python tests/benchmarks/speed.py            # all
    python tests/benchmarks/speed.py --no-compare   # without the whole default comparison

Syne Tune's blackbox is filled with the very cells of the table and asked the very same question.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from nasbench_rl import load
from nasbench_rl._utils.provenance import code_version, machine
from nasbench_rl.benchmark.base import Benchmark

TASK = "minatar-ss1/breakout@lite"


def per_call(call: Callable[[], object], number: int, repeats: int = 7) -> float:
    """Seconds a call: the best of ``repeats``, which a busy machine disturbs least."""
    return min(timeit.repeat(call, number=number, repeat=repeats)) / number


def syne_tune_seconds(bench: Benchmark) -> float:
    """Of one ``BlackboxTabular.objective_function`` on the table's (architectures, seeds, fidelities)."""
    import syne_tune.config_space as cs
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular

    values = bench.table.columns[bench.task.metric][..., None]
    kernels = list(bench.task.space.kernels)
    blackbox = BlackboxTabular(
        hyperparameters=pd.DataFrame([a.choices for a in bench.space], columns=["kernel_0", "kernel_1"]),
        configuration_space={"kernel_0": cs.choice(kernels), "kernel_1": cs.choice(kernels)},
        fidelity_space={"env_steps": cs.randint(int(bench.table.fidelities[0]), int(bench.table.fidelities[-1]))},
        objectives_evaluations=values,
        fidelity_values=bench.table.fidelities,
        objectives_names=[bench.task.metric],
    )
    configuration, fidelity = {"kernel_0": 4, "kernel_1": 3}, {"env_steps": int(bench.table.fidelities[-1])}
    seed = int(np.flatnonzero(bench.table.full_seeds)[0])
    theirs = blackbox.objective_function(configuration, fidelity, seed=seed)[bench.task.metric]
    assert theirs == values[bench.space.index((4, 3)), seed, -1, 0]
    return per_call(lambda: blackbox.objective_function(configuration, fidelity, seed=seed), 2000)


def gather_ratio(bench: Benchmark) -> tuple[float, float]:
    """(seconds of ``query_many`` of a million, seconds of NumPy's bare gather of the same columns)."""
    rows = np.random.default_rng(0).integers(0, len(bench.space), 1_000_000)
    at = np.full(len(rows), len(bench.table.fidelities) - 1)
    score, cpu = bench.table.view("test").mean, np.nan_to_num(bench.table.columns["cpu_seconds"]).mean(axis=1)
    bare = per_call(lambda: (score[rows, at], cpu[rows, at], bench.table.fidelities[at]), 3)
    return per_call(lambda: bench.query_many(rows), 3), bare


def import_seconds(imports: str, runs: int = 11) -> float:
    """Median over new processes of an import statement, with compiled files in place as they are after an install."""
    code = f"""import sys, time
a = time.perf_counter(); {imports}; b = time.perf_counter()
assert 'torch' not in sys.modules; print(b - a)"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(runs + 1):  # the first compiles
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    return statistics.median(times[1:])


def compare_seconds() -> float:
    """Wall seconds of the whole default comparison."""
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "nasbench_rl.compare", "--out", out], capture_output=True, check=True)
        return time.perf_counter() - started


def main() -> None:
    """Print one row a promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-compare", action="store_true", help="leave the whole comparison out")
    options = parser.parse_args()
    bench = load(TASK)
    bench.query((4, 3))
    warm, blackbox = per_call(lambda: bench.query((4, 3)), 100_000), syne_tune_seconds(bench)
    many, bare = gather_ratio(bench)
    rows = [
        ("warm bench.query", f"{warm * 1e6:.2f} µs", "at most 2 µs"),
        ("Syne Tune's BlackboxTabular.objective_function", f"{blackbox * 1e6:.0f} µs", ""),
        ("ratio of the two", f"{blackbox / warm:.0f} x", "at least 50 x"),
        ("query_many of a million", f"{many * 1e3:.1f} ms", ""),
        ("NumPy's bare gather of the same columns", f"{bare * 1e3:.1f} ms", ""),
        ("speed of query_many over the bare gather", f"{bare / many:.2f}", "at least 0.5"),
        ("import nasbench_rl, without torch", f"{import_seconds('import nasbench_rl') * 1e3:.0f} ms", "under 120 ms"),
        ("from nasbench_rl import query", f"{import_seconds('from nasbench_rl import query') * 1e3:.0f} ms", ""),
        ("of it numpy alone", f"{import_seconds('import numpy') * 1e3:.0f} ms", ""),
    ]
    if not options.no_compare:
        rows.append(("the whole default compare", f"{compare_seconds():.0f} s", "under 60 s"))
    table = Table(title=f"{code_version()} on {machine()}, table {TASK}", title_justify="left")
    for column in ("what", "measured", "promised"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
