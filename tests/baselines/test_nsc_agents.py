"""The meta-RL paper's agents on NSC tasks: what they see, do and keep."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gymnasium")
safetensors_torch = pytest.importorskip("safetensors.torch")

import numpy as np
from support.images import TASK, made_folder, made_rows
from support.toy_task import ToyBenchmark, searched

from nasbench_rl import Run, get_method, load
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.method import Method
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.benchmark.surrogate_model.info import SurrogateOptions
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.testing.watch import OLDER_PROCESSOR
from nasbench_rl_baselines._actor_critic import _Worker
from nasbench_rl_baselines.a2c import A2c
from nasbench_rl_baselines.dqn import Dqn
from nasbench_rl_baselines.meta_a2c import MetaA2c
from nasbench_rl_baselines.random_search import RandomSearch

AMPLE = 10**6
AGENTS = [MetaA2c, A2c, Dqn, RandomSearch]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    rows = made_rows(depth=2)
    folder = made_folder(tmp_path_factory.mktemp("tables"), rows)
    options = SurrogateOptions(members=2, trees=15)
    Surrogate.fit(TASK, rows, np.random.default_rng(0), options=options).save(folder)
    return load(TASK.id, mode="surrogate", tables=folder)


def finished(bench: Benchmark, method: Method, seed: int = 0, budget: int = AMPLE) -> Run:
    run = bench.start(budget, seed)
    method(run)
    return run


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.__name__)
def test_t_max_steps_ask_for_each_network_once_and_repeat_with_the_seed(bench: Benchmark, agent: type) -> None:
    archs = [point.arch for point in finished(bench, agent(t_max=120)).points]
    assert len(archs) == len(set(archs)) > 20
    assert archs == [point.arch for point in finished(bench, agent(t_max=120)).points]
    assert archs != [point.arch for point in finished(bench, agent(t_max=120), seed=1).points]


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.__name__)
def test_a_spent_budget_ends_the_search(bench: Benchmark, agent: type) -> None:
    run = finished(bench, agent(t_max=10_000), budget=60)
    assert 48 < run.spent <= 60


@pytest.mark.parametrize(
    "method", [MetaA2c(t_max=2500, learning_rate=5e-3), Dqn(t_max=1500, learning_starts=0.05)], ids=["meta_a2c", "dqn"]
)
def test_they_learn_to_add_convolutions(bench: Benchmark, method: Method) -> None:
    """The made accuracies grow with every convolution: an agent that learns ends with longer chains of them."""
    env, lengths = bench.start(AMPLE, 0), []
    original = env.env()

    class Watched:
        action_space = original.action_space

        def reset(self) -> object:
            lengths.append(0)
            return original.reset()

        def step(self, action: object) -> object:
            lengths[-1] += 1
            return original.step(action)  # type: ignore[arg-type]

    env.env = Watched  # type: ignore[assignment, method-assign]
    method(env)
    fifth = len(lengths) // 5
    assert np.mean(lengths[-fifth:]) > 1.3 * np.mean(lengths[:fifth])


_CHILD = """
import sys, torch
from nasbench_rl import get_method, load
folder, name, path = sys.argv[1:]
run = load({task!r}, mode="surrogate", tables=folder).start({ample}, 0)
get_method(name, t_max=400, save=path, **({{"learning_starts": 0.05}} if name == "dqn" else {{}}))(run)
print([point.arch for point in run.points], torch.backends.cpu.get_cpu_capability())
"""


@pytest.mark.parametrize("name", ["meta_a2c", "dqn"])
def test_another_kind_of_processor_learns_the_same_policy(bench: Benchmark, name: str, tmp_path: Path) -> None:
    """What rounds otherwise must not grow: in single precision weights part here by 1e-6, and actions later."""
    found, weights = [], []
    for kind, instructions in (("this", {}), ("older", OLDER_PROCESSOR)):
        command = [sys.executable, "-c", _CHILD.format(task=TASK.id, ample=AMPLE), bench.folder, name, tmp_path / kind]
        environment = {**os.environ, **instructions}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.append(done.stdout.rsplit(maxsplit=1))
        weights.append(safetensors_torch.load_file(tmp_path / kind))
    assert found[0][0] == found[1][0]
    assert found[1][1] in ("DEFAULT", "NO")
    for key, weight in weights[0].items():
        assert torch.allclose(weight, weights[1][key], rtol=0, atol=1e-11), key


def test_the_lstm_is_told_state_action_reward_and_step(bench: Benchmark) -> None:
    worker = _Worker(bench.start(AMPLE, 0), MetaA2c(t_max=40), recurrent=True)
    width = TASK.space.definition.depth * TASK.space.definition.encoding_width
    actions = 8
    before = worker.inputs()
    assert len(before) == width + actions + 2
    assert before[-1] == 0
    worker._act(1)  # conv3
    after = worker.inputs()
    assert after[width : width + actions].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    made = bench.query("conv3", split="validation", seed=0).score
    assert after[-2:].tolist() == pytest.approx([made, 1.0])
    worker._act(7)  # terminal: the next episode begins at step 0, but the last action and reward stay
    again = worker.inputs()
    assert again[width + 7] == 1 and again[-1] == 0
    assert torch.equal(again[:width], before[:width])
    assert float(again[-2]) == pytest.approx(made)


@pytest.mark.parametrize("forget", [False, True])
def test_the_state_of_the_lstm_lives_through_a_trial_or_is_zeroed_with_every_episode(
    bench: Benchmark, forget: bool
) -> None:
    worker = _Worker(bench.start(AMPLE, 0), MetaA2c(t_max=60, forget=forget), recurrent=True)
    seen: list[tuple[int, bool]] = []
    forward = worker.network.forward

    def watched(inputs: torch.Tensor, memory: tuple[torch.Tensor, torch.Tensor]) -> object:
        seen.append((worker.episodes.position, any(bool(part.any()) for part in memory)))
        return forward(inputs, memory)

    worker.network.forward = watched  # type: ignore[method-assign, assignment]
    worker.begin()
    while worker.rollout():
        pass
    assert not seen[0][1], "the first action of a trial is drawn without the network"
    assert {remembers for position, remembers in seen[1:] if position == 0} == {not forget}
    assert all(remembers for position, remembers in seen[1:] if position > 0)


def test_the_first_action_of_a_trial_is_uniform_whatever_the_policy(bench: Benchmark, tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    finished(bench, MetaA2c(t_max=5, save=str(file)))
    weights = safetensors_torch.load_file(file)
    weights["actor.bias"] = torch.tensor([50.0] + 7 * [0.0])  # conv1, always
    safetensors_torch.save_file(weights, file)
    firsts, seconds = set(), set()
    for seed in range(12):
        run = finished(bench, MetaA2c(t_max=2, policy=str(file), learn=False), seed=seed)
        names = [point.arch for point in run.points]
        firsts.add(names[0] if names else "")
        seconds.update(names[1:])
    assert len(firsts) > 3
    assert seconds and all(name.endswith("conv1") for name in seconds)


def test_the_trace_has_the_entropy_of_every_step(bench: Benchmark, tmp_path: Path) -> None:
    template = str(tmp_path / "trace-{seed}.safetensors")
    finished(bench, MetaA2c(t_max=63, trace=template), seed=4)
    entropy = safetensors_torch.load_file(tmp_path / "trace-4.safetensors")["entropy"]
    assert entropy.shape == (63,)
    assert float(entropy[0]) == pytest.approx(math.log(8))
    assert ((entropy > 0) & (entropy <= math.log(8) + 1e-5)).all()


def test_random_actions_serve_kernel_choice_tasks_too() -> None:
    run = searched(get_method("random_search", t_max=50), 1000, bench=ToyBenchmark())
    assert len(run.points) == 25  # two steps an architecture
    with pytest.raises(InvalidValueError, match="give one"):
        RandomSearch(samples=3, t_max=5)
