"""PPO: the loop that fits an agent, a supernet or a mixed network, and one training of one architecture."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.task import GameTask
from nasbench_rl.task.recipes import PPORecipe
from nasbench_rl.training.bfloat16 import fixed_parameters
from nasbench_rl.training.games.base import Games
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.networks import Agent
from nasbench_rl.training.process import deterministic

Policy = Callable[[Tensor], tuple[Tensor, Tensor]]
LAST = 100
"""Games in the paper's *total reward*."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A learning curve at one fidelity. Returns are NaN before a first game has finished.

    ``return_all`` is the mean over all games so far: *reward mean* by the authors' code (``utils/summarizer.py`` of
    https://github.com/NinaMaz/NAS_RL_torch), and not by the paper's caption, which says the last 100 episodes.
    """

    fidelity: int
    return_last100: float
    return_all: float
    games: int
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class Trained:
    """One finished training: the curve, the return of each fresh game of the final policy, and the agent."""

    curve: tuple[CurvePoint, ...]
    eval_returns: tuple[float, ...]
    agent: Agent


@dataclass
class Rollout:
    """``rollout`` steps of ``num_envs`` games on the training device; leading dimensions (steps, games)."""

    observation: Tensor
    action: Tensor
    logits: Tensor
    value: Tensor
    reward: Tensor
    ended: Tensor
    policy_acted: Tensor

    @classmethod
    def empty(cls, recipe: PPORecipe, games: Games, actions: int, device: torch.device) -> Rollout:
        """Return buffers, which each ``collect`` fills."""
        shape = (recipe.rollout, recipe.num_envs)
        return cls(
            observation=torch.zeros((*shape, *games.observation_shape), dtype=torch.uint8, device=device),
            action=torch.zeros(shape, dtype=torch.int64, device=device),
            logits=torch.zeros((*shape, actions), device=device),
            value=torch.zeros((recipe.rollout + 1, recipe.num_envs), device=device),
            reward=torch.zeros(shape, device=device),
            ended=torch.zeros(shape, device=device),
            policy_acted=torch.zeros(shape, dtype=torch.bool, device=device),
        )


@dataclass
class Curve:
    """Counts env steps and finished games, and notes the returns whenever a fidelity is reached."""

    fidelities: tuple[int, ...]
    points: list[CurvePoint] = field(default_factory=list)
    steps: int = 0
    games: int = 0
    total: float = 0.0
    last: deque[float] = field(default_factory=lambda: deque(maxlen=LAST))
    cpu_start: float = field(default_factory=time.process_time)
    wall_start: float = field(default_factory=time.perf_counter)

    def advance(self, steps: int, returns: Iterable[float]) -> None:
        """Add env steps (over all games) and the returns of the games that ended in them."""
        self.steps += steps
        for value in returns:
            self.games += 1
            self.total += value
            self.last.append(value)
        while len(self.points) < len(self.fidelities) and self.steps >= self.fidelities[len(self.points)]:
            self.points.append(self._point(self.fidelities[len(self.points)]))

    def _point(self, fidelity: int) -> CurvePoint:
        return CurvePoint(
            fidelity,
            math.fsum(self.last) / len(self.last) if self.last else math.nan,
            self.total / self.games if self.games else math.nan,
            self.games,
            time.process_time() - self.cpu_start,
            time.perf_counter() - self.wall_start,
        )


def cosine(progress: float) -> float:
    """Return factor on the learning rate at ``progress`` in [0, 1]: 1 at the start, 0 at the end."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


