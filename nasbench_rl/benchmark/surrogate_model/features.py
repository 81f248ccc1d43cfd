"""Structural features of NSC networks: what a predictor of accuracies reads instead of the network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.spaces.nsc import isomorphism
from nasbench_rl.spaces.nsc import size as nsc_cost
from nasbench_rl.spaces.nsc.channel_flow import POOLS, Signal, signals
from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vectors
from nasbench_rl.spaces.nsc.size import Shape
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.spaces.nsc.text import layer_name, layer_names
from nasbench_rl.task.images import ClassifierRecipe

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class NscFeatures:
    """The features of one space's networks on images of one size; call it with architectures.

    Lengths are in layers, areas in pixels of a map, logarithms to base 10. ``count.*`` counts layers, ``wide.*``
    convolutions whose kernel is wider than one pixel, and ``reach.*`` sums by how many pixels of their own maps kernels
    are wider than that, each before, between or after the pools. A place counts from 1; 0 is none. In a chain
    ``layer3.conv5`` is 1 when the third layer is a convolution of 5x5, and ``height3`` is the height of its map (0 past
    the last layer). In other spaces ``end.*`` tells of the layers that no other uses, ``inputs.*`` of what the inputs
    of the prediction module carry and ``main.*`` of what most of them do (see ``nsc_signals``), ``path.*`` counts
    layers on paths from the image to it, and ``merge.*`` the layers with two predecessors: all, those whose two are
    one, those that read the image, and the rows by which the smaller of their maps is padded.

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
        nodes = signals(vectors, definition, shapes)
        ends = Counter(carried for leaf in isomorphism.leaves(vectors, definition) for carried in nodes[leaf])
        return {
            "depth": len(vectors),
            "density": isomorphism.density(vectors, definition),
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
            **_paths((signal for carried in ends for signal in carried), image),
            **(
                _positions(vectors, definition, shapes)
                if definition.chain
                else _branches(vectors, definition, shapes) | _inputs(ends, shapes[-1])
            ),
        }


def _counts(vectors: Vectors, definition: NscDefinition) -> dict[str, float]:
    """Return the layers of each name, and of each operation."""
    operations = [layer.name for layer in definition.layers if layer.arity]
    counts = {f"count.{name}": 0.0 for name in (*layer_names(definition), *operations)}
    for _, kind, kernel, _, _ in vectors:
        operation = definition.operation(kind)
        counts[f"count.{operation}"] += 1
        if kernel:
            counts[f"count.{operation}{kernel}"] += 1
    return counts


def _order(vectors: Vectors, definition: NscDefinition) -> dict[str, float]:
    """Return where pools stand in canonical order; 0 and the whole length where there is none."""
    operations = [definition.operation(vector[1]) for vector in vectors]
    pools = [place for place, operation in enumerate(operations) if operation in POOLS]
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
    """Return how wide kernels are and where they stand to the pools, in canonical order."""
    layers = [(definition.operation(kind), kernel) for _, kind, kernel, _, _ in vectors]
    pools = [place for place, (operation, _) in enumerate(layers) if operation in POOLS]
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
        "pooled_before_conv": math.prod(kernel for operation, kernel in layers[: convs[0]] if operation in POOLS)
        if convs else 0,
        "maxpools": sum(layers[place][0] == "maxpool" for place in pools),
        "first_pool_is_max": bool(pools) and layers[first][0] == "maxpool",
        "last_pool_is_max": bool(pools) and layers[last][0] == "maxpool",
    }  # fmt: skip


