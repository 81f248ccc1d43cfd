"""Differentiable architecture search on a kernel-choice space: DARTS, as RL-DARTS brings it to reinforcement learning.

Liu et al. (2019), "DARTS: Differentiable architecture search", https://arxiv.org/abs/1806.09055: every choice block is
a mixed operation, the softmax(alpha)-weighted sum of all its candidates (its eq. 2). Miao et al. (2022),
"Differentiable architecture search for reinforcement learning", https://arxiv.org/abs/2106.02229: the mixed network
takes the place of the agent's and plays the games itself; there is no second data set, so weights and alphas go down
the same RL loss together, to first order, in one optimiser (official code: github.com/google/brain_autorl, rl_darts).
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.task import GameTask
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.networks import run_conv
from nasbench_rl.training.ppo import Curve, fit, make_generator
from nasbench_rl.training.process import deterministic
from nasbench_rl.training.supernet import ChoiceBlocks


class MixedNetwork(ChoiceBlocks):
    """An agent in which every choice block is the softmax(alpha)-weighted sum of all its convolutions.

    A candidate is a convolution with its ReLU, as where an architecture is trained from scratch.

    Attributes:
        alphas: (layers, kernels) architecture parameters, in the order of the space's kernels.
    """

    def __init__(self, task: GameTask, generator: torch.Generator) -> None:
        """``task``: fixes layers and initial alphas; ``generator``: draws the initial weights."""
        super().__init__(task, generator)
        recipe, shape = task.darts_recipe, (task.space.depth, len(task.space.kernels))
        self.temperature = recipe.temperature
        self.alphas = nn.Parameter(torch.full(shape, recipe.initial_alpha))

    def mixture(self) -> Tensor:
        """Return (layers, kernels) softmax(alpha): the weight of every candidate in its block."""
        return torch.softmax(self.temperature * self.alphas, -1)

    def run_choices(self, x: Tensor) -> Tensor:
        """Return the stem's maps (batch, channels, height, width) through all convolutions of each block."""
        for layer, weights in enumerate(self.mixture()):
            # In float32 under autocast too: alphas are driven by small differences between large sums.
            parts = (run_conv(self.block(layer, kernel), x).float() for kernel in self.by_kernel)
            weighted = (weight * part for weight, part in zip(weights, parts, strict=True))
            x = functools.reduce(torch.add, weighted)
        return x


@dataclass(frozen=True, slots=True)
class DartsPoint:
    """A differentiable search at one fidelity.

    Attributes:
        fidelity: the fidelity that has just been reached.
        env_steps: env steps of fitting so far: the first end of an update at or after ``fidelity``.
        mixture: (layers, kernels) softmax(alpha) of every block.
        return_last100: mean return of the mixed network's last 100 finished games, NaN before a first one.
        games: games that it has finished.
        cpu_seconds: of fitting, from the start.
        wall_seconds: of fitting, from the start.
    """

    fidelity: int
    env_steps: int
    mixture: tuple[tuple[float, ...], ...]
    return_last100: float
    games: int
    cpu_seconds: float
    wall_seconds: float

    def probability(self, task: GameTask, arch: ArchLike) -> float:
        """Return the product of the architecture's weights over the blocks."""
        kernels, choices = task.space.kernels, task.space.parse(arch).choices
        return math.prod(row[kernels.index(kernel)] for row, kernel in zip(self.mixture, choices, strict=True))


@dataclass(frozen=True)
class FittedDarts:
    """A finished differentiable search: the mixed network with its final weights, and a point at every fidelity."""

    network: MixedNetwork
    points: tuple[DartsPoint, ...]


def seed_sequence(task: GameTask, seed: int) -> np.random.SeedSequence:
    """All randomness of a search comes from its seed; the key is no training's and no supernet's of the space."""
    return np.random.SeedSequence(entropy=seed, spawn_key=(len(task.space) + 1,))


@deterministic()
def fit_darts(
    task: GameTask, seed: int, device: str = "cpu", progress: Callable[[int], None] | None = None
) -> FittedDarts:
    """Fit weights and alphas of a mixed network together, by PPO on the task's games.

    Args:
        task: an RL task on a kernel-choice space; its recipe is also the search's, over the whole of its env steps.
        seed: of the search; with the same one the result is the same to the bit on one machine.
        device: ``"cpu"`` or ``"cuda"``.
        progress: called with the env steps done after each update; it may raise to stop the search.
    """
    on = torch.device(device)
    weight_seeds, *play_seeds = seed_sequence(task, seed).spawn(3)
    network = MixedNetwork(task, make_generator(weight_seeds)).to(on)
    games, points = make_games(task, task.recipe.num_envs), list[DartsPoint]()

    def after_update(curve: Curve) -> None:
        points.extend(_point(reached.fidelity, network, curve) for reached in curve.points[len(points) :])

    fit(network, task, games, play_seeds, on, fidelities=task.fidelities, after_update=after_update, progress=progress)
    return FittedDarts(network, tuple(points))


@torch.no_grad()
def _point(fidelity: int, network: MixedNetwork, curve: Curve) -> DartsPoint:
    """Return the search after the update in which it reached ``fidelity``."""
    mixture = tuple(tuple(row) for row in network.mixture().double().tolist())
    mean = math.fsum(curve.last) / len(curve.last) if curve.last else math.nan
    cpu, wall = time.process_time() - curve.cpu_start, time.perf_counter() - curve.wall_start
    return DartsPoint(fidelity, curve.steps, mixture, mean, curve.games, cpu, wall)
