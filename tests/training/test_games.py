"""The emulators as the trainer sees them: each trap in their defaults, seeds, time limits, and what a return is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from ale_py import Action
from ale_py.vector_env import AtariVectorEnv

from nasbench_rl.errors import MissingExtraError, UnknownNameError
from nasbench_rl.task import Environment, get_task
from nasbench_rl.training.games import make as games_module
from nasbench_rl.training.games.atari import AtariGames, to_blocks
from nasbench_rl.training.games.base import Step
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.games.minatar import MinAtarGames

ATARI = get_task("atari-ss1/breakout@lite")
FREEWAY = get_task("atari-ss1/freeway@lite")
MINATAR = get_task("minatar-ss1/breakout@lite")


def play(games: Any, actions: np.ndarray[Any, Any], seed: int = 0) -> list[Step]:
    """Reset with ``seed`` and play ``actions``, (steps, games)."""
    games.reset(np.random.SeedSequence(seed))
    steps = [games.step(row) for row in actions]
    games.close()
    return steps


def atari(task: Any, num_envs: int, **changes: Any) -> AtariGames:
    return AtariGames(task.environment, dataclasses.replace(task.recipe, **changes), num_envs)


def minatar(num_envs: int, name: str = "breakout", **changes: Any) -> MinAtarGames:
    task = get_task(f"minatar-ss1/{name}@lite")
    return MinAtarGames(task.environment, dataclasses.replace(task.recipe, **changes), num_envs)


def random_actions(steps: int, games: int, actions: int = 3, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(actions, size=(steps, games))


def stack(steps: list[Step], name: str) -> np.ndarray[Any, Any]:
    return np.stack([getattr(step, name) for step in steps])


# -- ALE


@pytest.fixture(scope="module")
def breakout() -> dict[str, Any]:
    """Random play in three games of Breakout: the steps, the rows forced before each, the actions the emulator got."""
    games, sent, forced, frames = atari(ATARI, 3), [], [], []
    step_env = games.env.step

    def spy(actions: np.ndarray[Any, Any]) -> Any:
        sent.append(actions.copy())
        result = step_env(actions)
        frames.append(result[4]["episode_frame_number"].copy())
        return result

    games.env.step = spy  # type: ignore[method-assign]
    games.reset(np.random.SeedSequence(0))
    steps = []
    for actions in random_actions(260, 3, 4):
        forced.append(games.forced.copy())
        steps.append(games.step(np.where(actions == games.fire, 0, actions)))  # the policy itself never presses FIRE
    games.close()
    return {"steps": steps, "sent": sent, "forced": np.stack(forced), "frames": np.stack(frames)}


def test_a_lost_life_ends_an_episode_but_not_the_game(breakout: dict[str, Any]) -> None:
    ended, over = stack(breakout["steps"], "ended"), np.zeros((260, 3), dtype=bool)
    for t, step in enumerate(breakout["steps"]):
        over[t, list(step.returns)] = True
    assert over.any() and (ended & ~over).sum() >= 12
    for row in range(3):
        ends = np.flatnonzero(over[:, row])
        for start, end in zip([0, *ends[:-1] + 1], ends, strict=False):
            assert ended[start : end + 1, row].sum() == 5, "a game of Breakout has five lives"
    jumps = np.diff(breakout["frames"], axis=0)
    assert (jumps[~over[1:]] == 4).all(), "frames run on through a lost life, four a step"
    assert (jumps[over[1:]] < 0).all()


def test_fire_is_pressed_after_each_lost_life_and_the_row_is_marked(breakout: dict[str, Any]) -> None:
    forced, ended = breakout["forced"], stack(breakout["steps"], "ended")
    over = np.array([[row in step.returns for row in range(3)] for step in breakout["steps"]])
    np.testing.assert_array_equal(forced[1:], (ended & ~over)[:-1])
    assert not forced[0].any() and forced.sum() >= 12
    fire = 1
    sent = np.stack(breakout["sent"])
    np.testing.assert_array_equal(sent == fire, forced)
    # without it no ball would be served, and no other life lost
    assert ended.sum(axis=0).min() >= 6


def test_fire_is_never_forced_where_the_game_has_no_fire() -> None:
    games = atari(FREEWAY, 2, max_game_steps=40)
    assert games.fire is None
    games.reset(np.random.SeedSequence(0))
    for _ in range(90):
        games.step(np.zeros(2, dtype=np.int64))
        assert not games.forced.any()
    games.close()


def test_a_return_is_the_sum_of_raw_rewards_over_a_whole_game(breakout: dict[str, Any]) -> None:
    total = np.zeros(3)
    seen = []
    for step in breakout["steps"]:
        total += step.reward
        for row, value in step.returns.items():
            assert value == total[row]
            seen.append(value)
            total[row] = 0.0
    assert len(seen) >= 3 and max(seen) > 0


def test_an_observation_is_the_maximum_of_its_last_two_frames() -> None:
    """As in ale-py with ``maxpool``, and not as without: some games draw a sprite in every other frame alone."""
    games, seeds, recipe = atari(ATARI, 2), np.random.SeedSequence(3), ATARI.recipe
    pooled, single = (
        AtariVectorEnv(
            ATARI.environment.name, 2, num_threads=1, noop_max=recipe.no_ops, repeat_action_probability=recipe.sticky,
            frameskip=4, maxpool=maxpool, life_loss_info=True, reward_clipping=False, autoreset_mode="SameStep",
        )
        for maxpool in (True, False)
    )  # fmt: skip
    games.reset(seeds)
    for env in (pooled, single):
        env.reset(seed=(seeds.generate_state(2) >> 1).astype(np.int64))
    alike = {"pooled": True, "single": True}
    for chosen in random_actions(40, 2):
        actions = np.where(games.forced, games.fire, chosen)
        seen = games.step(chosen).observation
        for name, env in (("pooled", pooled), ("single", single)):
            alike[name] &= np.array_equal(to_blocks(env.step(actions)[0]), seen)
    for env in (games, pooled, single):
        env.close()
    assert alike == {"pooled": True, "single": False}


def test_rewards_are_not_clipped() -> None:
    pacman = atari(dataclasses.replace(ATARI, environment=Environment("ms_pacman", "atari", 4, 9)), 1)
    reward = stack(play(pacman, random_actions(80, 1, 9)), "reward")
    assert reward.max() >= 10


def test_sticky_actions_are_the_recipe_s() -> None:
    up, rest = np.full((60, 1), 1), np.zeros((60, 1), dtype=np.int64)

    def differs(sticky: float) -> bool:
        a, b = (stack(play(atari(FREEWAY, 1, sticky=sticky), x), "observation") for x in (up, rest))
        return not np.array_equal(a, b)

    assert differs(0.0)
    assert not differs(1.0), "with sticky 1 every action repeats the one before, so that none has an effect"


def test_no_sticky_actions_unless_the_recipe_says_so() -> None:
    start = [play(atari(FREEWAY, 1, no_ops=0), np.full((40, 1), 1), seed)[-1].observation for seed in (0, 1)]
    np.testing.assert_array_equal(*start)  # nothing else is random in Freeway
    walk = random_actions(40, 1)
    sticky = [play(atari(FREEWAY, 1, no_ops=0, sticky=0.25), walk, seed)[-1].observation for seed in (0, 1)]
    assert not np.array_equal(*sticky)


@pytest.mark.parametrize("make", [lambda: atari(ATARI, 3), lambda: minatar(3)], ids=["atari", "minatar"])
def test_seed_0_is_a_seed(make: Any) -> None:
    actions = random_actions(60, 3)
    first, again, other = (stack(play(make(), actions, seed), "observation") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("make", [lambda: atari(ATARI, 4), lambda: minatar(4, "freeway")], ids=["atari", "minatar"])
def test_games_side_by_side_differ(make: Any) -> None:
    last = play(make(), np.zeros((30, 4), dtype=np.int64))[-1].observation
    assert len(np.unique(last.reshape(4, -1), axis=0)) > 1


def test_the_emulator_itself_takes_seed_0() -> None:
    def frames(seed: int) -> np.ndarray[Any, Any]:
        env = AtariVectorEnv("breakout", 1, num_threads=1, repeat_action_probability=0.25)
        env.reset(seed=np.array([seed]))
        seen = [env.step(np.full(1, 2 + i % 2))[0] for i in range(40)]
        env.close()
        return np.stack(seen)

    np.testing.assert_array_equal(frames(0), frames(0))
    assert not np.array_equal(frames(0), frames(1))


@pytest.mark.parametrize(("task", "limit"), [(ATARI, 70), (FREEWAY, 50)], ids=["breakout", "freeway"])
def test_a_game_cut_by_the_time_limit_is_no_failure(task: Any, limit: int) -> None:
    steps = play(atari(task, 2, max_game_steps=limit), np.zeros((2 * limit + 5, 2), dtype=np.int64))
    cut = np.flatnonzero(stack(steps, "truncated").all(axis=1))
    assert cut.tolist() == [limit - 1, 2 * limit - 1]
    for t in cut:
        step = steps[t]
        assert not step.ended.any()
        assert sorted(step.final) == sorted(step.returns) == [0, 1]
        for row, final in step.final.items():
            assert final.shape == step.observation[row].shape and not np.array_equal(final, step.observation[row])
    assert not any(step.final or step.truncated.any() for t, step in enumerate(steps) if t not in cut)


def test_the_final_observation_is_the_one_the_game_was_cut_in() -> None:
    cut = play(atari(FREEWAY, 1, max_game_steps=50), np.full((50, 1), 1))[-1]
    on = play(atari(FREEWAY, 1), np.full((50, 1), 1))[-1]
    newest = frame_of_channel() == 3
    ends, goes_on = cut.final[0], on.observation[0]
    np.testing.assert_array_equal(ends[..., ~newest], goes_on[..., ~newest])
    # The emulator leaves a cut game's very last frame out of the max-pool, which shifts moving things by a frame.
    assert (ends[..., newest] != goes_on[..., newest]).mean() < 0.05


def test_the_step_after_a_game_s_end_counts(breakout: dict[str, Any]) -> None:
    for t, step in enumerate(breakout["steps"][:-1]):
        for row in step.returns:
            assert breakout["frames"][t + 1, row] == breakout["frames"][t, row] + 4
            assert not breakout["forced"][t + 1, row]


def frame_of_channel() -> np.ndarray[Any, Any]:
    """Which of the four stacked frames each of a block's 64 channels holds."""
    frames = np.broadcast_to(np.arange(4, dtype=np.uint8)[None, :, None, None], (1, 4, 84, 84))
    return to_blocks(frames)[0, 0, 0]


