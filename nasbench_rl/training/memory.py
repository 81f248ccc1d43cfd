"""The memory that trainings of NSC networks take: which a machine can hold, and how many fit side by side."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.spaces.nsc.size import node_shapes
from nasbench_rl.task import ImageTask, get_task
from nasbench_rl.training.cell import Cell

BYTES_A_PARAMETER, BYTES_A_ROUNDED_PARAMETER = 16, 10
"""Of a training by Adam: the parameter, its gradient and two moments in single precision; with autocast also the
rounded parameter, in single precision on CPUs without bfloat16, its rounded gradient, and what lies free between."""
IMAGES, COPIES = 500, 2
"""So many images' maps are held at once at most: a batch of the evaluation, each map before and after its ReLU."""
USABLE = 0.9
"""Share of a machine's memory; the system and other programs have the rest."""


def needed(task: ImageTask, arch: ArchLike) -> int:
    """Return the most bytes that a training takes (18.8e9 where one of 606 M parameters took 18.3e9).

    Raises:
        InvalidArchitectureError: a map vanishes.
    """
    recipe, rounded = task.recipe, task.recipe.autocast is not None
    choices = task.space.parse(arch).choices
    shapes = node_shapes(choices, task.space.definition, task.image, recipe.filters, recipe.filter_growth)
    maps = sum(height * width * channels for height, width, channels in shapes)
    parameters = task.size(arch).params * (BYTES_A_PARAMETER + BYTES_A_ROUNDED_PARAMETER * rounded)
    return parameters + IMAGES * COPIES * maps * (2 if rounded else 4)


def usable(device: str) -> float:
    """Return bytes that trainings may take together; infinite where that is not known."""
    if device != "cpu":
        import torch

        return USABLE * torch.cuda.get_device_properties(device).total_memory
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return math.inf
    return USABLE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check(task: ImageTask, arch: ArchLike, device: str) -> None:
    """Raise InvalidValueError where a network cannot be trained for lack of memory.

    Without this the kernel would end the process, and on some machines others with it.
    """
    needs, has = needed(task, arch), usable(device)
    if needs > has:
        raise InvalidValueError(
            f"{task.size(arch).params:,} parameters take {needs / 1e9:.3g} GB to train, and {device} has "
            f"{has / 1e9:.3g} GB for it; train it on a larger machine (python -m nasbench_rl.build merge takes its "
            "shards in)"
        )


def side_by_side(cells: Sequence[Cell], jobs: int, device: str) -> int:
    """Return how many of ``jobs`` trainings fit side by side, whichever of ``cells`` they are; at least 1."""
    has, most = usable(device), 0
    for id_, arch in dict.fromkeys((cell.task, cell.arch) for cell in cells):
        task = get_task(id_)
        if isinstance(task, ImageTask):
            try:
                needs = needed(task, arch)
            except InvalidArchitectureError:  # its training says so
                continue
            most = max(most, needs if needs <= has else 0)
    return int(min(jobs, max(1.0, has / most))) if most else jobs
