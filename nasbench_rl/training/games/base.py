"""The protocol of a vector of games; ``atari.py`` and ``minatar.py`` implement it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(slots=True)
class Step:
    """One env step of ``n`` games; a game that ended has already restarted in ``observation``.

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
