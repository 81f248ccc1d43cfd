"""PPO: advantages, masks, truncation, learning curves, evaluation, repeatability."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from nasbench_rl.tables import shards
from nasbench_rl.tables.parquet import read_parquet
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task import Task, get_task
from nasbench_rl.task.recipes import PPORecipe
from nasbench_rl.training import darts, ppo, supernet
from nasbench_rl.training.games.atari import to_blocks
from nasbench_rl.training.games.base import Step
from nasbench_rl.training.networks import Agent, mirrored
from nasbench_rl.training.ppo import Curve, Rollout, advantages, collect, cosine, evaluate, train, update
from nasbench_rl.training.train_cell import train_cell
from nasbench_rl.training.warm_start import TrainedNetworks

SMOKE = get_task("minatar-ss1/breakout@smoke")
TINY = dataclasses.replace(SMOKE, recipe=dataclasses.replace(SMOKE.recipe, env_steps=3000, eval_games=4))
ALE = get_task("atari-ss1/breakout@lite")
TINY_ALE = dataclasses.replace(ALE, recipe=dataclasses.replace(ALE.recipe, env_steps=2048, eval_games=2))
SMALL = PPORecipe("small", env_steps=64, learning_rate=1e-2, sticky=0.0, num_envs=4, rollout=6, minibatches=2)
CPU = torch.device("cpu")


class ScriptedGames:
    """Games whose rewards and ends are written down beforehand; arrays of shape (steps, games)."""

    observation_shape: tuple[int, ...] = (1, 1, 1)

    def __init__(self, reward: Any, ended: Any, truncated: Any, forced: Any, final: int = 200) -> None:
        self.script = [np.asarray(a) for a in (reward, ended, truncated)]
        self.forced_script = np.asarray(forced, dtype=bool)
        self.num_envs = self.script[0].shape[1]
        self.final, self.t = final, 0
        self.actions: list[Any] = []

    @property
    def forced(self) -> Any:
        return self.forced_script[self.t]

    def step(self, actions: Any) -> Step:
        reward, ended, truncated = (a[self.t] for a in self.script)
        self.actions.append(actions)
        self.t += 1
        final = {int(row): np.full((1, 1, 1), self.final, np.uint8) for row in np.flatnonzero(truncated)}
        returns = {int(row): float(self.t) for row in np.flatnonzero(ended | truncated)}
        observation = np.full((self.num_envs, 1, 1, 1), self.t, np.uint8)
        return Step(observation, reward.astype(np.float32), ended, truncated, final, returns)

    def close(self) -> None:
        pass


def pixel_policy(observation: Tensor) -> tuple[Tensor, Tensor]:
    """Value = the pixel; two actions, equally likely."""
    value = observation.float().flatten(1)[:, 0]
    return torch.zeros(len(value), 2), value


def scripted_rollout(recipe: PPORecipe, **script: Any) -> tuple[Rollout, ScriptedGames, Curve]:
    shape = (recipe.rollout, recipe.num_envs)
    defaults = {name: np.zeros(shape, dtype=bool) for name in ("ended", "truncated")}
    defaults |= {"reward": np.zeros(shape), "forced": np.zeros((recipe.rollout + 1, recipe.num_envs), dtype=bool)}
    games = ScriptedGames(**(defaults | script))
    rollout, curve = Rollout.empty(recipe, games, 2, CPU), Curve((10, 20))
    start = torch.zeros((recipe.num_envs, 1, 1, 1), dtype=torch.uint8)
    collect(pixel_policy, games, start, rollout, recipe, torch.Generator().manual_seed(0), curve)
    return rollout, games, curve


def random_rollout(seed: int = 0, steps: int = 12, games: int = 5) -> Rollout:
    rng = torch.Generator().manual_seed(seed)
    return Rollout(
        observation=torch.randint(256, (steps, games, 3, 3, 1), generator=rng, dtype=torch.uint8),
        action=torch.randint(2, (steps, games), generator=rng),
        logits=torch.randn((steps, games, 2), generator=rng),
        value=torch.randn((steps + 1, games), generator=rng),
        reward=torch.randint(-1, 2, (steps, games), generator=rng).float(),
        ended=(torch.rand((steps, games), generator=rng) < 0.25).float(),
        policy_acted=torch.ones((steps, games), dtype=torch.bool),
    )


def flat(module: nn.Module) -> Tensor:
    """All parameters in one vector."""
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


# -- advantages


def test_advantages_are_those_of_the_definition() -> None:
    rollout = random_rollout()
    got = advantages(rollout, SMALL).double().numpy()
    reward, ended, value = (x.double().numpy() for x in (rollout.reward, rollout.ended, rollout.value))
    steps, games = reward.shape
    for game in range(games):
        for t in range(steps):
            expected, weight = 0.0, 1.0
            for k in range(t, steps):  # Schulman et al. (2016), equation 16, cut at an episode's end
                follows = 0.0 if ended[k, game] else SMALL.gamma * value[k + 1, game]
                expected += weight * (reward[k, game] + follows - value[k, game])
                if ended[k, game]:
                    break
                weight *= SMALL.gamma * SMALL.gae_lambda
            assert got[t, game] == pytest.approx(expected, abs=1e-5)


def test_nothing_flows_back_over_an_episode_s_end() -> None:
    rollout = random_rollout()
    rollout.ended[6] = 1.0
    before = advantages(rollout, SMALL)
    rollout.reward[7:] += 100
    rollout.value[7:] -= 50
    after = advantages(rollout, SMALL)
    assert torch.equal(before[:7], after[:7]) and not torch.equal(before[7:], after[7:])


# -- collecting


def test_rewards_are_learnt_from_by_their_sign() -> None:
    reward = np.tile([7.0, 0.5, -3.0, 0.0], (6, 1))
    rollout, _, _ = scripted_rollout(SMALL, reward=reward)
    assert rollout.reward.tolist() == [[1.0, 1.0, -1.0, 0.0]] * 6


def test_a_truncated_game_bootstraps_from_its_final_observation_and_an_ended_one_does_not() -> None:
    truncated, ended = np.zeros((6, 4), dtype=bool), np.zeros((6, 4), dtype=bool)
    truncated[2, 1] = ended[2, 3] = True
    rollout, _, _ = scripted_rollout(SMALL, truncated=truncated, ended=ended, reward=np.ones((6, 4)))
    assert rollout.reward[2].tolist() == pytest.approx([1.0, 1.0 + SMALL.gamma * 200, 1.0, 1.0])
    assert rollout.ended[2].tolist() == [0.0, 1.0, 0.0, 1.0]
    got = advantages(rollout, SMALL)  # the observation at step 2 holds pixel 2, so its value is 2
    assert got[2, 1] == pytest.approx(1.0 + SMALL.gamma * 200 - 2.0)
    assert got[2, 3] == pytest.approx(1.0 - 2.0)


def test_rows_that_the_policy_did_not_act_in_are_marked() -> None:
    forced = np.zeros((7, 4), dtype=bool)
    forced[3, 2] = forced[6, 0] = True  # row 6 belongs to the next rollout
    rollout, _, _ = scripted_rollout(SMALL, forced=forced)
    np.testing.assert_array_equal(rollout.policy_acted.numpy(), ~forced[:6])


def test_observation_action_and_value_belong_to_one_moment() -> None:
    rollout, games, _ = scripted_rollout(SMALL)
    assert rollout.observation[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert rollout.value[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(rollout.action.numpy(), np.stack(games.actions))


# -- learning


class TinyAgent(nn.Module):
    def __init__(self, inputs: int = 9) -> None:
        super().__init__()
        self.policy, self.value = nn.Linear(inputs, 2), nn.Linear(inputs, 1)
        for layer in (self.policy, self.value):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        x = observation.flatten(1).float() / 255
        return self.policy(x), self.value(x).squeeze(-1)


def updated(rollout: Rollout, recipe: PPORecipe = SMALL) -> Tensor:
    agent = TinyAgent()
    optimizer = torch.optim.Adam(agent.parameters(), recipe.learning_rate)
    update(agent, optimizer, rollout, recipe, torch.Generator().manual_seed(0))
    return flat(agent)


def test_masked_rows_have_no_influence() -> None:
    rollout = random_rollout()
    masked = torch.zeros_like(rollout.policy_acted)
    masked[4, 1] = masked[8, 3] = masked[9, 0] = True
    rollout.ended[3, 1] = rollout.ended[7, 3] = rollout.ended[8, 0] = 1.0  # FIRE follows a lost life
    rollout.policy_acted = ~masked
    before = updated(rollout)
    rollout.observation[masked] = 255
    rollout.action[masked] = 1 - rollout.action[masked]
    rollout.logits[masked] += torch.tensor([9.0, -9.0])
    rollout.value[:-1][masked] -= 30
    rollout.reward[masked] += 30
    assert torch.equal(updated(rollout), before)
    rollout.policy_acted = torch.ones_like(masked)
    assert not torch.equal(updated(rollout), before)


def test_an_update_raises_the_probability_of_what_turned_out_better() -> None:
    rollout = random_rollout()
    rollout.logits.zero_()
    rollout.value.zero_()
    rollout.ended.fill_(1.0)
    rollout.reward = (rollout.action == 0).float()
    agent = TinyAgent()
    update(agent, torch.optim.Adam(agent.parameters(), 1e-2), rollout, SMALL, torch.Generator().manual_seed(0))
    logits, value = agent(rollout.observation.flatten(0, 1))
    assert (logits[:, 0] > logits[:, 1]).all() and (value > 0).all()


def loss_gradient(ratio: float, advantage: float, clip: float = 0.1) -> float:
    """Of the policy's term by the logit of the action taken, for one row of interest and its mirror image."""
    recipe = dataclasses.replace(SMALL, clip=clip, entropy_coef=0.0, value_coef=0.0)
    logits = torch.zeros(2, 2, requires_grad=True)
    old = torch.log(torch.tensor([0.5 / ratio, 0.5]))
    zeros = torch.zeros(2)
    gain = torch.tensor([advantage, -advantage])
    loss = ppo._loss(logits, zeros, torch.zeros(2, dtype=torch.int64), gain, zeros, old, zeros, recipe)
    loss.backward()
    assert logits.grad is not None
    return float(logits.grad[0, 0])


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(1.0, 1.0, True), (1.2, 1.0, False), (0.8, 1.0, True), (0.8, -1.0, False), (1.2, -1.0, True)],
)
def test_the_ratio_is_clipped_on_the_side_that_gains(ratio: float, advantage: float, moves: bool) -> None:
    assert (loss_gradient(ratio, advantage) != 0.0) is moves