def test_a_block_holds_each_pixel_of_its_square_once() -> None:
    frames = np.random.default_rng(0).integers(256, size=(2, 4, 84, 84), dtype=np.uint8)
    blocks = to_blocks(frames)
    assert blocks.shape == (2, 21, 21, 64) and blocks.dtype == np.uint8 and blocks.flags.c_contiguous
    squares = frames.reshape(2, 4, 21, 4, 21, 4).transpose(0, 2, 4, 1, 3, 5).reshape(2, 21, 21, 64)
    np.testing.assert_array_equal(np.sort(blocks, axis=-1), np.sort(squares, axis=-1))
    assert np.bincount(frame_of_channel()).tolist() == [16, 16, 16, 16]


def test_forced_is_the_action_called_fire() -> None:
    games = atari(ATARI, 1)
    assert games.env.ale.get_action_set()[games.fire] == Action.FIRE
    games.close()


# -- MinAtar


def test_minatar_games_end_and_begin_anew_in_the_same_step() -> None:
    steps = play(minatar(4), random_actions(300, 4))
    total, finished = np.zeros(4), 0
    for step in steps:
        total += step.reward
        assert sorted(np.flatnonzero(step.ended)) == sorted(step.returns)
        for row, value in step.returns.items():
            assert value == total[row]
            total[row], finished = 0.0, finished + 1
            assert step.observation[row].any()
    assert finished > 10


