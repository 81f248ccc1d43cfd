"""Settings of a worker process that make single-threaded training fast."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nasbench_rl.errors import InvalidValueError

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MIB = 1 << 20


def tune_process(threads: int = 1) -> None:
    """Set one torch thread, no denormal numbers, and keep freed activations from the kernel between steps.

    One process a training with one thread each beats threads. glibc returns every block over 128 KiB to the kernel when
    it is freed, so that each activation is paged in again at every step: on small convolutions that took up to 40 % of
    an update, and half of it where gradients have gigabytes. Elsewhere than on glibc that does nothing.

    Denormal numbers count as 0. Adam's mean of the gradients of a unit that is never active becomes one after some 800
    updates, and its step takes many times as long with them on some CPUs.
    """
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)  # no block of its own, which would go back when freed
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # never
        libc.mallopt(_M_TOP_PAD, 64 * _MIB)


def trim_memory() -> None:
    """Return what a training has freed to the kernel; what comes next in this process may be small."""
    if sys.platform.startswith("linux") and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@contextmanager
def deterministic() -> Iterator[None]:
    """Make CUDA take algorithms that give the same bits each time, as a CPU does; also a decorator."""
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