def test_values_are_clipped_around_the_old_ones() -> None:
    recipe = dataclasses.replace(SMALL, entropy_coef=0.0, value_coef=1.0)
    logits, actions = torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64)
    old_log_prob = torch.full((2,), math.log(0.5))
    value = torch.tensor([0.5, 0.05], requires_grad=True)
    advantage, target, old = torch.tensor([1.0, -1.0]), torch.tensor([1.0, 1.0]), torch.zeros(2)
    loss = ppo._loss(logits, value, actions, advantage, target, old_log_prob, old, recipe)
    assert float(loss.detach()) == pytest.approx(((0.1 - 1) ** 2 + (0.05 - 1) ** 2) / 2)
    loss.backward()
    assert value.grad is not None and value.grad[0] == 0.0 and value.grad[1] < 0.0


def loss_of(recipe: PPORecipe, logits: Tensor, advantage: Tensor) -> float:
    zeros, taken = torch.zeros(len(logits)), torch.zeros(len(logits), dtype=torch.int64)
    old = torch.log_softmax(logits, -1)[:, 0]
    return float(ppo._loss(logits, zeros, taken, advantage, zeros, old, zeros, recipe))


def test_the_policy_s_entropy_is_rewarded() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]]))
    advantage = torch.tensor([1.0, -1.0, 0.0])
    entropy = float(-(logits.exp() * logits).sum(1).mean())
    for weight in (0.01, 2.0):
        with_bonus, without = (dataclasses.replace(SMALL, entropy_coef=coef) for coef in (weight, 0.0))
        found = loss_of(with_bonus, logits, advantage) - loss_of(without, logits, advantage)
        assert found == pytest.approx(-weight * entropy, rel=1e-4)
    assert SMALL.entropy_coef == 0.01, "Table 4"


