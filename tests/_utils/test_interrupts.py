"""Ctrl-C, sent as a terminal sends it: to the command and all of its worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.tables import TWO_BY_SEED

from nasbench_rl._utils import interrupts

SMOKE = "minatar-ss1/breakout@smoke"
COMPARE = ("compare", "--tasks", TWO_BY_SEED, "--methods", "random_search", "--runs", "100000", "--jobs", "2")
BUILD = ("build", SMOKE, "--jobs", "2")


def as_from_a_terminal() -> None:
    """Whoever runs the suite in the background may have Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(not interrupts.HAS_MASKS, reason="signals to a process group are POSIX's")
@pytest.mark.parametrize(
    ("command", "loaded", "times"),
    [
        (("compare",), "argparse", 1),
        (("compare",), "numpy", 1),
        (("build", "status"), "rich.console", 1),
        (("data", "list"), "argparse", 1),
        (("findings",), "numpy", 1),
        (("leaderboard", "x"), "numpy", 1),
        (COMPARE, "numpy", 2),
        (BUILD, "matplotlib._api", 1),
        (BUILD, "numpy", 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_ctrl_c_while_modules_load_is_one_line(
    command: tuple[str, ...], loaded: str, times: int, made_tables: Path, tmp_path: Path
) -> None:
    # Not by the clock: Python tells of every module that a process has loaded, and so when to interrupt it.
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", f"nasbench_rl.{command[0]}", *command[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        preexec_fn=as_from_a_terminal,
        env={**os.environ, "NASBENCH_RL_TABLES": str(tmp_path if command is BUILD else made_tables)},
    )  # fmt: skip
    assert process.stderr is not None
    seen = 0
    for line in process.stderr:
        seen += line.rpartition("|")[2].strip() == loaded
        if seen == times:
            break
    os.killpg(process.pid, signal.SIGINT)
    said = [line for line in process.communicate(timeout=600)[1].splitlines() if not line.startswith("import time:")]
    assert seen == times and process.returncode == 130, said
    assert len(said) == 1, "\n".join(said)
    assert said[0].startswith("interrupted; ")


@pytest.mark.skipif(not interrupts.HAS_MASKS, reason="Windows has no signal for one process alone")
def test_whoever_interrupts_the_command_alone_ends_its_trainings_too(tmp_path: Path) -> None:
    """As a job scheduler does. A search of minutes would be waited for otherwise, a training at a time."""
    command = ("--mode", "live", "--tasks", TWO_BY_SEED, "--methods", "random_search", "--runs", "1", "--jobs", "1")
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "nasbench_rl.compare", *command, "--tables", str(tmp_path)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=as_from_a_terminal,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any("nasbench_rl.training.games.minatar" in line for line in process.stderr), "no training began"
        process.send_signal(signal.SIGINT)
        try:
            left = process.communicate(timeout=300)[1]  # to the end: nobody who was started holds the pipe any more
        finally:
            process.kill()
        assert process.returncode == 130, left
    said = [line for line in left.splitlines() if not line.startswith("import time:")]
    assert len(said) == 1 and said[0].startswith("interrupted; "), left


POOL = """
import multiprocessing as mp, os, sys
from concurrent.futures import ProcessPoolExecutor
from nasbench_rl._utils import interrupts
if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp.get_context("spawn"), interrupts.end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_idle_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """They would wait for a next job for ever: the other end of their queue's pipe is in their own hands."""
    script = tmp_path / "pool_of_one.py"
    script.write_text(POOL)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid
        parent.kill()
        reader = threading.Thread(target=parent.stdout.read, daemon=True)  # ends when nobody holds the pipe any more
        reader.start()
        reader.join(600)
        assert not reader.is_alive()
