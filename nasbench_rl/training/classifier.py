"""Train one classifier and measure it after every epoch: the performance estimation of section 4.1.2."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nasbench_rl.data.images import DataSplit, ImageData
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.spaces.nsc.size import Shape
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.task.images import ClassifierRecipe
from nasbench_rl.training.nsc_network import NscNetwork, VggTwoBlocks
from nasbench_rl.training.process import check_device, deterministic

EVALUATION_BATCH = 500


@dataclass(frozen=True, slots=True)
class EpochPoint:
    """A point of the learning curve.

    Attributes:
        epoch: epochs trained so far, from 1.
        train_loss: mean cross-entropy over the epoch's images, dropout on.
        validation_accuracy: share of validation images classified rightly, 0 … 1.
        test_accuracy: the same on test images.
        cpu_seconds: CPU time of this process since the start, evaluations included.
        wall_seconds: wall-clock time since the start.
    """

    epoch: int
    train_loss: float
    validation_accuracy: float
    test_accuracy: float
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Pixels:
    """One split on its device: uint8 (n, height, width, channels), labels (n,), and the type batches have.

    With autocast that is bfloat16 from the start: a float32 image that meets a bfloat16 map in a concatenation would
    turn everything after it into float32.
    """

    images: torch.Tensor
    labels: torch.Tensor
    dtype: torch.dtype

    def batch(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images (n, channels, height, width) in [0, 1], channels last in memory, and labels."""
        return self.images[rows].permute(0, 3, 1, 2).to(self.dtype).div_(255), self.labels[rows]


def train(
    space: NscSpace,
    arch: ArchLike,
    data: ImageData,
    recipe: ClassifierRecipe,
    seed: int,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> list[EpochPoint]:
    """Train an architecture of an NSC space.

    The same arguments give the same curve on one machine with one number of threads; torch's global random state is
    neither read nor written.

    Args:
        space: the NSC space.
        arch: anything the space parses.
        data: the data set; images of the recipe's size.
        recipe: how to train.
        seed: train seed, 0 or more; fixes weights, order and dropout.
        device: a torch device.
        progress: called with the number of epochs done, after each.

    Returns:
        One point an epoch.

    Raises:
        InvalidArchitectureError: not in the space, or its maps vanish at this image size.
        InvalidValueError: images of another size than the recipe's, a negative seed, or a device that is not there.
    """
    check_images(data.shape, recipe)
    check_device(device)
    generators = Generators.from_seed(seed, device)
    network = NscNetwork(
        space.parse(arch).choices,
        space.definition,
        data.shape,
        len(data.classes),
        recipe,
        generators.weights,
        generators.masks,
    )
    return fit_network(network, data, recipe, generators, device, progress)


def train_vgg(
    data: ImageData,
    recipe: ClassifierRecipe,
    seed: int,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> list[EpochPoint]:
    """Train the two-block VGG-19 baseline; arguments as for ``train``."""
    check_images(data.shape, recipe)
    check_device(device)
    generators = Generators.from_seed(seed, device)
    network = VggTwoBlocks(data.shape, len(data.classes), recipe, generators.weights, generators.masks)
    return fit_network(network, data, recipe, generators, device, progress)


@dataclass(frozen=True, slots=True)
class Generators:
    """Independent random streams of one train seed."""

    weights: torch.Generator
    order: torch.Generator
    masks: torch.Generator

    @classmethod
    def from_seed(cls, seed: int, device: str) -> Generators:
        """Streams of ``seed``; the masks are drawn on the device, the rest on the CPU."""
        if seed < 0:
            raise InvalidValueError(f"a train seed is 0 or more, not {seed}")
        streams = np.random.SeedSequence(seed).spawn(3)
        numbers = [int(stream.generate_state(1, np.uint64)[0] >> np.uint64(1)) for stream in streams]
        devices = ("cpu", "cpu", device)
        return cls(*(torch.Generator(place).manual_seed(n) for place, n in zip(devices, numbers, strict=True)))


def check_images(shape: Shape, recipe: ClassifierRecipe) -> None:
    """Raise InvalidValueError unless images of this shape are the recipe's."""
    size = recipe.image_size
    if size is not None and shape[:2] != (size, size):
        raise InvalidValueError(
            f"recipe {recipe.name!r} trains on {size}x{size} images, the data set has {shape[0]}x{shape[1]}"
        )


@deterministic()
def fit_network(
    network: nn.Module,
    data: ImageData,
    recipe: ClassifierRecipe,
    generators: Generators,
    device: str,
    progress: Callable[[int], None] | None = None,
) -> list[EpochPoint]:
    """Return the training itself: Adam on the cross-entropy, both held-out splits measured after every epoch."""
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = _pixels(data, "train", recipe, device)
    validation = _pixels(data, "validation", recipe, device)
    test = _pixels(data, "test", recipe, device)
    adam = torch.optim.Adam(
        network.parameters(), lr=recipe.learning_rate, betas=recipe.adam_betas, eps=recipe.adam_eps, fused=True
    )
    cpu, wall = time.process_time(), time.perf_counter()
    curve = []
    for epoch in recipe.fidelities:
        loss = _train_epoch(network, adam, training, recipe, generators.order, epoch)
        on_validation, on_test = (accuracy(network, split, recipe) for split in (validation, test))
        cpu_seconds, wall_seconds = time.process_time() - cpu, time.perf_counter() - wall
        curve.append(EpochPoint(epoch, loss, on_validation, on_test, cpu_seconds, wall_seconds))
        if progress is not None:
            progress(epoch)
    return curve


def _train_epoch(
    network: nn.Module,
    adam: torch.optim.Optimizer,
    data: Pixels,
    recipe: ClassifierRecipe,
    order: torch.Generator,
    epoch: int,
) -> float:
    """Return one pass in a new order, the ``epoch``-th; returns the mean loss."""
    network.train()
    rows = torch.randperm(len(data.labels), generator=order).to(data.labels.device)
    total = torch.zeros((), device=data.labels.device)
    batches = rows.split(recipe.batch)
    for step, chosen in enumerate(batches, (epoch - 1) * len(batches)):
        if len(chosen) == 1:  # batch norm has no variance of a single image whose map is 1x1
            continue
        images, labels = data.batch(chosen)
        with _autocast(recipe, images.device):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), labels)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        for group in adam.param_groups:
            group["lr"] = recipe.learning_rate_at(epoch, step)
        adam.step()
        total += loss.detach() * len(chosen)  # no .item() in the loop: it would wait for the device
    return float(total) / len(rows)


@torch.inference_mode()
def accuracy(network: nn.Module, data: Pixels, recipe: ClassifierRecipe) -> float:
    """Return share of images whose most probable class is the right one, 0 … 1."""
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    for start in range(0, len(data.labels), EVALUATION_BATCH):
        images, labels = data.batch(slice(start, start + EVALUATION_BATCH))
        with _autocast(recipe, images.device):
            logits = network(images)
        right += (logits.argmax(dim=1) == labels).sum()
    return int(right) / len(data.labels)


def _autocast(recipe: ClassifierRecipe, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.autocast == "bf16")


def _pixels(data: ImageData, split: DataSplit, recipe: ClassifierRecipe, device: str) -> Pixels:
    limit = recipe.train_images if split == "train" else recipe.held_out_images
    images, labels = data.subset(split, limit)
    dtype = torch.bfloat16 if recipe.autocast == "bf16" else torch.float32
    return Pixels(torch.from_numpy(images.copy()).to(device), torch.from_numpy(labels.copy()).to(device), dtype)
