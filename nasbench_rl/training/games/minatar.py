"""MinAtar games side by side in one process: each makes 20 000 to 240 000 steps/s, so that threads gain nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_rl._utils import interrupts
from nasbench_rl.task import Environment
from nasbench_rl.task.recipes import PPORecipe
from nasbench_rl.training.games.base import Step, UInt8

with interrupts.deferred():  # it looks for matplotlib under a bare ``except:``, which would swallow Ctrl-C
    from minatar import Environment as MinAtarGame


class MinAtarGames:
    """``n`` MinAtar games with the game's minimal action set, difficulty ramping as in its paper."""

    def __init__(self, environment: Environment, recipe: PPORecipe, num_envs: int) -> None:
        """``environment``: which game; ``recipe``: sticky actions and time limit."""
        self.num_envs = num_envs
        self.games = [MinAtarGame(environment.name, sticky_action_prob=recipe.sticky) for _ in range(num_envs)]
        self.actions: list[int] = self.games[0].env.minimal_action_set()
        self.limit = recipe.max_game_steps
        self.observation_shape: tuple[int, ...] = (10, 10, environment.channels)
        self.forced = np.zeros(num_envs, dtype=np.bool_)
        self._length = np.zeros(num_envs, dtype=np.int64)
        self._return = np.zeros(num_envs)

    def reset(self, seeds: np.random.SeedSequence) -> UInt8:
        """Start every game from its own seed."""
        for game, seed in zip(self.games, seeds.generate_state(self.num_envs), strict=True):
            game.seed(int(seed))
            game.reset()
            game.last_action = 0
        self._length[:] = 0
        self._return[:] = 0
        return self._observe()

    def step(self, actions: np.ndarray[Any, np.dtype[np.int64]]) -> Step:
        """Play one action a game; a game that is over restarts."""
        reward = np.zeros(self.num_envs, dtype=np.float32)
        ended = np.zeros(self.num_envs, dtype=np.bool_)
        truncated = np.zeros(self.num_envs, dtype=np.bool_)
        final: dict[int, UInt8] = {}
        returns: dict[int, float] = {}
        self._length += 1
        for row, (game, action) in enumerate(zip(self.games, actions.tolist(), strict=True)):
            gain, over = game.act(self.actions[action])
            reward[row] = gain
            self._return[row] += gain
            if over or self._length[row] >= self.limit:
                ended[row] = over
                if not over:
                    truncated[row] = True
                    final[row] = game.state().astype(np.uint8)
                returns[row] = float(self._return[row])
                self._return[row], self._length[row] = 0.0, 0
                game.reset()
                game.last_action = 0
        return Step(self._observe(), reward, ended, truncated, final, returns)

    def _observe(self) -> UInt8:
        return np.stack([game.state() for game in self.games]).view(np.uint8)

    def close(self) -> None:
        """Nothing to free."""
