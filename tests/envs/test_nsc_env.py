"""The NSC environment: Table 2, Algorithm 1 worked by hand, each way an episode ends, and Gymnasium's own checks."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from support.images import QUICK, made_folder, made_rows

pytest.importorskip("gymnasium")

import gymnasium
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation

from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.envs import ENV_ID
from nasbench_rl.envs.design_mdp import TERMINATIONS, NscMdp, Termination, actions_of
from nasbench_rl.envs.nsc_env import NscEnv
from nasbench_rl.errors import InvalidValueError, MissingCellError, TableError, UnknownNameError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.kernel_choice import KERNEL_SPACES
from nasbench_rl.spaces.nsc.space import NscChain, NscMultiBranch, NscSpace, load_space
from nasbench_rl.tables.results import Cost, Evaluation
from nasbench_rl.task import get_task

CHAIN, BRANCH = NscChain(), NscMultiBranch()
CONV1, CONV3, CONV5, MAX2, MAX3, AVG2, AVG3, TERMINAL, ADD, CONCAT, P1_UP, P1_DOWN, P2_UP, P2_DOWN = range(14)
DIGITS = "nsc-chain/digits@lite"


def accuracy_of(arch: Architecture) -> float:
    """Some number in [0, 1) that the name fixes."""
    return zlib.crc32(arch.name.encode()) / 2**32


def is_valid(arch: Architecture) -> bool:
    return True


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


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of short chains, and a surrogate for the others."""
    pytest.importorskip("lightgbm")
    rows = made_rows(depth=2)
    folder = made_folder(tmp_path_factory.mktemp("tables"), rows)
    Surrogate.fit(get_task(DIGITS), rows, np.random.default_rng(0), options=QUICK).save(folder)
    return folder


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


def test_gymnasiums_own_check_of_what_it_makes(tables: Path) -> None:
    """Rendering and closing, too, which it asks of environments with a ``spec`` alone."""
    env = gymnasium.make(ENV_ID, task=DIGITS, mode="surrogate", tables=tables, render_mode=None)
    check_env(env.unwrapped)
    assert env.render_mode is None and gymnasium.make(env.spec).reset()[0].shape == (10, 25)


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


# -- copies and pickles


GO_ON = """
import pickle, sys
env = pickle.load(open(sys.argv[1], "rb"))
steps = [env.step(int(action)) for action in sys.argv[2:]]
print([(view.tobytes().hex(), *rest) for view, *rest in steps], env.spec, env.np_random.random())
env.close()
"""


