"""Builds that are killed with SIGKILL, for the suite and for ``benchmarks/kill_twenty_times.py``."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nasbench_rl._utils import files
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.schemas import KEY
from nasbench_rl.task import get_task

TASK = get_task("minatar-ss1/breakout@smoke")
SCORES = (*KEY, "return_last100", "return_all", "games", "return_eval", "return_eval_std", "eval_games")
Victim = Literal["group", "parent"]


@dataclass
class Build:
    """A running ``python -m nasbench_rl.build``, leader of a process group of its own."""

    process: subprocess.Popen[str]
    folder: Path

    def kill(self, victim: Victim) -> None:
        """SIGKILL to the parent alone, which leaves its workers behind, or to all of them at once."""
        if victim == "group":
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def finish(self, timeout: float = 1800) -> str:
        """Wait for a good end; returns what was printed."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, err
        return out

    def wait_until_training(self, timeout: float = 600) -> bool:
        """Whether a cell is in work before the build ends."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.process.poll() is None:
            if cells_in_work(self.folder):
                return True
            time.sleep(0.2)
        return False

    def wait_until_written(self, timeout: float) -> None:
        """Return the moment a table, a shard or the manifest changes, or when the time is up."""
        before, end = snapshot(self.folder), time.monotonic() + timeout
        while time.monotonic() < end and self.process.poll() is None and snapshot(self.folder) == before:
            time.sleep(0.0005)


def start_build(folder: Path, archs: Sequence[str], seeds: int, jobs: int) -> Build:
    """Start a build of smoke cells into ``folder``."""
    command = [sys.executable, "-m", "nasbench_rl.build", TASK.id, "--tables", str(folder), "--archs", *archs]
    process = subprocess.Popen(
        [*command, "--seeds", str(seeds), "--jobs", str(jobs), "--allow-reference"],  # which tries no kernels out
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return Build(process, folder)


def cells_in_work(folder: Path) -> list[str]:
    """Names of the cells whose locks are held; a worker that asks at this very moment asks again a second later."""
    names = []
    for path in (folder / files.LOCKS).glob("*.seed*.lock"):
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                names.append(path.stem)
    return names


def snapshot(folder: Path) -> dict[Path, int]:
    """Modification times of everything written but the locks."""
    times = {}
    for path in [*folder.glob("*"), *(folder / "rl").glob("*"), *shards.shard_folder(folder, TASK).glob("*")]:
        try:
            times[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return times


def scores(folder: Path) -> list[dict[str, Any]]:
    """All that must not depend on how a table came about, in the table's order."""
    return table_io.read_table(folder, TASK).select(SCORES).to_pylist()  # type: ignore[no-any-return]
