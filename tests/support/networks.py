"""A small task, observations of a task's games, and agents cut out of a network that holds every architecture."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from nasbench_rl.spaces.kernel_choice import KernelSpace
from nasbench_rl.task import GameTask, get_task
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.networks import Agent

ALL_SPACES = tuple(
    f"{space}/breakout@lite" for space in ("minatar-ss1", "minatar-ss2", "atari-ss1", "atari-ss2")
)  # the networks of a search space differ in layers and frame; one game of each will do


def tiny(id_: str = "minatar-ss1/breakout@smoke", env_steps: int = 3072) -> GameTask:
    """A task of four architectures whose training takes three updates."""
    task = get_task(id_)
    space = KernelSpace("minatar-tiny", (1, 3), task.space.backbone)
    return dataclasses.replace(task, space=space, recipe=dataclasses.replace(task.recipe, env_steps=env_steps))


def observations(task: GameTask, batch: int) -> torch.Tensor:
    """Random observations (batch, *shape of one) in the range of the task's suite."""
    shape = make_games(task, 1).observation_shape
    high = 2 if task.environment.suite == "minatar" else 256
    return torch.from_numpy(np.random.default_rng(0).integers(0, high, (batch, *shape), dtype=np.uint8))


def agent_of_path(network: torch.nn.Module, task: GameTask, path: tuple[int, ...]) -> Agent:
    """A stand-alone agent with the weights of one block a layer."""
    agent = Agent(task.network(path), torch.Generator().manual_seed(99), task.recipe.autocast)
    for name, parameter in agent.named_parameters():
        layer, _, kind = name.removeprefix("convs.").partition(".")
        source = f"convs.{layer}.{path[int(layer)]}.{kind}" if name.startswith("convs.") else name
        parameter.data.copy_(network.get_parameter(source))
    return agent


def fingerprint_elsewhere(file: str, seed: int) -> str:
    """What the test module in ``file`` has for ``fingerprint(seed)`` in a process of its own."""
    path = Path(file)
    code = f"import {path.stem}; print({path.stem}.fingerprint({seed}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=path.parent, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
