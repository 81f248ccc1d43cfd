"""Kill a build with SIGKILL again and again, and compare what it ends with to a build left alone.

    python tests/benchmarks/kill_twenty_times.py            # about five minutes on two free cores
    python tests/benchmarks/kill_twenty_times.py --kills 4

Kills go in turn to the whole process group and to the parent alone, at a random time and the moment that a file of the
table folder changes. Every kill falls on a build that is training: when all cells are done, another train seed is
asked for. Exit code 0 when the rows agree to the bit and nothing is left lying about.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.killed_builds import TASK, Victim, cells_in_work, scores, start_build

from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.manifest import read_manifest

ARCHS = ("k1-k1", "k1-k2", "k2-k1")
JOBS = 2
VICTIMS: tuple[Victim, Victim] = ("group", "parent")


def kill_builds(folder: Path, kills: int, rng: np.random.Generator, longest: float) -> int:
    """Start and kill builds until ``kills`` have fallen; returns the train seeds that the last one was asked for."""
    seeds, done = 1, 0
    while done < kills:
        build = start_build(folder, ARCHS, seeds, JOBS)
        if not build.wait_until_training():
            build.finish()
            seeds += 1
            continue
        victim, on_write = VICTIMS[done % 2], done % 4 >= 2
        before = len(shards.trained_cells(folder, TASK))
        if on_write:
            build.wait_until_written(timeout=10 * longest)
            time.sleep(rng.uniform(0, 0.01))
        else:
            time.sleep(rng.uniform(0, longest))
        if build.process.poll() is not None:
            build.finish()
            seeds += 1
            continue
        in_work = cells_in_work(folder)
        build.kill(victim)
        done += 1
        after = len(shards.trained_cells(folder, TASK))
        when = "as a file was written" if on_write else "at a random time"
        print(
            f"kill {done:2d}: {victim:6s} {when:21s}; in work {len(in_work)}; cells {before} → {after} of "
            f"{seeds * len(ARCHS)}",
            flush=True,
        )
    return seeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    parser.add_argument("--longest", type=float, default=8.0, help="random kills fall within so many seconds of work")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        killed, alone = Path(scratch) / "killed", Path(scratch) / "alone"
        started = time.monotonic()
        seeds = kill_builds(killed, options.kills, np.random.default_rng(options.seed), options.longest)
        print("left alone to the end:")
        print(start_build(killed, ARCHS, seeds, JOBS).finish(), end="")
        print("the same cells, never killed:")
        print(start_build(alone, ARCHS, seeds, JOBS).finish(), end="")
        same = scores(killed) == scores(alone)
        entry = read_manifest(killed)[table_io.table_name(TASK)]
        waiting = list(shards.shard_folder(killed, TASK).glob("*.parquet"))
        whole = entry.cells == seeds * len(ARCHS) and not entry.next_sha256 and not waiting
        print(
            f"{options.kills} kills, {time.monotonic() - started:.0f} s: {entry.cells} cells, {entry.rows} rows, "
            f"{'the same as' if same else 'DIFFERENT FROM'} those of the build left alone; "
            f"{'manifest settled, no shard left' if whole else 'SOMETHING IS LEFT OVER OR MISSING'}"
        )
    return 0 if same and whole else 1


if __name__ == "__main__":
    sys.exit(main())
