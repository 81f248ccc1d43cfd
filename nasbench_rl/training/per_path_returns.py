"""Which update of a supernet earned what: games that several paths played, divided among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasbench_rl.tables.results import PathUpdate
from nasbench_rl.training.games.base import Bools, Games, Step, UInt8


@dataclass(slots=True)
class _Played:
    """One update: what is settled of it, and for each row its part of the game that still runs."""

    index: int
    arch: str
    env_steps: int
    steps: np.ndarray[Any, np.dtype[np.int64]]
    reward: np.ndarray[Any, np.dtype[np.float64]]
    games: float = 0.0
    earned: float = 0.0


class ReturnsByPath:
    """Games that note which update of a fit played how much of each, and what it earned there.

    A rollout ends in the middle of games, and the next goes on with another path. An update's mean return is the raw
    reward earned in it over the games played in it, where a game that several updates played counts for each by its
    share of the game's steps. That is known once the last of its games is over.
    """

    def __init__(self, games: Games) -> None:
        """``games``: what is played; nothing of it changes."""
        self._games = games
        self.num_envs, self.observation_shape = games.num_envs, games.observation_shape
        self._env_steps = 0
        self._open: deque[_Played] = deque()

    @property
    def forced(self) -> Bools:
        """As ``Games``."""
        return self._games.forced

    def reset(self, seeds: np.random.SeedSequence) -> UInt8:
        """Start every game."""
        self._env_steps = 0
        self._open.clear()
        return self._games.reset(seeds)

    def close(self) -> None:
        """Free the emulators."""
        self._games.close()

    def begin(self, index: int, arch: str) -> None:
        """From now on, ``arch`` plays, in update ``index``."""
        steps, reward = np.zeros(self.num_envs, dtype=np.int64), np.zeros(self.num_envs)
        self._open.append(_Played(index, arch, self._env_steps, steps, reward))

    def step(self, actions: np.ndarray[Any, np.dtype[np.int64]]) -> Step:
        """Play one action a game, on the present update's account."""
        step, now = self._games.step(actions), self._open[-1]
        self._env_steps += self.num_envs
        now.env_steps = self._env_steps
        now.steps += 1
        now.reward += step.reward
        for row in step.returns:
            length = sum(int(played.steps[row]) for played in self._open)
            for played in self._open:
                played.games += int(played.steps[row]) / length
                played.earned += float(played.reward[row])
                played.steps[row], played.reward[row] = 0, 0.0
        return step

    def settled(self) -> Iterator[PathUpdate]:
        """Yield the updates all of whose games are over, in order and once each; ask between two rollouts."""
        while self._open and not self._open[0].steps.any():
            done = self._open.popleft()
            yield PathUpdate(done.index, done.arch, done.env_steps, done.games, done.earned / done.games)
