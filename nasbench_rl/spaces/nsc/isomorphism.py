"""NSC networks as graphs: leaves, density, and the canonical form in which isomorphic networks are equal.

A network is a tuple of NSC vectors ``(index, type, kernel, predecessor 1, predecessor 2)`` with indices 1 … n in an
order in which predecessors come first; node 0 is the input image. A layer with one predecessor has 0 in the last place,
as in the paper's Figure 4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from nasbench_rl.spaces.nsc.definition import ARITY, NscDefinition

Vector: TypeAlias = "tuple[int, int, int, int, int]"
Vectors: TypeAlias = "tuple[Vector, ...]"

# These keep channels apart; conv and the prediction module mix them with learned weights.
_CHANNELWISE = frozenset({"maxpool", "avgpool", "identity", "concat"})


def predecessors(vector: Vector, definition: NscDefinition) -> tuple[int, ...]:
    """Return the indices of the layers that feed this one, one or two of them."""
    return vector[3 : 3 + ARITY[definition.operation(vector[1])]]


def leaves(vectors: Vectors, definition: NscDefinition) -> tuple[int, ...]:
    """Return the indices of the layers that no other uses; two or more get concatenated (section 4.1.1, third rule)."""
    used = {source for vector in vectors for source in predecessors(vector, definition)}
    return tuple(vector[0] for vector in vectors if vector[0] not in used)


def density(vectors: Vectors, definition: NscDefinition) -> float:
    """Return the edges divided by nodes of the graph, as in BlockQNN's early-stop reward (Zhong et al., CVPR 2018).

    Nodes are the input, the layers and, where there are several leaves, the concatenation that joins them.
    """
    edges = sum(len(predecessors(vector, definition)) for vector in vectors)
    nodes = 1 + len(vectors)
    ends = leaves(vectors, definition)
    if len(ends) > 1:
        edges, nodes = edges + len(ends), nodes + 1
    return edges / nodes


def is_chain(vectors: Vectors, definition: NscDefinition) -> bool:
    """Return whether each layer's one predecessor is the layer before it."""
    return all(predecessors(vector, definition) == (vector[0] - 1,) for vector in vectors)


@lru_cache(maxsize=1 << 16)
def canonical(vectors: Vectors, definition: NscDefinition) -> Vectors:
    """Return the same network in canonical order, numbering and operand order.

    Which operands may be exchanged: those of add always. Exchanging those of concat permutes channels, which a later
    convolution or dense layer absorbs by permuting its weights; an add does not, because it pairs channels by position.
    So a concat's operands are put in order unless an add is reachable from it through layers that keep channels apart.

    The order is the smallest, layer by layer, under: latest predecessors first, then type, then kernel. It follows a
    branch to its end before it starts the next, so a chain stands as it is.
    """
    if is_chain(vectors, definition):
        return vectors
    graph = _Graph(vectors, definition)
    order = graph.smallest_order({0: 0}, frozenset(range(1, len(vectors) + 1)))
    return tuple((index, *layer) for index, layer in enumerate(order, start=1))


class _Graph:
    """One network while it is brought into canonical form."""

    def __init__(self, vectors: Vectors, definition: NscDefinition) -> None:
        self.labels: list[tuple[int, int]] = [(0, 0)] + [(vector[1], vector[2]) for vector in vectors]
        self.operations = ["input"] + [definition.operation(vector[1]) for vector in vectors]
        self.sources: list[tuple[int, ...]] = [()] + [predecessors(vector, definition) for vector in vectors]
        self.ordered = self._order_sensitive()
        self.colours = self._refine()

    def _order_sensitive(self) -> list[bool]:
        """Return, for each node, whether the order of its channels reaches an add."""
        sensitive = [False] * len(self.sources)
        for node in range(len(self.sources) - 1, 0, -1):
            operation = self.operations[node]
            if operation == "add" or (operation in _CHANNELWISE and sensitive[node]):
                for source in self.sources[node]:
                    sensitive[source] = True
        return [flag and operation == "concat" for flag, operation in zip(sensitive, self.operations, strict=True)]

    def _operands(self, node: int, values: list[int] | dict[int, int]) -> tuple[int, ...]:
        """Return the values of a node's predecessors, in their own order if that matters, sorted otherwise."""
        operands = tuple(values[source] for source in self.sources[node])
        return operands if self.ordered[node] else tuple(sorted(operands))

    def _refine(self) -> list[int]:
        """Return Weisfeiler-Lehman colours: a number per node that isomorphic networks share."""
        colours = _ranks([(*label, flag) for label, flag in zip(self.labels, self.ordered, strict=True)])
        for _ in self.sources:
            below: list[list[tuple[int, int]]] = [[] for _ in self.sources]
            for node, sources in enumerate(self.sources):
                for place, source in enumerate(sources):
                    below[source].append((colours[node], place if self.ordered[node] else 0))
            refined = _ranks(
                [
                    (colours[node], self._operands(node, colours), tuple(sorted(below[node])))
                    for node in range(len(below))
                ]
            )
            if len(set(refined)) == len(set(colours)):
                break
            colours = refined
        return colours

    def smallest_order(self, placed: dict[int, int], left: frozenset[int]) -> tuple[tuple[int, int, int, int], ...]:
        """Return the smallest (type, kernel, p1, p2) sequence of the nodes ``left``, given those of ``placed``."""
        if not left:
            return ()
        keys = {
            node: (tuple(-place for place in sorted(operands, reverse=True)), self.labels[node], operands, colour)
            for node in left
            if all(source in placed for source in self.sources[node])
            for operands, colour in [(self._operands(node, placed), self.colours[node])]
        }
        best = min(keys.values())
        tied = [node for node, key in keys.items() if key == best]
        twins = [node for place, node in enumerate(tied) if not any(self._twins(node, other) for other in tied[:place])]
        first, second = (*best[2], 0)[:2]
        head = (*best[1], first, second)
        number = len(placed)
        tails = (self.smallest_order({**placed, node: number}, left - {node}) for node in twins)
        return (head, *min(tails, key=_order_key))

    def _twins(self, one: int, other: int) -> bool:
        """Return whether exchanging two nodes of equal key leaves the network as it is."""
        swap = {one: other, other: one}
        for node, sources in enumerate(self.sources):
            if one in sources or other in sources:
                swapped = tuple(swap.get(source, source) for source in sources)
                if swapped != sources and (self.ordered[node] or sorted(swapped) != sorted(sources)):
                    return False
        return True


def _order_key(layers: tuple[tuple[int, int, int, int], ...]) -> tuple[Any, ...]:
    return tuple((-max(p1, p2), -min(p1, p2), kind, kernel, p1, p2) for kind, kernel, p1, p2 in layers)


def _ranks(signatures: list[Any]) -> list[int]:
    """Return each signature's rank among the distinct ones."""
    rank = {signature: place for place, signature in enumerate(sorted(set(signatures)))}
    return [rank[signature] for signature in signatures]