@torch.inference_mode()
@fixed_parameters()
def collect(
    policy: Policy,
    games: Games,
    observation: Tensor,
    rollout: Rollout,
    recipe: PPORecipe,
    generator: torch.Generator,
    curve: Curve,
) -> Tensor:
    """Play ``recipe.rollout`` steps into ``rollout``; returns the observation that follows."""
    device = observation.device
    for t in range(recipe.rollout):
        logits, value = policy(observation)
        action = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator).squeeze(-1)
        rollout.observation[t], rollout.logits[t], rollout.value[t] = observation, logits, value
        rollout.action[t] = action
        rollout.policy_acted[t] = torch.from_numpy(~games.forced)
        step = games.step(action.cpu().numpy())
        reward = np.sign(step.reward)
        for (
            row,
            final,
        ) in step.final.items():  # a time limit is not a failure: add the value of what would have followed
            reward[row] += recipe.gamma * float(policy(torch.from_numpy(final)[None].to(device))[1])
        rollout.reward[t] = torch.from_numpy(reward)
        rollout.ended[t] = torch.from_numpy((step.ended | step.truncated).astype(np.float32))
        curve.advance(games.num_envs, step.returns.values())
        observation = torch.from_numpy(step.observation).to(device)
    rollout.value[recipe.rollout] = policy(observation)[1]
    return observation


def advantages(rollout: Rollout, recipe: PPORecipe) -> Tensor:
    """Return generalised advantage estimates, (steps, games)."""
    result = torch.zeros_like(rollout.reward)
    running = torch.zeros_like(rollout.reward[0])
    keep = 1.0 - rollout.ended
    delta = rollout.reward + recipe.gamma * rollout.value[1:] * keep - rollout.value[:-1]
    for t in reversed(range(len(result))):
        running = delta[t] + recipe.gamma * recipe.gae_lambda * keep[t] * running
        result[t] = running
    return result


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, rollout: Rollout, recipe: PPORecipe, generator: torch.Generator
) -> None:
    """``epochs`` x ``minibatches`` gradient steps. Rows whose action was not the policy's are left out of all terms."""
    advantage = advantages(rollout, recipe)
    target = advantage + rollout.value[:-1]
    old_log_prob = torch.log_softmax(rollout.logits, -1).gather(-1, rollout.action[..., None]).squeeze(-1)
    observation = rollout.observation.flatten(0, 1)
    words = _words(observation)
    action, old_value = rollout.action.flatten(), rollout.value[:-1].flatten()
    advantage, target, old_log_prob = advantage.flatten(), target.flatten(), old_log_prob.flatten()
    rows = rollout.policy_acted.flatten().nonzero().squeeze(-1)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for _ in range(recipe.epochs):
        order = rows[torch.randperm(len(rows), generator=generator, device=generator.device)]
        for batch in order.chunk(recipe.minibatches):
            outputs = policy(words[batch].view(torch.uint8).view(-1, *observation.shape[1:]))
            loss = _loss(
                *outputs, action[batch], advantage[batch], target[batch], old_log_prob[batch], old_value[batch], recipe
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
            optimizer.step()


def _words(rows: Tensor) -> Tensor:
    """Return (n, …) uint8 as (n, words): picking rows eight bytes at a time is five times as fast."""
    flat = rows.flatten(1)
    return flat.view(torch.int64) if flat.shape[1] % 8 == 0 else flat


def _loss(
    logits: Tensor,
    value: Tensor,
    action: Tensor,
    advantage: Tensor,
    target: Tensor,
    old_log_prob: Tensor,
    old_value: Tensor,
    recipe: PPORecipe,
) -> Tensor:
    """PPO's clipped objective with clipped values and entropy bonus (RL-agents paper, section 3)."""
    log_probs = torch.log_softmax(logits, -1)
    log_prob = log_probs.gather(-1, action[:, None]).squeeze(-1)
    ratio = (log_prob - old_log_prob).exp()
    scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    gain = torch.minimum(scaled * ratio, scaled * ratio.clamp(1 - recipe.clip, 1 + recipe.clip)).mean()
    near = old_value + (value - old_value).clamp(-recipe.clip, recipe.clip)
    error = torch.maximum((value - target) ** 2, (near - target) ** 2).mean()
    entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
    return recipe.value_coef * error - gain - recipe.entropy_coef * entropy


@torch.inference_mode()
@fixed_parameters()
def evaluate(policy: Policy, task: GameTask, seeds: np.random.SeedSequence, device: torch.device) -> tuple[float, ...]:
    """Play ``eval_games`` fresh games; only the first return of each counts, so that short games don't count twice."""
    count = task.recipe.eval_games
    games = make_games(task, count)
    env_seeds, action_seeds = seeds.spawn(2)
    generator = make_generator(action_seeds, device)
    observation = games.reset(env_seeds)
    returns: dict[int, float] = {}
    while len(returns) < count:
        logits, _ = policy(torch.from_numpy(observation).to(device))
        action = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator).squeeze(-1)
        step = games.step(action.cpu().numpy())
        observation = step.observation
        for row, value in step.returns.items():
            returns.setdefault(row, value)
    games.close()
    return tuple(returns[row] for row in range(count))


