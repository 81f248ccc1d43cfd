"""The second objective of the multi-objective methods: what an architecture costs to run."""

from __future__ import annotations

from statistics import median

from nasbench_rl import Run
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, MissingCellError, unknown
from nasbench_rl.spaces import Architecture, size_of

OBJECTIVES = ("params", "flops", "latency")
_ENUMERABLE, _DRAWS = 1000, 200


def check_objective(objective: str) -> None:
    """Refuse an objective that is not known.

    Raises:
        UnknownNameError: the message names those there are.
    """
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)


class Resources:
    """Params or FLOPs of the architectures of a run's task; knowing them costs no budget.

    Attributes:
        low: the least of the space, or of 200 draws where the space is too large to go through.
        high: the most.
        middle: the median.
    """

    def __init__(self, run: Run, objective: str) -> None:
        """Look at the space.

        Raises:
            MissingCellError: latency, which no table holds.
        """
        if objective == "latency":
            raise MissingCellError(
                f"no latency was measured for {run.task.id} on {run.space.name}; nothing is imputed. Take "
                "objective='params' or 'flops'"
            )
        self._run, self._objective = run, objective
        if size_of(run.space) <= _ENUMERABLE:
            archs = list(run.space)
        else:
            archs = [run.space.sample(run.rng) for _ in range(_DRAWS)]
        costs = [cost for cost in map(self, archs) if cost < float("inf")]
        self.low, self.high, self.middle = min(costs), max(costs), float(median(costs))

    def __call__(self, arch: Architecture) -> float:
        """Parameters, or floating point operations of one observation; infinite for a network that cannot be built."""
        try:
            return float(getattr(self._run.task.size(arch), self._objective))
        except InvalidArchitectureError:
            return float("inf")

    def scaled(self, arch: Architecture) -> float:
        """The cost in [0, 1] between the least and the most of the space."""
        if self.high == self.low:
            return 0.0
        return min(1.0, max(0.0, (self(arch) - self.low) / (self.high - self.low)))

    def target(self, asked: float | None) -> float:
        """The limit asked for, in parameters or FLOPs; the space's median when none was.

        Raises:
            InvalidValueError: not above 0.
        """
        if asked is None:
            return self.middle
        if not asked > 0:
            raise InvalidValueError(f"target={asked} is not allowed; the space goes from {self.low:,} to {self.high:,}")
        return asked