def test_minatar_games_are_cut_by_the_time_limit() -> None:
    steps = play(minatar(3, "freeway", max_game_steps=25), np.zeros((60, 3), dtype=np.int64))
    assert [t for t, step in enumerate(steps) if step.truncated.any()] == [24, 49]
    for t in (24, 49):
        assert steps[t].truncated.all() and not steps[t].ended.any()
        assert sorted(steps[t].final) == sorted(steps[t].returns) == [0, 1, 2]
        on = play(minatar(3, "freeway"), np.zeros((25, 3), dtype=np.int64))[-1].observation
        if t == 24:
            np.testing.assert_array_equal(np.stack([steps[t].final[i] for i in range(3)]), on)


def test_a_new_minatar_game_repeats_no_action_of_the_last_one() -> None:
    games = minatar(2, sticky=1.0)
    games.reset(np.random.SeedSequence(0))
    for game in games.games:
        game.last_action = 3  # left over from whatever was played before
    for _ in range(200):
        step = games.step(np.ones(2, dtype=np.int64))
        for row in step.returns:
            assert games.games[row].last_action == 0
    games.reset(np.random.SeedSequence(0))
    assert [game.last_action for game in games.games] == [0, 0]


def test_minatar_sticky_actions_are_the_recipe_s() -> None:
    left, right = (np.full((8, 1), a) for a in (1, 2))
    same = [play(minatar(1, sticky=1.0), x)[-1].observation for x in (left, right)]
    np.testing.assert_array_equal(*same)
    free = [play(minatar(1, sticky=0.0), x)[-1].observation for x in (left, right)]
    assert not np.array_equal(*free)


def test_minatar_leaves_the_global_random_state_alone() -> None:
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    play(minatar(2, "seaquest"), random_actions(50, 2, 6))
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


# -- both


def test_a_missing_emulator_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module in ("nasbench_rl.training.games.minatar", "minatar"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "minatar", None)
    with pytest.raises(MissingExtraError, match=r"'minatar'.*nasbench-rl\[live\]"):
        games_module.make_games(MINATAR, 1)


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="procgen"):
        games_module.games_class("procgen")


def test_make_games_chooses_the_suite() -> None:
    for task, kind in ((ATARI, "AtariGames"), (MINATAR, "MinAtarGames")):
        games = make_games(task, 2)
        assert type(games).__name__ == kind and games.num_envs == 2 and not games.forced.any()
        games.close()
