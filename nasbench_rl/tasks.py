"""Tasks: a search space, an environment and a recipe under one id, ``<space>/<environment>@<recipe>``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from nasbench_rl.errors import UnknownNameError, describe_unknown
from nasbench_rl.recipes import (
    ATARI_RECIPES,
    MINATAR_RECIPES,
    PPO_PROTOCOL,
    PPORecipe,
    SupernetRecipe,
    digest,
    supernet_recipe,
)
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.spaces.kernels import KERNEL_SPACES, KernelSpace, Network


@dataclass(frozen=True, slots=True)
class Environment:
    """A game: its name in its suite, the channels of an observation, the size of its minimal action set."""

    name: str
    suite: Literal["atari", "minatar"]
    channels: int
    actions: int


@dataclass(frozen=True)
class Task:
    """What is trained and measured.

    Attributes:
        space: the search space.
        environment: the game.
        recipe: everything else that fixes a training.
        metric: the stored metric that is the task's score.
        metrics: every metric that can be asked for.
        direction: ``"maximize"``; all metrics of all tasks here are.
    """

    space: KernelSpace
    environment: Environment
    recipe: PPORecipe
    metric: str = "return_last100"
    metrics: tuple[str, ...] = ("return_last100", "return_all", "return_eval")
    direction: Literal["maximize"] = "maximize"
    fidelity_unit: Literal["env_steps"] = "env_steps"

    @cached_property
    def id(self) -> str:
        """``<space>/<environment>@<recipe>``."""
        return f"{self.space.name}/{self.environment.name}@{self.recipe.name}"

    @property
    def family(self) -> str:
        """The task's folder under ``tables/``."""
        return "rl"

    @cached_property
    def fidelities(self) -> tuple[int, ...]:
        """Training efforts that are stored, in ``fidelity_unit``, ascending."""
        return self.recipe.fidelities

    @property
    def max_fidelity(self) -> int:
        """The whole training."""
        return self.fidelities[-1]

    @cached_property
    def digest(self) -> str:
        """Identifies all that fixes a training; rows of another digest are another task's."""
        frame = self.space.frame
        return digest(recipe=self.recipe, environment=self.environment, frame=frame, protocol=PPO_PROTOCOL)

    def network(self, arch: ArchLike) -> Network:
        """All layers of the agent's network."""
        return self.space.network(arch, self.environment.channels, self.environment.actions, self.recipe.width)

    @cached_property
    def supernet(self) -> SupernetTable:
        """The task's supernets: their recipe, and their table beside the task's own."""
        return SupernetTable(self, supernet_recipe(self.environment.suite, self.environment.name, self.recipe.name))


@dataclass(frozen=True)
class SupernetTable:
    """The second table of a task: one-shot proxy scores by supernet seed, fidelity and architecture.

    Attributes:
        task: whose architectures, games, PPO recipe and fidelities these are.
        recipe: what a supernet needs beside the task's recipe.
    """

    task: Task
    recipe: SupernetRecipe

    @property
    def id(self) -> str:
        """The task's."""
        return self.task.id

    @property
    def family(self) -> str:
        """The table's folder."""
        return "supernet"

    @cached_property
    def digest(self) -> str:
        """Identifies all that fixes a supernet and its proxies, the task included."""
        return digest(task=self.task.digest, supernet=self.recipe)


# Channels and minimal actions are written out so that params and FLOPs need no emulator; a test compares them with it.
_ATARI = tuple(Environment(name, "atari", 4, actions) for name, actions in (("breakout", 4), ("freeway", 3)))
_MINATAR = tuple(
    Environment(name, "minatar", channels, actions)
    for name, channels, actions in (
        ("breakout", 4, 3),
        ("freeway", 7, 3),
        ("asterix", 4, 5),
        ("seaquest", 10, 6),
        ("space_invaders", 6, 4),
    )
)

_REGISTRY: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Make a task known by its id; a second task of the same id replaces the first."""
    _REGISTRY[task.id] = task
    return task


for _suite, _environments, _recipes in (("minatar", _MINATAR, MINATAR_RECIPES), ("atari", _ATARI, ATARI_RECIPES)):
    for _space in ("ss1", "ss2"):
        for _environment in _environments:
            for _recipe in _recipes:
                register(Task(KERNEL_SPACES[f"{_suite}-{_space}"], _environment, _recipe))


def task_ids() -> tuple[str, ...]:
    """Every known task id."""
    return tuple(_REGISTRY)


def get_task(task: str | Task) -> Task:
    """The task of an id.

    Raises:
        UnknownNameError: no such task; a bare ``space/environment`` is refused with the recipes that exist, because a
            silent default recipe is what users of earlier benchmarks tripped over.
    """
    if isinstance(task, Task):
        return task
    if task in _REGISTRY:
        return _REGISTRY[task]
    recipes = [known for known in _REGISTRY if known.split("@")[0] == task]
    if recipes:
        raise UnknownNameError(
            f"task {task!r} names no recipe, and there is no default one; choose: {', '.join(recipes)}. "
            "Their coverage: python -m nasbench_rl.build status"
        )
    raise UnknownNameError(describe_unknown("task", task, _REGISTRY, "A task id is <space>/<environment>@<recipe>."))
