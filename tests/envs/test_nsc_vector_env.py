"""The vector form of the NSC environment: the same as single ones side by side, whatever it remembers."""

from __future__ import annotations

import copy
import pickle
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from nasbench_rl.envs import ENV_ID
from nasbench_rl.envs.design_mdp import TERMINATIONS
from nasbench_rl.envs.nsc_env import NscEnv
from nasbench_rl.envs.nsc_vector_env import NscVectorEnv
from nasbench_rl.errors import InvalidValueError, MissingCellError, UnknownNameError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc.space import NscChain, NscMultiBranch, NscSpace
from nasbench_rl.tables.results import Cost, Evaluation

CHAIN, BRANCH = NscChain(), NscMultiBranch()
CONV1, CONV3, TERMINAL, P1_DOWN = 0, 1, 7, 11
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)


def accuracy_of(arch: Architecture) -> float:
    """Some number in [0, 1) that the name fixes."""
    return zlib.crc32(arch.name.encode()) / 2**32


def is_valid(arch: Architecture) -> bool:
    return len(arch.choices) < 7


def evaluation_of(arch: Architecture) -> Evaluation:
    """``accuracy_of``, some of it measured and some guessed."""
    score, cost = accuracy_of(arch), Cost(12, "epochs", 1.0)
    source = "table" if score < 0.5 else "surrogate"
    return Evaluation("made", arch.name, 12, "validation", (), score, 0.0, {}, cost, 1, 1, source)  # type: ignore[arg-type]


def make(
    space: NscSpace = CHAIN,
    num_envs: int = 3,
    evaluate: Callable[[Architecture], float | Evaluation] = accuracy_of,
    side: int = 16,
    **options: Any,
) -> NscVectorEnv:
    return NscVectorEnv(space, evaluate, lambda arch: space.is_valid(arch, side, side), num_envs, **options)


def singles(
    space: NscSpace, num_envs: int, mode: AutoresetMode, evaluate: Any = accuracy_of, side: int = 16, **options: Any
) -> SyncVectorEnv:
    def single() -> NscEnv:
        return NscEnv(space, evaluate, lambda arch: space.is_valid(arch, side, side), **options)

    return SyncVectorEnv([single] * num_envs, autoreset_mode=mode)


def singles_in(space: NscSpace, num_envs: int, autoreset_mode: AutoresetMode, **options: Any) -> SyncVectorEnv:
    return singles(space, num_envs, autoreset_mode, **options)


