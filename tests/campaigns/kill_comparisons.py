"""Kill comparisons with SIGKILL again and again, and compare what they end with to one left alone.

    python tests/campaigns/kill_comparisons.py                 # 40 kills, at most 20 minutes
    python tests/campaigns/kill_comparisons.py --kills 8 --minutes 5

Kills go in turn to the command alone, to its whole process group, to one of its workers, and to a worker whose
message nobody reads: the command is stopped until the worker waits, the worker is killed, and the command goes on. The
same command is then started again, until it ends; then the next comparison begins. Exit code 0 when nothing was lost,
wrong, hung or left over.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import _campaign  # first: puts tests on the path
import numpy as np
from support.killed_comparisons import alive, leftovers, parts, runs_of, start, wait_until, workers_of
from support.tables import TWO_BY_SEED, write_made_table

from nasbench_rl.compare.pool import CHUNK

VICTIMS = ("command", "group", "worker", "unread worker")
FAULTS = ("lost", "wrong", "hangs", "leftovers", "processes left behind", "failed")
PATIENCE = 60.0
"""Seconds until a comparison hangs that takes ten times as long as the one that nobody killed."""
WRITE = "1 "
"""How /proc/PID/syscall begins in a write, on x86-64: the worker sits in a full pipe."""


class Campaign:
    """Counts what became of the comparisons."""

    def __init__(self, scratch: Path, runs: int, rng: np.random.Generator, longest: float) -> None:
        self.scratch, self.runs, self.rng, self.longest = scratch, runs, rng, longest
        self.counts: Counter[str] = Counter()
        write_made_table(scratch / "tables", TWO_BY_SEED, 4)
        self.patience, began = 1800.0, time.monotonic()
        process = self.start(scratch / "alone")
        assert self.ended(process) and process.returncode == 0, "the comparison that nobody kills failed"
        self.patience = PATIENCE + 10 * (time.monotonic() - began)
        self.alone = runs_of(scratch / "alone")

    def start(self, out: Path) -> subprocess.Popen[str]:
        options = ("--tasks", TWO_BY_SEED, "--methods", "random_search", "local_search", "--budget", "40x", "--no-page")
        size = ("--runs", str(self.runs), "--jobs", "2")
        return start(
            "compare", *options, *size, "--tables", str(self.scratch / "tables"), "--out", str(out), cwd=self.scratch
        )

    def ended(self, process: subprocess.Popen[str]) -> bool:
        """Whether it ends in time; what it says is kept in ``self.said``."""
        try:
            self.said, self.errors = process.communicate(timeout=self.patience)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.said, self.errors = process.communicate()
            self.counts["hangs"] += 1
            return False

    def kill(self, process: subprocess.Popen[str], victim: str) -> bool:
        """Whether the victim was there to be killed."""
        workers = workers_of(process.pid)
        if victim in ("command", "group"):
            (os.kill if victim == "command" else os.killpg)(process.pid, signal.SIGKILL)
            process.communicate()
            if not wait_until(lambda: not any(map(alive, workers)), 10):
                self.counts["processes left behind"] += 1
            return True
        if not workers:
            return False
        worker = workers[int(self.rng.integers(len(workers)))]
        if victim == "unread worker":
            process.send_signal(signal.SIGSTOP)
            time.sleep(2.0)  # it finishes what it has in work, and writes
            with suppress(OSError):  # no such file on this system
                self.counts["in a full pipe"] += Path(f"/proc/{worker}/syscall").read_text().startswith(WRITE)
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        process.send_signal(signal.SIGCONT)
        return True

    def comparison(self, out: Path, kills: int, end: float) -> int:
        """One comparison, begun again when it is killed, until it ends; returns the kills that it took."""
        done = before = 0
        while True:
            process, began = self.start(out), time.monotonic()
            victim = VICTIMS[sum(self.counts[one] for one in VICTIMS) % len(VICTIMS)]
            if done < kills and began < end:
                time.sleep(self.rng.uniform(0, self.longest))
                if process.poll() is None and self.kill(process, victim):
                    done, there = done + 1, len(parts(out))
                    self.counts[victim] += 1
                    print(f"{victim}: after {time.monotonic() - began:.1f} s, {there} parts kept", flush=True)
                    if process.returncode is not None:
                        written = (out / "leaderboard.md").exists()  # and what was kept may be cleared away
                        self.counts["lost"] += there < before and not written
                        before = 0 if written else there
                        continue
            if self.ended(process):
                self.judge(process.returncode, out, before)
            return done

    def judge(self, code: int, out: Path, before: int) -> None:
        """Count what is wrong with a comparison that ended."""
        self.counts["comparisons"] += 1
        if code != 0:
            self.counts["failed"] += 1
            print(self.errors)
            return
        said = re.search(r"taken over: ([\d,]+) of", self.said)
        self.counts["lost"] += (int(said[1].replace(",", "")) if said else 0) < before * CHUNK
        self.counts["wrong"] += not runs_of(out).equals(self.alone)
        self.counts["leftovers"] += bool(leftovers(out))


def main() -> int:
    parser = _campaign.parser(__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=20, help="no kill after so many")
    parser.add_argument("--runs", type=int, default=1000, help="search seeds a method, a multiple of the chunk of 25")
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    parser.add_argument("--longest", type=float, default=8.0, help="kills fall within so many seconds of a start")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        campaign = Campaign(Path(scratch), options.runs, np.random.default_rng(options.seed), options.longest)
        kills, number, end = 0, 0, began + 60 * options.minutes
        while kills < options.kills and time.monotonic() < end:
            number += 1
            kills += campaign.comparison(Path(scratch) / f"out{number}", min(5, options.kills - kills), end)
        counts = campaign.counts
        took = ", ".join(f"{counts[victim]} {victim}" for victim in VICTIMS)
        print(f"{kills} kills ({took}; {counts['in a full pipe']} of them in a full pipe), ", end="")
        print(f"{counts['comparisons']} comparisons, {time.monotonic() - began:.0f} s: ", end="")
        print(", ".join(f"{counts[fault]} {fault}" for fault in FAULTS))
    return 1 if any(counts[fault] for fault in FAULTS) else 0


if __name__ == "__main__":
    sys.exit(main())
