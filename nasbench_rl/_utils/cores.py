"""How many processes a machine has room for: the CPUs that this process may use, not those that are built in."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable() -> int:
    """CPUs that this process may use, at least 1.

    The smallest of its affinity (``taskset``, Slurm, a container's ``--cpuset-cpus``), the quota of its control groups
    (``--cpus``, systemd's ``CPUQuota``), rounded up, and what Slurm gave the task where it binds no CPUs.
    """
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    task = [int(slurm)] if slurm.isascii() and slurm.isdigit() and len(slurm) < 10 else []
    return max(1, min([_affinity(), *map(math.ceil, _quotas()), *task]))


def _affinity() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13, which heeds -X cpu_count too
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas() -> Iterator[float]:
    """CPUs' worth of time that each control group around this process may take, where it has a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CGROUPS / "cpu" if controllers else CGROUPS  # version 1 or 2
        own = root / name.lstrip("/")
        for group in (own, *own.parents) if own.is_dir() else (root,):  # a container sees its own group as the root
            quota = _read_v1(group) if controllers else _read_v2(group)
            if quota is not None:
                yield quota
            if group == root:
                break


def _read_v2(group: Path) -> float | None:
    try:
        limit, period = (group / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_v1(group: Path) -> float | None:
    try:
        limit, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return limit / period if limit > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
