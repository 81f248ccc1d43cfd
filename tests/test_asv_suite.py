"""Every benchmark of the asv suite runs once: one that fails would leave a hole in the history unseen."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
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
        module = importlib.util.module_from_spec(spec)
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
