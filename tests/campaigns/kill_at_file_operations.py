"""Kill what writes tables with SIGKILL at every file operation in turn, and look at what is left.

    python tests/campaigns/kill_at_file_operations.py
    python tests/campaigns/kill_at_file_operations.py --actions merge --every 5
    python tests/campaigns/kill_at_file_operations.py --actions merge --twice      # the next writer, too

An action runs in a forked process that ends itself as it is about to open a file for writing, rename, remove, or make
or remove a folder, or halfway through writing one. After each kill: every cell that was there is there and the same;
the manifest agrees with every table; once the next writer has been there, a merge has gone in whole or not at all; and
once the action was run again, all is in and no temporary file is left. Exit code 0 when that holds. Not on Windows.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import _campaign  # first: puts tests on the path
import pandas as pd
from support.tables import made_rows

from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.manifest import read_checked, read_manifest, write_listed
from nasbench_rl.tables.merge import merge
from nasbench_rl.tables.parquet import read_parquet
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task import Task, get_task

TASKS = [get_task(f"minatar-ss1/{game}@smoke") for game in ("breakout", "freeway")]
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
SCORES = ("arch", "seed", "fidelity", "return_last100", "return_eval")


def shard(folder: Path, task: Task, arch: str) -> None:
    shards.write_shard(folder, task, f"{arch}.seed0", table_io.encode_rows(task, made_rows(task, arch, 0)))


def prepare(folder: Path, source: Path) -> None:
    """Two tables with a cell each, two shards, and two tasks' cells to merge."""
    for task in TASKS:
        shard(folder, task, "k1-k1")
        shards.commit_shards(folder, task)
        shard(source, task, "k4-k4")
    for arch in ("k2-k2", "k3-k3"):
        shard(folder, TASKS[0], arch)
    write_listed(pd.DataFrame({"x": [1]}), folder, "other.parquet")


def write_next(folder: Path) -> None:
    """What any next writer does: it finishes what a killed one had begun."""
    write_listed(pd.DataFrame({"x": [3]}), folder, "next.parquet")


ACTIONS: dict[str, Callable[[Path, Path], Any]] = {
    "shard": lambda folder, source: shard(folder, TASKS[0], "k5-k5"),
    "fold": lambda folder, source: shards.commit_shards(folder, TASKS[0]),
    "merge": lambda folder, source: merge(source, folder),
    "listed": lambda folder, source: write_listed(pd.DataFrame({"x": [1, 2]}), folder, "other.parquet"),
}


class Hook:
    """Counts this process's file operations and ends it at one of them."""

    def __init__(self) -> None:
        self.last, self.seen, self.on = 0, 0, False
        self.fsync = os.fsync
        sys.addaudithook(self.heard)

    def start(self, last: int) -> None:
        self.last, self.seen, self.on = last, 0, True
        os.fsync = self.half_written  # type: ignore[assignment]

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or writes) and self.counted():
            os.kill(os.getpid(), signal.SIGKILL)

    def half_written(self, file: int) -> None:
        if self.counted():
            os.ftruncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self) -> bool:
        self.seen += 1
        return self.seen == self.last


def run(hook: Hook, action: Callable[[], Any], last: int) -> bool:
    """Run ``action`` in a process that is killed at operation ``last``; whether there were as many."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            hook.start(last)
            action()
            hook.on = False
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the action failed"
    return False


def killed(hook: Hook, kept: Path, action: Callable[[Path], Any], every: int) -> Iterator[Path]:
    """A copy of ``kept`` in which ``action`` was killed, for one operation after the other."""
    for last in itertools.count(1, every):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "killed"
            shutil.copytree(kept, folder)
            if not run(hook, partial(action, folder), last):
                return
            yield folder


def cells(folder: Path, task: Task, everything: bool = True) -> dict[tuple[str, int], Any]:
    """Scores of each cell in a task's table, and of those that wait as shards."""
    tables = [table_io.read_table(folder, task)]
    if everything:
        waiting = shards.shard_folder(folder, task).glob("*.parquet")
        tables += [read_parquet(path, SCHEMAS[task.family]) for path in waiting]
    rows = [row for table in tables for row in table.select(SCORES).to_pylist()]
    found: dict[tuple[str, int], Any] = {}
    for row in rows:
        found.setdefault((row["arch"], row["seed"]), {})[row["fidelity"]] = row
    return found


def check(folder: Path, source: Path, name: str, before: list[Any], counts: Counter[str]) -> None:
    """What has to hold after a kill."""
    after = [cells(folder, task) for task in TASKS]
    lost = [cell for old, new in zip(before, after, strict=True) for cell in old if cell not in new]
    wrong = [cell for old, new in zip(before, after, strict=True) for cell in old if new.get(cell) != old[cell]]
    counts["lost"] += len(lost)
    counts["wrong"] += len(wrong) - len(lost)
    for listed in read_manifest(folder):
        read_checked(folder, listed)
    counts["left by the killed process"] += len(leftovers(folder))
    write_next(folder)
    if name == "merge":
        inside = [("k4-k4", 0) in cells(folder, task, everything=False) for task in TASKS]
        counts["half merged"] += inside[0] != inside[1]
    ACTIONS[name](folder, source)
    for task in TASKS:
        shards.commit_shards(folder, task)
    counts["left at the end"] += len(leftovers(folder))
    counts["unsettled"] += sum(bool(entry.next_sha256) for entry in read_manifest(folder).values())
    counts["lost at the end"] += sum(
        cell not in new
        for old, new in zip(before, (cells(folder, t, False) for t in TASKS), strict=True)
        for cell in old
    )


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix == ".tmp" or ".journal" in path.parts]


def main() -> int:
    parser = _campaign.parser(__doc__)
    parser.add_argument("--actions", nargs="+", choices=ACTIONS, default=list(ACTIONS))
    parser.add_argument("--every", type=int, default=1, help="kill at every so-manieth operation only")
    parser.add_argument("--twice", action="store_true", help="kill the next writer at each of its operations, too")
    options = parser.parse_args()
    hook, total, bad = Hook(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        kept, source = Path(scratch) / "kept", Path(scratch) / "source"
        prepare(kept, source)
        before = [cells(kept, task) for task in TASKS]
        for name in options.actions:
            counts: Counter[str] = Counter()
            kills = 0
            for folder in killed(hook, kept, partial(ACTIONS[name], source=source), options.every):
                kills += 1
                if options.twice:
                    for again in killed(hook, folder, write_next, options.every):
                        kills += 1
                        check(again, source, name, before, counts)
                check(folder, source, name, before, counts)
            total += kills
            bad += sum(number for what, number in counts.items() if what != "left by the killed process")
            print(f"{name}: {kills} kills; " + ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
    print(f"{total} kills: {bad} faults")
    return 1 if bad or not total else 0


if __name__ == "__main__":
    sys.exit(main())