def assert_same_info(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        if isinstance(value, dict):
            assert_same_info(ours[key], value)
        elif key == "final_obs":
            for mine, other in zip(ours[key], value, strict=True):
                assert (mine is None) == (other is None) and (mine is None or np.array_equal(mine, other))
        else:
            assert ours[key].dtype == value.dtype and ours[key].tolist() == value.tolist(), key


def probabilities(count: int) -> np.ndarray:
    """Mostly layers, so that episodes reach the depth; the terminal action seldom."""
    weights = np.ones(count)
    weights[TERMINAL], weights[CONV1] = 0.3, 3.0
    return weights / weights.sum()


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{"sigma": 0.1}, {"tau": 3}, {"tau": 4, "evaluate": evaluation_of}])
def test_it_is_single_environments_side_by_side(space: NscSpace, mode: AutoresetMode, options: dict[str, Any]) -> None:
    ours, theirs = make(space, 7, autoreset_mode=mode, **options), singles(space, 7, mode, **options)
    for mine, other in zip(ours.reset(seed=1), theirs.reset(seed=1), strict=True):
        assert_same_info(mine, other) if isinstance(other, dict) else np.testing.assert_array_equal(mine, other)
    rng, count = np.random.default_rng(0), ours.single_action_space.n
    ended: set[str] = set()
    for _ in range(150):
        actions = rng.choice(count, size=7, p=probabilities(count))
        *got, info = ours.step(actions)
        *expected, their_info = theirs.step(actions)
        for mine, other in zip(got, expected, strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_array_equal(mine, other)
        assert_same_info(info, their_info)
        last = info if mode is AutoresetMode.NEXT_STEP else info.get("final_info", {})
        ended |= {end for end in last.get("terminated_by", ()) if end}
    possible = {"terminal", "invalid", "max_actions" if "tau" in options else "max_depth"}
    assert ended >= possible | ({"out_of_bounds"} if space is BRANCH else set())
    assert ended <= set(TERMINATIONS)


@pytest.mark.parametrize("mode", MODES)
def test_every_answer_says_where_it_came_from(mode: AutoresetMode) -> None:
    """Every network in an info has a source beside its accuracy, in the last step of an episode too."""
    env, rng, seen = make(BRANCH, 16, evaluate=evaluation_of, autoreset_mode=mode), np.random.default_rng(0), set()
    env.reset()
    for _ in range(60):
        info = env.step(rng.integers(14, size=16))[4]
        for told in (info, info.get("final_info", {})):
            if "arch" not in told:
                assert "source" not in told
                continue
            assert np.array_equal(told["_source"], told["_arch"])
            for arch, accuracy, source in zip(told["arch"], told["accuracy"], told["source"], strict=True):
                measured = "table" if accuracy < 0.5 else "surrogate"
                assert source == (arch and (measured if BRANCH.is_valid(BRANCH.parse(arch), 16, 16) else "invalid"))
            seen |= set(told["source"])
    assert seen == {None, "table", "surrogate", "invalid"}


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
@pytest.mark.parametrize("mode", MODES)
def test_some_of_them_begin_anew_by_reset_mask(space: NscSpace, mode: AutoresetMode) -> None:
    """As ``SyncVectorEnv`` has it, between steps of any kind, the one after an episode's end among them."""
    ours, theirs = (make_one(space, 5, autoreset_mode=mode, tau=4) for make_one in (make, singles_in))
    ours.reset(), theirs.reset()
    rng, met = np.random.default_rng(2), 0
    for _ in range(80):
        actions = rng.choice(ours.single_action_space.n, size=5, p=probabilities(ours.single_action_space.n))
        last, their_last = ours.step(actions), theirs.step(actions)
        for mine, other in zip(last[:4], their_last[:4], strict=True):
            np.testing.assert_array_equal(mine, other)
        assert_same_info(last[4], their_last[4])
        mask = rng.random(5) < 0.4
        if mask.any():
            met += bool((last[2] & mask).any() and (last[2] & ~mask).any())
            options = {"reset_mask": mask.copy()}
            (views, info), (their_views, their_info) = ours.reset(options=options), theirs.reset(options=dict(options))
            np.testing.assert_array_equal(views, their_views)
            assert_same_info(info, their_info)
            np.testing.assert_array_equal(views[~mask], last[0][~mask])
            assert options["reset_mask"].tolist() == mask.tolist(), "wrappers around it need the option, too"
    assert met > 3


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([True, False, True], r"reset_mask \[True, False, True\] is no NumPy array"),
        (None, "reset_mask None is no NumPy array"),
        (np.array([True, False]), r"reset_mask is bool \(2,\)"),
        (np.array([[True, False, True]]), r"reset_mask is bool \(1, 3\)"),
        (np.array(True), r"reset_mask is bool \(\)"),
        (np.array([1, 0, 1]), r"reset_mask is int64 \(3,\)"),
        (np.array([True, None, True], dtype=object), r"reset_mask is object \(3,\)"),
        (np.zeros(3, dtype=bool), "reset_mask is False everywhere"),
    ],
)
def test_a_wrong_reset_mask_changes_nothing(mask: Any, message: str) -> None:
    env = make()
    env.reset()
    env.step(np.array([CONV1, CONV3, TERMINAL]))
    with pytest.raises(InvalidValueError, match=message + ".*; allowed: an array of 3 booleans"):
        env.reset(options={"reset_mask": mask})
    info = env.step(np.array([CONV1, CONV1, CONV1]))[4]
    assert info["arch"].tolist() == ["conv1 conv1", "conv3 conv1", None]


def test_the_first_reset_is_of_all() -> None:
    env = make()
    with pytest.raises(InvalidValueError, match=r"never began; call reset\(\) without it first"):
        env.reset(options={"reset_mask": np.array([True, False, True])})
    env.reset(options={"reset_mask": np.ones(3, dtype=bool)})
    assert env.step(np.array([CONV1, CONV3, TERMINAL]))[2].tolist() == [False, False, True]
    env.reset(options={"another": 1})
    assert env.step(np.array([CONV1] * 3))[4]["arch"].tolist() == ["conv1"] * 3


