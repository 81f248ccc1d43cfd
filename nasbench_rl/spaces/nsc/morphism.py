"""Whether a larger NSC network can compute the function of a smaller one, and how; without building either.

A network morphism, in the sense of Chen, Goodfellow and Shlens (2016), "Net2Net", https://arxiv.org/abs/1511.05641:
every node of the child carries the channels of one node of the parent, each scaled, some of them repeated, some behind
a ReLU; whoever reads them with weights (a convolution, the prediction module) undoes that by choice of the weights.
Three kinds of nodes arise:

- ``copy``: the parent's layer. A convolution may have a larger kernel if what its valid padding cuts off at the lower
  and right edge is dropped by a later pooling anyway.
- ``identity``: a new convolution that passes its input through, but for the ReLU before it (Net2Deeper). So it may
  stand where only max-pooling lies between it and the next convolution, or where nothing is negative.
- ``merge``: add or concat of several replicas of one node (path-level transformations: Cai et al. 2018,
  https://arxiv.org/abs/1806.02639, section 3.1). Replicas that are added halve their output, as there.

All of this holds exactly for a batch norm in evaluation mode; in training its statistics are the batch's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vectors, leaves, predecessors
from nasbench_rl.spaces.nsc.size import Shape, node_shapes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a node of the child carries, channel by channel, (channels,) each.

    Attributes:
        node: the parent's node.
        index: which of its channels.
        scale: by what factor.
        relu: whether behind a ReLU that the parent's node is not behind.
    """

    node: int
    index: Array
    scale: Array
    relu: Array

    @property
    def repeats(self) -> Array:
        """How often each channel's source occurs among all channels."""
        counts: Array = np.bincount(self.index)[self.index]
        return counts

    def covers(self, channels: int) -> bool:
        """Return whether every one of the parent node's channels occurs."""
        return len(np.unique(self.index)) == channels

    def like(self, other: View) -> bool:
        """Return whether another view differs in nothing but the scale."""
        return (
            self.node == other.node
            and np.array_equal(self.index, other.index)
            and np.array_equal(self.relu, other.relu)
        )


@dataclass(frozen=True, slots=True)
class Role:
    """What a layer of the child is for. ``scale``: factor on a convolution's output."""

    kind: Literal["copy", "identity", "merge"]
    view: View
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Morphism:
    """How the child computes the parent's function.

    Attributes:
        roles: of the child's layers 1 … n.
        views: of the child's nodes 0 … n.
        joined: of what the prediction module reads; its ``node`` is len(parent) + 1, the parent's.
    """

    roles: tuple[Role, ...]
    views: tuple[View, ...]
    joined: View


def find_morphism(
    parent: Vectors, child: Vectors, definition: NscDefinition, image: Shape, filters: int = 32, growth: int = 1
) -> Morphism | None:
    """Return a way for ``child`` to compute the function of ``parent`` on images of this shape, or None.

    Args:
        parent: vectors of the smaller network.
        child: vectors of the larger one.
        definition: their space.
        image: (height, width, channels); pixels are not negative.
        filters: as in ``node_shapes``.
        growth: likewise.
    """
    try:
        shapes = [node_shapes(vectors, definition, image, filters, growth) for vectors in (parent, child)]
    except InvalidArchitectureError:
        return None
    return _Solver(parent, child, definition, *shapes).solve(())


