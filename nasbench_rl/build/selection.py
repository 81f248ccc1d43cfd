"""Which architectures are trained of a space that cannot be exhausted: shallow ones, and deeper ones as agents draw."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.task import ImageTask

ROUND = 50
"""Architectures drawn at once; the next round knows how good they are."""
PARENTS = 30
"""Mutations start from one of so many best architectures, by validation score."""
LONGEST_WALK = 3
"""A mutation is up to so many edits away from its parent."""


def standing(task: ImageTask, trained: Iterable[tuple[str, int]], depth: int) -> list[Architecture]:
    """Every valid network of at most ``depth`` layers, and whatever is in the table already.

    Raises:
        InvalidValueError: neither is anything.
    """
    archs = {task.space.parse(name): None for name in sorted({name for name, _ in trained})}
    archs.update((arch, None) for arch in task.space.up_to_depth(depth) if task.is_valid(arch))
    if not archs:
        raise InvalidValueError(
            f"{task.space.name} is too large to train all of it, and {task.id} has no table yet; say what to train: "
            "--depth 2 (every network of so many layers), --drawn 300 (deeper ones), or --archs"
        )
    return list(archs)


def is_repeated(arch: Architecture, every: int) -> bool:
    """Whether the architecture is one of every ``every``: the same ones on each machine, whatever else is trained."""
    return int.from_bytes(hashlib.sha256(arch.name.encode()).digest()[:8], "big") % every == 0


def drawn(task: ImageTask, rows: pa.Table, depth: int, count: int) -> list[Architecture]:
    """The next round of new valid networks deeper than ``depth``, until a table has ``count``; empty when it has.

    One half is drawn as an agent without knowledge would, from ``space.sample``; the other half mutates the best found
    so far, where an agent that learns would look. A round depends on the rows alone.
    """
    names = rows["arch"].to_pylist()
    known = set(names)
    missing = count - sum(len(task.space.parse(name).choices) > depth for name in known)
    last = np.flatnonzero(rows["fidelity"].to_numpy() == task.max_fidelity)
    scores = rows["validation_accuracy"].to_numpy(zero_copy_only=False)
    best = list(dict.fromkeys(names[at] for at in last[np.argsort(-scores[last], kind="stable")]))[:PARENTS]
    rng, found = np.random.default_rng([len(known), depth]), dict[str, Architecture]()
    while len(found) < min(ROUND, missing):
        arch = task.space.sample(rng)
        if best and len(found) % 2:
            arch = task.space.parse(best[int(rng.integers(len(best)))])
            for _ in range(int(rng.integers(1, LONGEST_WALK + 1))):
                arch = task.space.mutate(arch, rng)
        if len(arch.choices) > depth and arch.name not in known and task.is_valid(arch):
            found.setdefault(arch.name, arch)
    return list(found.values())