def test_statistics_of_episodes_heed_a_reset_mask() -> None:
    """They read the option after the environment, which must leave it there."""
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(make(num_envs=2))
    env.reset()
    env.step(np.array([CONV1, CONV3]))
    env.reset(options={"reset_mask": np.array([True, False])})
    *_, info = env.step(np.array([TERMINAL, TERMINAL]))
    assert info["episode"]["l"].tolist() == [1, 2]


def test_more_sequences_than_it_has_room_for_at_first() -> None:
    ours, theirs = make(BRANCH, 64, sigma=0.1), singles(BRANCH, 64, AutoresetMode.NEXT_STEP, sigma=0.1)
    ours.reset(), theirs.reset()
    rng = np.random.default_rng(1)
    for _ in range(60):
        actions = rng.integers(14, size=64)
        assert np.array_equal(ours.step(actions)[1], theirs.step(actions)[1])
    assert len(ours._tree.child) > 1024


def test_what_was_returned_stays_as_it_was() -> None:
    env = make(BRANCH, 2)
    env.reset()
    first = env.step(np.array([CONV1, CONV3]))
    kept = [part.copy() for part in first[:4]], {key: value.copy() for key, value in first[4].items()}
    env.step(np.array([CONV3, TERMINAL]))
    env.step(np.array([P1_DOWN, CONV1]))
    for part, then in zip(first[:4], kept[0], strict=True):
        assert np.array_equal(part, then)
    assert_same_info(first[4], kept[1])


def test_each_network_is_evaluated_once() -> None:
    called: list[str] = []
    env = make(num_envs=4, evaluate=lambda arch: called.append(arch.name) or accuracy_of(arch))
    for _ in range(2):
        env.reset()
        env.step(np.array([CONV1, CONV3, CONV1, TERMINAL]))
    assert sorted(called) == ["conv1", "conv3"]


def test_an_error_of_evaluate_changes_nothing() -> None:
    def fails(arch: Architecture) -> float:
        if arch.name == "conv1 conv3":
            raise MissingCellError("not in the table")
        return accuracy_of(arch)

    env = make(num_envs=2, evaluate=fails)
    env.reset()
    env.step(np.array([CONV3, CONV1]))
    with pytest.raises(MissingCellError):
        env.step(np.array([CONV3, CONV3]))
    assert env.step(np.array([CONV3, CONV1]))[4]["arch"].tolist() == ["conv3 conv3", "conv1 conv1"]


@pytest.mark.parametrize(
    "actions", [[0, 0], [[0, 0, 0]], [0.0, 1.0, 2.0], 3, [True, False, True], ["conv1", "conv1", "conv1"]]
)
def test_actions_of_the_wrong_kind(actions: Any) -> None:
    env = make()
    env.reset()
    with pytest.raises(InvalidValueError, match="3 integers"):
        env.step(np.asarray(actions))


@pytest.mark.parametrize("bad", [-1, 8])
def test_an_unknown_action_is_named(bad: int) -> None:
    env = make()
    env.reset()
    with pytest.raises(InvalidValueError, match=f"action {bad} is none of 'nsc-chain'; allowed: 0 conv1"):
        env.step(np.array([0, bad, 0]))


def test_a_step_before_reset() -> None:
    with pytest.raises(InvalidValueError, match="call reset"):
        make().step(np.zeros(3, dtype=int))


def test_options_outside_what_is_allowed() -> None:
    for bad in (0, 2.5, "3"):
        with pytest.raises(InvalidValueError, match=f"num_envs {bad!r}.*allowed"):
            make(num_envs=bad)
    with pytest.raises(UnknownNameError, match="'Disabled'.*allowed: NextStep, SameStep"):
        make(autoreset_mode=AutoresetMode.DISABLED)
    assert make(autoreset_mode="SameStep").metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