def _convolution_maps(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """Return the areas of the convolutions' maps, and their weights."""
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


def _paths(ends: Iterable[Signal], image: Shape) -> dict[str, float]:
    """Return the longest and shortest way from image to prediction module, and what its units see."""
    length, convs, fewest_convs, field, stride = zip(
        *((end.length, end.convs, end.fewest_convs, end.field, end.stride) for end in ends), strict=True
    )
    return {
        "receptive_field": max(field),
        "seen_share": min(1.0, max(field) / min(image[:2])),
        "stride": max(stride),
        "path.convs": max(convs),
        "path.fewest_convs": min(fewest_convs),
        "path.length": max(length),
    }


def _positions(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """Return a chain's layers one-hot by position, and the height of each map."""
    names = layer_names(definition)
    features = {f"layer{place}.{name}": 0.0 for place in range(1, definition.depth + 1) for name in names}
    features.update((f"height{place}", 0.0) for place in range(1, definition.depth + 1))
    for index, kind, kernel, _, _ in vectors:
        features[f"layer{index}.{layer_name(kind, kernel, definition)}"] = 1.0
        features[f"height{index}"] = shapes[index][0]
    return features


def _branches(vectors: Vectors, definition: NscDefinition, shapes: Sequence[Shape]) -> dict[str, float]:
    """Return the layers that the prediction module reads, how branched the graph is, and what its merges join."""
    ends = isomorphism.leaves(vectors, definition)
    features = {f"end.{name}": 0.0 for name in layer_names(definition)}
    for end in ends:
        _, kind, kernel, _, _ = vectors[end - 1]
        features[f"end.{layer_name(kind, kernel, definition)}"] += 1.0
    sources = [source for vector in vectors for source in isomorphism.predecessors(vector, definition)]
    merges = [pair for vector in vectors if len(pair := isomorphism.predecessors(vector, definition)) == 2]
    ways = [1]  # from the image to each node
    for vector in vectors:
        ways.append(sum(ways[source] for source in isomorphism.predecessors(vector, definition)))
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


def _inputs(ends: Mapping[frozenset[Signal], int], shape: Shape) -> dict[str, float]:
    """Return means and shares over what the prediction module's inputs carry, padding left out.

    An input that is a sum counts for each of its summands. The main signal is the one with the most inputs.

    Args:
        ends: number of channels that carry these signals.
        shape: of the map that the prediction module reads.
    """
    counts: Counter[Signal] = Counter()
    alive = mixed = 0
    for carried, channels in ends.items():
        for signal in carried:
            counts[signal] += channels * signal.height * signal.width
        largest = channels * max(signal.height * signal.width for signal in carried)
        alive += largest
        mixed += largest * (len(carried) > 1)
    total = counts.total()
    main = max(counts, key=lambda signal: (counts[signal], signal))

    def mean(value: Callable[[Signal], float]) -> float:
        return sum(count * value(signal) for signal, count in counts.items()) / total

    def log_count(wanted: Callable[[Signal], bool]) -> float:
        return math.log10(1 + sum(count for signal, count in counts.items() if wanted(signal)))

    def largest_of(values: Iterable[int]) -> int:
        return max(values, default=0)

    wide = [signal for signal in counts if signal.wide]
    return {
        "inputs.log_alive": math.log10(alive),
        "inputs.alive": alive / math.prod(shape),
        "inputs.mixed": mixed / alive,
        "inputs.signals": len(counts),
        "inputs.convs": mean(lambda signal: signal.convs),
        "inputs.wide": mean(lambda signal: signal.wide),
        "inputs.convs_since_pool": mean(lambda signal: signal.convs_since_pool),
        "inputs.receptive_field": mean(lambda signal: signal.field),
        "inputs.stride": mean(lambda signal: signal.stride),
        "inputs.height": mean(lambda signal: signal.height),
        "inputs.without_convs": mean(lambda signal: not signal.convs),
        "inputs.without_wide": mean(lambda signal: not signal.wide),
        "inputs.log_image": log_count(lambda signal: not signal.convs),
        "inputs.log_wide": log_count(lambda signal: signal.wide > 0),
        "inputs.log_wide_pooled": log_count(lambda signal: signal.wide > 0 and signal.stride > 1),
        "inputs.log_wide_unpooled": log_count(lambda signal: signal.wide > 0 and signal.stride == 1),
        "inputs.image_height": largest_of(signal.height for signal in counts if not signal.convs),
        "inputs.most_wide": largest_of(signal.wide for signal in wide),
        "inputs.most_wide_pooled": largest_of(signal.wide for signal in wide if signal.stride > 1),
        "inputs.most_wide_just_pooled": largest_of(
            signal.wide for signal in wide if signal.stride > 1 and not signal.convs_since_pool
        ),
        "inputs.largest_wide_height": largest_of(signal.height for signal in wide),
        "inputs.smallest_wide_height": min((signal.height for signal in wide), default=0),
        "main.share": counts[main] / total,
        "main.convs": main.convs,
        "main.wide": main.wide,
        "main.convs_since_pool": main.convs_since_pool,
        "main.stride": main.stride,
        "main.height": main.height,
    }