def test_advantages_are_normalised_over_a_minibatch() -> None:
    """Neither their scale nor their mean matters: with the policy unchanged the gain is that of z-scores."""
    recipe = dataclasses.replace(SMALL, entropy_coef=0.0, value_coef=0.0)
    advantage = torch.tensor([0.5, -2.0, 3.0, 1.0])

    def gradient(advantage: Tensor) -> Tensor:
        logits = torch.zeros(4, 2, requires_grad=True)
        zeros, old = torch.zeros(4), torch.full((4,), math.log(0.5))
        ppo._loss(logits, zeros, torch.zeros(4, dtype=torch.int64), advantage, zeros, old, zeros, recipe).backward()
        assert logits.grad is not None
        return logits.grad[:, 0]

    scaled = (advantage - advantage.mean()) / advantage.std()
    torch.testing.assert_close(gradient(advantage), -scaled / 8)  # the mean of 4 rows, and d log π / d logit = 1/2
    torch.testing.assert_close(gradient(10 * advantage - 7), -scaled / 8)


def test_every_training_anneals_its_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    def spy(policy: Any, optimizer: torch.optim.Optimizer, *rest: Any) -> None:
        rates.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(ppo, "update", spy)
    networks = TrainedNetworks(TINY, held={"k1-k1": Agent(TINY.network((1, 1)), torch.Generator())})
    child, parent = TINY.space.parse((2, 2)), TINY.space.parse((1, 1))
    fits: tuple[Callable[[], object], ...] = (
        lambda: train(TINY, (1, 1), 0),
        lambda: supernet.fit_supernet(TINY, 0, fidelities=[]),
        lambda: darts.fit_darts(TINY, 0),
        lambda: networks.train_child(child, parent, 0, 0, TINY.recipe.env_steps),
    )
    for fit in fits:
        rates.clear()
        fit()
        assert rates == pytest.approx([TINY.recipe.learning_rate * cosine(i / 3) for i in range(3)])


