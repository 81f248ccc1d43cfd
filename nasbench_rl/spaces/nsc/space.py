"""The search spaces ``nsc-chain`` and ``nsc-multibranch`` of the meta-RL paper (section 4.1.1).

An architecture is a list of NSC vectors ``[index, type, kernel, predecessor 1, predecessor 2]``. It can be given as
those vectors (empty rows and a terminal layer are ignored), as text (``"conv3 maxpool2"``, ``"conv3 | add(0,1)"``) or
as an ``Architecture``; isomorphic networks are one architecture.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_rl._utils.numeric import whole_number
from nasbench_rl.errors import InvalidArchitectureError, NotEnumerableError, unknown
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace, place_in
from nasbench_rl.spaces.nsc import isomorphism
from nasbench_rl.spaces.nsc import size as nsc_cost
from nasbench_rl.spaces.nsc import text as nsc_text
from nasbench_rl.spaces.nsc.definition import NscDefinition, builtin_definition, load_definition
from nasbench_rl.spaces.nsc.isomorphism import Vector, Vectors
from nasbench_rl.spaces.nsc.size import NetworkSize, Shape

Floats = np.ndarray[Any, np.dtype[np.float32]]
Integers = np.ndarray[Any, np.dtype[np.int64]]


class NscSpace(SearchSpace):
    """What both spaces share; the definition says the rest."""

    def __init__(self, definition: NscDefinition) -> None:
        self.definition = definition
        self.name = definition.name

    # -- reading and writing

    def parse(self, arch: ArchLike) -> Architecture:
        """Return the canonical Architecture for vectors, a string, a list of layer names or an Architecture.

        Raises:
            InvalidArchitectureError: not a point of this space; the message says what is.
        """
        if isinstance(arch, Architecture):
            if arch.space != self.name:
                raise InvalidArchitectureError(f"{arch.name!r} belongs to space {arch.space!r}, not to {self.name!r}")
            return arch
        if isinstance(arch, str):
            return _read(arch, self.definition)
        try:
            rows = list(arch)
        except TypeError:
            raise InvalidArchitectureError(
                f"{arch!r} is no architecture of {self.name!r}; give NSC vectors or text such as {self.example!r}"
            ) from None
        if rows and all(isinstance(row, str) for row in rows):
            return _read((" " if self.definition.chain else " | ").join(rows), self.definition)
        return _architecture(nsc_text.from_rows(rows, self.definition), self.definition)

    @property
    def example(self) -> str:
        """Some architecture's string, for messages."""
        return "conv3 maxpool2 conv1" if self.definition.chain else "conv3 | maxpool2@0 | add(1,2)"

    # -- encodings

    def state(self, arch: ArchLike) -> Integers:
        """Return NSC vectors as the environment's state: int64 (d, 5) by index, so empty rows first (Figure 4)."""
        vectors = self.parse(arch).choices
        rows = np.zeros((self.definition.depth, 5), dtype=np.int64)
        rows[len(rows) - len(vectors) :] = vectors
        return rows

    def encode(self, arch: ArchLike) -> Floats:
        """Return Figure 5's encoding of ``state(arch)``: float32 (d, d + k + 10) for chains, else (d, 2d + k + 11)."""
        return self.encode_state(self.state(arch))

    def encode_state(self, state: np.ndarray[Any, Any] | Sequence[Sequence[int]]) -> Floats:
        """Return Figure 5's encoding of states: integers (…, d, 5) to float32 (…, d, width).

        A row becomes one-hot type (8 wide), kernel size (k + 1), predecessor 1 (d + 1) and, unless the space is a
        chain, predecessor 2 (d + 1). The layer's index is left out: the order of the rows says it.

        Raises:
            InvalidArchitectureError: another shape, no integers, or a number outside its field's width.
        """
        try:
            rows = np.asarray(state)
        except ValueError:
            raise InvalidArchitectureError(
                f"a state of {self.name!r} has rows of equal length, not {state!r}"
            ) from None
        widths = [self.definition.max_type + 1, self.definition.max_kernel + 1, self.definition.depth + 1]
        if not self.definition.chain:
            widths.append(self.definition.depth + 1)
        if rows.shape[-2:] != (self.definition.depth, 5):
            raise InvalidArchitectureError(
                f"a state of {self.name!r} has shape (…, {self.definition.depth}, 5), not {rows.shape}"
            )
        if rows.dtype.kind not in "iu":
            raise InvalidArchitectureError(f"a state of {self.name!r} holds integers, not {rows.dtype}")
        fields = rows[..., 1 : 1 + len(widths)].astype(np.int64, copy=False)
        if (fields < 0).any() or (fields >= widths).any():
            raise InvalidArchitectureError(f"a state of {self.name!r} holds a number outside the widths {widths}")
        encoded = np.zeros((*rows.shape[:-1], self.definition.encoding_width), dtype=np.float32)
        np.put_along_axis(encoded, fields + np.cumsum([0, *widths[:-1]]), 1.0, axis=-1)
        return encoded

    # -- properties of a network

    def is_valid(self, arch: ArchLike, height: int, width: int) -> bool:
        """Return whether the network exists for images of this size, decided without building it."""
        height, width, _ = _image((height, width, 1))
        return nsc_cost.is_valid(self.parse(arch).choices, self.definition, height, width)

    def shapes(self, arch: ArchLike, image: Shape, filters: int = 32, growth: int = 1) -> tuple[Shape, ...]:
        """Return (height, width, channels) at the input, at each layer, and before the prediction module.

        Raises:
            InvalidArchitectureError: a map vanishes; the message names the layer.
        """
        filters, growth = _counts(filters=filters, growth=growth)
        return nsc_cost.node_shapes(self.parse(arch).choices, self.definition, _image(image), filters, growth)

    def size(
        self, arch: ArchLike, image: Shape, classes: int, *, filters: int = 32, growth: int = 1, dense: int = 1024
    ) -> NetworkSize:
        """Return the parameters and FLOPs, see ``nsc_cost.network_size``."""
        classes, filters, growth, dense = _counts(classes=classes, filters=filters, growth=growth, dense=dense)
        return nsc_cost.network_size(
            self.parse(arch).choices, self.definition, _image(image), classes,
            filters=filters, growth=growth, dense=dense,
        )  # fmt: skip

    def density(self, arch: ArchLike) -> float:
        """Return the edges divided by nodes, as in BlockQNN."""
        return isomorphism.density(self.parse(arch).choices, self.definition)

    # -- enumeration and drawing

    @abstractmethod
    def up_to_depth(self, depth: int) -> Iterator[Architecture]:
        """Return every architecture of at most ``depth`` layers, shallow ones first."""

    def __bool__(self) -> bool:
        return True  # ``if space`` must not ask for a length that does not exist

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: depth up to {self.definition.depth}>"

    def _unique(self, candidates: Iterable[Vectors], without: Vectors) -> list[Architecture]:
        """Return the canonical architectures in order of first appearance, without one."""
        found = dict.fromkeys(isomorphism.canonical(vectors, self.definition) for vectors in candidates)
        found.pop(without, None)
        return [_architecture(vectors, self.definition) for vectors in found]


