"""Map sizes, validity, parameters and floating point operations of an NSC network, without building it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vectors, leaves, predecessors
from nasbench_rl.spaces.nsc.text import layer_name

Shape: TypeAlias = "tuple[int, int, int]"  # height, width, channels


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """The size of one network.

    Attributes:
        params: trainable parameters, prediction module included.
        flops: 2 x multiply-accumulates of convolutions and dense layers in one forward pass of one image. Pooling,
            batch norm, ReLU and additions are not counted.
        features: inputs of the prediction module, height x width x channels of the last map.
    """

    params: int
    flops: int
    features: int


def conv_filters(count: int, filters: int, growth: int = 1) -> int:
    """Return the filters of the ``count``-th convolution (from 1): ``filters`` x ``growth`` ** (count - 1).

    Experiment 2 doubles them: 2 ** (4 + i), so ``filters`` 32 and ``growth`` 2 (section 6.1).
    """
    return int(filters * growth ** (count - 1))


def node_shapes(
    vectors: Vectors, definition: NscDefinition, image: Shape, filters: int = 32, growth: int = 1
) -> tuple[Shape, ...]:
    """Return the shape of the map at each node: the input, layers 1 … n, and last the map the prediction module reads.

    Convolutions use valid padding and stride 1, pooling uses valid padding and a stride equal to its size. Add and
    concat zero-pad the smaller map to the larger height and the larger width; add also pads the channels of the
    thinner one, concat sums them.

    Args:
        vectors: the network.
        definition: its space.
        image: (height, width, channels) of the input.
        filters: filters of the first convolution.
        growth: factor by which each later convolution has more.

    Raises:
        InvalidArchitectureError: a map vanishes; the message names the layer.
    """
    shapes: list[Shape] = [image]
    convolutions = 0
    for vector in vectors:
        _, kind, kernel, first, _ = vector
        operation = definition.operation(kind)
        height, width, channels = shapes[first]
        if operation == "conv":
            convolutions += 1
            shape = (height - kernel + 1, width - kernel + 1, conv_filters(convolutions, filters, growth))
        elif operation in ("maxpool", "avgpool"):
            shape = (height // kernel, width // kernel, channels)
        elif operation == "identity":
            shape = (height, width, channels)
        else:
            shape = joined_shape([shapes[source] for source in predecessors(vector, definition)], operation)
        if shape[0] < 1 or shape[1] < 1:
            name = layer_name(kind, kernel, definition)
            raise InvalidArchitectureError(
                f"the map vanishes at layer {vector[0]}: {name} on {height}x{width}; "
                f"the network is invalid for images of {image[0]}x{image[1]}"
            )
        shapes.append(shape)
    ends = [shapes[leaf] for leaf in leaves(vectors, definition)]
    return (*shapes, joined_shape(ends, "concat"))


def joined_shape(shapes: list[Shape], operation: str) -> Shape:
    """Return the shape after adding or concatenating maps of these shapes."""
    heights, widths, channels = zip(*shapes, strict=True)
    return max(heights), max(widths), max(channels) if operation == "add" else sum(channels)


def is_valid(vectors: Vectors, definition: NscDefinition, height: int, width: int) -> bool:
    """Return whether no map vanishes for images of this size; channels and filters do not matter."""
    try:
        node_shapes(vectors, definition, (height, width, 1), filters=1)
    except InvalidArchitectureError:
        return False
    return True


def network_size(
    vectors: Vectors,
    definition: NscDefinition,
    image: Shape,
    classes: int,
    *,
    filters: int = 32,
    growth: int = 1,
    dense: int = 1024,
) -> NetworkSize:
    """Return the parameters and FLOPs of a network with its prediction module (section 4.1.2).

    A convolution has no bias: the batch norm after it has one. It counts kernel² x inputs x outputs weights, plus a
    scale and a shift per output.

    Raises:
        InvalidArchitectureError: a map vanishes.
    """
    shapes = node_shapes(vectors, definition, image, filters, growth)
    params = flops = 0
    for index, kind, kernel, first, _ in vectors:
        if definition.operation(kind) != "conv":
            continue
        height, width, outputs = shapes[index]
        weights = kernel * kernel * shapes[first][2] * outputs
        params += weights + 2 * outputs
        flops += 2 * weights * height * width
    height, width, channels = shapes[-1]
    features = height * width * channels
    params += features * dense + dense + dense * classes + classes
    flops += 2 * (features * dense + dense * classes)
    return NetworkSize(params, flops, features)
