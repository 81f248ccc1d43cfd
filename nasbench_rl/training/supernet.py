"""Weight sharing (RL-agents paper, section 4): one network that holds every architecture of a kernel-choice space.

Every choice block keeps its own weights for each kernel; an architecture is a path that takes one kernel a block.
``fit_supernet`` fits it with PPO on live games, one path an update. Which path is asked of ``sample_path``: uniform
draws are SPOS, a controller's are ENAS. ``measure_proxies`` scores architectures with the weights of the moment, from
inference alone.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import Architecture, ArchLike
from nasbench_rl.spaces.kernel_network import Network
from nasbench_rl.tables.results import PathUpdate
from nasbench_rl.task import GameTask
from nasbench_rl.training.bfloat16 import fixed_parameters
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.networks import Agent, make_conv, run_conv
from nasbench_rl.training.per_path_returns import ReturnsByPath
from nasbench_rl.training.ppo import Curve, fit, make_generator
from nasbench_rl.training.process import deterministic

SamplePath = Callable[[int, np.random.Generator], ArchLike]
"""(number of the update, its random draws) → the architecture whose path it trains."""


class ChoiceBlocks(Agent):
    """An agent whose choice layers hold one convolution a kernel.

    The stem, the linear layer and the heads are there once. All kernels of a layer have the same input and output
    channels, and reflection padding makes their maps equally large, so any of them can follow any other.
    """

    def __init__(self, task: GameTask, generator: torch.Generator) -> None:
        """``task``: its space and environment fix the layers; ``generator``: draws the initial weights."""
        depth, kernels = task.space.depth, task.space.kernels
        # A plain attribute, set first because the base class builds the choice layers from its constructor.
        self.by_kernel = {kernel: task.network((kernel,) * depth) for kernel in kernels}
        super().__init__(self.by_kernel[kernels[0]], generator, task.recipe.autocast)

    def make_choices(self, network: Network) -> nn.Module:
        """For each layer, one convolution a kernel."""
        return nn.ModuleList(
            nn.ModuleDict({str(kernel): make_conv(other.choices[i]) for kernel, other in self.by_kernel.items()})
            for i in range(len(network.choices))
        )

    def block(self, layer: int, kernel: int) -> nn.Conv2d:
        """Return the convolution of choice layer ``layer`` with this kernel size."""
        return self.convs[layer][str(kernel)]  # type: ignore[index, no-any-return]


class Supernet(ChoiceBlocks):
    """A network that holds every architecture as a path; ``select`` says which of them a forward pass takes."""

    def __init__(self, task: GameTask, generator: torch.Generator) -> None:
        """``task``: its space and environment fix the layers; ``generator``: draws the initial weights."""
        super().__init__(task, generator)
        self.path: tuple[int, ...] = (task.space.kernels[0],) * task.space.depth
        self._groups: list[_Groups] = []

    def select(self, paths: Sequence[int] | np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Take one path for every row of a batch, kernels (layers,), or one for each row, (rows, layers)."""
        kernels = np.asarray(paths)
        if kernels.ndim == 1:
            self.path, self._groups = tuple(kernels.tolist()), []
        else:
            self._groups = [_Groups.of(column) for column in kernels.T]

    def chosen(self) -> Sequence[nn.Conv2d]:
        """Return the convolutions of the one path that was selected."""
        return [self.block(layer, kernel) for layer, kernel in enumerate(self.path)]

    def run_choices(self, x: Tensor) -> Tensor:
        """Return the chosen convolutions; with a path for each row, the rows of one kernel go through it together."""
        if not self._groups:
            return super().run_choices(x)
        for layer, groups in enumerate(self._groups):
            parts = x.index_select(0, groups.order.to(x.device)).split(groups.sizes)
            outputs = [run_conv(self.block(layer, k), part) for k, part in zip(groups.kernels, parts, strict=True)]
            x = torch.cat(outputs).index_select(0, groups.inverse.to(x.device))
        return x


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows of a batch sorted by their kernel in one layer, and the way back."""

    order: Tensor
    inverse: Tensor
    kernels: list[int]
    sizes: list[int]

    @classmethod
    def of(cls, kernels: np.ndarray[Any, np.dtype[np.int64]]) -> _Groups:
        order = np.argsort(kernels, kind="stable")
        values, sizes = np.unique(kernels, return_counts=True)
        return cls(torch.from_numpy(order), torch.from_numpy(np.argsort(order)), values.tolist(), sizes.tolist())


@dataclass(frozen=True, slots=True)
class Proxy:
    """The score of one architecture with a supernet's weights.

    Attributes:
        arch: the architecture.
        returns: undiscounted, unclipped return of each fresh game, cut after the recipe's ``game_steps``.
        env_steps: env steps played to find out.
    """

    arch: Architecture
    returns: tuple[float, ...]
    env_steps: int

    @property
    def mean(self) -> float:
        """The proxy score."""
        return statistics.fmean(self.returns)

    @property
    def std(self) -> float:
        """Sample standard deviation over the games; NaN for a single game."""
        return statistics.stdev(self.returns) if len(self.returns) > 1 else math.nan


@dataclass(frozen=True, slots=True)
class SupernetPoint:
    """The supernet at one fidelity.

    Attributes:
        fidelity: the fidelity that has just been reached.
        env_steps: env steps of fitting so far: the first end of an update at or after ``fidelity``.
        proxies: one an architecture, in the order of the space.
        cpu_seconds: of fitting, from the start.
        proxy_cpu_seconds: of this point's proxies, all architectures together.
        wall_seconds: of fitting, from the start.
    """

    fidelity: int
    env_steps: int
    proxies: tuple[Proxy, ...]
    cpu_seconds: float
    proxy_cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class FittedSupernet:
    """A fitted supernet.

    Attributes:
        supernet: the network with its final weights.
        points: proxies of every architecture at the fidelities asked for.
        env_steps: env steps of fitting.
        cpu_seconds: of fitting alone.
        proxy_seeds: spawn from it for more proxies: its children are neither the fit's nor those of ``points``.
    """

    supernet: Supernet
    points: tuple[SupernetPoint, ...]
    env_steps: int
    cpu_seconds: float
    proxy_seeds: np.random.SeedSequence


@torch.inference_mode()
@fixed_parameters()
def measure_proxies(
    supernet: Supernet,
    task: GameTask,
    archs: Iterable[ArchLike],
    games: int,
    seeds: np.random.SeedSequence,
    device: torch.device,
) -> tuple[Proxy, ...]:
    """Return the proxy of each architecture: returns of ``games`` fresh games with the supernet's present weights.

    The games of all architectures advance together, each row of the batch along its own path: measured on one core,
    1.6 (16 games) to 5 times (one game) faster than an architecture at a time.
    """
    chosen = [task.space.parse(arch) for arch in archs]
    limited = replace(task, recipe=replace(task.recipe, max_game_steps=task.supernet_recipe.game_steps))
    vectors = [make_games(limited, games) for _ in chosen]
    env_seeds, action_seeds = seeds.spawn(2)
    generator = make_generator(action_seeds, device)
    observation = np.stack([v.reset(s) for v, s in zip(vectors, env_seeds.spawn(len(vectors)), strict=True)])
    action = np.zeros((len(vectors), games), dtype=np.int64)
    returns = np.full((len(vectors), games), np.nan)
    steps = np.zeros(len(vectors), dtype=np.int64)
    paths = np.repeat(np.array([arch.choices for arch in chosen]), games, axis=0)
    while (playing := np.isnan(returns)).any():
        supernet.select(paths[playing.ravel()])
        logits, _ = supernet(torch.from_numpy(observation[playing]).to(device))
        draw = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator).squeeze(-1)
        action[playing] = draw.cpu().numpy()
        for i in np.flatnonzero(playing.any(axis=1)):
            step = vectors[i].step(action[i])
            observation[i], steps[i] = step.observation, steps[i] + games
            for row, value in step.returns.items():
                if playing[i, row]:  # a game counts once: the first that each row plays
                    returns[i, row] = value
    for vector in vectors:
        vector.close()
    rows = zip(chosen, returns.tolist(), steps.tolist(), strict=True)
    return tuple(Proxy(arch, tuple(values), count) for arch, values, count in rows)


def seed_sequence(task: GameTask, seed: int) -> np.random.SeedSequence:
    """All randomness of a supernet comes from its seed; the key is none of the space's trainings from scratch."""
    return np.random.SeedSequence(entropy=seed, spawn_key=(len(task.space),))


