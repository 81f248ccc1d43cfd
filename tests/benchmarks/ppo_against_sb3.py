"""Env steps per second of this package's ALE trainer and of Stable-Baselines3's PPO, in one run on one core.

Same game, same network (layer for layer), same recipe: 8 games x 128 steps, 3 epochs x 4 minibatches of 256, one torch
thread. Stable-Baselines3 gets its own Atari wrappers and frame stack in one process, as its documentation sets them up,
and computes in float32, the only precision it has; ours is the recipe's, bfloat16 where that won (or ``--float32``).
The two take turns, so that a machine that slows down slows both.

    python tests/benchmarks/ppo_against_sb3.py [--task atari-ss1/breakout@lite] [--arch k3-k3] [--updates 8]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ale_py
import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecFrameStack

from nasbench_rl._utils.provenance import machine
from nasbench_rl.task import Task, get_task
from nasbench_rl.training import ppo
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.networks import Agent, fit_to, make_conv, run_conv
from nasbench_rl.training.process import tune_process

gymnasium.register_envs(ale_py)


class SameNetwork(BaseFeaturesExtractor):
    """The same layers as ``networks.Agent``, fed by Stable-Baselines3 with (batch, 4, 84, 84) scaled to [0, 1]."""

    def __init__(self, space: gymnasium.spaces.Box, task: Task, arch: str) -> None:
        self.network = task.network(arch)
        super().__init__(space, self.network.linear_out)
        self.stem = make_conv(self.network.stem)
        self.convs = torch.nn.ModuleList(make_conv(conv) for conv in self.network.choices)
        self.linear = torch.nn.Linear(self.network.linear_in, self.network.linear_out)
        for conv in (self.stem, *self.convs):
            conv.reset_parameters()

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(observation))
        for conv in self.convs:
            x = run_conv(conv, x)  # type: ignore[arg-type]
        return torch.relu(self.linear(fit_to(x, self.network.fit).flatten(1)))


def ours(task: Task, arch: str) -> Callable[[], None]:
    recipe, device = task.recipe, torch.device("cpu")
    generator = torch.Generator().manual_seed(0)
    agent = Agent(task.network(arch), generator, recipe.autocast)
    optimizer = torch.optim.Adam(agent.parameters(), recipe.learning_rate, eps=recipe.adam_eps, fused=True)
    games = make_games(task, recipe.num_envs)
    rollout = ppo.Rollout.empty(recipe, games, task.environment.actions, device)
    curve = ppo.Curve(task.fidelities)
    state = {"observation": torch.from_numpy(games.reset(np.random.SeedSequence(0)))}

    def update() -> None:
        state["observation"] = ppo.collect(agent, games, state["observation"], rollout, recipe, generator, curve)
        ppo.update(agent, optimizer, rollout, recipe, generator)

    return update


def theirs(task: Task, arch: str) -> Callable[[], None]:
    recipe = task.recipe
    game = "".join(word.capitalize() for word in task.environment.name.split("_"))
    options = {"repeat_action_probability": recipe.sticky}
    vector = make_atari_env(f"ALE/{game}-v5", n_envs=recipe.num_envs, seed=0, env_kwargs={**options, "frameskip": 1})
    policy: dict[str, Any] = {
        "features_extractor_class": SameNetwork,
        "features_extractor_kwargs": {"task": task, "arch": arch},
        "net_arch": [],
        "optimizer_kwargs": {"eps": recipe.adam_eps},
    }
    model = PPO(
        "CnnPolicy", VecFrameStack(vector, 4), recipe.learning_rate, n_steps=recipe.rollout,
        batch_size=recipe.num_envs * recipe.rollout // recipe.minibatches, n_epochs=recipe.epochs, gamma=recipe.gamma,
        gae_lambda=recipe.gae_lambda, clip_range=recipe.clip, clip_range_vf=recipe.clip,
        ent_coef=recipe.entropy_coef, vf_coef=recipe.value_coef, max_grad_norm=recipe.max_grad_norm,
        policy_kwargs=policy, device="cpu", seed=0,
    )  # fmt: skip
    steps = recipe.num_envs * recipe.rollout
    return lambda: model.learn(steps, reset_num_timesteps=False) and None  # type: ignore[func-returns-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="atari-ss1/breakout@lite")
    parser.add_argument("--arch", default="k3-k3")
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--float32", action="store_true", help="ours in float32 too")
    options = parser.parse_args()
    tune_process()
    task = get_task(options.task)
    if options.float32:
        task = replace(task, recipe=replace(task.recipe, autocast=None))
    trainers = {"nasbench-rl": ours(task, options.arch), "Stable-Baselines3": theirs(task, options.arch)}
    seconds = dict.fromkeys(trainers, 0.0)
    for i in range(options.updates + 1):
        for name, update in trainers.items():
            started = time.process_time()
            update()
            seconds[name] += (time.process_time() - started) if i else 0.0  # the first warms up
    steps = options.updates * task.recipe.num_envs * task.recipe.rollout
    for name, spent in seconds.items():
        print(f"{name:>18}: {steps / spent:7.0f} env steps per CPU second")
    ratio = seconds["Stable-Baselines3"] / seconds["nasbench-rl"]
    precision = task.recipe.autocast or "float32"
    print(f"{task.id} {options.arch}, {precision}: {ratio:.2f} x Stable-Baselines3, on {machine()}")


if __name__ == "__main__":
    main()
