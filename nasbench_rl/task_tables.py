"""The tables beside a task's own: inference times, supernets' proxy scores, what differentiable searches ended in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nasbench_rl.recipes import DartsRecipe, SupernetRecipe, digest

LATENCY_PROTOCOL = 1
"""Raised whenever inference times are measured differently than before."""
LATENCY_BATCHES = (1, 32)

OneShot = Literal["supernet", "darts"]
"""Families of networks that hold every architecture: trained path by path, or as weighted sums of all kernels."""
FAMILIES: tuple[OneShot, ...] = ("supernet", "darts")


@dataclass(frozen=True)
class SideTable:
    """A further table of a task.

    Attributes:
        id: the task's id, which names the file.
        family: the table's folder, and its schema.
        label: the table's name in lists.
        digest: identifies all that fixes a row.
    """

    id: str
    family: str
    label: str
    digest: str


def latency_table(task_id: str, task_digest: str) -> SideTable:
    """Return the table of how long a forward pass takes, by architecture and batch."""
    identity = digest(task=task_digest, latency=LATENCY_PROTOCOL, batches=LATENCY_BATCHES)
    return SideTable(task_id, "latency", f"latencies of {task_id}", identity)


def supernet_table(task_id: str, task_digest: str, recipe: SupernetRecipe) -> SideTable:
    """Return the table of the proxy scores of supernets fitted with uniform paths."""
    identity = digest(task=task_digest, supernet=recipe)
    return SideTable(task_id, "supernet", f"supernets of {task_id}", identity)


def darts_table(task_id: str, task_digest: str, recipe: DartsRecipe) -> SideTable:
    """Return the table of the architecture probabilities that differentiable searches ended in."""
    identity = digest(task=task_digest, darts=recipe)
    return SideTable(task_id, "darts", f"differentiable searches of {task_id}", identity)
