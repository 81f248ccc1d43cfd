"""Every known task by its id."""

from __future__ import annotations

from nasbench_rl.errors import (
    UnknownNameError,
    describe_unknown,
)
from nasbench_rl.spaces.kernel_choice import KERNEL_SPACES
from nasbench_rl.spaces.nsc.space import nsc_space
from nasbench_rl.task.base import Task
from nasbench_rl.task.games import Environment, GameTask
from nasbench_rl.task.images import (
    DATASETS,
    INTENSE,
    INTENSE_AUTHORS,
    LITE,
    STAND_IN_INTENSE,
    STAND_IN_INTENSE_AUTHORS,
    STAND_INS,
    ImageTask,
    nsc_recipes,
)
from nasbench_rl.task.recipes import (
    ATARI_RECIPES,
    MINATAR_RECIPES,
)

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
    """Return the task of an id.

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
