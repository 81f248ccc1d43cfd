"""Temporary files that say whose they are, so that those of dead writers can be told from all others and removed."""

from __future__ import annotations

import functools
import itertools
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SUFFIX = ".tmp"
ELSEWHERE = 24 * 3600
"""Seconds after which a temporary file of another machine is a dead writer's: none is written for that long."""

_NAME = re.compile(r"\.nasbench-rl\.([\w-]+)\.(\d+)\.(\d+)\.\d+\.tmp")
_numbers = itertools.count()


def temporary_name() -> str:
    """Return a new file name: ``.nasbench-rl.<host>.<process>.<its start>.<number>.tmp``."""
    pid = os.getpid()
    return f".nasbench-rl.{_host()}.{pid}.{_started(pid)}.{next(_numbers)}{SUFFIX}"


def sweep(folder: Path) -> None:
    """Remove the temporary files that dead processes left in ``folder``, and no other file."""
    with suppress(OSError):  # it is not there yet, or another process has swept
        for path in dead(folder):
            path.unlink(missing_ok=True)


def dead(folder: Path) -> Iterator[Path]:
    """Yield temporary files in ``folder`` whose writer has ended: its process here, or a day passed elsewhere."""
    with os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found is None:
                continue
            host, pid, start = found[1], int(found[2]), int(found[3])
            if host == _host():
                gone = not _lives(pid, start)
            else:
                gone = time.time() - entry.stat(follow_symlinks=False).st_mtime > ELSEWHERE
            if gone:
                yield Path(entry.path)


@functools.cache
def _host() -> str:
    """Return this machine's name and, on Linux, its container, in which process numbers mean something."""
    try:
        space = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except OSError:
        space = "0"
    name = re.sub(r"[^\w-]", "-", socket.gethostname())[:60]
    return f"{name}-{space}"


def _lives(pid: int, start: int) -> bool:
    """Return whether a process of this number runs that began then; numbers are given out again."""
    if os.name == "nt":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    now = _started(pid)
    return not (start and now) or now == start


def _started(pid: int) -> int:
    """Return clock ticks from the machine's start to the process's; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19])  # starttime, the 22nd of all; the third is the first behind the name in brackets
    except (OSError, ValueError, IndexError):
        return 0
