"""Where the rewards of a run's environment come from, and what a copy of an environment makes of that.

A copy shares it: people copy environments to look ahead, and what they see there costs what it costs.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol, cast

from nasbench_rl.envs.common import ENV_ID
from nasbench_rl.errors import UncopiedError
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.tables.results import TrajectoryPoint
from nasbench_rl.task import Task


class EnvRun(Protocol):
    """What an environment needs of a run; see ``Run``."""

    task: Task
    space: SearchSpace
    points: list[TrajectoryPoint]

    @property
    def spent(self) -> int:
        """Budget spent so far."""

    def evaluate(self, arch: ArchLike, fidelity: int | None = None) -> float:
        """Return a validation score, and charge it."""


class RunScores:
    """Validation scores that a run is charged for. Copies share it; it is not pickled.

    Attributes:
        run: the run.
        fidelity: of each evaluation; None is the whole training.
    """

    def __init__(self, run: EnvRun, fidelity: int | None) -> None:
        """Raise InvalidValueError for a fidelity that the task does not have, before an episode begins."""
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
