"""Structural features of NSC networks: what a predictor of accuracies reads instead of the network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nasbench_rl.recipes_nsc import ClassifierRecipe
from nasbench_rl.spaces import nsc_cost, nsc_graph
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.spaces.nsc import NscSpace
from nasbench_rl.spaces.nsc_cost import Shape
from nasbench_rl.spaces.nsc_definition import NscDefinition
from nasbench_rl.spaces.nsc_graph import Vectors
from nasbench_rl.spaces.nsc_text import layer_name, layer_names

Floats = np.ndarray[Any, np.dtype[np.float64]]

_POOLS = ("maxpool", "avgpool")


@dataclass(frozen=True)
class NscFeatures:
    """The features of one space's networks on images of one size; call it with architectures.

    Lengths are in layers, areas in pixels of a map, logarithms to base 10. ``count.*`` counts layers, ``wide.*``
    convolutions whose kernel is wider than one pixel, and ``reach.*`` sums by how many pixels of their own maps kernels
    are wider than that, each before, between or after the pools. A place counts from 1; 0 is none. In a chain
    ``layer3.conv5`` is 1 when the third layer is a convolution of 5x5, and ``height3`` is the height of its map (0 past
    the last layer). In other spaces ``end.*`` tells of the layers that no other uses, ``inputs.*`` of the inputs that
    these give to the prediction module, mostly means over them, ``path.*`` counts layers on paths from the image to it,
    and ``merge.*`` the layers with two predecessors: all, those whose two are one, those that read the image, and the
    rows by which the smaller of their maps is padded.

    Attributes:
        space: the NSC space, of the package or of one's own.
        image: (height, width, channels) of the images.
        classes: number of classes.
        recipe: gives filters and dense units.
    """

    space: NscSpace
    image: Shape
    classes: int
    recipe: ClassifierRecipe

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each column; it depends on the space alone."""
        kind, kernel = self.space.definition.options(1)[0]
        side = max(kernel, 1)
        return tuple(self._describe(((1, kind, kernel, 0, 0),), (side, side, 1)))

    def __call__(self, archs: Sequence[ArchLike]) -> Floats:
        """Features of architectures.

        Args:
            archs: (n,) anything the space parses.

        Returns:
            (n, len(names)) float64.

        Raises:
            InvalidArchitectureError: one is not in the space, or its maps vanish on these images.
        """
        features = np.empty((len(archs), len(self.names)))
        for row, arch in enumerate(archs):
            features[row] = list(self._describe(self.space.parse(arch).choices, self.image).values())
        return features

    def _describe(self, vectors: Vectors, image: Shape) -> dict[str, float]:
        definition, recipe = self.space.definition, self.recipe
        filters, growth = recipe.filters, recipe.filter_growth
        shapes = nsc_cost.node_shapes(vectors, definition, image, filters, growth)
        size = nsc_cost.network_size(
            vectors, definition, image, self.classes, filters=filters, growth=growth, dense=recipe.dense
        )
        height, width, channels = shapes[-1]
        return {
            "depth": len(vectors),
            "density": nsc_graph.density(vectors, definition),
            "log_params": math.log10(size.params),
            "log_flops": math.log10(size.flops),
            "log_dense_inputs": math.log10(size.features),
            "final_height": height,
            "final_width": width,
            "final_channels": channels,
            **_counts(vectors, definition),
            **_order(vectors, definition),
            **_kernels(vectors, definition),
            **_convolution_maps(vectors, definition, shapes),
            **_paths(vectors, definition, image),
            **(
                _positions(vectors, definition, shapes)
                if definition.chain
                else _branches(vectors, definition, shapes) | _inputs(vectors, definition, shapes)
            ),
        }


def _counts(vectors: Vectors, definition: NscDefinition) -> dict[str, float]:
    """Layers of each name, and of each operation."""
    operations = [layer.name for layer in definition.layers if layer.arity]
    counts = {f"count.{name}": 0.0 for name in (*layer_names(definition), *operations)}
    for _, kind, kernel, _, _ in vectors:
        operation = definition.operation(kind)
        counts[f"count.{operation}"] += 1
        if kernel:
            counts[f"count.{operation}{kernel}"] += 1
    return counts


