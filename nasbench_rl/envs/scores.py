"""Where an environment's rewards come from, and what a copy or a pickle of an environment makes of that.

A copy shares it: people copy environments to look ahead, and what they see there costs what it costs. A pickle opens
a task's scores anew where it is read; a run stays in its process.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn, cast

from nasbench_rl.benchmark import Mode
from nasbench_rl.envs import ENV_ID
from nasbench_rl.errors import InvalidValueError, UncopiedError
from nasbench_rl.loading import load
from nasbench_rl.records import Evaluation, TrajectoryPoint
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc import NscSpace
from nasbench_rl.task import Task, get_task, task_ids

if TYPE_CHECKING:
    from nasbench_rl.run import Run


class TaskScores:
    """Validation accuracies of an NSC task, without a run.

    Attributes:
        space: the task's space.
    """

    def __init__(
        self, task: str | Task | None, mode: Mode, tables: str | os.PathLike[str] | None, device: str,
        fidelity: int | None,
    ) -> None:  # fmt: skip
        """Arguments as in ``nsc_env.make_env``.

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
        """The mean over the validation seeds."""
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


class RunScores:
    """Validation scores that a run is charged for.

    Attributes:
        run: the run.
        fidelity: of each evaluation; None is the whole training.
    """

    def __init__(self, run: Run, fidelity: int | None) -> None:
        """Raises InvalidValueError for a fidelity that the task has not: before an episode begins."""
        run.task.fidelity_at(fidelity)
        self.run, self.fidelity = run, fidelity

    @property
    def space(self) -> NscSpace:
        """The run's space; ``NscMdp`` refuses another kind."""
        return cast(NscSpace, self.run.space)

    def evaluate(self, arch: Architecture) -> TrajectoryPoint:
        """Evaluate in the run."""
        self.run.evaluate(arch, self.fidelity)
        return self.run.points[-1]

    def is_valid(self, arch: Architecture) -> bool:
        """Whether the network exists; to hear that it does not costs what the run says."""
        valid = bool(self.run.task.is_valid(arch))
        if not valid:
            self.run.evaluate(arch, self.fidelity)  # 0.0
        return valid

    def __deepcopy__(self, memo: dict[int, Any]) -> RunScores:
        """Itself: copies charge the one run."""
        return self

    def __reduce__(self) -> NoReturn:
        """Raise UncopiedError: what a run has spent is counted in one process."""
        raise UncopiedError(
            "an environment of a run cannot be pickled: its steps are charged to that run, which stays in its process. "
            f'Make one without a run, gymnasium.make("{ENV_ID}", task=…), or in each process a run of its own: '
            "nasbench_rl.load(task).start(budget, seed).env()"
        )
