"""NSC networks in torch, and the two-block VGG-19 they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vectors, leaves, predecessors
from nasbench_rl.spaces.nsc.size import Shape, joined_shape, node_shapes
from nasbench_rl.task.images import ClassifierRecipe
from nasbench_rl.training.bfloat16 import Conv2d, Linear

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class NscNetwork(nn.Module):
    """A network of the NSC space with its prediction module (section 4.1; Figure 4).

    A convolution is a pre-activation cell: ReLU, convolution with valid padding, batch norm. Its weights have no bias,
    because the batch norm that follows has one. Pooling has valid padding and a stride equal to its size. Leaves are
    concatenated at the end. Merging follows ``fit``.

    Args:
        vectors: the architecture's choices, in canonical order.
        definition: its space.
        image: (height, width, channels) of the input.
        classes: number of classes.
        recipe: filters, dense units and dropout.
        weights: generator of the initial weights (Glorot uniform, the original framework's default).
        masks: generator of the dropout masks.

    Raises:
        InvalidArchitectureError: a map vanishes.
    """

    def __init__(
        self,
        vectors: Vectors,
        definition: NscDefinition,
        image: Shape,
        classes: int,
        recipe: ClassifierRecipe,
        weights: torch.Generator,
        masks: torch.Generator,
    ) -> None:
        super().__init__()
        self.shapes = node_shapes(vectors, definition, image, recipe.filters, recipe.filter_growth)
        self.sources = [predecessors(vector, definition) for vector in vectors]
        self.ends = leaves(vectors, definition)
        self.operations = [definition.operation(vector[1]) for vector in vectors]
        self.layers = nn.ModuleList()
        for (index, _, kernel, first, _), operation in zip(vectors, self.operations, strict=True):
            self.layers.append(self._layer(operation, kernel, self.shapes[first][2], self.shapes[index][2], weights))
        height, width, channels = self.shapes[-1]
        self.prediction = PredictionModule(height * width * channels, classes, recipe, weights, masks)

    @staticmethod
    def _layer(operation: str, kernel: int, inputs: int, outputs: int, weights: torch.Generator) -> nn.Module:
        if operation == "conv":
            return nn.Sequential(nn.ReLU(), glorot_conv(inputs, outputs, kernel, weights), nn.BatchNorm2d(outputs))
        if operation == "maxpool":
            return nn.MaxPool2d(kernel)
        if operation == "avgpool":
            return nn.AvgPool2d(kernel)
        return nn.Identity()  # identity, and the merges, which forward does

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, height, width) in [0, 1] to logits (n, classes)."""
        maps = [images]
        for layer, operation, sources in zip(self.layers, self.operations, self.sources, strict=True):
            inputs = [maps[source] for source in sources]
            maps.append(merge(inputs, operation) if len(inputs) > 1 else layer(inputs[0]))
        ends = [maps[leaf] for leaf in self.ends]
        joined = merge(ends, "concat") if len(ends) > 1 else ends[0]
        logits: torch.Tensor = self.prediction(joined)
        return logits


class PredictionModule(nn.Module):
    """Flatten, dense with ReLU, dropout, dense to the classes; the softmax is in the loss (section 4.1.2)."""

    def __init__(
        self, features: int, classes: int, recipe: ClassifierRecipe, weights: torch.Generator, masks: torch.Generator
    ) -> None:
        super().__init__()
        self.hidden = glorot_linear(features, recipe.dense, weights)
        self.out = glorot_linear(recipe.dense, classes, weights)
        self.dropout = recipe.dropout
        self.masks = masks

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, height, width) to logits (n, classes)."""
        # Flattened in memory order: channels_last maps would otherwise be copied.
        hidden = functional.relu(self.hidden(maps.permute(0, 2, 3, 1).flatten(1)))
        if self.training and self.dropout > 0:
            # nn.Dropout draws from torch's global state; this does not.
            kept = torch.empty_like(hidden).bernoulli_(1 - self.dropout, generator=self.masks)
            hidden = hidden * kept / (1 - self.dropout)
        logits: torch.Tensor = self.out(hidden)
        return logits


class VggTwoBlocks(nn.Module):
    """The first two blocks of VGG-19 with the same prediction module: the hand-made baseline of Experiment 2.

    Two 3x3 convolutions of 64 filters, pooling, two of 128, pooling; padding keeps the size, no batch norm, as in
    VGG-19 itself. The paper says no more of it than "a VGG-19 network with only two blocks".
    """

    def __init__(
        self, image: Shape, classes: int, recipe: ClassifierRecipe, weights: torch.Generator, masks: torch.Generator
    ) -> None:
        super().__init__()
        height, width, inputs = image
        layers: list[nn.Module] = []
        for outputs in (64, 128):
            for channels in (inputs, outputs):
                layers += [glorot_conv(channels, outputs, 3, weights, padding=1, bias=True), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.prediction = PredictionModule((height // 4) * (width // 4) * 128, classes, recipe, weights, masks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, height, width) in [0, 1] to logits (n, classes)."""
        logits: torch.Tensor = self.prediction(self.layers(images))
        return logits


def merge(maps: Sequence[torch.Tensor], operation: str) -> torch.Tensor:
    """Add or concatenate maps (n, channels, height, width), the smaller ones zero-padded.

    The rule: every map is padded to the largest height and the largest width among them; for add, to the most channels
    too. Half of what is lacking goes before, rounded down, the rest after, in each dimension, as the original's
    ``fix_tensor_shape`` does. Two differences: the original also pads the channels of what it concatenates, which adds
    zeros that no function needs; and it joins leaves one by one, where the rounding depends on their order.
    """
    shapes = [(item.shape[2], item.shape[3], item.shape[1]) for item in maps]
    height, width, channels = joined_shape(shapes, operation)
    if operation == "concat":
        return torch.cat([fit(item, item.shape[1], height, width) for item in maps], dim=1)
    total = fit(maps[0], channels, height, width)
    for item in maps[1:]:
        total = total + fit(item, channels, height, width)
    return total


def fit(maps: torch.Tensor, channels: int, height: int, width: int) -> torch.Tensor:
    """Zero-pad maps (n, c, h, w) to (n, channels, height, width), half before (rounded down) and half after."""
    padding: list[int] = []
    for size, wanted in ((maps.shape[3], width), (maps.shape[2], height), (maps.shape[1], channels)):
        padding += [(wanted - size) // 2, (wanted - size) - (wanted - size) // 2]
    return functional.pad(maps, padding) if any(padding) else maps


def glorot_conv(
    inputs: int, outputs: int, kernel: int, weights: torch.Generator, padding: int = 0, bias: bool = False
) -> nn.Conv2d:
    """Return a convolution with Glorot-uniform weights; skip_init keeps torch's global random state out of it."""
    conv: nn.Conv2d = nn.utils.skip_init(Conv2d, inputs, outputs, kernel, padding=padding, bias=bias)
    return _initialise(conv, weights)


def glorot_linear(inputs: int, outputs: int, weights: torch.Generator) -> nn.Linear:
    """Return a dense layer with Glorot-uniform weights and zero bias."""
    linear: nn.Linear = nn.utils.skip_init(Linear, inputs, outputs)
    return _initialise(linear, weights)


def _initialise(layer: Layer, weights: torch.Generator) -> Layer:
    nn.init.xavier_uniform_(layer.weight, generator=weights)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
