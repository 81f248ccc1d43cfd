"""Chains that grow: by larger kernels, and by inserted layers where the space has room for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nasbench_rl import Run
from nasbench_rl.errors import UnsuitedSpaceError
from nasbench_rl.spaces import Architecture, KernelSpace

Layers = tuple[int, ...]
"""A chain as one token a layer."""


class GrownChain(ABC):
    """The moves of a space.

    Attributes:
        start: the network that all others grow from.
        tokens: number of different layers.
        depth: the most layers.
        deepens: whether layers can be inserted.
    """

    start: Layers
    tokens: int
    depth: int
    deepens: bool

    @abstractmethod
    def arch(self, layers: Layers) -> Architecture:
        """Return the architecture of a chain."""

    @abstractmethod
    def wider(self, layers: Layers, at: int) -> Layers | None:
        """Return the chain with the kernel of layer ``at`` one size larger; None where that is not possible."""

    @abstractmethod
    def deeper(self, layers: Layers) -> list[list[int]]:
        """For each place before, between and after the layers, what can be inserted there."""


class GrownKernels(GrownChain):
    """Kernel sizes from the smallest on; depth is fixed."""

    deepens = False

    def __init__(self, space: KernelSpace) -> None:
        self._space, self.tokens, self.depth = space, len(space.kernels), space.depth
        self.start = (0,) * space.depth

    def arch(self, layers: Layers) -> Architecture:
        """Tokens are indices into the space's kernels."""
        return self._space.parse(tuple(self._space.kernels[token] for token in layers))

    def wider(self, layers: Layers, at: int) -> Layers | None:
        """Return the next kernel size."""
        return (*layers[:at], layers[at] + 1, *layers[at + 1 :]) if layers[at] + 1 < self.tokens else None

    def deeper(self, layers: Layers) -> list[list[int]]:
        """Nothing."""
        return []


class GrownNsc(GrownChain):
    """NSC chains; a network whose maps vanish is not a move."""

    deepens = True

    def __init__(self, run: Run, definition: Any, start: str, reinitialise: bool) -> None:
        self._space, self._task, self._reinitialise = run.space, run.task, reinitialise
        self._options: list[tuple[int, int]] = list(definition.options(1))
        self.tokens, self.depth = len(self._options), definition.depth
        self._larger = self._next_kernels(definition)
        self.start = tuple(self._options.index((kind, size)) for _, kind, size, _, _ in run.space.parse(start).choices)
        self._known: dict[tuple[Layers, Layers], bool] = {}

    def _next_kernels(self, definition: Any) -> dict[int, int]:
        """Token of a convolution → token of the next larger one."""
        convs = sorted((size, kind) for kind, size in self._options if definition.operation(kind) == "conv")
        tokens = [self._options.index((kind, size)) for size, kind in convs]
        return dict(zip(tokens, tokens[1:], strict=False))

    def arch(self, layers: Layers) -> Architecture:
        """Tokens are indices into the space's layers."""
        rows = [(at, *self._options[token], at - 1, 0) for at, token in enumerate(layers, start=1)]
        return self._space.parse(tuple(rows))

    def wider(self, layers: Layers, at: int) -> Layers | None:
        """Return the next larger convolution."""
        larger = self._larger.get(layers[at])
        grown = (*layers[:at], larger, *layers[at + 1 :]) if larger is not None else None
        return grown if grown is not None and self._allowed(layers, grown) else None

    def deeper(self, layers: Layers) -> list[list[int]]:
        """Return layers that leave a network, and keep its function unless that may be lost."""
        if len(layers) >= self.depth:
            return []
        return [
            [t for t in range(self.tokens) if self._allowed(layers, (*layers[:at], t, *layers[at:]))]
            for at in range(len(layers) + 1)
        ]

    def _allowed(self, before: Layers, after: Layers) -> bool:
        move = (() if self._reinitialise else before, after)  # where a move begins matters to the function alone
        if move not in self._known:
            new = self.arch(after)
            self._known[move] = self._task.is_valid(new) and (
                self._reinitialise or self._task.keeps_function(self.arch(before), new)
            )
        return self._known[move]


def grown_chain(run: Run, start: str, reinitialise: bool) -> GrownChain:
    """Return the moves on a run's space.

    Raises:
        UnsuitedSpaceError: no kernel-choice space and no space of chains.
    """
    if isinstance(run.space, KernelSpace):
        return GrownKernels(run.space)
    definition: Any = getattr(run.space, "definition", None)
    if definition is None or not definition.chain:
        raise UnsuitedSpaceError(
            f"EAS grows chains, and {run.space.name!r} has others; it knows the kernel-choice spaces and nsc-chain. "
            "For branches take treecell"
        )
    return GrownNsc(run, definition, start, reinitialise)
