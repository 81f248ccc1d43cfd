"""What every search space offers: enumerate, sample, mutate, encode, and one canonical string per architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from nasbench_rl._utils.numeric import whole_number
from nasbench_rl.errors import IndexOutsideError, InvalidArchitectureError, NotEnumerableError

ArchLike: TypeAlias = "Architecture | str | tuple[Any, ...] | list[Any] | np.ndarray[Any, Any]"


class Size(Protocol):
    """How large a network is."""

    @property
    def params(self) -> int:
        """Trainable parameters."""

    @property
    def flops(self) -> int:
        """2 x multiply-accumulates of one forward pass of one observation or image."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One point of a search space.

    Attributes:
        space: name of the space it belongs to.
        choices: the choices themselves (kernel sizes, not their indices; NSC vectors), hashable.
        name: the canonical string; ``str(arch)``.
    """

    space: str
    choices: tuple[Any, ...]
    name: str

    def __str__(self) -> str:
        return self.name


class SearchSpace(ABC):
    """A finite set of architectures in a fixed order.

    Subclasses implement the abstract methods; everything else is derived. ``space[i]`` and ``space.index(arch)`` are
    inverse to each other over ``range(len(space))``.
    """

    name: str

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of architectures."""

    @abstractmethod
    def __getitem__(self, index: int) -> Architecture:
        """Return the architecture at ``index``, a whole number of any integer type.

        Raises:
            IndexOutsideError: an IndexError, outside ``range(len(space))``.
            InvalidValueError: no whole number.
        """

    @abstractmethod
    def parse(self, arch: ArchLike) -> Architecture:
        """Return the Architecture for choices, a canonical string or an Architecture.

        Raises:
            InvalidArchitectureError: not a point of this space; the message says what is.
        """

    @abstractmethod
    def index(self, arch: ArchLike) -> int:
        """Return the position of ``arch`` in the space's order."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw one architecture, uniformly unless the space says otherwise."""

    @abstractmethod
    def neighbours(self, arch: ArchLike) -> list[Architecture]:
        """Return every architecture one edit away, in a fixed order, without ``arch`` itself."""

    @abstractmethod
    def encode(self, arch: ArchLike) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return a fixed-size float32 encoding for controllers and predictors."""

    def mutate(self, arch: ArchLike, rng: np.random.Generator) -> Architecture:
        """Draw one of the neighbours uniformly."""
        near = self.neighbours(arch)
        return near[int(rng.integers(len(near)))]

    def __iter__(self) -> Iterator[Architecture]:
        for index in range(len(self)):
            yield self[index]

    def __contains__(self, arch: object) -> bool:
        try:
            self.parse(arch)  # type: ignore[arg-type]
        except (InvalidArchitectureError, TypeError):
            return False
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {len(self)} architectures>"


def place_in(space: SearchSpace, index: object) -> int:
    """Return an index into a space as a Python int; raises as ``space[index]`` does."""
    last = len(space) - 1
    place = whole_number(f"index into {space.name}", index, f"0 … {last}")
    if not 0 <= place <= last:
        raise IndexOutsideError(f"index {place} is outside {space.name}; allowed: 0 … {last}")
    return place


def size_of(space: SearchSpace) -> float:
    """Return the number of architectures, infinite where they are not counted."""
    try:
        return len(space)
    except NotEnumerableError:
        return float("inf")
