"""Torch as a method should use it: in double precision, its own generator, one thread, all left as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from nasbench_rl import Run

DTYPE = torch.float64
"""Of a method's networks and of all that meets them. Kinds of CPU round their sums differently; in single precision a
search takes other actions on another kind after some thousand steps, in double precision it does not."""


def generator_of(run: Run) -> torch.Generator:
    """Return a torch generator that is seeded from the run's."""
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


def log_prob_and_entropy(logits: Tensor, allowed: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return how likely draws were, each from a softmax over what is allowed.

    Args:
        logits: (..., choices).
        allowed: (..., choices), booleans; at least one choice each.
        chosen: (...) the index that was drawn.

    Returns:
        The log-probability of ``chosen`` and the entropy (nats), both (...).
    """
    log_probs = logits.masked_fill(~allowed, -torch.inf).log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs.masked_fill(~allowed, 0.0)).sum(-1)
    return log_probs.gather(-1, chosen[..., None])[..., 0], entropy
