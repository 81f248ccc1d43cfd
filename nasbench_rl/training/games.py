"""What a vector of games offers the trainer; ``atari.py`` and ``minatar.py`` implement it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nasbench_rl.errors import missing_extra, unknown

if TYPE_CHECKING:
    from nasbench_rl.recipes import PPORecipe
    from nasbench_rl.task import Environment, GameTask

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(slots=True)
class Step:
    """One env step of ``n`` games; a game that ended has already begun anew in ``observation``.

    Attributes:
        observation: (n, height, width, channels) uint8.
        reward: (n,) raw, unclipped.
        ended: (n,) bool, no value is bootstrapped past this step: the game is over or a life was lost.
        truncated: (n,) bool, the game was cut by its time limit; its value is bootstrapped from ``final``.
        final: the observation a truncated game ended in, by row.
        returns: the undiscounted, unclipped return of each game that is over, by row.
    """

    observation: UInt8
    reward: Floats
    ended: Bools
    truncated: Bools
    final: dict[int, UInt8]
    returns: dict[int, float]


class Games(Protocol):
    """``n`` games of one kind, stepped together."""

    num_envs: int
    observation_shape: tuple[int, ...]

    @property
    def forced(self) -> Bools:
        """(n,) rows whose next action is not the policy's (FIRE after a lost life); the trainer masks them."""
        ...

    def reset(self, seeds: np.random.SeedSequence) -> UInt8:
        """Start every game; the seeds fix everything random in them."""
        ...

    def step(self, actions: np.ndarray[Any, np.dtype[np.int64]]) -> Step:
        """Play one action a game."""
        ...

    def close(self) -> None:
        """Free the emulators."""
        ...


SUITES = ("atari", "minatar")


def games_class(suite: str) -> Callable[[Environment, PPORecipe, int], Games]:
    """What makes the games of a suite.

    Raises:
        UnknownNameError: no such suite.
        MissingExtraError: the emulator is not installed.
    """
    if suite not in SUITES:
        raise unknown("suite", suite, SUITES)
    if suite == "atari":
        try:
            from nasbench_rl.training.atari import AtariGames
        except ImportError as error:
            raise missing_extra(error.name or "ale_py", "live", "training on Atari games") from error
        return AtariGames
    try:
        from nasbench_rl.training.minatar import MinAtarGames
    except ImportError as error:
        raise missing_extra(error.name or "minatar", "live", "training on MinAtar games") from error
    return MinAtarGames


def make_games(task: GameTask, num_envs: int) -> Games:
    """The games of a task.

    Raises:
        MissingExtraError: the emulator is not installed.
    """
    return games_class(task.environment.suite)(task.environment, task.recipe, num_envs)
