"""How a task holds validation and test apart: a search sees the one, reports show the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from nasbench_rl.errors import InvalidValueError, describe_unknown

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")


def check_split(split: str) -> None:
    """Raise InvalidValueError unless ``split`` is one of ``SPLITS``."""
    if split not in SPLITS:
        raise InvalidValueError(describe_unknown("split", split, SPLITS, "Searches see validation, reports test."))


class SplitRule(ABC):
    """Which train seeds and columns belong to a split.

    ``fresh_games`` says that test scores come from fresh games, since no train seed of the test split is complete.

    Attributes:
        same_trainings: whether every training is measured on both splits.
    """

    same_trainings: bool

    @abstractmethod
    def needs_fresh_games(self, complete: Sequence[int]) -> bool:
        """Return whether a table with these complete train seeds tests on fresh games."""

    @abstractmethod
    def averaged(self, complete: Sequence[int], split: Split) -> tuple[int, ...]:
        """Return the train seeds that a score is the mean of, of those that are complete over the space."""

    @abstractmethod
    def has(self, seed: int, split: Split, fresh_games: bool) -> bool:
        """Return whether a train seed may be asked for by its number."""

    @abstractmethod
    def offered(self, split: Split) -> tuple[int, ...]:
        """Return the train seeds that live mode offers: ten of each split."""

    @abstractmethod
    def column(self, metric: str, split: Split) -> str:
        """Return the stored column of a metric."""

    @abstractmethod
    def summary(self, fresh_games: bool) -> str:
        """Return the rule in a few words."""


class BySeed(SplitRule):
    """Validate on even train seeds and test on odd ones; without odd ones, test on fresh games."""

    same_trainings = False

    def needs_fresh_games(self, complete: Sequence[int]) -> bool:
        """See ``SplitRule``."""
        return not any(seed % 2 for seed in complete)

    def averaged(self, complete: Sequence[int], split: Split) -> tuple[int, ...]:
        """See ``SplitRule``."""
        odd = split == "test" and not self.needs_fresh_games(complete)
        return tuple(seed for seed in complete if seed % 2 == odd) or (0,)

    def has(self, seed: int, split: Split, fresh_games: bool) -> bool:
        """See ``SplitRule``; with fresh games, the test split has both the even seeds' and the odd seeds' own score."""
        odd = split == "test"
        return seed % 2 == odd or (odd and fresh_games)

    def offered(self, split: Split) -> tuple[int, ...]:
        """See ``SplitRule``."""
        return tuple(range(0 if split == "validation" else 1, 20, 2))

    def column(self, metric: str, split: Split) -> str:
        """See ``SplitRule``; both splits have the same columns."""
        return metric

    def summary(self, fresh_games: bool) -> str:
        """See ``SplitRule``."""
        return "one seed: test = return_eval of fresh games" if fresh_games else "even and odd train seeds"


class ByColumn(SplitRule):
    """Measure every training on validation and on test images."""

    same_trainings = True

    def needs_fresh_games(self, complete: Sequence[int]) -> bool:
        """See ``SplitRule``."""
        return False

    def averaged(self, complete: Sequence[int], split: Split) -> tuple[int, ...]:
        """See ``SplitRule``."""
        return tuple(complete) or (0,)

    def has(self, seed: int, split: Split, fresh_games: bool) -> bool:
        """See ``SplitRule``."""
        return True

    def offered(self, split: Split) -> tuple[int, ...]:
        """See ``SplitRule``."""
        return tuple(range(10))

    def column(self, metric: str, split: Split) -> str:
        """See ``SplitRule``."""
        return f"{split}_{metric}"

    def summary(self, fresh_games: bool) -> str:
        """See ``SplitRule``."""
        return "validation and test images"
