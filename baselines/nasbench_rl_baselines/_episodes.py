"""Stepping the Gymnasium view of a run, episode after episode, until the search should end."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from nasbench_rl import Run
from nasbench_rl.spaces import KernelSpace
from nasbench_rl_baselines._searching import FREE_LIMIT, BudgetGuard
from nasbench_rl_baselines._torch import DTYPE


class Episodes:
    """``run.env()`` with flat observations; a finished episode is followed by the next at once.

    Attributes:
        observation: (features,) what the agent sees now.
        position: steps taken in the current episode, the paper's c_t.
        features: length of an observation.
        actions: number of actions.
        expected: environment steps that the budget should last, the papers' t_max.
    """

    def __init__(self, run: Run, t_max: int | None) -> None:
        """``t_max``: end after so many steps; None: when the budget is spent, or nothing was charged for long."""
        per_evaluation = run.space.depth if isinstance(run.space, KernelSpace) else 1
        self._run, self._counted = run, isinstance(run.space, KernelSpace)
        self.expected = t_max or max(1, run.budget // run.task.max_fidelity) * per_evaluation
        self._t_max, self._guard = t_max, BudgetGuard(run, FREE_LIMIT * per_evaluation)
        self._env = cast(Any, run.env())  # Discrete actions, whatever the space's environment
        self._steps = 0
        self.actions = int(self._env.action_space.n)
        self._reset()
        self.features = len(self.observation)

    def _reset(self) -> None:
        self.observation, self.position = _flat(self._env.reset()[0]), 0

    @property
    def progress(self) -> float:
        """Steps taken as a share of the expected, at most 1; without ``t_max`` on NSC spaces the budget's spent share.

        How many steps a budget buys there is not known before: a network that is known costs nothing, and one that does
        not exist little.
        """
        if self._t_max is None and not self._counted:
            return self._run.spent / self._run.budget
        return min(1.0, self._steps / self.expected)

    def goes_on(self) -> bool:
        """Ask once before each step."""
        return self._steps < self._t_max if self._t_max else self._guard.goes_on()

    def step(self, action: int) -> tuple[float | None, Tensor, bool]:
        """Act.

        Returns:
            The score (None when nothing was evaluated), what the action led to, and whether that ended the episode;
            then ``observation`` is already the first of the next one.

        Raises:
            BudgetExhausted: the evaluation costs more than what remains.
        """
        seen, reward, terminated, truncated, info = self._env.step(action)
        self._steps += 1
        self.position += 1
        led_to = self.observation = _flat(seen)
        if terminated or truncated:
            self._reset()
        evaluated = "arch" in info or reward != 0
        return float(reward) if evaluated else None, led_to, bool(terminated or truncated)


def _flat(observation: np.ndarray[Any, Any]) -> Tensor:
    """Return a copy: an environment may fill the same array again."""
    return torch.tensor(observation, dtype=DTYPE).ravel()
