"""The Gymnasium view of a run: Gymnasium's own checks, what an episode is, and who pays."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tables import DEEP, SINGLE_SEED, TWO_BY_SEED, write_made_accuracies

pytest.importorskip("gymnasium")

import gymnasium
from gymnasium.utils.env_checker import check_env

from nasbench_rl import BudgetExhausted, Run, load
from nasbench_rl.errors import InvalidValueError, NasbenchError


def start(tables: Path, task: str = TWO_BY_SEED, trainings: float = 10.0) -> Run:
    bench = load(task, tables=tables)
    return bench.start(int(trainings * bench.task.max_fidelity), 0)


@pytest.mark.parametrize("task", [TWO_BY_SEED, SINGLE_SEED, DEEP])
def test_gymnasiums_own_check(made_tables: Path, task: str) -> None:
    check_env(start(made_tables, task, 1000).env(), skip_render_check=True)


@pytest.mark.parametrize("task", [TWO_BY_SEED, DEEP])
def test_an_episode_chooses_layer_by_layer(made_tables: Path, task: str) -> None:
    run = start(made_tables, task)
    env, kernels = run.env(), len(run.space.kernels)
    observation, info = env.reset()
    assert info == {} and env.action_space.n == kernels
    for layer in range(run.space.depth):
        table = observation.reshape(run.space.depth, kernels + 1)
        assert (table.sum(axis=1) == 1).all()
        assert table[:, -1].tolist() == [0.0] * layer + [1.0] * (run.space.depth - layer)
        assert not run.points, "nothing is paid for before the last choice"
        action = layer % kernels
        observation, reward, terminated, truncated, info = env.step(np.int64(action))
        assert observation.reshape(run.space.depth, -1)[layer, action] == 1
        assert not truncated and terminated == (layer == run.space.depth - 1)
    expected = tuple(run.space.kernels[layer % kernels] for layer in range(run.space.depth))
    assert info == {"arch": run.space.parse(expected).name, "spent": run.task.max_fidelity}
    assert reward == run.points[0].score and len(run.points) == 1


def test_rewards_before_the_last_choice_are_zero(made_tables: Path) -> None:
    run = start(made_tables, DEEP)
    env = run.env()
    env.reset()
    rewards = [env.step(np.int64(0))[1] for _ in range(run.space.depth)]
    assert rewards[:-1] == [0.0] * (run.space.depth - 1) and rewards[-1] != 0.0


def test_a_reset_begins_anew(made_tables: Path) -> None:
    run = start(made_tables)
    env = run.env()
    first = env.reset()[0]
    env.step(np.int64(2))
    assert np.array_equal(env.reset()[0], first)
    env.step(np.int64(0))
    assert env.step(np.int64(4))[4]["arch"] == "k1-k5"


def test_a_fidelity_of_its_own(made_tables: Path) -> None:
    run = start(made_tables)
    low = run.task.fidelities[0]
    env = run.env(fidelity=low)
    env.reset()
    env.step(np.int64(0))
    reward = env.step(np.int64(0))[1]
    assert run.spent == low and reward == run.points[0].score and run.points[0].fidelity == low


def test_a_repeated_episode_pays_for_another_seed_until_none_is_left(made_tables: Path) -> None:
    run = start(made_tables)
    env = run.env()
    spent = []
    for _ in range(4):
        env.reset()
        env.step(np.int64(1))
        spent.append(env.step(np.int64(1))[4]["spent"] // run.task.max_fidelity)
    assert spent == [1, 2, 2, 2]


def test_an_empty_budget_ends_the_search_inside_a_step(made_tables: Path) -> None:
    run = start(made_tables, trainings=1.5)
    env = run.env()
    for choice in (0, 1):
        env.reset()
        env.step(np.int64(choice))
        if choice:
            with pytest.raises(BudgetExhausted):
                env.step(np.int64(choice))
        else:
            env.step(np.int64(choice))
    assert run.spent == run.task.max_fidelity and len(run.points) == 1


@pytest.mark.parametrize("task", [TWO_BY_SEED, DEEP])
def test_a_step_outside_an_episode_asks_for_a_reset_and_costs_nothing(made_tables: Path, task: str) -> None:
    run = start(made_tables, task)
    env = run.env()
    with pytest.raises(InvalidValueError, match=r"call reset\(\)"):
        env.step(np.int64(0))
    env.reset()
    for layer in range(run.space.depth):
        assert env.step(np.int64(1))[2] == (layer == run.space.depth - 1)
    for _ in range(2):
        with pytest.raises(InvalidValueError, match=r"no episode is going on; call reset\(\)"):
            env.step(np.int64(1))
    assert len(run.points) == 1 and run.spent == run.task.max_fidelity
    env.reset()
    assert env.step(np.int64(0))[2] is False


def test_an_episode_that_the_budget_ended_is_over_too(made_tables: Path) -> None:
    run = start(made_tables, trainings=0.5)
    env = run.env()
    env.reset()
    env.step(np.int64(0))
    with pytest.raises(BudgetExhausted):
        env.step(np.int64(0))
    with pytest.raises(InvalidValueError, match="call reset"):
        env.step(np.int64(0))


@pytest.mark.parametrize("action", [-1, 5, 1.0, None])
def test_an_unknown_action_is_named_and_the_episode_goes_on(made_tables: Path, action: Any) -> None:
    env = start(made_tables).env()
    env.reset()
    with pytest.raises(InvalidValueError, match="none of 'minatar-ss1'; allowed: 0 kernel 1, .* 4 kernel 5"):
        env.step(action)
    env.step(np.int64(0))
    assert env.step(np.int64(4))[4]["arch"] == "k1-k5"


COPIES = [copy.copy, copy.deepcopy]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("task", [TWO_BY_SEED, DEEP])
def test_a_copy_looks_ahead_on_the_one_budget(made_tables: Path, task: str, copied: Any) -> None:
    """The best last choice by copies costs what each of them evaluates, and the original goes on where it was."""
    run = start(made_tables, task)
    env, last = run.env(), run.space.depth - 1
    env.reset()
    for _ in range(last):
        env.step(np.int64(0))
    ahead = []
    for action in range(len(run.space.kernels)):
        twin = copied(env)
        assert twin is not env and twin.run is run
        ahead.append(twin.step(np.int64(action))[1])
        assert run.spent == len(ahead) * run.task.max_fidelity == len(run.points) * run.task.max_fidelity
    assert ahead == [point.score for point in run.points] and len(set(ahead)) > 1
    arch = (*[run.space.kernels[0]] * last, run.space.kernels[-1])
    assert env.step(np.int64(len(ahead) - 1))[4] == {"arch": run.space.parse(arch).name, "spent": run.spent}


@pytest.mark.parametrize("copied", COPIES)
def test_copies_cannot_spend_more_than_the_budget(made_tables: Path, copied: Any) -> None:
    run = start(made_tables, trainings=3)
    env = run.env()
    env.reset()
    env.step(np.int64(0))
    with pytest.raises(BudgetExhausted):
        max(range(5), key=lambda action: copied(env).step(np.int64(action))[1])
    assert run.spent == 3 * run.task.max_fidelity and len(run.points) == 3


@pytest.mark.parametrize("copied", COPIES)
def test_copies_of_an_nsc_environment_pay_for_each_network_once(tmp_path: Path, copied: Any) -> None:
    id_, texts = "nsc-chain/digits@lite", ["conv3 conv1", "conv3 conv3", "conv3 conv5", "conv3 maxpool2"]
    write_made_accuracies(tmp_path, id_, ["conv3", *texts], seeds=2)
    run = load(id_, tables=tmp_path).start(12 * 4, 0)
    env = run.env()
    env.reset()
    env.step(np.int64(1))
    ahead = [copied(env).step(np.int64(action))[1] for action in range(3)]
    assert run.spent == 12 * 4 and [point.arch for point in run.points] == ["conv3", *texts[:3]]
    assert [point.score for point in run.points[1:]] == ahead
    assert copied(env).step(np.int64(2))[1] == env.step(np.int64(2))[1] == ahead[2] and run.spent == 12 * 4
    env.reset()
    env.step(np.int64(1))
    with pytest.raises(BudgetExhausted):
        copied(env).step(np.int64(3))


def test_a_wrapped_copy_charges_the_run_too(made_tables: Path) -> None:
    run = start(made_tables)
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.TimeLimit(run.env(), 10))
    env.reset()
    env.step(np.int64(0))
    twin = copy.deepcopy(env)
    assert twin.unwrapped.run is run
    twin.step(np.int64(0))
    assert run.spent == run.task.max_fidelity and env.step(np.int64(1))[4]["spent"] == 2 * run.task.max_fidelity


@pytest.mark.parametrize("task", [TWO_BY_SEED, "nsc-chain/digits@lite"])
def test_an_environment_of_a_run_is_not_pickled(made_tables: Path, tmp_path: Path, task: str) -> None:
    write_made_accuracies(tmp_path, "nsc-chain/digits@lite", ["conv3"], seeds=2)
    env = start(made_tables if task == TWO_BY_SEED else tmp_path, task).env()
    for each in (env, gymnasium.wrappers.TimeLimit(env, 10)):
        with pytest.raises(NasbenchError, match=r"environment of a run cannot be pickled: .*load\(task\)\.start"):
            pickle.dumps(each)


@pytest.mark.parametrize("task", [TWO_BY_SEED, "nsc-chain/digits@lite"])
def test_it_draws_nothing(made_tables: Path, tmp_path: Path, task: str) -> None:
    write_made_accuracies(tmp_path, "nsc-chain/digits@lite", ["conv3"], seeds=2)
    run = start(made_tables if task == TWO_BY_SEED else tmp_path, task)
    assert run.env(render_mode=None).render_mode is None
    with pytest.raises(InvalidValueError, match="render_mode 'human': .*; allowed: None"):
        run.env(render_mode="human")


def test_an_unknown_fidelity_is_refused_before_an_episode(made_tables: Path) -> None:
    with pytest.raises(InvalidValueError, match="fidelity 7 .*allowed"):
        start(made_tables).env(fidelity=7)


def test_another_kind_of_space_is_refused(made_tables: Path) -> None:
    from nasbench_rl.envs import ArchitectureEnv
    from nasbench_rl.spaces.nsc.space import NscChain

    run = start(made_tables)
    run.space = NscChain()
    with pytest.raises(InvalidValueError, match="nsc-chain"):
        ArchitectureEnv(run)
