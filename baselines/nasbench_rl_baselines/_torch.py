"""Torch as a method should use it: its own seeded generator, one thread, and both left as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nasbench_rl import Run


def generator_of(run: Run) -> torch.Generator:
    """A torch generator that is seeded from the run's."""
    return torch.Generator().manual_seed(int(run.rng.integers(2**63)))


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside, the former number afterwards: these networks are too small to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