@deterministic()
def fit_supernet(
    task: GameTask,
    seed: int,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
    sample_path: SamplePath | None = None,
    on_update: Callable[[PathUpdate], None] | None = None,
    fidelities: Collection[int] | None = None,
) -> FittedSupernet:
    """Fit a supernet on the task's games and measure the proxies of all architectures on the way.

    Measuring changes nothing of the fit: proxies have games, draws and seeds of their own, fixed by (seed, fidelity).

    Args:
        task: an RL task; its recipe is also the supernet's, over the whole of its env steps.
        seed: the supernet's; with the same one, and the same ``sample_path``, the result is the same to the bit.
        device: ``"cpu"`` or ``"cuda"``.
        progress: called with the env steps done after each update; it may raise to stop the fit.
        sample_path: which path an update trains; None draws uniformly (SPOS).
        on_update: called with each update once all games that it played in are over, in order; a controller learns from
            it. The last updates, whose games never end, are left out.
        fidelities: the task's fidelities at which to measure proxies; None is all of them.
    """
    on = torch.device(device)
    weight_seeds, env_seeds, action_seeds, path_seeds, proxy_seeds = seed_sequence(task, seed).spawn(5)
    path_rng = np.random.default_rng(path_seeds)
    supernet = Supernet(task, make_generator(weight_seeds)).to(on)
    games = ReturnsByPath(make_games(task, task.recipe.num_envs))
    points = _Points(task, proxy_seeds, fidelities)

    def before_update(index: int) -> None:
        arch = task.space.parse(sample_path(index, path_rng)) if sample_path else task.space.sample(path_rng)
        supernet.select(arch.choices)
        games.begin(index, arch.name)

    def after_update(curve: Curve) -> None:
        for settled in games.settled():
            if on_update is not None:
                on_update(settled)
        points.take(supernet, curve.steps, on)

    curve = fit(
        supernet,
        task,
        games,
        (env_seeds, action_seeds),
        on,
        before_update=before_update,
        after_update=after_update,
        progress=progress,
    )
    return FittedSupernet(supernet, tuple(points.taken), curve.steps, points.cpu_seconds, proxy_seeds)