def _order(vectors: Vectors, definition: NscDefinition) -> dict[str, float]:
    """Where pools stand among the layers in canonical order; 0 and the whole length where there is none."""
    operations = [definition.operation(vector[1]) for vector in vectors]
    pools = [place for place, operation in enumerate(operations) if operation in _POOLS]
    first, last = (pools[0], pools[-1]) if pools else (len(operations), -1)
    return {
        "first_pool": first + 1 if pools else 0,
        "last_pool": last + 1,
        "pools": len(pools),
        "adjacent_pools": sum(after - before == 1 for before, after in zip(pools, pools[1:], strict=False)),
        "convs_before_first_pool": operations[:first].count("conv"),
        "convs_between_pools": operations[first:last].count("conv") if pools else 0,
        "convs_after_last_pool": operations[last + 1 :].count("conv"),
        "ends_in_pool": bool(pools) and last == len(operations) - 1,
    }


def _kernels(vectors: Vectors, definition: NscDefinition) -> dict[str, float]:
    """How wide kernels are and where they stand to the pools, in canonical order."""
    layers = [(definition.operation(kind), kernel) for _, kind, kernel, _, _ in vectors]
    pools = [place for place, (operation, _) in enumerate(layers) if operation in _POOLS]
    convs = [place for place, (operation, _) in enumerate(layers) if operation == "conv"]
    wide = [place for place in convs if layers[place][1] > 1]
    first, last = (pools[0], pools[-1]) if pools else (len(layers), -1)
    parts = {
        "before_first_pool": layers[:first],
        "between_pools": layers[first:last] if pools else [],
        "after_last_pool": layers[last + 1 :],
    }
    kernels = {name: [kernel for operation, kernel in part if operation == "conv"] for name, part in parts.items()}
    return {
        **{f"wide.{name}": sum(kernel > 1 for kernel in found) for name, found in kernels.items()},
        **{f"reach.{name}": sum(kernel - 1 for kernel in found) for name, found in kernels.items()},
        "wide_convs": len(wide),
        "first_conv": convs[0] + 1 if convs else 0,
        "last_conv": convs[-1] + 1 if convs else 0,
        "first_wide_conv": wide[0] + 1 if wide else 0,
        "first_kernel": layers[convs[0]][1] if convs else 0,
        "last_kernel": layers[convs[-1]][1] if convs else 0,
        "layers_after_wide": len(layers) - 1 - wide[-1] if wide else len(layers),
        "pooled_before_conv": math.prod(kernel for operation, kernel in layers[: convs[0]] if operation in _POOLS)
        if convs else 0,
        "maxpools": sum(layers[place][0] == "maxpool" for place in pools),
        "first_pool_is_max": bool(pools) and layers[first][0] == "maxpool",
        "last_pool_is_max": bool(pools) and layers[last][0] == "maxpool",
    }  # fmt: skip


