"""The NSC environment: Table 2, Algorithm 1 worked by hand, each way an episode ends, and Gymnasium's own checks."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium  # noqa: E402
from gymnasium.utils.env_checker import check_env  # noqa: E402
from gymnasium.wrappers import FlattenObservation  # noqa: E402

from nasbench_rl.envs.nsc_env import ENV_ID, NscEnv  # noqa: E402
from nasbench_rl.envs.nsc_mdp import TERMINATIONS, Termination, actions_of  # noqa: E402
from nasbench_rl.errors import InvalidValueError, MissingCellError, TableError, UnknownNameError  # noqa: E402
from nasbench_rl.records import Cost, Evaluation  # noqa: E402
from nasbench_rl.spaces.base import Architecture  # noqa: E402
from nasbench_rl.spaces.kernels import KERNEL_SPACES  # noqa: E402
from nasbench_rl.spaces.nsc import NscChain, NscMultiBranch, NscSpace, load_space  # noqa: E402

CHAIN, BRANCH = NscChain(), NscMultiBranch()
CONV1, CONV3, CONV5, MAX2, MAX3, AVG2, AVG3, TERMINAL, ADD, CONCAT, P1_UP, P1_DOWN, P2_UP, P2_DOWN = range(14)
DIGITS = "nsc-chain/digits@lite"


def accuracy_of(arch: Architecture) -> float:
    """Some number in [0, 1) that the name fixes."""
    return zlib.crc32(arch.name.encode()) / 2**32


def accuracy(space: NscSpace, text: str) -> float:
    return accuracy_of(space.parse(text))


def make(
    space: NscSpace = CHAIN,
    evaluate: Callable[[Architecture], float] = accuracy_of,
    side: int = 28,
    **options: Any,
) -> NscEnv:
    return NscEnv(space, evaluate, lambda arch: space.is_valid(arch, side, side), **options)


def play(env: NscEnv, *actions: int) -> list[tuple[np.ndarray, float, bool, bool, dict[str, Any]]]:
    """The steps of one episode, which may go on."""
    env.reset()
    return [env.step(np.int64(action)) for action in actions]


def rewards(env: NscEnv, *actions: int) -> list[float]:
    return [step[1] for step in play(env, *actions)]


def ends(env: NscEnv, *actions: int) -> list[str | None]:
    steps = play(env, *actions)
    for _, _, terminated, truncated, info in steps:
        assert terminated == ("terminated_by" in info) and not truncated
    return [step[4].get("terminated_by") for step in steps]


# -- Table 2


def test_the_actions_of_table_2() -> None:
    layers = ["conv1", "conv3", "conv5", "maxpool2", "maxpool3", "avgpool2", "avgpool3", "terminal"]
    assert [action.label for action in actions_of(CHAIN.definition)] == layers
    more = ["add", "concat", "p1+1", "p1-1", "p2+1", "p2-1"]
    assert [action.label for action in actions_of(BRANCH.definition)] == layers + more
    assert make().action_space.n == 8 and make(BRANCH).action_space.n == 14


def test_each_layer_action_adds_its_layer() -> None:
    names = [play(make(BRANCH), action)[0][4]["arch"] for action in (*range(7), ADD, CONCAT)]
    labels = [action.label for action in actions_of(BRANCH.definition)]
    assert names == [*labels[:7], "add(0,0)", "concat(0,0)"]


def test_a_space_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ndepth = 3\nchain = true\n'
        '[[layers]]\nname = "identity"\ntype = 4\n[[layers]]\nname = "conv"\ntype = 1\nkernels = [7]\n'
    )
    env = make(load_space(path))
    assert [action.label for action in env.mdp.actions] == ["identity", "conv7"]
    assert env.mdp.tau == 3 and env.observation_space.shape == (3, 5 + 8 + 4)
    assert ends(env, 0, 1, 0) == [None, None, "max_depth"]


# -- Algorithm 1


def test_the_reward_of_each_layer_is_the_accuracy_so_far() -> None:
    texts = ["conv3", "conv3 maxpool2", "conv3 maxpool2 conv1"]
    steps = play(make(), CONV3, MAX2, CONV1)
    assert [step[4]["arch"] for step in steps] == texts
    assert [step[1] for step in steps] == [step[4]["accuracy"] for step in steps]
    assert [step[1] for step in steps] == [accuracy(CHAIN, text) for text in texts]


@pytest.mark.parametrize("sigma", [0.0, 0.1, 1.0])
def test_a_shift_is_rewarded_by_sigma_times_the_accuracy(sigma: float) -> None:
    conv, pair = accuracy(BRANCH, "conv3"), accuracy(BRANCH, "conv3 | maxpool2@0")
    joined = accuracy(BRANCH, "conv3 | maxpool2@0 | add(1,2)")
    # p1 = p2 = 1 after conv3; p1 to 0; max-pool of the image makes p1 = 1 and p2 = 2
    got = rewards(make(BRANCH, sigma=sigma), CONV3, P1_DOWN, MAX2, ADD)
    assert got == pytest.approx([conv, sigma * conv, pair, joined])


def test_the_terminal_action_is_rewarded_like_any_other_that_shifts_nothing() -> None:
    steps = play(make(), CONV5, TERMINAL)
    assert steps[1][1] == steps[0][1] == accuracy(CHAIN, "conv5") and steps[1][4]["arch"] == "conv5"


def test_an_empty_design_has_no_network() -> None:
    called: list[Architecture] = []
    env = make(evaluate=lambda arch: called.append(arch) or 0.5)
    ((_, reward, terminated, _, info),) = play(env, TERMINAL)
    assert reward == 0.0 and terminated and info == {"terminated_by": "terminal"} and not called
    ((_, reward, terminated, _, info),) = play(make(BRANCH, sigma=1.0), P2_DOWN)
    assert reward == 0.0 and terminated and info == {"p1": 0, "p2": -1, "terminated_by": "out_of_bounds"}


def evaluation_of(arch: Architecture) -> Evaluation:
    """``accuracy_of``, measured for networks of one layer and guessed for the others."""
    score, source = accuracy_of(arch), "table" if len(arch.choices) == 1 else "surrogate"
    cost = Cost(12, "epochs", 1.0)
    return Evaluation(DIGITS, arch.name, 12, "validation", (), score, 0.0, {}, cost, 1, 1, source)  # type: ignore[arg-type]


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
def test_every_answer_says_where_it_came_from(space: NscSpace) -> None:
    steps = play(make(space, evaluate=evaluation_of), CONV3, MAX2, TERMINAL)
    assert [step[4]["source"] for step in steps] == ["table", "surrogate", "surrogate"]
    assert [step[1] for step in steps] == rewards(make(space), CONV3, MAX2, TERMINAL)
    assert "source" not in play(make(space, evaluate=evaluation_of), TERMINAL)[0][4], "there is no network"
    assert "source" not in play(make(space), CONV3)[0][4], "of a number nobody knows it"


def test_each_network_is_evaluated_once() -> None:
    called: list[str] = []
    env = make(BRANCH, evaluate=lambda arch: called.append(arch.name) or accuracy_of(arch), sigma=0.1)
    for _ in range(2):
        play(env, CONV3, P1_DOWN, CONV1, TERMINAL)
        play(env, CONV1, P1_DOWN, CONV3)  # the same two leaves in the other order: one network
    assert sorted(called) == ["conv1", "conv1 | conv3@0", "conv3"]


# -- pointers


def test_pointers_follow_the_newest_layer_at_their_distance() -> None:
    steps = play(make(BRANCH), CONV3, P1_DOWN, CONV1, CONV5, P1_UP, P2_DOWN, CONCAT)
    told = [(step[4]["p1"], step[4]["p2"]) for step in steps]
    assert told == [(1, 1), (0, 1), (1, 2), (2, 3), (3, 3), (3, 2), (4, 3)]
    assert make(BRANCH).reset()[1] == {"p1": 0, "p2": 0} and make().reset()[1] == {}
    vectors = [[1, 1, 3, 0, 0], [2, 1, 1, 0, 0], [3, 1, 5, 1, 0], [4, 6, 0, 3, 2]]
    assert steps[-1][4]["arch"] == BRANCH.parse(vectors).name
    assert np.array_equal(steps[-1][0][-4:], BRANCH.encode_state(np.vstack([np.zeros((6, 5), int), vectors]))[-4:])


def test_without_a_shift_a_network_is_a_chain() -> None:
    assert play(make(BRANCH), CONV3, MAX2, CONV1)[-1][4]["arch"] == "conv3 | maxpool2 | conv1"


# -- the five ends


@pytest.mark.parametrize("shift", [P1_UP, P1_DOWN, P2_UP, P2_DOWN])
def test_a_pointer_out_of_bounds(shift: int) -> None:
    down = shift in (P1_DOWN, P2_DOWN)
    actions = [CONV3, shift, shift] if down else [CONV3, shift]
    env = make(BRANCH, sigma=0.5)
    assert ends(env, *actions) == [None] * (len(actions) - 1) + ["out_of_bounds"]
    assert rewards(env, *actions)[-1] == 0.5 * accuracy(BRANCH, "conv3")  # line 11 knows no bounds


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
def test_the_terminal_action(space: NscSpace) -> None:
    assert ends(make(space), CONV1, MAX2, TERMINAL) == [None, None, "terminal"]


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
def test_the_maximum_depth(space: NscSpace) -> None:
    assert ends(make(space), *[CONV1] * 10) == [None] * 9 + ["max_depth"]
    assert ends(make(space), *[CONV1] * 9, TERMINAL) == [None] * 9 + ["terminal"]


def test_the_maximum_number_of_actions() -> None:
    assert make().mdp.tau == 10 and make(BRANCH).mdp.tau == 20
    there_and_back = [CONV1] + [P1_DOWN, P1_UP] * 9 + [P1_DOWN]
    assert ends(make(BRANCH), *there_and_back) == [None] * 19 + ["max_actions"]
    assert ends(make(tau=3), CONV1, CONV1, CONV1) == [None, None, "max_actions"]
    assert ends(make(tau=3), CONV1, CONV1, TERMINAL)[-1] == "terminal"


def test_an_invalid_network_ends_the_episode_without_reward() -> None:
    called: list[str] = []
    env = make(evaluate=lambda arch: called.append(arch.name) or 0.5, side=8)
    *_, (view, reward, terminated, truncated, info) = play(env, MAX3, MAX3)  # 8 → 2 → nothing
    assert (reward, terminated, truncated) == (0.0, True, False) and called == ["maxpool3"]
    assert info == {
        "arch": "maxpool3 maxpool3", "accuracy": 0.0, "source": "invalid", "terminated_by": "invalid"
    }  # fmt: skip
    assert view[-1].sum() == 3 and view[-2].sum() == 3
    assert ends(make(side=11, tau=2), CONV1, CONV5) == [None, "max_actions"]
    assert ends(make(side=4, tau=2), CONV1, CONV5) == [None, "invalid"]  # e) is told before d)


def test_every_end_is_listed() -> None:
    assert set(TERMINATIONS) == set(get_args(Termination)) and len(TERMINATIONS) == 5


# -- observations


@pytest.mark.parametrize(("space", "width"), [(CHAIN, 10 + 5 + 10), (BRANCH, 2 * 10 + 5 + 11)])
def test_an_observation_is_figure_5s_encoding(space: NscSpace, width: int) -> None:
    env = make(space)
    first, _ = env.reset()
    assert first.shape == (10, width) and first.dtype == np.float32 and env.observation_space.contains(first)
    assert np.array_equal(first, space.encode_state(np.zeros((10, 5), int)))
    view = env.step(np.int64(CONV5))[0]
    assert np.array_equal(view, space.encode([[1, 1, 5, 0, 0]]))
    state = np.zeros((10, 5), int)
    state[-2:] = [[1, 1, 5, 0, 0], [2, 7, 0, 0, 0]]  # the terminal layer stands behind, as in Figure 4
    assert np.array_equal(env.step(np.int64(TERMINAL))[0], space.encode_state(state))


# -- Gymnasium and Stable-Baselines3


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
@pytest.mark.parametrize("side", [8, 28])
def test_gymnasiums_own_check(space: NscSpace, side: int) -> None:
    check_env(make(space, side=side, sigma=0.1), skip_render_check=True)


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
def test_the_same_actions_give_the_same_episode(space: NscSpace) -> None:
    def episode(seed: int) -> list[Any]:
        env, rng = make(space, sigma=0.1), np.random.default_rng(3)
        seen: list[Any] = [env.reset(seed=seed)[0].tobytes()]
        for action in rng.integers(env.action_space.n, size=200):
            view, *rest = env.step(action)
            seen.append((view.tobytes(), *rest))
            if rest[1]:
                env.reset()
        return seen

    assert episode(0) == episode(1)


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
@pytest.mark.parametrize("algorithm", ["DQN", "A2C"])
def test_stable_baselines3_trains_on_it_unchanged(algorithm: str, space: NscSpace) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    env = make(space, sigma=0.1)
    check_for_sb3(FlattenObservation(env))  # it warns of tables, which its policies flatten themselves
    options = {"learning_starts": 50} if algorithm == "DQN" else {}
    agent = getattr(sb3, algorithm)("MlpPolicy", env, seed=0, device="cpu", **options)
    before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
    agent.learn(300)
    after = agent.policy.state_dict()
    assert agent.num_timesteps >= 300
    assert any(not before[name].equal(after[name]) for name in before), "nothing was learnt"
    assert len(agent.ep_info_buffer) > 0


# -- bad input


@pytest.mark.parametrize("action", [-1, 8, 2.0, "conv3", None])
def test_an_unknown_action_is_named(action: Any) -> None:
    env = make()
    env.reset()
    with pytest.raises(InvalidValueError, match="none of 'nsc-chain'; allowed: 0 conv1, .* 7 terminal"):
        env.step(action)
    env.step(np.int64(0))  # the episode goes on


def test_a_step_outside_an_episode() -> None:
    env = make()
    with pytest.raises(InvalidValueError, match="call reset"):
        env.step(np.int64(0))
    play(env, TERMINAL)
    with pytest.raises(InvalidValueError, match="call reset"):
        env.step(np.int64(0))


@pytest.mark.parametrize(
    "options",
    [{"sigma": bad} for bad in (-0.1, 1.5, float("nan"), "a", None, True, [0.1])]
    + [{"tau": bad} for bad in (0, 2.5, 3.0, "3", True)],
)
def test_options_outside_what_is_allowed(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=f"{next(iter(options))}.*allowed"):
        make(**options)


@pytest.mark.parametrize("given", [float("nan"), -0.1, 55.0])
def test_what_is_no_accuracy_is_refused(given: float) -> None:
    with pytest.raises(InvalidValueError, match="'conv1'.*accuracy"):
        play(make(evaluate=lambda arch: given), CONV1)


def test_another_kind_of_space_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="minatar-ss1.*nsc-chain"):
        NscEnv(KERNEL_SPACES["minatar-ss1"], accuracy_of, lambda arch: True)  # type: ignore[arg-type]


def test_an_error_of_evaluate_changes_nothing() -> None:
    def fails(arch: Architecture) -> float:
        if len(arch.choices) == 2:
            raise MissingCellError("not in the table")
        return 0.5

    env = make(evaluate=fails)
    play(env, CONV1)
    with pytest.raises(MissingCellError):
        env.step(np.int64(CONV3))
    assert env.step(np.int64(TERMINAL))[4]["arch"] == "conv1"


# -- gymnasium.make


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, InvalidValueError, "no task is named; allowed: .*nsc-chain/digits@lite"),
        ({"task": "minatar-ss1/breakout@lite"}, InvalidValueError, "designs no NSC networks"),
        ({"task": "nsc-chain/digit@lite"}, UnknownNameError, "did you mean 'nsc-chain/digits@lite'"),
        ({"task": DIGITS, "mode": "live-ish"}, UnknownNameError, "mode"),
        ({"task": DIGITS, "sigma": 2}, InvalidValueError, "sigma 2"),
        ({"task": DIGITS, "sigma": "a"}, InvalidValueError, "sigma 'a' is not a number; allowed"),
        ({"task": DIGITS, "tau": 2.5}, InvalidValueError, "tau 2.5 is not a whole number; allowed"),
        ({"task": DIGITS, "fidelity": 13}, InvalidValueError, "fidelity 13 .* did you mean 12.*allowed: 1, 2, "),
        ({"task": DIGITS, "fidelity": 2.5}, InvalidValueError, "fidelity 2.5 .* did you mean 2.*allowed: 1, 2, "),
        ({"task": DIGITS, "fidelity": "2"}, InvalidValueError, "fidelity .* '2' is not a number; allowed: 1"),
    ],
)
def test_make_refuses_what_it_cannot_make(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    options = {"mode": "live", "tables": tmp_path, **options}
    with pytest.raises(error, match=message):
        gymnasium.make(ENV_ID, **options)


def test_make_without_a_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no MANIFEST.json"):
        gymnasium.make(ENV_ID, task=DIGITS, tables=tmp_path)


def test_make_trains_in_live_mode(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    env = gymnasium.make(ENV_ID, task=DIGITS, mode="live", tables=tmp_path, fidelity=1, tau=2)
    check = env.reset()[0]
    assert check.shape == (10, 25)
    _, reward, terminated, _, info = env.step(np.int64(AVG3))
    assert info == {"arch": "avgpool3", "accuracy": reward, "source": "live"} and 0.0 < reward <= 1.0 and not terminated
    _, reward, terminated, _, info = env.step(np.int64(AVG3))  # 8 → 2 → nothing
    assert reward == 0.0 and terminated and info["terminated_by"] == info["source"] == "invalid"
    from nasbench_rl import load

    stored = load(DIGITS, "live", tmp_path).query("avgpool3", fidelity=1, split="validation")
    assert stored.source == "table"
    again = gymnasium.make(ENV_ID, task=DIGITS, tables=tmp_path, fidelity=1)
    again.reset()
    _, reward, *_, info = again.step(np.int64(AVG3))
    assert reward == stored.score and info["source"] == "table"
    with pytest.raises(MissingCellError, match="avgpool3 conv1"):
        again.step(np.int64(CONV1))


def test_the_environment_of_a_run_charges_each_network_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from nasbench_rl import BudgetExhausted, load

    run = load(DIGITS, "live", tmp_path).start(budget=2, seed=0)
    with pytest.raises(InvalidValueError, match="did you mean 12"):
        NscEnv.of_run(run, fidelity=13)
    env = NscEnv.of_run(run, fidelity=1)
    for _ in range(2):
        steps = play(env, AVG3, AVG3)
        assert steps[0][1] == run.points[0].score and steps[0][4]["source"] == run.points[0].source == "live"
        assert steps[1][4]["source"] == "invalid" == steps[1][4]["terminated_by"] == "invalid"
        assert run.spent == 2, "one epoch a network, also for the one that cannot be built"
    env.reset()
    with pytest.raises(BudgetExhausted):
        env.step(np.int64(MAX3))


@pytest.mark.parametrize(
    "both", ["gymnasium, nasbench_rl", "nasbench_rl, gymnasium", "nasbench_rl.task, gymnasium.spaces"]
)
def test_the_environment_is_known_in_either_order_of_imports(both: str) -> None:
    code = f"import {both}, sys; print('nasbench_rl/NSC-v0' in sys.modules['gymnasium'].registry)"
    code += "; assert 'GymnasiumFinder' not in repr(sys.meta_path)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_without_gymnasium_the_package_works_and_others_may_ask_for_it() -> None:
    code = "import nasbench_rl, importlib.util; assert importlib.util.find_spec('gymnasium'); import gymnasium; "
    code += "assert 'nasbench_rl/NSC-v0' in gymnasium.registry; gymnasium.spec('nasbench_rl/NSC-v0')"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys; sys.modules['gymnasium'] = None; import nasbench_rl; nasbench_rl.query"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_gymnasium_the_extra_is_named() -> None:
    code = "import sys; sys.modules['gymnasium'] = None; import nasbench_rl.envs.nsc_env"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in done.stderr and "pip install 'nasbench-rl[live]'" in done.stderr


def test_the_module_in_the_id_registers_it() -> None:
    code = (
        "import sys, gymnasium\n"
        "try:\n    gymnasium.make('nasbench_rl.envs:nasbench_rl/NSC-v0')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "print(gymnasium.spec('nasbench_rl/NSC-v0').id)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("InvalidValueError nasbench_rl/NSC-v0: no task is named")
    assert done.stdout.splitlines()[-1] == ENV_ID


def test_the_id_is_known_where_nasbench_rl_is_imported_behind_gymnasium() -> None:
    """However often, without a warning, and without what an environment needs."""
    code = (
        "import importlib, sys, gymnasium\n"
        "before = set(sys.modules)\n"
        "import nasbench_rl\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('nasbench_rl')))\n"
        "importlib.reload(nasbench_rl), importlib.reload(nasbench_rl.envs)\n"
        "print('nasbench_rl.benchmark' in sys.modules, gymnasium.spec('nasbench_rl/NSC-v0').id)\n"
        "import nasbench_rl.envs.nsc_env\n"
        "try:\n    gymnasium.make('nasbench_rl/NSC-v0')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    loaded, known, refused = done.stdout.splitlines()
    assert loaded == "[]" and known == f"False {ENV_ID}" and refused.startswith("InvalidValueError nasbench_rl/NSC-v0")


@pytest.mark.parametrize("setup", ["", "import sys; sys.modules['gymnasium'] = None; "])
def test_importing_nasbench_rl_does_not_import_gymnasium(setup: str) -> None:
    code = setup + "import sys, nasbench_rl; print(sys.modules.get('gymnasium'), 'nasbench_rl.envs' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["None", "False"], done.stderr