def test_the_learning_rate_falls_by_a_cosine_to_zero() -> None:
    assert [cosine(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0])
    assert cosine(0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)


# -- curves


def test_returns_are_missing_before_the_first_game_has_finished() -> None:
    curve = Curve((10, 20, 30))
    curve.advance(16, [])
    curve.advance(16, [4.0])
    first, second, third = curve.points
    assert math.isnan(first.return_last100) and math.isnan(first.return_all) and first.games == 0
    assert second.return_last100 == third.return_last100 == 4.0 and second.games == 1
    assert [point.fidelity for point in curve.points] == [10, 20, 30]


def test_total_reward_is_the_last_100_games_and_reward_mean_is_all() -> None:
    curve = Curve((250,))
    for value in range(250):
        curve.advance(1, [float(value)])
    (point,) = curve.points
    assert point.return_last100 == np.mean(range(150, 250))
    assert point.return_all == np.mean(range(250))
    assert point.games == 250


def test_a_game_that_ends_at_a_fidelity_counts_in_it() -> None:
    curve = Curve((8, 16))
    curve.advance(8, [3.0, 5.0])
    curve.advance(8, [7.0])
    assert [(p.games, p.return_all) for p in curve.points] == [(2, 4.0), (3, 5.0)]


def test_a_training_stores_exactly_the_task_s_fidelities() -> None:
    seen: list[int] = []
    trained = train(TINY, (1, 2), 0, progress=seen.append)
    assert tuple(point.fidelity for point in trained.curve) == TINY.fidelities
    assert seen == [1024, 2048, 3000]
    games = [point.games for point in trained.curve]
    assert games == sorted(games) and games[-1] > 10
    assert len(trained.eval_returns) == 4
    for name in ("cpu_seconds", "wall_seconds"):
        values = [getattr(point, name) for point in trained.curve]
        assert values == sorted(values) and values[0] > 0
    assert all(p.games or math.isnan(p.return_all) for p in trained.curve)