def _convolution_maps(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """Areas of the convolutions' maps, and their weights."""
    areas, weights, widest = [], 0, 0
    for index, kind, kernel, source, _ in vectors:
        if definition.operation(kind) == "conv":
            height, width, outputs = shapes[index]
            areas.append(height * width)
            weights += kernel * kernel * shapes[source][2] * outputs
            widest = max(widest, kernel)
    return {
        "log_conv_area": math.log10(1 + sum(areas)),
        "log_largest_conv_area": math.log10(1 + max(areas, default=0)),
        "log_smallest_conv_area": math.log10(1 + min(areas, default=0)),
        "log_conv_weights": math.log10(1 + weights),
        "largest_kernel": widest,
    }


@dataclass(frozen=True)
class _Way:
    """What lies between the image and a layer; of several ways the longest counts, for each attribute by itself."""

    length: int = 0
    convs: int = 0
    fewest_convs: int = 0  # here the shortest
    wide: int = 0  # convolutions whose kernel is wider than one pixel
    convs_since_pool: int = 0
    field: int = 1
    stride: int = 1


def _ways(vectors: Vectors, definition: NscDefinition) -> list[_Way]:
    """The way to the image, which is none, and to each layer."""
    ways = [_Way()]
    for vector in vectors:
        _, kind, kernel, _, _ = vector
        operation = definition.operation(kind)
        sources = [ways[source] for source in nsc_graph.predecessors(vector, definition)]
        is_conv, is_pool = operation == "conv", operation in _POOLS
        jump = max(way.stride for way in sources)
        ways.append(
            _Way(
                length=max(way.length for way in sources) + 1,
                convs=max(way.convs for way in sources) + is_conv,
                fewest_convs=min(way.fewest_convs for way in sources) + is_conv,
                wide=max(way.wide for way in sources) + (is_conv and kernel > 1),
                convs_since_pool=0 if is_pool else max(way.convs_since_pool for way in sources) + is_conv,
                field=max(way.field for way in sources) + (max(kernel, 1) - 1) * jump,
                stride=jump * kernel if is_pool else jump,
            )
        )
    return ways


def _paths(vectors: Vectors, definition: NscDefinition, image: Shape) -> dict[str, float]:
    """The longest and the shortest way from the image to the prediction module, and what its units see."""
    ways = _ways(vectors, definition)
    ends = [ways[end] for end in nsc_graph.leaves(vectors, definition)]
    largest = max(way.field for way in ends)
    return {
        "receptive_field": largest,
        "seen_share": min(1.0, largest / min(image[:2])),
        "stride": max(way.stride for way in ends),
        "path.convs": max(way.convs for way in ends),
        "path.fewest_convs": min(way.fewest_convs for way in ends),
        "path.length": max(way.length for way in ends),
    }


def _positions(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """A chain's layers one-hot by position, and the height of each map."""
    names = layer_names(definition)
    features = {f"layer{place}.{name}": 0.0 for place in range(1, definition.depth + 1) for name in names}
    features.update((f"height{place}", 0.0) for place in range(1, definition.depth + 1))
    for index, kind, kernel, _, _ in vectors:
        features[f"layer{index}.{layer_name(kind, kernel, definition)}"] = 1.0
        features[f"height{index}"] = shapes[index][0]
    return features


def _branches(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """The layers that the prediction module reads, how branched the graph is, and what its merges join."""
    ends = nsc_graph.leaves(vectors, definition)
    features = {f"end.{name}": 0.0 for name in layer_names(definition)}
    for end in ends:
        _, kind, kernel, _, _ = vectors[end - 1]
        features[f"end.{layer_name(kind, kernel, definition)}"] += 1.0
    sources = [source for vector in vectors for source in nsc_graph.predecessors(vector, definition)]
    merges = [pair for vector in vectors if len(pair := nsc_graph.predecessors(vector, definition)) == 2]
    ways = [1]  # from the image to each node
    for vector in vectors:
        ways.append(sum(ways[source] for source in nsc_graph.predecessors(vector, definition)))
    return {
        **features,
        "merge.all": len(merges),
        "merge.same": sum(first == second for first, second in merges),
        "merge.with_image": sum(0 in pair for pair in merges),
        "merge.padded": sum(abs(shapes[first][0] - shapes[second][0]) for first, second in merges),
        "log_ways": math.log10(sum(ways[end] for end in ends)),
        "ends": len(ends),
        "reads_of_image": sources.count(0),
        "forks": sum(sources.count(node) > 1 for node in set(sources)),
    }


def _inputs(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """What the inputs of the prediction module have been through: means and shares over them, not over its layers.

    A layer that is read at full size gives hundreds of times the inputs of one behind two pools. Heights, fields and
    channels are of the layers that it reads.
    """
    ways, ends = _ways(vectors, definition), nsc_graph.leaves(vectors, definition)
    counts = [math.prod(shapes[end]) for end in ends]
    last = [definition.operation(vectors[end - 1][1]) for end in ends]
    through = [ways[end] for end in ends]
    heights = [shapes[end][0] for end in ends]
    seen = [place for place, way in enumerate(through) if way.wide]

    def mean(values: Iterable[float]) -> float:
        return sum(count * value for count, value in zip(counts, values, strict=True)) / sum(counts)

    operations = dict.fromkeys(layer.name for layer in definition.layers if layer.arity)
    return {
        **{f"inputs.{name}": mean(operation == name for operation in last) for name in operations},
        "inputs.convs": mean(way.convs for way in through),
        "inputs.wide": mean(way.wide for way in through),
        "inputs.convs_since_pool": mean(way.convs_since_pool for way in through),
        "inputs.receptive_field": mean(way.field for way in through),
        "inputs.stride": mean(way.stride for way in through),
        "inputs.without_convs": mean(not way.convs for way in through),
        "inputs.without_wide": mean(not way.wide for way in through),
        "inputs.log_wide": math.log10(1 + sum(counts[place] for place in seen)),
        "inputs.height_wide": sum(heights[place] for place in seen) / len(seen) if seen else 0,
        "inputs.largest_share": max(counts) / sum(counts),
        "end.largest_height": max(heights),
        "end.smallest_height": min(heights),
        "end.smallest_field": min(way.field for way in through),
        "end.channels": sum(shapes[end][2] for end in ends),
        "end.wide": len(seen),
    }
