"""Tasks: a search space, an environment and a recipe under one id, ``<space>/<environment>@<recipe>``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from nasbench_rl._utils.numeric import as_int
from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    UnknownNameError,
    UnsuitedSpaceError,
    check_number,
    describe_unknown,
)
from nasbench_rl.spaces.base import ArchLike, SearchSpace, Size
from nasbench_rl.spaces.kernel_choice import KERNEL_SPACES, KernelSpace
from nasbench_rl.spaces.kernel_network import Network
from nasbench_rl.spaces.nsc.morphism import find_morphism
from nasbench_rl.spaces.nsc.size import Shape
from nasbench_rl.spaces.nsc.space import NscSpace, nsc_space
from nasbench_rl.task.images import (
    CLASSIFIER_PROTOCOL,
    DATASETS,
    INTENSE,
    INTENSE_AUTHORS,
    LITE,
    STAND_IN_INTENSE,
    STAND_IN_INTENSE_AUTHORS,
    STAND_INS,
    ClassifierRecipe,
    DatasetInfo,
    nsc_recipes,
)
from nasbench_rl.task.recipes import (
    ATARI_RECIPES,
    MINATAR_RECIPES,
    PPO_PROTOCOL,
    DartsRecipe,
    PPORecipe,
    SupernetRecipe,
    digest,
    supernet_recipe,
)
from nasbench_rl.task.side_tables import LATENCY_BATCHES, LATENCY_PROTOCOL, SideTable, TableSpec
from nasbench_rl.task.splits import ByColumn, BySeed, SplitRule


@dataclass(frozen=True, slots=True)
class Environment:
    """A game: its name in its suite, the channels of an observation, the size of its minimal action set."""

    name: str
    suite: Literal["atari", "minatar"]
    channels: int
    actions: int


@dataclass(frozen=True)
class Task(ABC):
    """What is trained and measured. A task is a ``GameTask`` or an ``ImageTask``.

    Attributes:
        space: the search space.
        environment: the game or the data set.
        recipe: everything else that fixes a training; it has a name and fidelities.
        metric: the metric that is the task's score.
        metrics: every metric that can be asked for.
        direction: ``"maximize"``; all metrics of all tasks here are.
        fidelity_unit: of budgets and fidelities.
        family: the task's folder under ``tables/``, and its schema.
        splits: what holds validation and test apart.
        exhaustive: whether the space is small enough for a table of every architecture.
    """

    space: SearchSpace
    environment: Any
    recipe: Any
    metric: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    direction: ClassVar[Literal["maximize"]] = "maximize"
    fidelity_unit: ClassVar[Literal["env_steps", "epochs"]]
    family: ClassVar[str]
    splits: ClassVar[SplitRule]
    exhaustive: ClassVar[bool]

    @cached_property
    def id(self) -> str:
        """``<space>/<environment>@<recipe>``."""
        return f"{self.space.name}/{self.environment.name}@{self.recipe.name}"

    @property
    def label(self) -> str:
        """The table's name in lists: the task's id."""
        return self.id

    @property
    def built_by(self) -> str:
        """What ``python -m nasbench_rl.build`` takes to train the task's table."""
        return self.id

    @cached_property
    def fidelities(self) -> tuple[int, ...]:
        """Training efforts that are stored, in ``fidelity_unit``, ascending."""
        return tuple(self.recipe.fidelities)

    @property
    def max_fidelity(self) -> int:
        """The whole training."""
        return self.fidelities[-1]

    def fidelity_at(self, fidelity: int | None) -> int:
        """Position of a fidelity among ``fidelities``; None is the maximal one.

        Raises:
            InvalidValueError: it is not stored.
        """
        stored = self.fidelities
        if fidelity is None:
            return len(stored) - 1
        wanted = as_int(fidelity)
        if wanted not in stored:
            given = fidelity if wanted is None else wanted
            check_number(f"fidelity of {self.id}", given, f"{stored[0]:,} … {stored[-1]:,}")
            near = min(stored, key=lambda other: abs(other - given))
            first = ", ".join(f"{one:,}" for one in stored[:3])
            why = (
                f"{given!r} of {self.id} is not a whole number"
                if wanted is None
                else f"{wanted:,} of {self.id} is not stored"
            )
            raise InvalidValueError(
                f"fidelity {why}; did you mean {near:,}? allowed: {first}, … {stored[-1]:,} {self.fidelity_unit}"
            )
        return stored.index(wanted)

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """Every table of trainings that the task has, its own first."""
        return (self, *self.one_shot.values())

    @property
    def one_shot(self) -> Mapping[str, SideTable]:
        """The tables of networks that hold every architecture, by family; empty where the space has no such network."""
        return {}

    @cached_property
    def latency(self) -> SideTable:
        """The table of the measured inference times of the task's networks."""
        return SideTable.of(self, "latency", "latencies", latency=LATENCY_PROTOCOL, batches=LATENCY_BATCHES)

    def with_weight_sharing(self, what: str) -> GameTask:
        """Return the task, whose space has a network that holds every architecture (``what``).

        Raises:
            UnsuitedSpaceError: it has none.
        """
        raise UnsuitedSpaceError(f"{self.space.name} has no {what}; those that have: the kernel-choice spaces")

    def indices(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the positions of (n, depth) rows of choices in the space.

        Raises:
            InvalidArchitectureError: a row is no point of the space, or rows do not name its points.
        """
        raise InvalidArchitectureError(
            f"architectures of shape {rows.shape} are neither (n,) indices nor (n, depth) rows of choices"
        )

    @cached_property
    @abstractmethod
    def digest(self) -> str:
        """Identifies all that fixes a training; rows of another digest are another task's."""

    @abstractmethod
    def size(self, arch: ArchLike) -> Size:
        """Params and FLOPs of an architecture's network."""

    def is_valid(self, arch: ArchLike) -> bool:
        """Whether the architecture has a network for this environment; only NSC spaces have points without."""
        return True

    @abstractmethod
    def keeps_function(self, parent: ArchLike, child: ArchLike) -> bool:
        """Whether ``child`` can begin with the weights of ``parent`` and compute what it does."""


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

    def with_weight_sharing(self, what: str) -> GameTask:
        """See ``Task.with_weight_sharing``."""
        return self

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


@dataclass(frozen=True)
class ImageTask(Task):
    """A network of an NSC space learns to classify a data set (meta-RL paper, section 4.1.2)."""

    space: NscSpace
    environment: DatasetInfo
    recipe: ClassifierRecipe
    metric = "accuracy"
    metrics = ("accuracy",)
    fidelity_unit = "epochs"
    family = "nsc"
    splits = ByColumn()
    exhaustive = False

    @cached_property
    def digest(self) -> str:
        """See ``Task.digest``; which images the data set holds is told by its rows' ``data``."""
        data = {"name": self.environment.name, "image": self.image, "classes": self.environment.classes}
        definition = self.space.definition
        return digest(recipe=self.recipe, data=data, definition=definition, protocol=CLASSIFIER_PROTOCOL)

    @property
    def built_by(self) -> str:
        """Networks so shallow that all are trained, and deeper ones as an agent would draw them."""
        return f"{self.id} --depth {2 if self.space.definition.chain else 1} --drawn 300"

    @property
    def image(self) -> Shape:
        """(height, width, channels) of the images that the network sees."""
        height, width, channels = self.environment.image
        side = self.recipe.image_size
        return (height, width, channels) if side is None else (side, side, channels)

    def is_valid(self, arch: ArchLike) -> bool:
        """Whether no map of the network vanishes on this data set's images."""
        return self.space.is_valid(arch, *self.image[:2])

    def keeps_function(self, parent: ArchLike, child: ArchLike) -> bool:
        """See ``Task.keeps_function``: whether a network morphism is known."""
        old, new = (self.space.parse(arch).choices for arch in (parent, child))
        recipe, definition = self.recipe, self.space.definition
        found = find_morphism(old, new, definition, self.image, recipe.filters, recipe.filter_growth)
        return found is not None

    def size(self, arch: ArchLike) -> Size:
        """See ``Task.size``.

        Raises:
            InvalidArchitectureError: a map vanishes.
        """
        recipe = self.recipe
        return self.space.size(
            arch, self.image, self.environment.classes, filters=recipe.filters, growth=recipe.filter_growth,
            dense=recipe.dense,
        )  # fmt: skip


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
                register(GameTask(KERNEL_SPACES[f"{_suite}-{_space}"], _environment, _recipe))

for _name in ("nsc-chain", "nsc-multibranch"):
    _nsc = nsc_space(_name)
    for _data in DATASETS.values():
        _stands_in, _paper = _data.name in STAND_INS, nsc_recipes(_name)["paper"]
        register(ImageTask(_nsc, _data, LITE if _stands_in else _paper))
        register(ImageTask(_nsc, _data, STAND_IN_INTENSE if _stands_in else INTENSE))
        register(ImageTask(_nsc, _data, STAND_IN_INTENSE_AUTHORS if _stands_in else INTENSE_AUTHORS))


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
    if isinstance(task, str) and task in _REGISTRY:
        return _REGISTRY[task]
    recipes = [known for known in _REGISTRY if known.split("@")[0] == task]
    if recipes:
        raise UnknownNameError(
            f"task {task!r} names no recipe, and there is no default one; choose: {', '.join(recipes)}. "
            "Their coverage: python -m nasbench_rl.build status"
        )
    raise UnknownNameError(describe_unknown("task", task, _REGISTRY, "A task id is <space>/<environment>@<recipe>."))