def test_progress_may_stop_a_training() -> None:
    class Enough(Exception):
        pass

    def progress(steps: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        train(TINY, (1, 1), 0, progress=progress)


# -- evaluation


def test_each_game_s_first_return_counts_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = np.zeros((20, 4), dtype=bool)
    ended[[1, 3, 5, 7, 9], 0] = ended[4, 1] = ended[[2, 14], 2] = ended[12, 3] = True
    games = ScriptedGames(np.zeros((20, 4)), ended, np.zeros((20, 4), dtype=bool), np.zeros((21, 4)))
    games.reset = lambda seeds: np.zeros((4, 1, 1, 1), np.uint8)  # type: ignore[attr-defined]
    monkeypatch.setattr(ppo, "make_games", lambda task, count: games)
    assert evaluate(pixel_policy, TINY, np.random.SeedSequence(0), CPU) == (2.0, 5.0, 3.0, 13.0)


def test_fresh_games_have_seeds_that_no_training_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    make = ppo.make_games

    def spy(task: Task, count: int) -> Any:
        games = make(task, count)
        reset = games.reset

        def recording(seeds: np.random.SeedSequence) -> Any:
            seen.append(tuple(seeds.generate_state(count).tolist()))
            return reset(seeds)

        games.reset = recording  # type: ignore[method-assign]
        return games

    monkeypatch.setattr(ppo, "make_games", spy)
    short = dataclasses.replace(TINY, recipe=dataclasses.replace(TINY.recipe, env_steps=20))
    for arch, seed in (((1, 1), 0), ((1, 1), 1), ((1, 2), 0)):
        train(short, arch, seed)
    every = [value for seeds in seen for value in seeds]
    assert len(seen) == 6 and len(set(every)) == len(every)


# -- repeatability


def fingerprint(task: Task, arch: Any, seed: int) -> str:
    trained = train(task, arch, seed)
    weights = flat(trained.agent).double()
    points = [(p.fidelity, p.return_last100, p.return_all, p.games) for p in trained.curve]
    return repr((points, trained.eval_returns, float(weights.sum()), float(weights.square().sum())))


SECOND_PROCESS = """
import dataclasses
from tests_ppo import {0}, fingerprint
from nasbench_rl.training.process import tune_process
tune_process()
print(fingerprint({0}, "k1-k2", 0))
"""


@pytest.mark.parametrize("name", ["TINY", "TINY_ALE"])
def test_a_training_repeats_itself_to_the_bit_in_another_process(name: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = fingerprint(globals()[name], (1, 2), 0)
        assert fingerprint(globals()[name], (1, 2), 1) != here
    finally:
        torch.set_num_threads(threads)
    load = f"import importlib.util as u, sys; s = u.spec_from_file_location('tests_ppo', {__file__!r})"
    code = f"{load}; m = u.module_from_spec(s); sys.modules['tests_ppo'] = m; s.loader.exec_module(m)\n"
    code += SECOND_PROCESS.format(name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == here


def test_a_training_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before, before_numpy = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002
    train(dataclasses.replace(TINY, recipe=dataclasses.replace(TINY.recipe, env_steps=1024)), (2, 2), 0)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_equal(np.random.get_state(legacy=False), before_numpy)  # noqa: NPY002


# -- networks


@pytest.mark.parametrize("autocast", [None, "bf16"])
def test_the_stem_on_blocks_is_the_plain_convolution(autocast: str | None) -> None:
    task = get_task("atari-ss1/breakout@lite")
    agent = Agent(task.network((1, 1)), torch.Generator().manual_seed(0), autocast)
    with torch.no_grad():
        agent.stem.bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]
    frames = np.random.default_rng(0).integers(256, size=(3, 4, 84, 84), dtype=np.uint8)
    blocks = torch.from_numpy(to_blocks(frames))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=agent.autocast):
        got = agent._run_stem(blocks)
        plain = F.relu(F.conv2d(torch.from_numpy(frames).float() / 255, agent.stem.weight, agent.stem.bias, stride=4))
    assert got.shape == plain.shape == (3, 8, 20, 20)
    torch.testing.assert_close(
        got.float(), plain.float(), atol=2e-2 if autocast else 1e-5, rtol=2e-2 if autocast else 1e-5
    )


@pytest.mark.parametrize(("before", "after"), [(1, 1), (0, 1), (2, 2), (1, 2)])
def test_the_padding_of_cuda_is_that_of_the_cpu(before: int, after: int) -> None:
    x = torch.randn(2, 3, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found, wanted = mirrored(x, before, after), F.pad(x, (before, after, before, after), mode="reflect")
    assert torch.equal(found, wanted)
    weight = torch.randn_like(wanted)
    gradients = [torch.autograd.grad((padded * weight).sum(), x)[0] for padded in (found, wanted)]
    torch.testing.assert_close(*gradients)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_training_on_cuda_repeats_itself_to_the_bit() -> None:
    weights = [flat(train(TINY, (2, 3), 0, "cuda").agent) for _ in range(2)]
    assert torch.equal(*weights)


def test_weights_are_orthogonal_and_come_from_the_generator() -> None:
    network = SMOKE.network((2, 3))
    one, same, other = (Agent(network, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    vectors = [flat(agent) for agent in (one, same, other)]
    assert torch.equal(vectors[0], vectors[1]) and not torch.equal(vectors[0], vectors[2])
    for layer, gain in ((one.linear, 2.0), (one.policy, 0.01**2), (one.value, 1.0)):
        gram = layer.weight @ layer.weight.T
        torch.testing.assert_close(gram, gain * torch.eye(len(gram)), atol=1e-4 * gain, rtol=0)
        assert not layer.bias.any()


# -- whole trainings


def test_atari_trains_through_the_same_code() -> None:
    task = get_task("atari-ss1/breakout@lite")
    recipe = dataclasses.replace(
        task.recipe, env_steps=64, num_envs=2, rollout=16, eval_games=2, max_game_steps=60, no_ops=0
    )
    trained = train(dataclasses.replace(task, recipe=recipe), (2, 1), 0)
    assert len(trained.curve) == 20 and len(trained.eval_returns) == 2
    assert all(value >= 0 for value in trained.eval_returns)


def test_a_cell_s_rows_hold_the_training(tmp_path: Any) -> None:
    table = train_cell(TINY, "k1-k2", 3, tmp_path)
    (path,) = shards.shard_folder(tmp_path, TINY).glob("*.parquet")
    assert read_parquet(path, SCHEMAS["rl"]).equals(table)
    rows, trained = table.to_pylist(), train(TINY, "k1-k2", 3)
    assert [row["fidelity"] for row in rows] == list(TINY.fidelities)
    for row, point in zip(rows, trained.curve, strict=True):
        assert (row["arch"], row["seed"], row["recipe"]) == ("k1-k2", 3, TINY.digest)
        assert row["games"] == point.games
        for name in ("return_last100", "return_all"):
            expected = getattr(point, name)
            assert row[name] == (None if math.isnan(expected) else expected)
        assert (row["params"], row["flops"]) == (TINY.network("k1-k2").params, TINY.network("k1-k2").flops)
    assert all(row["return_eval"] is None for row in rows[:-1])
    assert rows[-1]["return_eval"] == pytest.approx(np.mean(trained.eval_returns))
    assert rows[-1]["return_eval_std"] == pytest.approx(np.std(trained.eval_returns, ddof=1))
    assert rows[-1]["eval_games"] == 4
