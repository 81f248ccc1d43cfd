"""Gymnasium view of a run on a kernel-choice space: one choice a step, the score at the end."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nasbench_rl.envs.common import check_render_mode
from nasbench_rl.envs.scores import EnvRun, RunScores
from nasbench_rl.errors import InvalidValueError, missing_extra
from nasbench_rl.spaces.kernel_choice import KernelSpace

try:
    import gymnasium
except ImportError as error:
    raise missing_extra("gymnasium", "live", "the Gymnasium view of a run") from error

Observation = np.ndarray[Any, np.dtype[np.float32]]


class ArchitectureEnv(gymnasium.Env[Observation, np.int64]):
    """An episode picks a kernel for each choice layer in turn; its reward is the validation score at the end.

    Observation: (depth * (kernels + 1),) float32, one-hot a layer with a last slot for "not chosen yet". The reward of
    all steps but the last is 0. Spending goes to the run; ``BudgetExhausted`` ends a search from inside ``step``.
    Copies of an environment, deep ones too, go on from its choices and charge the same run; it cannot be pickled.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own attribute)

    def __init__(self, run: EnvRun, fidelity: int | None = None, *, render_mode: str | None = None) -> None:
        """Begin no episode yet.

        Args:
            run: a run on a kernel-choice space.
            fidelity: training effort of each evaluation; None is the whole training.
            render_mode: None; a design is not drawn.

        Raises:
            InvalidValueError: another space, or a fidelity or render_mode outside what is allowed.
        """
        check_render_mode(render_mode)
        if not isinstance(run.space, KernelSpace):
            raise InvalidValueError(f"{run.space.name} has an environment of its own: nasbench_rl/NSC-v0")
        self._scores, self.space = RunScores(run, fidelity), run.space
        self.observation_space = gymnasium.spaces.Box(
            0.0, 1.0, (self.space.depth * (len(self.space.kernels) + 1),), np.float32
        )
        self.action_space = gymnasium.spaces.Discrete(len(self.space.kernels))
        self._choices: tuple[int, ...] = ()
        self._going = False

    @property
    def run(self) -> EnvRun:
        """The run that pays."""
        return self._scores.run

    @property
    def fidelity(self) -> int | None:
        """Training effort of each evaluation; None is the whole training."""
        return self._scores.fidelity

    def _observe(self) -> Observation:
        view = np.zeros((self.space.depth, len(self.space.kernels) + 1), dtype=np.float32)
        view[:, -1] = 1.0
        for layer, kernel in enumerate(self._choices):
            view[layer] = 0.0
            view[layer, self.space.kernels.index(kernel)] = 1.0
        return view.ravel()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin with no layer chosen."""
        super().reset(seed=seed)
        self._choices, self._going = (), True
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Choose the next layer's kernel by its index.

        Raises:
            InvalidValueError: no such action, or no episode is going on.
            BudgetExhausted: the run cannot pay for the architecture; the episode is over.
        """
        if not self._going:
            raise InvalidValueError("no episode is going on; call reset() before the first step and after the last")
        self._choices = (*self._choices, self._kernel(action))
        done = len(self._choices) == self.space.depth
        info: dict[str, Any] = {}
        reward = 0.0
        if done:
            self._going = False  # before the run is asked: its refusal ends the episode too
            reward = self.run.evaluate(self._choices, self.fidelity)
            info = {"arch": self.space.parse(self._choices).name, "spent": self.run.spent}
        return self._observe(), reward, done, False, info

    def _kernel(self, action: object) -> int:
        kernels = self.space.kernels
        try:
            number = operator.index(action)  # type: ignore[arg-type]
        except TypeError:
            number = -1
        if not 0 <= number < len(kernels):
            allowed = ", ".join(f"{number} kernel {kernel}" for number, kernel in enumerate(kernels))
            raise InvalidValueError(f"action {action!r} is none of {self.space.name!r}; allowed: {allowed}")
        return kernels[number]
