"""Which architectures are trained of a space that cannot be exhausted: shallow ones, and deeper ones as agents draw."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc import isomorphism
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.task import ImageTask

if TYPE_CHECKING:
    from nasbench_rl.envs.design_mdp import NscMdp

ROUND = 50
"""Architectures drawn at once; the next round knows how good they are."""
PARENTS = 30
"""Mutations start from one of so many best architectures, by validation score."""
LONGEST_WALK = 3
"""A mutation is up to so many edits away from its parent."""
MOST_LISTED = 200_000
"""Networks that ``standing`` goes through one by one: nsc-chain to depth 6, nsc-multibranch to depth 3."""
VAIN_DRAWS = 20_000
"""After so many draws in a row without a new valid network there is none left that a draw would find."""


def networks_up_to(space: NscSpace, depth: int) -> int:
    """Networks of at most ``depth`` layers, those of a space with branches before isomorphic ones are made one."""
    single, merging = (len(space.definition.options(arity)) for arity in (1, 2))
    total, of_depth = 0, 1
    for before in range(min(depth, space.definition.depth)):
        sources = 1 if space.definition.chain else before + 1
        of_depth *= single * sources + (0 if space.definition.chain else merging * sources**2)
        total += of_depth
    return total


def check_depth(task: ImageTask, depth: int) -> None:
    """Refuse to go through more networks than a machine can list.

    Raises:
        InvalidValueError: ``depth`` is too large; names how many networks that is and the largest depth.
    """
    count = networks_up_to(task.space, depth)
    if count > MOST_LISTED:
        most = max(d for d in range(depth) if networks_up_to(task.space, d) <= MOST_LISTED)
        upper = "" if task.space.definition.chain else "up to "
        raise InvalidValueError(
            f"--depth {depth} of {task.space.name} is {upper}{count:,} networks, too many to train each; allowed: at "
            f"most --depth {most}, and deeper ones are drawn: --drawn 300"
        )


def check_drawn(task: ImageTask, depth: int) -> None:
    """Refuse to draw networks deeper than any there is.

    Raises:
        InvalidValueError: ``depth`` is the space's or more.
    """
    deepest = task.space.definition.depth
    if depth >= deepest:
        raise InvalidValueError(
            f"--drawn adds networks of more than --depth {depth} layers, and {task.space.name} has none of more than "
            f"{deepest}; allowed: --depth below {deepest}, or leave --drawn out"
        )


def standing(task: ImageTask, trained: Iterable[tuple[str, int]], depth: int) -> list[Architecture]:
    """Return every valid network of at most ``depth`` layers, and whatever is in the table already.

    In a space with branches deeper chains of the table are left to the space of chains (``twins``).

    Raises:
        InvalidValueError: neither is anything, or ``depth`` is too large (``check_depth``).
    """
    check_depth(task, depth)
    known = map(task.space.parse, sorted({name for name, _ in trained}))
    archs = {arch: None for arch in known if task.space.definition.chain or is_drawn(task, arch, 0)}
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


def deeper(task: ImageTask, names: Iterable[str], depth: int) -> set[str]:
    """Return those that ``--drawn`` counts (``is_drawn``)."""
    return {name for name in names if is_drawn(task, task.space.parse(name), depth)}


def is_drawn(task: ImageTask, arch: Architecture, depth: int) -> bool:
    """Return whether a network has more than ``depth`` layers and, in a space with branches, is not a chain.

    Chains are drawn for the space of chains, whose trainings are those of a space with branches too (``twins``).
    """
    definition = task.space.definition
    if not definition.chain and isomorphism.is_chain(arch.choices, definition):
        return False
    return len(arch.choices) > depth


def drawn(task: ImageTask, rows: pa.Table, depth: int, count: int) -> list[Architecture]:
    """Return the next round of new networks that ``is_drawn`` counts; empty once a table has ``count``.

    One half is drawn as an agent without knowledge would: chains from ``space.sample``, other networks from episodes
    of random actions, in which pointers follow the newest layer, so that most have fewer branches than a draw
    from the space. The other half mutates the best found so far, where an agent that learns would look. A round depends
    on the rows alone.

    Raises:
        InvalidValueError: the space has not so many that a draw would find.
    """
    from nasbench_rl.envs.design_mdp import NscMdp  # late: it takes Gymnasium, and `status` does not

    check_drawn(task, depth)
    names = rows["arch"].to_pylist()
    known = set(names)
    missing = count - len(deeper(task, known, depth))
    last = np.flatnonzero(rows["fidelity"].to_numpy() == task.max_fidelity)
    scores = rows["validation_accuracy"].to_numpy(zero_copy_only=False)
    best = list(dict.fromkeys(names[at] for at in last[np.argsort(-scores[last], kind="stable")]))
    best.sort(key=lambda name: not is_drawn(task, task.space.parse(name), 0))  # chains after all others
    best = best[:PARENTS]
    rng, found, vain = np.random.default_rng([len(known), depth]), dict[str, Architecture](), 0
    mdp = NscMdp(task.space, lambda arch: 0.0, task.is_valid)
    while len(found) < min(ROUND, missing) and vain < VAIN_DRAWS:
        arch = task.space.sample(rng) if task.space.definition.chain else _met(mdp, rng)
        if best and len(found) % 2:
            arch = task.space.parse(best[int(rng.integers(len(best)))])
            for _ in range(int(rng.integers(1, LONGEST_WALK + 1))):
                arch = task.space.mutate(arch, rng)
        if is_drawn(task, arch, depth) and arch.name not in known and task.is_valid(arch):
            vain = vain + 1 if arch.name in found else 0
            found.setdefault(arch.name, arch)
        else:
            vain += 1
    if missing > 0 and not found:
        raise InvalidValueError(
            f"--drawn {count}: the table of {task.id} has {count - missing} with more than {depth} layers"
            f"{'' if task.space.definition.chain else ', without chains'}, and "
            f"{VAIN_DRAWS:,} draws found no other network that exists for its images; allowed: --drawn up to "
            f"{count - missing}, or a smaller --depth"
        )
    return list(found.values())


def _met(mdp: NscMdp, rng: np.random.Generator) -> Architecture:
    """Return a network that an agent without knowledge meets: one of an episode of random actions."""
    from nasbench_rl.envs.design_mdp import Design

    met: list[str] = []
    while not met:
        design = Design()
        for _ in range(mdp.tau):
            step = mdp.step(design, int(rng.integers(len(mdp.actions))))
            design = step.design
            if step.arch is not None and step.source != "invalid" and step.arch not in met:
                met.append(step.arch)
            if step.ended is not None:
                break
    return mdp.space.parse(met[int(rng.integers(len(met)))])