class _Points:
    """Measures proxies when a fidelity is reached, and keeps their time apart from the fit's."""

    def __init__(self, task: GameTask, seeds: np.random.SeedSequence, fidelities: Collection[int] | None) -> None:
        self.task = task
        self.due = list(zip(task.fidelities, seeds.spawn(len(task.fidelities)), strict=True))
        self.wanted = set(task.fidelities if fidelities is None else fidelities)
        if not self.wanted <= set(task.fidelities):
            other = min(self.wanted - set(task.fidelities))
            close = min(task.fidelities, key=lambda fidelity: abs(fidelity - other))
            allowed = ", ".join(map(str, task.fidelities))
            raise InvalidValueError(f"{task.id} has no fidelity {other}; nearest: {close}; allowed: {allowed}")
        self.taken: list[SupernetPoint] = []
        self.cpu_start, self.wall_start = time.process_time(), time.perf_counter()

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of fitting so far."""
        return time.process_time() - self.cpu_start

    def take(self, supernet: Supernet, env_steps: int, device: torch.device) -> None:
        """Measure every wanted fidelity that ``env_steps`` has reached."""
        while self.due and env_steps >= self.due[0][0]:
            fidelity, seeds = self.due.pop(0)
            if fidelity in self.wanted:
                self._measure(supernet, fidelity, env_steps, seeds, device)

    def _measure(
        self, supernet: Supernet, fidelity: int, env_steps: int, seeds: np.random.SeedSequence, device: torch.device
    ) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        recipe = self.task.supernet_recipe
        games = recipe.final_games if fidelity == self.task.max_fidelity else recipe.proxy_games
        proxies = measure_proxies(supernet, self.task, self.task.space, games, seeds, device)
        proxy_cpu = time.process_time() - cpu
        point = SupernetPoint(fidelity, env_steps, proxies, cpu - self.cpu_start, proxy_cpu, wall - self.wall_start)
        self.taken.append(point)
        self.cpu_start += proxy_cpu
        self.wall_start += time.perf_counter() - wall
