"""The games of a task, by the suite of its environment."""

from __future__ import annotations

from collections.abc import Callable

from nasbench_rl.errors import missing_extra, unknown
from nasbench_rl.task import Environment, GameTask
from nasbench_rl.task.recipes import PPORecipe
from nasbench_rl.training.games.base import Games

SUITES = ("atari", "minatar")


def games_class(suite: str) -> Callable[[Environment, PPORecipe, int], Games]:
    """Return what makes the games of a suite.

    Raises:
        UnknownNameError: no such suite.
        MissingExtraError: the emulator is not installed.
    """
    if suite not in SUITES:
        raise unknown("suite", suite, SUITES)
    if suite == "atari":
        try:
            from nasbench_rl.training.games.atari import AtariGames
        except ImportError as error:
            raise missing_extra(error.name or "ale_py", "live", "training on Atari games") from error
        return AtariGames
    try:
        from nasbench_rl.training.games.minatar import MinAtarGames
    except ImportError as error:
        raise missing_extra(error.name or "minatar", "live", "training on MinAtar games") from error
    return MinAtarGames


def make_games(task: GameTask, num_envs: int) -> Games:
    """Return the games of a task.

    Raises:
        MissingExtraError: the emulator is not installed.
    """
    return games_class(task.environment.suite)(task.environment, task.recipe, num_envs)
