"""Comparisons that are killed, for the suite and for ``campaigns/kill_comparisons.py``; for systems with /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nasbench_rl.compare import unfinished
from nasbench_rl.tables.parquet import read_frame

HAS_PROC = Path("/proc/self/task").is_dir()
CIRCUMSTANCES = ["search_seconds"]
"""Columns that differ between two comparisons of the same searches."""


def as_from_a_terminal() -> None:
    """Whoever runs the suite in the background may have these ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(module: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``python -m nasbench_rl.<module>``, leader of a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", f"nasbench_rl.{module}", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, start_new_session=True,
        preexec_fn=as_from_a_terminal, env={**os.environ, **environment},
    )  # fmt: skip


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def workers_of(pid: int) -> list[int]:
    """Process ids of a command's workers, and of theirs."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            started = b"spawn_main" in (path.parent / "cmdline").read_bytes()
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid and started:
            found += [int(path.parent.name), *workers_of(int(path.parent.name))]
    return found


def wait_until(condition: Callable[[], object], timeout: float = 300) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def parts(out: Path) -> list[Path]:
    """What is kept of an unfinished comparison."""
    return list((out / unfinished.FOLDER).glob("*.parquet"))


def leftovers(out: Path) -> list[Path]:
    """What a finished comparison must not leave in its folder."""
    return [path for path in out.rglob("*") if path.name.startswith(".")]


def runs_of(out: Path) -> pd.DataFrame:
    """All that must not depend on how often a comparison was killed."""
    return read_frame(out / "runs.parquet").drop(columns=CIRCUMSTANCES)
