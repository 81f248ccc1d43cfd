"""Where a measurement came from: code version and machine, as they are written into every row."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

CODE = ("nasbench_rl", "baselines/nasbench_rl_baselines", "pyproject.toml")
"""What a measurement depends on, in a checkout; tables and pages may change without making it another code."""


@functools.cache
def code_version() -> str:
    """Package version, with the commit behind a ``+`` when run from a checkout: ``0.1.0+g0123456789``.

    ``.dirty`` follows when the ``CODE`` that git tracks is not the commit's: then no commit has what ran.
    """
    try:
        version: str = metadata.version("nasbench-rl")
    except metadata.PackageNotFoundError:
        from nasbench_rl._version import __version__ as version
    root = Path(__file__).resolve().parents[2]
    commit = _commit(root) if (root / ".git").exists() else ""
    return f"{version}+{commit}" if commit else version


def _commit(root: Path) -> str:
    """``g`` and ten digits of a checkout's commit, perhaps ``.dirty``; empty where git has no answer."""
    # One call for both; without locks, so that it never stands in the way of a commit made meanwhile.
    command = ["git", "-C", str(root), "--no-optional-locks", "status", "--porcelain=v2", "--branch",
               "--no-ahead-behind", "--untracked-files=no", "--", *CODE]  # fmt: skip
    try:
        status = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    known = dict(line[2:].split(" ", 1) for line in status if line.startswith("# "))
    digits = known.get("branch.oid", "(initial)")[:10]
    if digits.startswith("("):  # no commit yet
        return ""
    return f"g{digits}" + (".dirty" if any(not line.startswith("# ") for line in status) else "")


@functools.cache
def machine(device: str = "cpu") -> str:
    """Processor, cores, Python and torch (when installed); with a GPU its name too."""
    parts = [_processor(), f"{os.cpu_count()} cores", platform.system(), f"Python {platform.python_version()}"]
    try:
        parts.append(f"torch {metadata.version('torch')}")
    except metadata.PackageNotFoundError:
        pass
    if device.startswith("cuda"):
        import torch

        parts.append(torch.cuda.get_device_name(device))
    return ", ".join(parts)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        fields = {key.strip(): value.strip() for key, _, value in lines}
        if "model name" in fields:
            family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
            return fields["model name"] + family
    return platform.processor() or platform.machine()
