"""Every benchmark of the asv suite runs once: one that fails would leave a hole in the history unseen.

And it takes as many samples as asv needs to find that it became slower.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

SUITE = Path(__file__).parent / "benchmarks" / "suite"
SLOW = {"time_random_search_of_1000_runs"}  # compare's own tests search


def classes() -> list[type[Any]]:
    """Benchmark classes of all files."""
    found: list[type[Any]] = []
    for path in sorted(SUITE.glob("bench_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == path.stem]
    return found


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_benchmark_runs(kind: type[Any]) -> None:
    """With the first of its parameters."""
    lists = getattr(kind, "params", [])
    lists = [lists] if lists and not isinstance(lists[0], list) else lists
    first = next(itertools.product(*lists))
    names = [name for name in vars(kind) if name.startswith(("time_", "track_", "peakmem_")) and name not in SLOW]
    assert names or kind.__name__ == "Search"
    for name in names:
        benchmark = kind()
        getattr(benchmark, "setup", lambda *_: None)(*first)
        getattr(benchmark, name)(*first)
        getattr(benchmark, "teardown", lambda *_: None)(*first)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_asv_finds_a_benchmark_of_twice_the_time(kind: type[Any]) -> None:
    """By the samples that asv would take of it: findings/asv_six_samples.sh."""
    stats = pytest.importorskip("asv._stats")
    time = pytest.importorskip("asv_runner.benchmarks.time")
    overlapping = {"ci_99_a": 0.0, "ci_99_b": 9.0}  # so that the samples alone decide
    benchmark = kind()
    for name in (name for name in vars(kind) if name.startswith("time_")):
        function = getattr(benchmark, name)
        found = time.TimeBenchmark(name, function, [function, benchmark, sys.modules[kind.__module__]])
        before = [1 + 0.01 * at for at in range(found.rounds * found.repeat)]
        assert stats.is_different(before, [2 * value for value in before], overlapping, overlapping)


def test_what_is_tracked_grows_when_things_get_worse() -> None:
    """As asv takes the higher of two numbers for the worse."""
    units = [
        value.unit for kind in classes() for name, value in vars(kind).items() if name.startswith("track_")
    ]  # fmt: skip
    assert set(units) == {"s", "us", "bytes"}