@dataclass
class _Solver:
    """Depth-first over the roles of the child's layers in their order."""

    parent: Vectors
    child: Vectors
    definition: NscDefinition
    parent_shapes: tuple[Shape, ...]
    child_shapes: tuple[Shape, ...]
    positive: list[bool] = field(init=False)
    reads: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Which of the parent's nodes have no negative value, and how often each of the child's is read."""
        self.positive, self.reads = [True], [0] * (len(self.child) + 1)
        for vector in self.parent:
            conv = self.definition.operation(vector[1]) == "conv"
            self.positive.append(not conv and all(self.positive[s] for s in predecessors(vector, self.definition)))
        for vector in self.child:
            for source in predecessors(vector, self.definition):
                self.reads[source] += 1

    def solve(self, roles: tuple[Role, ...]) -> Morphism | None:
        """Return the morphism that begins with ``roles``."""
        if len(roles) == len(self.child):
            joined = self._joined(roles)
            return Morphism(roles, tuple(self._views(roles)), joined) if joined is not None else None
        for longer in self._longer(roles):
            found = self.solve(longer)
            if found is not None:
                return found
        return None

    def _views(self, roles: tuple[Role, ...]) -> list[View]:
        return [self._plain(0, self.parent_shapes[0][2]), *(role.view for role in roles)]

    def _plain(self, node: int, channels: int, scale: float = 1.0) -> View:
        return View(node, np.arange(channels), np.full(channels, scale), np.zeros(channels, dtype=bool))

    def _longer(self, roles: tuple[Role, ...]) -> list[tuple[Role, ...]]:
        """Return ``roles`` with each role that the next layer can have."""
        views, vector = self._views(roles), self.child[len(roles)]
        operation = self.definition.operation(vector[1])
        sources = predecessors(vector, self.definition)
        inputs = [views[source] for source in sources]
        if len(inputs) == 1:
            return [(*roles, role) for role in self._single(vector, operation, inputs[0])]
        found = [(*roles, Role("copy", view)) for view in self._merged(operation, sources, inputs)]
        return found + self._replicas(roles, operation, sources, inputs)

    def _single(self, vector: tuple[int, ...], operation: str, source: View) -> list[Role]:
        roles: list[Role] = []
        channels = self.child_shapes[vector[0]][2]
        for index, kind, kernel, first, _ in self.parent:
            if self.definition.operation(kind) != operation or first != source.node:
                continue
            if operation == "conv":
                fits = kernel <= vector[2] and self.parent_shapes[index][2] == channels
                if fits and source.covers(self.parent_shapes[first][2]):
                    roles.append(Role("copy", self._plain(index, channels)))
            elif kernel == vector[2] and (operation != "avgpool" or not source.relu.any()):
                roles.append(Role("copy", replace(source, node=index)))
        if operation == "conv" and len(np.unique(source.index)) <= channels:
            roles.append(Role("identity", self._passed_on(source, channels)))
        return roles

    def _passed_on(self, source: View, channels: int) -> View:
        distinct = np.unique(source.index)
        behind = not self.positive[source.node]
        return View(source.node, np.resize(distinct, channels), np.ones(channels), np.full(channels, behind))

    def _merged(self, operation: str, sources: tuple[int, ...], inputs: list[View]) -> list[View]:
        """Return the views of a merge that the parent has too."""
        found = []
        for vector in self.parent:
            if self.definition.operation(vector[1]) != operation:
                continue
            first, second = predecessors(vector, self.definition)
            for order in ((0, 1), (1, 0)):
                (one, at), (other, by) = ((inputs[place], sources[place]) for place in order)
                if (one.node, other.node) != (first, second) or not (self._whole(at, one) and self._whole(by, other)):
                    continue
                if operation == "concat":
                    shifts = {0: 0, 1: self.parent_shapes[first][2]}
                    found.append(_concat(vector[0], [(inputs[place], shifts[order[place]]) for place in (0, 1)]))
                elif self._in_order(one) and self._in_order(other) and one.scale[0] == other.scale[0]:
                    found.append(self._plain(vector[0], self.parent_shapes[vector[0]][2], float(one.scale[0])))
        return found

    def _whole(self, node: int, view: View) -> bool:
        """Return whether the map has the parent's height and width: a merge pads on all sides what is smaller."""
        return self.child_shapes[node][:2] == self.parent_shapes[view.node][:2]

    def _in_order(self, view: View) -> bool:
        """Return whether these are all the parent's channels, once each, with one scale and as they are."""
        channels = self.parent_shapes[view.node][2]
        plain = len(view.index) == channels and np.array_equal(view.index, np.arange(channels))
        return plain and not view.relu.any() and bool((view.scale == view.scale[0]).all())

    def _replicas(
        self, roles: tuple[Role, ...], operation: str, sources: tuple[int, ...], inputs: list[View]
    ) -> list[tuple[Role, ...]]:
        """Return the merge of two nodes that carry the same node of the parent."""
        one, other = inputs
        if one.node != other.node or self.child_shapes[sources[0]][:2] != self.child_shapes[sources[1]][:2]:
            return []
        if operation == "concat":
            return [(*roles, Role("merge", _concat(one.node, [(one, 0), (other, 0)])))]
        if not one.like(other):
            return []
        both = set(sources)
        if all(source and self._is_conv(source) and self.reads[source] == 3 - len(both) for source in both):
            halved = tuple(
                replace(role, scale=0.5, view=replace(role.view, scale=role.view.scale / 2)) if at in both else role
                for at, role in enumerate(roles, start=1)
            )
            return [(*halved, Role("merge", replace(one, scale=(one.scale + other.scale) / 2)))]
        return [(*roles, Role("merge", replace(one, scale=one.scale + other.scale)))]

    def _is_conv(self, node: int) -> bool:
        return self.definition.operation(self.child[node - 1][1]) == "conv"

    def _joined(self, roles: tuple[Role, ...]) -> View | None:
        """Return what the prediction module reads, if that is all the parent's reads."""
        views, offsets, total = self._views(roles), {}, 0
        for leaf in leaves(self.parent, self.definition):
            offsets[leaf], total = total, total + self.parent_shapes[leaf][2]
        parts = []
        for leaf in leaves(self.child, self.definition):
            view = views[leaf]
            if view.node not in offsets or view.relu.any() or not self._whole(leaf, view):
                return None
            parts.append((view, offsets[view.node]))
        joined = _concat(len(self.parent) + 1, parts)
        return joined if joined.covers(total) else None


def _concat(node: int, parts: list[tuple[View, int]]) -> View:
    """Return the views one after another, the channels of each shifted."""
    return View(
        node,
        np.concatenate([view.index + shift for view, shift in parts]),
        np.concatenate([view.scale for view, _ in parts]),
        np.concatenate([view.relu for view, _ in parts]),
    )
