"""What each channel of an NSC network's maps carries: which layers it has been through, and how much is padding.

``add`` and ``concat`` pad the smaller map with zeros, so that one large map can hold a small picture in each of its
channels; and they keep channels apart, so that pixels of the image can lie beside what five convolutions made of them.
The size of a map and the longest path to it tell neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from nasbench_rl.spaces.nsc import isomorphism
from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vectors
from nasbench_rl.spaces.nsc.size import Shape

POOLS = ("maxpool", "avgpool")


class Signal(NamedTuple):
    """A picture that a channel carries, and what the image has been through to become it.

    Attributes:
        height: of the picture, in pixels of the map, to one of them; the rest of the channel is zeros around it.
        width: the same.
        length: layers.
        convs: convolutions.
        fewest_convs: the same on the shortest way.
        wide: convolutions whose kernel is wider than one pixel.
        convs_since_pool: convolutions since the last pool.
        field: receptive field, in pixels of the image.
        stride: pixels of the image from one pixel to the next.
    """

    height: int
    width: int
    length: int = 0
    convs: int = 0
    fewest_convs: int = 0
    wide: int = 0
    convs_since_pool: int = 0
    field: int = 1
    stride: int = 1


Channels: TypeAlias = "list[frozenset[Signal]]"
"""What each channel of a map carries; ``add`` puts several signals into one."""


def signals(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> list[Channels]:
    """Return what the channels of the image and of each layer carry.

    A convolution makes one signal of all that it reads: of each attribute the largest, as the longest way has it.

    Args:
        vectors: the network.
        definition: its space.
        shapes: (height, width, channels) of the map at each node, as ``nsc_cost.node_shapes`` gives them.
    """
    height, width, channels = shapes[0]
    nodes: list[Channels] = [[frozenset([Signal(height, width)])] * channels]
    for vector in vectors:
        index, kind, kernel, _, _ = vector
        operation = definition.operation(kind)
        read = [nodes[source] for source in isomorphism.predecessors(vector, definition)]
        if operation == "conv":
            nodes.append([frozenset([_convolved(read[0], kernel, shapes[index])])] * shapes[index][2])
        elif operation in POOLS:
            nodes.append(_each(read[0], partial(_pooled, kernel=kernel, shape=shapes[index])))
        else:
            joined = _added(*read) if operation == "add" else [carried for channels in read for carried in channels]
            nodes.append(_each(joined, lambda signal: signal._replace(length=signal.length + 1)))
    return nodes


def _convolved(channels: Channels, kernel: int, shape: Shape) -> Signal:
    """Return one picture as large as the map: some channel of what is read is always without padding."""
    mixed = Signal(*map(max, zip(*(signal for carried in set(channels) for signal in carried), strict=True)))
    return mixed._replace(
        height=shape[0],
        width=shape[1],
        length=mixed.length + 1,
        convs=mixed.convs + 1,
        fewest_convs=min(signal.fewest_convs for carried in set(channels) for signal in carried) + 1,
        wide=mixed.wide + (kernel > 1),
        convs_since_pool=mixed.convs_since_pool + 1,
        field=mixed.field + (kernel - 1) * mixed.stride,
    )


def _pooled(signal: Signal, kernel: int, shape: Shape) -> Signal:
    return signal._replace(
        height=min(shape[0], -(-signal.height // kernel)),
        width=min(shape[1], -(-signal.width // kernel)),
        length=signal.length + 1,
        convs_since_pool=0,
        field=signal.field + (kernel - 1) * signal.stride,
        stride=signal.stride * kernel,
    )


def _added(first: Channels, second: Channels) -> Channels:
    """Add channel by channel; the fewer channels go to the middle of the more, as ``nsc_network.fit`` puts them."""
    fewer, more = sorted((first, second), key=len)
    before = (len(more) - len(fewer)) // 2
    middle = [one | other for one, other in zip(fewer, more[before:], strict=False)]
    return more[:before] + middle + more[before + len(fewer) :]


def _each(channels: Channels, change: Callable[[Signal], Signal]) -> Channels:
    changed = {carried: frozenset(map(change, carried)) for carried in set(channels)}
    return [changed[carried] for carried in channels]
