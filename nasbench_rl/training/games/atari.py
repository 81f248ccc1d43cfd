"""Atari games on ale-py's vector environment, with the traps that its defaults hold taken care of."""

from __future__ import annotations

from typing import Any

import numpy as np
from ale_py import Action
from ale_py.vector_env import AtariVectorEnv

from nasbench_rl.task import Environment
from nasbench_rl.task.recipes import PPORecipe
from nasbench_rl.training.games.base import Step, UInt8

FRAME_SKIP = 4


def to_blocks(frames: np.ndarray[Any, np.dtype[np.uint8]]) -> UInt8:
    """Return (n, 4, 84, 84) stacked frames → (n, 21, 21, 64): 4x4 pixel blocks of the 4 frames as channels, last.

    The order within a block is (row, frame, column): four pixels of a row stay together and are moved as one 32-bit
    word, twelve times as fast as byte by byte. ``networks.Agent`` reorders its stem's weight to match.
    """
    n, stack, height, width = frames.shape
    words = np.ascontiguousarray(frames).view(np.uint32).reshape(n, stack, height // 4, 4, width // 4)
    cut = np.ascontiguousarray(words.transpose(0, 2, 4, 3, 1))
    return cut.view(np.uint8).reshape(n, height // 4, width // 4, 16 * stack)


class AtariGames:
    """``n`` games of one ROM: 84x84 grey, stack 4, frame skip 4 with max-pool, no-op starts.

    A lost life ends an episode for learning but not the game: ``episodic_life`` would restart the *game* at every
    lost life, so ``life_loss_info`` is used, and a game is over when its frame counter restarts. ale-py presses no
    FIRE after a lost life; here the next action of such a row is FIRE and is marked ``forced``.
    """

    def __init__(self, environment: Environment, recipe: PPORecipe, num_envs: int) -> None:
        """``environment``: which game; ``recipe``: sticky actions, no-ops and time limit."""
        self.num_envs = num_envs
        self.env = AtariVectorEnv(
            environment.name,
            num_envs,
            num_threads=1,
            max_num_frames_per_episode=recipe.max_game_steps * FRAME_SKIP,
            repeat_action_probability=recipe.sticky,
            noop_max=recipe.no_ops,
            frameskip=FRAME_SKIP,
            life_loss_info=True,
            reward_clipping=False,
            autoreset_mode="SameStep",
        )
        actions = list(self.env.ale.get_action_set())
        self.fire = actions.index(Action.FIRE) if Action.FIRE in actions else None
        self.observation_shape: tuple[int, ...] = (21, 21, 64)
        self.forced = np.zeros(num_envs, dtype=np.bool_)
        self._frame = np.zeros(num_envs, dtype=np.int64)
        self._return = np.zeros(num_envs)

    def reset(self, seeds: np.random.SeedSequence) -> UInt8:
        """Start every game from its own seed (ale-py takes 31 bits)."""
        observation, info = self.env.reset(seed=(seeds.generate_state(self.num_envs) >> 1).astype(np.int64))
        self._frame = info["episode_frame_number"].astype(np.int64)
        self._return[:] = 0
        self.forced[:] = False
        return to_blocks(observation)

    def step(self, actions: np.ndarray[Any, np.dtype[np.int64]]) -> Step:
        """Play one action (4 frames) a game; a game that is over restarts in the same step."""
        if self.fire is not None and self.forced.any():
            actions = np.where(self.forced, self.fire, actions)
        observation, reward, terminated, truncated, info = self.env.step(actions)
        self._return += reward
        frame = info["episode_frame_number"].astype(np.int64)
        over = (terminated | truncated) & (frame <= self._frame)
        self._frame = frame
        returns = {int(row): float(self._return[row]) for row in np.flatnonzero(over)}
        self._return[over] = 0.0
        if self.fire is not None:
            self.forced = terminated & ~over
        final = {}
        cut = truncated & ~terminated  # a life lost in the very step of the time limit has no value to come
        if cut.any():
            ends = to_blocks(info["final_obs"])
            final = {int(row): ends[row] for row in np.flatnonzero(cut)}
        return Step(
            to_blocks(observation), reward.astype(np.float32), terminated, truncated & ~terminated, final, returns
        )

    def close(self) -> None:
        """Stop the emulators."""
        self.env.close()