# -- copies and pickles


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("mode", MODES)
def test_a_copy_goes_on_by_itself(copied: Callable[[NscVectorEnv], NscVectorEnv], mode: AutoresetMode) -> None:
    env = NscVectorEnv(BRANCH, accuracy_of, is_valid, 4, sigma=0.1, autoreset_mode=mode)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    before, after = rng.integers(14, size=(10, 4)), rng.integers(14, size=(30, 4))
    for actions in before:
        env.step(actions)
    twin = copied(env)
    ahead = [twin.step(actions) for actions in after]
    twin.close()
    assert not env.closed
    for got, actions in zip(ahead, after, strict=True):
        expected = env.step(actions)
        for mine, other in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(mine, other)
        assert_same_info(got[4], expected[4])
    assert twin.np_random.random() == env.np_random.random() or copied is copy.copy


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_ask_for_each_network_once(copied: Callable[[NscVectorEnv], NscVectorEnv]) -> None:
    called: list[str] = []
    env = make(num_envs=2, evaluate=lambda arch: called.append(arch.name) or accuracy_of(arch))
    env.reset()
    copied(env).step(np.array([CONV1, CONV3]))
    env.step(np.array([CONV3, CONV1]))
    assert sorted(called) == ["conv1", "conv3"]


def test_what_make_vec_made_can_be_pickled(tmp_path: Path) -> None:
    options = {"task": "nsc-multibranch/digits@lite", "mode": "live", "tables": tmp_path, "render_mode": None}
    env = gymnasium.make_vec(ENV_ID, num_envs=3, **options)
    env.reset()
    env.step(np.array([TERMINAL, P1_DOWN, P1_DOWN]))
    again = pickle.loads(pickle.dumps(env))
    assert again.spec == env.spec and again.num_envs == 3
    for mine, other in zip(again.step(np.full(3, TERMINAL))[:4], env.step(np.full(3, TERMINAL))[:4], strict=True):
        np.testing.assert_array_equal(mine, other)


def test_it_draws_nothing(tmp_path: Path) -> None:
    options = {"task": "nsc-chain/digits@lite", "mode": "live", "tables": tmp_path}
    for build in (make, lambda **more: gymnasium.make_vec(ENV_ID, **options, **more)):
        assert build(render_mode=None).render_mode is None
        with pytest.raises(InvalidValueError, match="render_mode 'human': .*; allowed: None"):
            build(render_mode="human")


# -- gymnasium.make_vec


@pytest.mark.parametrize(
    ("options", "mode"),
    [({}, AutoresetMode.NEXT_STEP), ({"autoreset_mode": AutoresetMode.SAME_STEP}, AutoresetMode.SAME_STEP)],
)
def test_make_vec(options: dict[str, Any], mode: AutoresetMode, tmp_path: Path) -> None:
    task = {"task": "nsc-multibranch/digits@lite", "mode": "live", "tables": tmp_path}
    env = gymnasium.make_vec(ENV_ID, num_envs=5, vectorization_mode="vector_entry_point", **task, **options)
    assert isinstance(env, NscVectorEnv) and env.metadata["autoreset_mode"] is mode
    views, info = env.reset(seed=0)
    assert env.observation_space.contains(views) and views.shape == (5, 10, 36) and info["p1"].tolist() == [0] * 5
    assert env.action_space.shape == (5,) and env.single_action_space.n == 14
    _, rewards, terminated, truncated, info = env.step(np.full(5, TERMINAL))
    assert not rewards.any() and terminated.all() and not truncated.any()


def test_without_a_mode_make_vec_makes_the_fast_form(tmp_path: Path) -> None:
    options = {"task": "nsc-chain/digits@lite", "mode": "live", "tables": tmp_path}
    assert isinstance(gymnasium.make_vec(ENV_ID, num_envs=2, **options), NscVectorEnv)
    slow = gymnasium.make_vec(ENV_ID, num_envs=2, vectorization_mode="sync", **options)
    assert isinstance(slow, VectorEnv) and not isinstance(slow, NscVectorEnv)


def test_a_wrapper_of_gymnasium_works_on_it() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(make(num_envs=2))
    env.reset()
    env.step(np.array([CONV1, TERMINAL]))
    *_, info = env.step(np.array([TERMINAL, CONV1]))
    assert info["episode"]["r"][0] == pytest.approx(2 * accuracy_of(CHAIN.parse("conv1")))
    assert info["episode"]["l"][0] == 2


def test_100_000_steps_a_second_on_known_networks() -> None:
    """CPU time, so that a busy machine does not matter."""
    env = make(num_envs=256, side=28)
    actions = np.random.default_rng(0).integers(8, size=(100, 256))

    def play() -> float:
        env.reset()
        began = time.process_time()
        for chosen in actions:
            env.step(chosen)
        return time.process_time() - began

    play()
    assert actions.size / min(play() for _ in range(3)) > 100_000
