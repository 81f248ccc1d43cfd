"""The second objective of the multi-objective methods: what an architecture costs to run."""

from __future__ import annotations

from statistics import median

from nasbench_rl import RESOURCES, Resource, Run
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, MissingCellError, unknown
from nasbench_rl.spaces import Architecture, size_of

_ENUMERABLE, _DRAWS = 1000, 200
APPROXIMATION = "a network whose latency was not measured counts as slower than any"


def check_objective(objective: str) -> Resource:
    """Return the resource that is meant; an unknown one is refused.

    Raises:
        UnknownNameError: the message names those there are.
    """
    for known in RESOURCES:
        if objective == known:
            return known
    raise unknown("objective", objective, RESOURCES)


class Resources:
    """Params, FLOPs or latency of the architectures of a run's task; knowing them costs no budget.

    Latency is measured of the networks that a table holds. In a space too large for one a search meets others: nobody
    can say that they are fast enough, so that they count as one that is too slow, and ``Run.approximation`` says so.

    Attributes:
        low: the least of the space, or where the space is too large to go through of those of 200 draws whose cost is
            known.
        high: the most.
        middle: the median.
    """

    def __init__(self, run: Run, objective: str) -> None:
        """Look at the space.

        Raises:
            MissingCellError: a latency that no table holds; in a space too large to go through, none of any draw.
        """
        self._run, self._objective = run, check_objective(objective)
        self._listed = size_of(run.space) <= _ENUMERABLE
        archs = list(run.space) if self._listed else [run.space.sample(run.rng) for _ in range(_DRAWS)]
        costs, unmeasured = [], None
        for arch in archs:
            try:
                costs.append(run.resource(arch, self._objective))
            except InvalidArchitectureError:
                continue
            except MissingCellError as error:
                if self._listed:
                    raise
                unmeasured = error
        if unmeasured is not None and not costs:
            raise unmeasured
        self.low, self.high, self.middle = min(costs), max(costs), float(median(costs))

    def __call__(self, arch: Architecture) -> float:
        """Parameters, operations of one observation or seconds of it.

        Infinite for a network that cannot be built, and in a space too large to go through for one not measured.
        """
        try:
            return self._run.resource(arch, self._objective)
        except InvalidArchitectureError:
            return float("inf")
        except MissingCellError:
            if self._listed:
                raise
            self._run.name_approximation(APPROXIMATION)
            return float("inf")

    def scaled(self, arch: Architecture) -> float:
        """Return the cost in [0, 1] between the least and the most of the space."""
        if self.high == self.low:
            return 0.0
        return min(1.0, max(0.0, (self(arch) - self.low) / (self.high - self.low)))

    def target(self, asked: float | None) -> float:
        """Return the limit asked for, in the unit of the cost; the space's median when none was.

        Raises:
            InvalidValueError: not above 0.
        """
        if asked is None:
            return self.middle
        if not asked > 0:
            raise InvalidValueError(
                f"target={asked} is not allowed; the space goes from {self.low:,g} to {self.high:,g}"
            )
        return asked
