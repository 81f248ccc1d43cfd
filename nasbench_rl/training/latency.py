"""How long a forward pass of each architecture takes, on one thread of this machine.

The machine should do nothing else meanwhile. Rounds go over all architectures and batches, each time in another order,
so that a clock that drifts or a neighbour that wakes up hits all alike and does not order them. In each round a network
runs untimed until it is warm, then for a few timed passes. The network runs as it does when it plays or is validated:
in evaluation mode, with its recipe's autocast, channels last.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from nasbench_rl.spaces.base import Architecture
from nasbench_rl.task import GameTask, ImageTask, Task
from nasbench_rl.training.networks import Agent
from nasbench_rl.training.nsc_network import NscNetwork
from nasbench_rl.training.process import tune_process

ROUNDS = 30
WARM_PASSES = 2
MOST_PASSES = 10
BURST_SECONDS = 0.01
"""A burst of timed passes ends after ``MOST_PASSES`` or so long, whichever is first; it has one at least."""


@dataclass
class Timing:
    """The timed passes of one architecture at one batch.

    Attributes:
        arch: the architecture.
        batch: observations or images a pass.
        seconds: wall seconds of each timed pass.
    """

    arch: Architecture
    batch: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Wall seconds."""
        return statistics.median(self.seconds)

    def quantile(self, share: float) -> float:
        """Return wall seconds that a ``share`` of the passes stays below."""
        return float(np.quantile(self.seconds, share))


def measure(
    task: Task,
    archs: Sequence[Architecture],
    batches: Sequence[int],
    rounds: int = ROUNDS,
    progress: Callable[[int], None] | None = None,
) -> list[Timing]:
    """Time ``archs`` at every batch, on one thread of this process.

    Args:
        task: whose networks they are.
        archs: what to measure; each must exist on the task's images.
        batches: observations or images a pass.
        rounds: bursts of passes that each architecture gets.
        progress: called with the number of finished rounds.

    Returns:
        A timing for each architecture and batch, in their order.
    """
    tune_process()
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    # One set of weights for all: thousands of networks with their own would not fit into memory side by side.
    pool = torch.empty(max(task.size(arch).params for arch in archs)).normal_(std=0.05, generator=generator)
    networks = [make_network(task, arch, pool) for arch in archs]
    inputs = {batch: make_input(task, batch, generator) for batch in batches}
    timings = [Timing(arch, batch) for arch in archs for batch in batches]
    of = [network for network in networks for _ in batches]
    with torch.inference_mode(), _no_collection():
        for done in range(rounds):
            for at in rng.permutation(len(timings)):
                _burst(of[at], inputs[timings[at].batch], timings[at].seconds)
            if progress is not None:
                progress(done + 1)
    return timings


def make_network(task: Task, arch: Architecture, pool: Tensor) -> Callable[[Tensor], object]:
    """Return the forward pass of an architecture's network; its weights, from ``pool``, don't change the speed."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(task, GameTask):
        agent = Agent(task.network(arch), generator, task.recipe.autocast)
        _borrow_weights(agent.eval(), pool)
        return agent
    assert isinstance(task, ImageTask)
    recipe, definition = task.recipe, task.space.definition
    classes = task.environment.classes
    network = NscNetwork(arch.choices, definition, task.image, classes, recipe, generator, generator)
    _borrow_weights(network.to(memory_format=torch.channels_last).eval(), pool)  # type: ignore[call-overload]

    def forward(images: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.autocast == "bf16"):
            return network(images)  # type: ignore[no-any-return]

    return forward


def _borrow_weights(network: nn.Module, pool: Tensor) -> None:
    at = 0
    for weight in network.parameters():  # strides are kept: channels last is faster
        weight.data = torch.as_strided(pool, weight.shape, weight.stride(), at)
        at += weight.numel()


def make_input(task: Task, batch: int, generator: torch.Generator) -> Tensor:
    """Return random observations (uint8, channels last) or images in [0, 1] as the task's networks take them."""
    if isinstance(task, GameTask):
        stem, side = task.network(task.space[0]).stem, task.space.backbone.observation
        shape = (batch, side, side, stem.inputs)
        if stem.stride == 4:  # the agent takes 4x4 blocks of pixels as channels
            shape = (batch, side // 4, side // 4, 16 * stem.inputs)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    assert isinstance(task, ImageTask)
    images = torch.rand((batch, *task.image), generator=generator).permute(0, 3, 1, 2)
    return images.bfloat16() if task.recipe.autocast == "bf16" else images


def _burst(forward: Callable[[Tensor], object], inputs: Tensor, seconds: list[float]) -> None:
    """Warm the caches, then add the seconds of each timed pass."""
    for _ in range(WARM_PASSES):
        forward(inputs)
    end = time.perf_counter() + BURST_SECONDS
    for _ in range(MOST_PASSES):
        started = time.perf_counter()
        forward(inputs)
        finished = time.perf_counter()
        seconds.append(finished - started)
        if finished > end:
            return


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection within: it would fall on one pass in thousands."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
