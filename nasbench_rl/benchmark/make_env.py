"""The environments of a task, as ``gymnasium.make`` and ``gymnasium.make_vec`` make them."""

from __future__ import annotations

import os
from typing import Any

from gymnasium.vector import AutoresetMode

from nasbench_rl.benchmark.base import Mode
from nasbench_rl.benchmark.load import load
from nasbench_rl.envs.common import ENV_ID, check_render_mode
from nasbench_rl.envs.nsc_env import NscEnv
from nasbench_rl.envs.nsc_vector_env import NscVectorEnv
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.tables.results import Evaluation
from nasbench_rl.task import Task, get_task, task_ids


class TaskScores:
    """Validation accuracies of an NSC task, without a run. Copies share it; a pickle loads the task where it is read.

    Attributes:
        space: the task's space.
    """

    def __init__(
        self, task: str | Task | None, mode: Mode, tables: str | os.PathLike[str] | None, device: str,
        fidelity: int | None,
    ) -> None:  # fmt: skip
        """Arguments as in ``make_env``.

        Raises:
            UnknownNameError, InvalidValueError, TableError: no such task or mode, a task of another kind, a fidelity
                that it has not, no table.
        """
        known = None if task is None else get_task(task)
        if known is None or not isinstance(known.space, NscSpace):
            ids = ", ".join(id_ for id_ in task_ids() if isinstance(get_task(id_).space, NscSpace))
            missing = "no task is named" if known is None else f"{known.id!r} designs no NSC networks"
            raise InvalidValueError(f"{ENV_ID}: {missing}; allowed: {ids}")
        known.fidelity_at(fidelity)
        self.space, self._task, self._fidelity = known.space, known, fidelity
        self._bench = load(known, mode, tables, device)
        folder = None if tables is None else self._bench.folder.absolute()  # a pickle is read in any working directory
        self._made_by = (task, mode, folder, device, fidelity)

    def evaluate(self, arch: Architecture) -> Evaluation:
        """Return the mean over the validation seeds."""
        return self._bench.query(arch, fidelity=self._fidelity, split="validation")

    def is_valid(self, arch: Architecture) -> bool:
        """Whether the network exists."""
        return bool(self._task.is_valid(arch))

    def __deepcopy__(self, memo: dict[int, Any]) -> TaskScores:
        """Itself."""
        return self

    def __reduce__(self) -> tuple[type[TaskScores], tuple[Any, ...]]:
        """How it was made, which says all: nothing of a table goes into a pickle."""
        return type(self), self._made_by


def make_env(
    task: str | Task | None = None, mode: Mode = "tabular", tables: str | os.PathLike[str] | None = None,
    device: str = "cpu", fidelity: int | None = None, sigma: float = 0.0, tau: int | None = None,
    render_mode: str | None = None,
) -> NscEnv:  # fmt: skip
    """Make the environment of a task, as ``gymnasium.make`` does; its rewards are means over the validation seeds.

    It can be pickled; the task is loaded again where the pickle is read.

    Args:
        task: id of an NSC task.
        mode: ``"tabular"``, ``"surrogate"`` or ``"live"``, as in ``load``.
        tables: a folder of tables, as in ``load``.
        device: where live mode trains.
        fidelity: epochs of a training; None is the whole training.
        sigma: see ``NscEnv``.
        tau: see ``NscEnv``.
        render_mode: see ``NscEnv``.

    Raises:
        UnknownNameError, InvalidValueError, TableError: no such task or mode, a task of another kind, no table.
    """
    check_render_mode(render_mode)  # before a table is read
    scores = TaskScores(task, mode, tables, device, fidelity)
    return NscEnv(scores.space, scores.evaluate, scores.is_valid, sigma=sigma, tau=tau)


def make_vector_env(
    num_envs: int = 1, task: str | Task | None = None, mode: Mode = "tabular",
    tables: str | os.PathLike[str] | None = None, device: str = "cpu", fidelity: int | None = None,
    sigma: float = 0.0, tau: int | None = None, autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    render_mode: str | None = None,
) -> NscVectorEnv:  # fmt: skip
    """Make the vector environment of a task, as ``gymnasium.make_vec`` does; see ``make_env`` and ``NscVectorEnv``."""
    check_render_mode(render_mode)
    scores = TaskScores(task, mode, tables, device, fidelity)
    return NscVectorEnv(
        scores.space, scores.evaluate, scores.is_valid, num_envs, sigma=sigma, tau=tau, autoreset_mode=autoreset_mode
    )
