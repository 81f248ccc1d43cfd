"""An architecture as the sequence of choices that a controller emits, one a step, for every search space.

Every choice is a token; which tokens may come next depends on those before, and is always one unbroken range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from nasbench_rl.errors import UnsuitedSpaceError
from nasbench_rl.spaces import Architecture, KernelSpace, SearchSpace

Tokens = tuple[int, ...]
State = tuple[int, Tokens, Tokens]


class Choices(ABC):
    """How a space is written as sequences.

    Attributes:
        tokens: number of different tokens.
    """

    tokens: int

    @abstractmethod
    def allowed(self, prefix: Sequence[int]) -> range | None:
        """Return the tokens that may follow ``prefix``; None when it is a whole architecture."""

    @abstractmethod
    def decode(self, sequence: Sequence[int]) -> Architecture:
        """Return the architecture of a whole sequence."""

    def state(self, prefix: Tokens) -> State:
        """Return what a table of values knows of ``prefix``: the number of layers, the last one, and the begun one."""
        return len(prefix), prefix[-1:], ()


class KernelChoices(Choices):
    """A kernel size for each choice layer in turn."""

    def __init__(self, space: KernelSpace) -> None:
        self.space, self.tokens = space, len(space.kernels)

    def allowed(self, prefix: Sequence[int]) -> range | None:
        """Return every kernel, until all layers have one."""
        return range(self.tokens) if len(prefix) < self.space.depth else None

    def decode(self, sequence: Sequence[int]) -> Architecture:
        """Tokens are indices into the space's kernels."""
        return self.space.parse(tuple(self.space.kernels[token] for token in sequence))


class NscChoices(Choices):
    """A layer or the end at each step, and in multi-branch spaces then each predecessor of that layer."""

    def __init__(self, space: SearchSpace, definition: Any) -> None:
        self.space, self.depth, self.chain = space, definition.depth, definition.chain
        single, merge = definition.options(1), definition.options(2)
        self.layers: tuple[tuple[int, int], ...] = (*single, *merge)
        self.sources = [0 if self.chain else 1] * len(single) + [2] * len(merge)
        self.stop = len(self.layers)
        self.first_source = self.stop + 1
        self.tokens = self.first_source + (0 if self.chain else self.depth)

    def allowed(self, prefix: Sequence[int]) -> range | None:
        """Return a layer first, then also the end; after a layer its predecessors."""
        at = layers = 0
        while at < len(prefix):
            if prefix[at] == self.stop:
                return None
            at += 1 + self.sources[prefix[at]]
            layers += 1
        if at > len(prefix):
            return range(self.first_source, self.first_source + layers)  # the input and the layers before this one
        return range(self.stop + (layers > 0)) if layers < self.depth else None

    def state(self, prefix: Tokens) -> State:
        """As the whole vectors of a chain of layers: with its predecessors a layer is several tokens."""
        at, layers, last = 0, 0, prefix[:0]
        while at < len(prefix) and at + self._length(prefix[at]) <= len(prefix):
            last = prefix[at : at + self._length(prefix[at])]
            at, layers = at + len(last), layers + 1
        return layers, last, prefix[at:]

    def _length(self, token: int) -> int:
        """Tokens of the layer, or the end, that begins with this one."""
        return 1 if token == self.stop else 1 + self.sources[token]

    def decode(self, sequence: Sequence[int]) -> Architecture:
        """Return the NSC vectors that the sequence writes."""
        vectors: list[tuple[int, int, int, int, int]] = []
        at = 0
        while at < len(sequence) and sequence[at] != self.stop:
            token, index = sequence[at], len(vectors) + 1
            given = [source - self.first_source for source in sequence[at + 1 : at + 1 + self.sources[token]]]
            first, second = (*given, 0, 0)[:2] if given else (index - 1, 0)
            vectors.append((index, *self.layers[token], first, second))
            at += 1 + self.sources[token]
        return self.space.parse(tuple(vectors))


def choices_of(space: SearchSpace) -> Choices:
    """Return the sequences of a space.

    Raises:
        UnsuitedSpaceError: neither a kernel-choice nor an NSC space.
    """
    if isinstance(space, KernelSpace):
        return KernelChoices(space)
    definition = getattr(space, "definition", None)
    if definition is None:
        raise UnsuitedSpaceError(
            f"a controller cannot write architectures of {space.name!r}; it knows kernel-choice and NSC spaces"
        )
    return NscChoices(space, definition)
