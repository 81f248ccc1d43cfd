"""Tasks whose networks are agents: they learn a game by PPO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nasbench_rl.errors import UnsuitedSpaceError
from nasbench_rl.spaces.base import ArchLike, Size
from nasbench_rl.spaces.kernel_choice import KernelSpace
from nasbench_rl.spaces.kernel_network import Network
from nasbench_rl.task.base import Task
from nasbench_rl.task.recipes import (
    PPO_PROTOCOL,
    DartsRecipe,
    PPORecipe,
    SupernetRecipe,
    digest,
    supernet_recipe,
)
from nasbench_rl.task.side_tables import SideTable
from nasbench_rl.task.splits import BySeed


@dataclass(frozen=True, slots=True)
class Environment:
    """A game: its name in its suite, the channels of an observation, the size of its minimal action set."""

    name: str
    suite: Literal["atari", "minatar"]
    channels: int
    actions: int


@dataclass(frozen=True)
class GameTask(Task):
    """An agent of the space's architecture learns a game by PPO."""

    space: KernelSpace
    environment: Environment
    recipe: PPORecipe
    metric = "return_last100"
    metrics = ("return_last100", "return_all", "return_eval")
    fidelity_unit = "env_steps"
    family = "rl"
    splits = BySeed()
    exhaustive = True

    @cached_property
    def digest(self) -> str:
        """See ``Task.digest``."""
        backbone = self.space.backbone  # under the name that the digests of the tables were made with
        return digest(recipe=self.recipe, environment=self.environment, frame=backbone, protocol=PPO_PROTOCOL)

    def network(self, arch: ArchLike) -> Network:
        """All layers of the agent's network."""
        return self.space.network(arch, self.environment.channels, self.environment.actions, self.recipe.width)

    def size(self, arch: ArchLike) -> Size:
        """See ``Task.size``."""
        return self.network(arch)

    def keeps_function(self, parent: ArchLike, child: ArchLike) -> bool:
        """See ``Task.keeps_function``: whether no kernel shrinks."""
        kernels = zip(self.space.parse(parent).choices, self.space.parse(child).choices, strict=True)
        return all(new >= old for old, new in kernels)

    def indices(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """See ``Task.indices``."""
        return self.space.indices(rows) if rows.ndim == 2 else super().indices(rows)

    @property
    def one_shot(self) -> Mapping[str, SideTable]:
        """See ``Task.one_shot``."""
        return {"supernet": self.supernet, "darts": self.darts}

    @cached_property
    def supernet(self) -> SideTable:
        """The table of the proxy scores of supernets fitted with uniform paths."""
        return SideTable.of(self, "supernet", "supernets", supernet=self.supernet_recipe)

    @cached_property
    def darts(self) -> SideTable:
        """The table of the architecture probabilities that differentiable searches ended in."""
        return SideTable.of(self, "darts", "differentiable searches", darts=self.darts_recipe)

    @property
    def supernet_recipe(self) -> SupernetRecipe:
        """What a supernet needs besides the task's recipe."""
        return supernet_recipe(self.environment.suite, self.environment.name, self.recipe.name)

    @property
    def darts_recipe(self) -> DartsRecipe:
        """What a differentiable search needs besides the task's recipe."""
        return DartsRecipe()


def with_weight_sharing(task: Task, what: str) -> GameTask:
    """Return a task whose space has a network that holds every architecture (``what``).

    Raises:
        UnsuitedSpaceError: it has none.
    """
    if not isinstance(task, GameTask):
        raise UnsuitedSpaceError(f"{task.space.name} has no {what}; those that have: the kernel-choice spaces")
    return task