@pytest.mark.parametrize(
    ("named", "mode"), [(DIGITS, "tabular"), (get_task(DIGITS), "tabular"), (DIGITS, "surrogate"), (DIGITS, "live")]
)
def test_a_pickle_goes_on_in_another_process(
    named: Any, mode: str, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its design, with its random state, and where a relative folder of tables would be another one."""
    actions = (MAX2, CONV1, TERMINAL) if mode == "surrogate" else (MAX2, TERMINAL)  # live: all of these are stored
    monkeypatch.chdir(tables.parent)
    env = gymnasium.make(ENV_ID, task=named, mode=mode, tables=tables.name, sigma=0.1, render_mode=None)
    env.reset(seed=5)
    env.step(np.int64(CONV3))
    (tmp_path / "env.pickle").write_bytes(pickle.dumps(env))
    assert (tmp_path / "env.pickle").stat().st_size < 50_000, "of a table or surrogate nothing is in it"
    script = [sys.executable, "-c", GO_ON, str(tmp_path / "env.pickle"), *map(str, actions)]
    done = subprocess.run(script, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    steps = [env.step(np.int64(action)) for action in actions]
    assert steps[1][4]["source"] == ("surrogate" if mode == "surrogate" else "table")
    told = [(view.tobytes().hex(), *rest) for view, *rest in steps]
    assert done.stdout.strip() == f"{told} {env.spec} {env.np_random.random()}"


def test_a_pickle_remembers_what_it_was_told() -> None:
    env = make(BRANCH, sigma=0.1)
    env.mdp = pickle.loads(pickle.dumps(NscMdp(BRANCH, accuracy_of, is_valid)))
    play(env, CONV3, MAX2)
    again = pickle.loads(pickle.dumps(env))
    again.mdp._evaluate = None  # nothing is asked anew
    assert [step[1] for step in play(again, CONV3, MAX2)] == rewards(env, CONV3, MAX2)


def test_an_environment_of_functions_that_cannot_be_pickled_says_so() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(make())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("space", [CHAIN, BRANCH])
def test_a_copy_looks_ahead(space: NscSpace, copied: Callable[[NscEnv], NscEnv]) -> None:
    called: list[str] = []
    env = make(space, evaluate=lambda arch: called.append(arch.name) or accuracy_of(arch))
    play(env, CONV3)
    twin = copied(env)
    ahead = [twin.step(np.int64(action)) for action in (MAX2, CONV1, TERMINAL)]
    assert ahead[-1][2] and len(called) == 3
    behind = [env.step(np.int64(action)) for action in (MAX2, CONV1, TERMINAL)]
    assert [step[1:] for step in behind] == [step[1:] for step in ahead]
    assert len(called) == 3, "each network is asked for once"


def test_a_deep_copy_draws_for_itself() -> None:
    env = make()
    env.reset(seed=1), env.action_space.seed(1)
    twin = copy.deepcopy(env)
    assert twin.np_random.random() == env.np_random.random() and twin.action_space is not env.action_space
    assert [twin.action_space.sample() for _ in range(9)] == [env.action_space.sample() for _ in range(9)]


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
    + [{"tau": bad} for bad in (0, 2.5, 3.0, "3", True)]
    + [{"render_mode": bad} for bad in ("human", "rgb_array", "", False)],
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
        ({"task": DIGITS, "render_mode": "human"}, InvalidValueError, "render_mode 'human': .*; allowed: None"),
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


def python(code: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


KNOWN_THERE = "import sys; print('nasbench_rl/NSC-v0' in sys.modules['gymnasium'].registry)"


@pytest.mark.parametrize(
    "imports",
    [
        "gymnasium, nasbench_rl",
        "gymnasium.spaces, nasbench_rl.task",
        "gymnasium, nasbench_rl.envs",
        "nasbench_rl.envs, gymnasium",
        "nasbench_rl, gymnasium, nasbench_rl.envs",
        "nasbench_rl.envs.nsc_vector_env",
    ],
)
def test_the_environment_is_known_behind_these_imports(imports: str) -> None:
    assert python(f"import {imports}; {KNOWN_THERE}") == "True"


def test_an_import_of_the_package_alone_changes_no_other_import() -> None:
    code = "import sys; finders = [*sys.meta_path]; import nasbench_rl; print(sys.meta_path == finders); "
    code += "import gymnasium; print(sys.meta_path == finders, 'nasbench_rl.envs' in sys.modules)"
    assert python(code).split() == ["True", "True", "False"]


@pytest.mark.parametrize("first", ["nasbench_rl", "gymnasium, nasbench_rl", "nasbench_rl.envs"])
def test_the_package_can_be_reloaded(first: str) -> None:
    """Whichever comes first, and registers once: a second registration warns."""
    code = f"import warnings; warnings.simplefilter('error'); import {first}, importlib; "
    code += "importlib.reload(nasbench_rl); import gymnasium; importlib.reload(nasbench_rl); "
    code += f"importlib.reload(__import__('nasbench_rl.envs').envs); {KNOWN_THERE}"
    assert python(code) == "True"


def test_without_gymnasium_the_package_works() -> None:
    python("import sys; sys.modules['gymnasium'] = None; import nasbench_rl; nasbench_rl.query")


def test_without_gymnasium_the_extra_is_named() -> None:
    code = "import sys; sys.modules['gymnasium'] = None; import nasbench_rl.envs.nsc_env"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in done.stderr and "pip install 'nasbench-rl[live]'" in done.stderr


def test_the_module_in_the_id_registers_it() -> None:
    code = (
        "import nasbench_rl, gymnasium\n"
        "try:\n    gymnasium.make('nasbench_rl.envs:nasbench_rl/NSC-v0')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "print(gymnasium.spec('nasbench_rl/NSC-v0').id)"
    )
    told = python(code)
    assert told.startswith("InvalidValueError nasbench_rl/NSC-v0: no task is named")
    assert told.splitlines()[-1] == ENV_ID


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