class NscChain(NscSpace):
    """Chains of up to ``depth`` layers, in depth-lexicographic order: all of depth 1, then all of depth 2, ….

    Args:
        definition: a space of one's own; by default ``nsc_chain.toml``, 7 layers to choose from and depth 10.
    """

    def __init__(self, definition: NscDefinition | None = None) -> None:
        super().__init__(definition or builtin_definition("nsc-chain"))
        self._options = self.definition.options(1)
        self._place = {option: place for place, option in enumerate(self._options)}

    def _of_depth(self, depth: int) -> int:
        return int(len(self._options) ** depth)

    def __len__(self) -> int:
        """Sum of 7^i for i = 1 … d; 329 554 456 at d = 10."""
        return sum(self._of_depth(depth) for depth in range(1, self.definition.depth + 1))

    def __getitem__(self, index: int) -> Architecture:
        """Return the chain at ``index`` of the depth-lexicographic order."""
        depth, rest = 1, place_in(self, index)
        while rest >= self._of_depth(depth):
            rest -= self._of_depth(depth)
            depth += 1
        places = [rest // self._of_depth(power) % len(self._options) for power in reversed(range(depth))]
        return self._chain([self._options[place] for place in places])

    def index(self, arch: ArchLike) -> int:
        """Return the position in the depth-lexicographic order."""
        vectors = self.parse(arch).choices
        number = 0
        for _, kind, kernel, _, _ in vectors:
            number = number * len(self._options) + self._place[kind, kernel]
        return number + sum(self._of_depth(depth) for depth in range(1, len(vectors)))

    def up_to_depth(self, depth: int) -> Iterator[Architecture]:
        """Return every chain of at most ``depth`` layers, in the space's order."""
        last = min(*_counts(depth=depth), self.definition.depth)
        return (self[index] for index in range(sum(self._of_depth(layers) for layers in range(1, last + 1))))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw a depth from 1 … d uniformly, then each layer uniformly.

        Not uniform over the space: six of seven chains have the full depth, where most maps have vanished.
        """
        depth = int(rng.integers(1, self.definition.depth + 1))
        return self._chain([self._options[place] for place in rng.integers(len(self._options), size=depth)])

    def neighbours(self, arch: ArchLike) -> list[Architecture]:
        """Return every chain with one layer replaced, inserted or removed."""
        vectors = self.parse(arch).choices
        layers = [(vector[1], vector[2]) for vector in vectors]
        edits = [layers[:at] + [option] + layers[at + 1 :] for at in range(len(layers)) for option in self._options]
        if len(layers) < self.definition.depth:
            edits += [layers[:at] + [option] + layers[at:] for at in range(len(layers) + 1) for option in self._options]
        if len(layers) > 1:
            edits += [layers[:at] + layers[at + 1 :] for at in range(len(layers))]
        return self._unique([_chain_vectors(edit) for edit in edits], without=vectors)

    def _chain(self, layers: Sequence[tuple[int, int]]) -> Architecture:
        return _architecture(_chain_vectors(layers), self.definition)


class NscMultiBranch(NscSpace):
    """Networks whose layers may have any earlier layer as predecessor, with add and concat.

    Their number has no closed form (isomorphic networks are one) and counting them by enumeration is out of reach, so
    ``len``, indexing and ``index`` raise ``NotEnumerableError``; ``up_to_depth`` enumerates the shallow ones.

    Args:
        definition: a space of one's own; by default ``nsc_multibranch.toml``.
    """

    def __init__(self, definition: NscDefinition | None = None) -> None:
        super().__init__(definition or builtin_definition("nsc-multibranch"))
        self._single = self.definition.options(1)
        self._merge = self.definition.options(2)

    def _refuse(self, what: str) -> NotEnumerableError:
        return NotEnumerableError(
            f"{self.name!r} has no {what}: its networks are not enumerated; use up_to_depth(n), sample(rng) or "
            "neighbours(arch), and the architecture's string as its key"
        )

    def __len__(self) -> int:
        """Not available; raises NotEnumerableError."""
        raise self._refuse("length")

    def __getitem__(self, index: int) -> Architecture:
        """Not available; raises NotEnumerableError."""
        raise self._refuse("order")

    def index(self, arch: ArchLike) -> int:
        """Not available; raises NotEnumerableError."""
        raise self._refuse("index")

    def up_to_depth(self, depth: int) -> Iterator[Architecture]:
        """Return every network of at most ``depth`` layers once: 9, 144 and 3 027 of depth 1, 2 and 3."""
        level: list[Vectors] = [()]
        for _ in range(min(*_counts(depth=depth), self.definition.depth)):
            grown = (vectors + (layer,) for vectors in level for layer in self._next_layers(len(vectors)))
            level = list(dict.fromkeys(isomorphism.canonical(vectors, self.definition) for vectors in grown))
            for vectors in level:
                yield _architecture(vectors, self.definition)

    def _next_layers(self, present: int) -> Iterator[Vector]:
        """Return every layer that can follow ``present`` layers."""
        for kind, kernel in self._single:
            for source in range(present + 1):
                yield (present + 1, kind, kernel, source, 0)
        for kind, kernel in self._merge:
            for first in range(present + 1):
                for second in range(present + 1):
                    yield (present + 1, kind, kernel, first, second)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw a depth from 1 … d, then for each layer its choice and its predecessors, each uniformly."""
        options = (*self._single, *self._merge)
        vectors: list[Vector] = []
        for index in range(1, int(rng.integers(1, self.definition.depth + 1)) + 1):
            place = int(rng.integers(len(options)))
            first, second = (int(source) for source in rng.integers(index, size=2))
            kind, kernel = options[place]
            vectors.append((index, kind, kernel, first, 0 if place < len(self._single) else second))
        return _architecture(tuple(vectors), self.definition)

    def neighbours(self, arch: ArchLike) -> list[Architecture]:
        """Return every network one edit away.

        An edit replaces a layer by another with as many predecessors, moves one connection to another earlier layer,
        removes a layer (what it fed is fed by its first predecessor) or appends one.
        """
        vectors: Vectors = self.parse(arch).choices
        edits: list[Vectors] = []
        for at, (index, kind, kernel, first, second) in enumerate(vectors):
            merges = (kind, kernel) in self._merge
            options = self._merge if merges else self._single
            rows: list[Vector] = [(index, *option, first, second) for option in options]
            rows += [(index, kind, kernel, source, second) for source in range(index)]
            if merges:
                rows += [(index, kind, kernel, first, source) for source in range(index)]
            edits += [(*vectors[:at], row, *vectors[at + 1 :]) for row in rows]
            if len(vectors) > 1:
                edits.append(_without(vectors, index))
        if len(vectors) < self.definition.depth:
            edits += [(*vectors, layer) for layer in self._next_layers(len(vectors))]
        return self._unique(edits, without=vectors)


def nsc_space(name: str) -> NscSpace:
    """Return one of the two spaces of the paper by its name."""
    spaces = {"nsc-chain": NscChain, "nsc-multibranch": NscMultiBranch}
    if name not in spaces:
        raise unknown("NSC space", name, spaces, "A space of your own: load_space('my_space.toml').")
    return spaces[name]()


def load_space(path: str | Path) -> NscSpace:
    """Load a space from a TOML or YAML file of one's own; see ``nsc_chain.toml`` for the fields."""
    definition = load_definition(path)
    return NscChain(definition) if definition.chain else NscMultiBranch(definition)


def _counts(**counts: object) -> tuple[int, ...]:
    """Return whole numbers from 0 on as Python ints, in their order; small types would wrap around in a product."""
    return tuple(whole_number(name, count, "0, 1, 2, …", least=0) for name, count in counts.items())


def _image(image: Shape) -> Shape:
    height, width, channels = image
    height, width, channels = _counts(height=height, width=width, channels=channels)
    return height, width, channels


def _architecture(vectors: Vectors, definition: NscDefinition) -> Architecture:
    vectors = isomorphism.canonical(vectors, definition)
    return Architecture(definition.name, vectors, nsc_text.to_text(vectors, definition))


@lru_cache(maxsize=1 << 16)
def _read(text: str, definition: NscDefinition) -> Architecture:
    return _architecture(nsc_text.from_text(text, definition), definition)


def _chain_vectors(layers: Sequence[tuple[int, int]]) -> Vectors:
    return tuple((index, kind, kernel, index - 1, 0) for index, (kind, kernel) in enumerate(layers, start=1))


def _without(vectors: Vectors, gone: int) -> Vectors:
    """Return the network without one layer, its users fed by its first predecessor."""
    heir = vectors[gone - 1][3]

    def renumber(source: int) -> int:
        source = heir if source == gone else source
        return source - (source > gone)

    return tuple(
        (renumber(index), kind, kernel, renumber(first), renumber(second))
        for index, kind, kernel, first, second in vectors
        if index != gone
    )
