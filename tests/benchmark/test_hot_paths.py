"""The calls that a search makes thousands of times. In the suite each runs once; measured, and compared with last time:

.venv/bin/pytest tests/benchmark/test_hot_paths.py --benchmark-enable --benchmark-autosave
.venv/bin/pytest tests/benchmark/test_hot_paths.py --benchmark-enable --benchmark-compare
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from support.tables import TWO_BY_SEED

from nasbench_rl import get_method, load
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.run import Run

WHOLE = 1_000_000


@pytest.fixture(scope="module")
def bench(made_tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=made_tables)


def test_a_warm_query(bench: Benchmark, benchmark: BenchmarkFixture) -> None:
    bench.query((4, 3))
    assert benchmark(bench.query, (4, 3)).arch == "k4-k3"


def test_a_million_queries_at_once(bench: Benchmark, benchmark: BenchmarkFixture) -> None:
    rows = np.random.default_rng(0).integers(0, len(bench.space), 1_000_000)
    assert len(benchmark(bench.query_many, rows)["score"]) == len(rows)


def test_loading_a_table(made_tables: Path, benchmark: BenchmarkFixture) -> None:
    assert benchmark(load, TWO_BY_SEED, tables=made_tables).optimum().score > 0


def test_an_evaluation(bench: Benchmark, benchmark: BenchmarkFixture) -> None:
    def searched() -> tuple[tuple[Run], dict[str, object]]:
        return (bench.start(WHOLE, seed=0),), {}

    score = benchmark.pedantic(lambda run: run.evaluate((4, 3)), setup=searched, rounds=200)
    assert score in {bench.query((4, 3), seed=seed, split="validation").score for seed in bench.train_seeds()}


def test_a_whole_random_search(bench: Benchmark, benchmark: BenchmarkFixture) -> None:
    method = get_method("random_search")

    def search() -> Run:
        run = bench.start(10 * WHOLE, seed=0)
        method(run)
        return run

    assert benchmark(search).spent == 10 * WHOLE
