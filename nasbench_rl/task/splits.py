"""How validation and test scores of a task are held apart: by train seed, or by column of the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")


class SplitRule(ABC):
    """What a search may see and what a report shows.

    Attributes:
        same_trainings: whether one training has a score of both splits.
        nothing: the score of a search that found no network.
        in_words: the rule of every table, empty where it depends on the table (``ScoreTable.rule``).
    """

    same_trainings: ClassVar[bool]
    nothing: ClassVar[float]
    in_words: ClassVar[str] = ""

    @abstractmethod
    def has(self, seed: int, split: Split, single_seed: bool) -> bool:
        """Tell whether a train seed may be asked for in a split; ``single_seed``: see ``needs_fresh_games``."""

    @abstractmethod
    def is_scored(self, seed: int, split: Split, single_seed: bool) -> bool:
        """Tell whether a complete train seed is part of the split's mean score."""

    @abstractmethod
    def needs_fresh_games(self, complete: list[int]) -> bool:
        """Tell whether test scores come from fresh games, because no test seed is among the ``complete`` ones."""

    @abstractmethod
    def offered(self, split: Split) -> tuple[int, ...]:
        """Return ten train seeds of a split, for live training."""

    @abstractmethod
    def column(self, metric: str, split: Split) -> str:
        """Return the stored column of a metric."""

    @abstractmethod
    def metric(self, column: str) -> str:
        """Return what a score from a stored column is called in answers."""


class BySeed(SplitRule):
    """Even train seeds are validation and odd ones test."""

    same_trainings = False
    nothing = float("nan")

    def has(self, seed: int, split: Split, single_seed: bool) -> bool:
        """See ``SplitRule``; fresh games of any seed are test scores."""
        return seed % 2 == (split == "test") or (single_seed and split == "test")

    def is_scored(self, seed: int, split: Split, single_seed: bool) -> bool:
        """See ``SplitRule``."""
        return seed % 2 == (split == "test" and not single_seed)

    def needs_fresh_games(self, complete: list[int]) -> bool:
        """See ``SplitRule``."""
        return not any(seed % 2 for seed in complete)

    def offered(self, split: Split) -> tuple[int, ...]:
        """See ``SplitRule``."""
        return tuple(range(0 if split == "validation" else 1, 20, 2))

    def column(self, metric: str, split: Split) -> str:
        """See ``SplitRule``."""
        return metric

    def metric(self, column: str) -> str:
        """See ``SplitRule``."""
        return column


class ByColumn(SplitRule):
    """Every training is measured on validation and on test images, and each is a column."""

    same_trainings = True
    nothing = 0.0  # such a search has classified nothing
    in_words = "validation and test images"

    def has(self, seed: int, split: Split, single_seed: bool) -> bool:
        """See ``SplitRule``."""
        return True

    def is_scored(self, seed: int, split: Split, single_seed: bool) -> bool:
        """See ``SplitRule``."""
        return True

    def needs_fresh_games(self, complete: list[int]) -> bool:
        """See ``SplitRule``."""
        return False

    def offered(self, split: Split) -> tuple[int, ...]:
        """See ``SplitRule``."""
        return tuple(range(10))

    def column(self, metric: str, split: Split) -> str:
        """See ``SplitRule``."""
        return f"{split}_{metric}"

    def metric(self, column: str) -> str:
        """See ``SplitRule``."""
        return column.partition("_")[2]
