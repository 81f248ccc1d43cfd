"""How long reading, looking up and searching take on the shipped table of ``minatar-ss1/breakout@lite``."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np

TASK = "minatar-ss1/breakout@lite"
repeat = 5  # with two rounds ten samples a commit; asv sees no difference between six and six


def _seconds(code: str) -> float:
    """Of ``code`` in a new process, as it counts them itself."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


class Start:
    """A new process."""

    timeout = 120

    def track_import(self) -> float:
        """Seconds of ``import nasbench_rl``."""
        return _seconds("import time; t = time.perf_counter(); import nasbench_rl; print(time.perf_counter() - t)")

    track_import.unit = "s"  # type: ignore[attr-defined]

    def track_cold_first_query(self) -> float:
        """Seconds of a process's first query, the import aside."""
        return _seconds(
            f"import time; from nasbench_rl import query; t = time.perf_counter(); query({TASK!r}, (4, 3));"
            "print(time.perf_counter() - t)"
        )

    track_cold_first_query.unit = "s"  # type: ignore[attr-defined]


class Query:
    """A loaded table."""

    def setup(self) -> None:
        from nasbench_rl import load

        self.bench = load(TASK)
        self.million = np.random.default_rng(0).integers(0, len(self.bench.space), 1_000_000)
        self.bench.query((4, 3))
        self.bench.query_many(self.million[:10])

    def time_warm_query(self) -> None:
        self.bench.query((4, 3))

    def time_query_many_of_a_million(self) -> None:
        self.bench.query_many(self.million)

    def time_load(self) -> None:
        from nasbench_rl import load

        load(TASK)

    def track_table_bytes(self) -> int:
        """Bytes that a loaded table takes."""
        from nasbench_rl import load

        tracemalloc.start()
        bench = load(TASK)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert bench.table is not None
        return held

    track_table_bytes.unit = "bytes"  # type: ignore[attr-defined]


class Search:
    """A thousand searches."""

    timeout = 300

    def time_random_search_of_1000_runs(self) -> None:
        from nasbench_rl.compare.experiment import Search as One
        from nasbench_rl.compare.experiment import run_search

        run_search(One(TASK, "random_search", 10_000_000), range(1000))