def seed_sequence(task: GameTask, arch: ArchLike, seed: int) -> np.random.SeedSequence:
    """All randomness of a training comes from (train seed, architecture), whatever process runs it and when."""
    return np.random.SeedSequence(entropy=seed, spawn_key=(task.space.index(arch),))


def make_generator(seeds: np.random.SeedSequence, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator seeded from ``seeds``."""
    return torch.Generator(device).manual_seed(int(seeds.generate_state(1)[0]))


def fit(
    agent: Agent,
    task: GameTask,
    games: Games,
    seeds: Sequence[np.random.SeedSequence],
    device: torch.device,
    *,
    fidelities: Sequence[int] = (),
    before_update: Callable[[int], None] = lambda index: None,
    after_update: Callable[[Curve], None] = lambda curve: None,
    progress: Callable[[int], None] | None = None,
) -> Curve:
    """Fit an agent by PPO over the env steps of the task's recipe; the learning rate falls to zero by a cosine.

    Args:
        agent: what is trained, on ``device``.
        task: gives the recipe.
        games: what it plays; closed at the end.
        seeds: two, of the games and of the actions.
        device: where the agent is.
        fidelities: at which to note the returns.
        before_update: called with the number of each update, before its games.
        after_update: called with the curve after each update.
        progress: called last after each update, with the env steps done; it may raise to stop the training.
    """
    recipe, (env_seeds, action_seeds) = task.recipe, seeds
    generator = make_generator(action_seeds, device)
    # What an update leaves out has no gradient (zero_grad sets None), so Adam moves neither it nor its moments.
    optimizer = torch.optim.Adam(agent.parameters(), recipe.learning_rate, eps=recipe.adam_eps, fused=True)
    rollout = Rollout.empty(recipe, games, task.environment.actions, device)
    curve = Curve(tuple(fidelities))
    observation = torch.from_numpy(games.reset(env_seeds)).to(device)
    for i in range(recipe.updates):
        before_update(i)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * cosine(i / recipe.updates)
        observation = collect(agent, games, observation, rollout, recipe, generator, curve)
        update(agent, optimizer, rollout, recipe, generator)
        after_update(curve)
        if progress is not None:
            progress(min(curve.steps, recipe.env_steps))
    games.close()
    return curve


@deterministic()
def train(
    task: GameTask, arch: ArchLike, seed: int, device: str = "cpu", progress: Callable[[int], None] | None = None
) -> Trained:
    """Train one architecture from scratch and play fresh games with the final policy.

    Args:
        task: an RL task.
        arch: an architecture of its space.
        seed: the train seed; with the same one the result is the same to the bit on one machine.
        device: ``"cpu"`` or ``"cuda"``.
        progress: called with the env steps done after each update; it may raise to stop the training.
    """
    on = torch.device(device)
    weight_seeds, *play_seeds, eval_seeds = seed_sequence(task, arch, seed).spawn(4)
    agent = Agent(task.network(arch), make_generator(weight_seeds), task.recipe.autocast).to(on)
    games = make_games(task, task.recipe.num_envs)
    curve = fit(agent, task, games, play_seeds, on, fidelities=task.fidelities, progress=progress)
    return Trained(tuple(curve.points), evaluate(agent, task, eval_seeds, on), agent)
