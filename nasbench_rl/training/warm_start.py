"""Train a network that begins with the weights of another: what live mode does for ``run.evaluate(…, inherit=parent)``.

The child is trained like any network of the task, only shorter, and its learning rate starts again: an agent's is
annealed to zero over the effort it gets, a classifier's falls every five epochs as ever. (Cai et al. 2018, "Efficient
architecture search by network transformation", start each child's rate again, too.) Nothing of this is a cell of a
table, which holds trainings from scratch alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from nasbench_rl.data.load import load_dataset
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc.morphism import find_morphism
from nasbench_rl.tables.results import Cost, Evaluation
from nasbench_rl.task import GameTask, ImageTask, Task
from nasbench_rl.training import ppo
from nasbench_rl.training.classifier import Generators, fit_network
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.net2net import grow_kernels, grow_layers, take_over
from nasbench_rl.training.networks import Agent
from nasbench_rl.training.nsc_network import NscNetwork
from nasbench_rl.training.process import deterministic

CALIBRATION = 128
"""Training images by which the batch norms of new layers are set."""
NOISE = 6e-3
"""Relative noise on replicas and new layers: that of Cai et al.'s code for path-level transformations."""

Progress = Callable[[int], None] | None


@dataclass(frozen=True, slots=True)
class Inherited:
    """A training that began with another network's weights.

    Attributes:
        evaluation: validation score at its end, by the task's metric, and what it cost.
        renewed: what began with fresh weights: ``"layer 3"``, ``"prediction"``; nothing when the function was kept.
    """

    evaluation: Evaluation
    renewed: tuple[str, ...]


@dataclass
class TrainedNetworks:
    """The trained networks of one run, by architecture: the last training of each, held in memory.

    Attributes:
        task: the task.
        device: where to train.
        progress: called with the effort done; it may raise to stop a training.
    """

    task: Task
    device: str = "cpu"
    progress: Progress = None
    held: dict[str, nn.Module] = field(default_factory=dict)

    def train_child(
        self, child: Architecture, parent: Architecture, seed: int, parent_seed: int, fidelity: int
    ) -> Inherited:
        """Train ``child`` for ``fidelity`` from the weights of ``parent``.

        A parent that is not held is first trained from scratch with ``parent_seed``: the table has its scores and not
        its weights.

        Raises:
            InvalidArchitectureError: a kernel would have to shrink.
        """
        if parent.name not in self.held:
            self.held[parent.name] = self._from_scratch(parent, parent_seed)
        cpu = time.process_time()
        streams = _streams(child, parent, seed, fidelity)
        renewed: tuple[str, ...] = ()
        if isinstance(self.task, GameTask):
            self.held[child.name], score = self._play(child, self.held[parent.name], streams, fidelity)
        else:
            self.held[child.name], score, renewed = self._classify(child, parent, streams, fidelity)
        size, cost = self.task.size(child), Cost(fidelity, self.task.fidelity_unit, time.process_time() - cpu)
        evaluation = Evaluation(
            self.task.id, child.name, fidelity, "validation", (seed,), score, float("nan"), {self.task.metric: score},
            cost, size.params, size.flops, "live", self.task.metric,
        )  # fmt: skip
        return Inherited(evaluation, renewed)

    def _from_scratch(self, arch: Architecture, seed: int) -> nn.Module:
        """Return the network of a cell, trained as the cell was."""
        if isinstance(self.task, GameTask):
            return ppo.train(self.task, arch, seed, self.device, self.progress).agent
        generators = Generators.from_seed(seed, self.device)
        network = self._network(arch, generators)
        data = load_dataset(self.task.environment.name)
        fit_network(network, data, self.task.recipe, generators, self.device, self.progress)
        return network

    def _network(self, arch: Architecture, generators: Generators) -> NscNetwork:
        task = self.task
        assert isinstance(task, ImageTask)
        definition, classes = task.space.definition, task.environment.classes
        return NscNetwork(
            arch.choices, definition, task.image, classes, task.recipe, generators.weights, generators.masks
        )

    @deterministic()
    def _play(
        self, child: Architecture, parent: nn.Module, streams: np.random.SeedSequence, steps: int
    ) -> tuple[Agent, float]:
        """PPO for ``steps`` env steps; the mean return of the last 100 games of it."""
        assert isinstance(self.task, GameTask) and isinstance(parent, Agent)
        on, task = torch.device(self.device), replace(self.task, recipe=replace(self.task.recipe, env_steps=steps))
        agent = grow_kernels(parent, task.network(child)).to(on)
        games = make_games(task, task.recipe.num_envs)
        curve = ppo.fit(agent, task, games, streams.spawn(2), on, fidelities=(steps,), progress=self.progress)
        return agent, curve.points[-1].return_last100

    def _classify(
        self, child: Architecture, parent: Architecture, streams: np.random.SeedSequence, epochs: int
    ) -> tuple[NscNetwork, float, tuple[str, ...]]:
        """``epochs`` passes over the training images; the validation accuracy at the end."""
        task = self.task
        assert isinstance(task, ImageTask)
        data = load_dataset(task.environment.name)
        generators = Generators.from_seed(int(streams.generate_state(1)[0]), self.device)
        network, old, recipe = self._network(child, generators).to(self.device), self.held[parent.name], task.recipe
        assert isinstance(old, NscNetwork)
        morphism = find_morphism(
            parent.choices, child.choices, task.space.definition, task.image, recipe.filters, recipe.filter_growth
        )
        renewed: tuple[str, ...] = ()
        if morphism is None:
            renewed = take_over(old, network)
        else:
            images, _ = data.subset("train", CALIBRATION)
            batch = torch.from_numpy(images.copy()).to(self.device).permute(0, 3, 1, 2).float() / 255
            grow_layers(old, network, morphism, batch, NOISE, generators.weights)
        short = replace(recipe, epochs=epochs)
        curve = fit_network(network, data, short, generators, self.device, self.progress)
        return network, curve[-1].validation_accuracy, renewed


def _streams(child: Architecture, parent: Architecture, seed: int, fidelity: int) -> np.random.SeedSequence:
    """Randomness that depends on what is trained alone; a key this long is none of a training from scratch."""
    text = f"{parent.name} > {child.name} @ {fidelity}".encode()
    return np.random.SeedSequence(seed, spawn_key=(int.from_bytes(hashlib.sha256(text).digest(), "big"),))
