"""Settings of a worker process that make single-threaded training fast."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nasbench_rl.errors import InvalidValueError

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MIB = 1 << 20
BYTES_A_PARAMETER, BYTES_A_ROUNDED_PARAMETER = 16, 4
"""Of a training by Adam: the parameter, its gradient and two moments in single precision; with autocast, the parameter
and its gradient in bfloat16 as well."""
USABLE_MEMORY = 0.9
"""Share of a machine's memory; activations, images and the system have the rest."""


def tune_process(threads: int = 1) -> None:
    """One torch thread, and activations that are not given back to the kernel between steps.

    One process a training with one thread each beats threads. glibc returns every block over 128 KiB to the kernel when
    it is freed, so that each activation is paged in anew at every step: on small convolutions that took up to 40 % of
    an update, and half of it where gradients have gigabytes. Elsewhere than on glibc the second half does nothing.
    """
    torch.set_num_threads(threads)
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)  # no block of its own, which would go back when freed
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # never
        libc.mallopt(_M_TOP_PAD, 64 * _MIB)


@contextmanager
def repeatable() -> Iterator[None]:
    """Inside, or in a function so decorated, CUDA takes algorithms that give the same bits each time; a CPU does."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, deterministic=True, benchmark=False):  # left out, it would be off
        yield


def check_device(device: str) -> None:
    """Raise InvalidValueError unless torch can train on ``device``: ``"cpu"``, ``"cuda"`` or ``"cuda:<number>"``."""
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise InvalidValueError(f"unknown device {device!r}; allowed: cpu, cuda, cuda:<number>")
    if wanted.type == "cpu":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (wanted.index or 0) >= count:
        raise InvalidValueError(
            f"device {device!r}: torch {torch.__version__} sees {count} CUDA devices here; "
            "use cpu, or install a CUDA build of torch on a machine that has such a device"
        )


def check_memory(params: int, device: str, autocast: bool = False) -> None:
    """Raise InvalidValueError where a network of so many parameters cannot be trained for want of memory.

    Without this the kernel would end the process, and on some machines others with it.
    """
    if torch.device(device).type == "cuda":
        has = torch.cuda.get_device_properties(device).total_memory
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        return
    needs = params * (BYTES_A_PARAMETER + (BYTES_A_ROUNDED_PARAMETER if autocast else 0))
    if needs > USABLE_MEMORY * has:
        raise InvalidValueError(
            f"{params:,} parameters take {needs / 1e9:.3g} GB to train, and {device} has {has / 1e9:.3g} GB, a tenth "
            "of them for all else; train it on a larger machine (python -m nasbench_rl.build merge takes "
            "its shards in)"
        )
