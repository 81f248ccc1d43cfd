"""What the methods that learn share: checks, rewards on one scale, and an end when nothing costs any more."""

from __future__ import annotations

from numbers import Real

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError

FREE_LIMIT = 200
"""Evaluations in a row that charged nothing, after which a search ends: all that its policy still samples is paid for.
A uniform policy over 32 architectures misses a single unpaid one for so long in 0.2 % of cases."""


def check_positive(**values: float) -> None:
    """Refuse a hyperparameter that is not above 0.

    Raises:
        InvalidValueError: the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, Real) or not value > 0:
            raise InvalidValueError(f"{name}={value!r} is not allowed; give a number above 0")


def check_share(**values: float) -> None:
    """Refuse a hyperparameter that is not a share or probability, from 0 to 1.

    Raises:
        InvalidValueError: the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, Real) or not 0 <= value <= 1:
            raise InvalidValueError(f"{name}={value!r} is not allowed; give a number from 0 to 1")


class BudgetGuard:
    """Says whether a search should go on: budget is left, and the last evaluations were not all free."""

    def __init__(self, run: Run, limit: int = FREE_LIMIT) -> None:
        """``limit``: how many times ``goes_on`` may be asked in a row without anything having been charged."""
        self._run, self._limit, self._spent, self._free = run, limit, run.spent, 0

    def goes_on(self) -> bool:
        """Ask once before each evaluation or environment step."""
        if self._run.spent != self._spent:
            self._spent, self._free = self._run.spent, 0
        self._free += 1
        return self._run.remaining > 0 and self._free <= self._limit


class RewardScale:
    """Scores as rewards in [0, 1], the range of the accuracies that the original methods were made for.

    Returns of games have a scale of their own each, so the lowest score seen so far becomes 0 and the highest 1;
    a missing score counts as the lowest. Accuracies stay as they are.

    Attributes:
        as_is: scores are accuracies.
    """

    def __init__(self, run: Run) -> None:
        self.as_is = "accuracy" in run.task.metric
        self.low, self.high = (0.0, 1.0) if self.as_is else (float("inf"), float("-inf"))

    def see(self, score: float) -> None:
        """Take a score into account."""
        if not self.as_is and score == score:
            self.low, self.high = min(self.low, score), max(self.high, score)

    def __call__(self, score: float) -> float:
        """Return the reward of a score, by all that was seen so far."""
        if score != score:
            return 0.0
        return (score - self.low) / (self.high - self.low) if self.high > self.low else 0.5


class MovingAverage:
    """A baseline: the exponential moving average of the rewards so far."""

    def __init__(self, weight: float) -> None:
        """``weight``: of the average so far when the next reward comes in."""
        self._weight, self._value = weight, float("nan")

    def advantage(self, reward: float) -> float:
        """``reward`` minus the average before it, which it then joins; 0 for the first."""
        if self._value != self._value:
            self._value = reward
        advantage = reward - self._value
        self._value = self._weight * self._value + (1 - self._weight) * reward
        return advantage
