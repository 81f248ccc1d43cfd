"""The methods that train a network to search: they learn, repeat exactly, stop, and keep their policies on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from support.toy_task import BEST, ToyBenchmark, searched, share_of_best

from nasbench_rl.benchmark.method import Method
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import KERNEL_SPACES, SearchSpace
from nasbench_rl.spaces.nsc.definition import NscDefinition, builtin_definition
from nasbench_rl.spaces.nsc.space import NscChain, NscMultiBranch, nsc_space
from nasbench_rl_baselines._actor_critic import ActorCritic, TfRmsprop
from nasbench_rl_baselines._choices import Choices, Tokens, choices_of
from nasbench_rl_baselines._controller import Controller
from nasbench_rl_baselines._searching import MovingAverage, RewardScale
from nasbench_rl_baselines._torch import DTYPE, one_thread
from nasbench_rl_baselines.a2c import A2c
from nasbench_rl_baselines.dqn import Dqn, QNetwork
from nasbench_rl_baselines.meta_a2c import MetaA2c
from nasbench_rl_baselines.ppo import Ppo
from nasbench_rl_baselines.reinforce import Reinforce

EVERY = [Reinforce, Ppo, A2c, MetaA2c, Dqn]
WITH_POLICY = [A2c, MetaA2c, Dqn]


def whole_sequences(choices: Choices, prefix: Tokens = ()) -> list[Tokens]:
    """Everything that a controller could write."""
    allowed = choices.allowed(prefix)
    return [prefix] if allowed is None else [s for token in allowed for s in whole_sequences(choices, (*prefix, token))]


def small(name: str) -> SearchSpace:
    """A space of the paper, cut to depth 2."""
    whole = builtin_definition(name)
    definition = NscDefinition(whole.name, 2, whole.chain, whole.layers)
    return NscChain(definition) if whole.chain else NscMultiBranch(definition)


def controller_of(space: SearchSpace, units: int = 16) -> Controller:
    return Controller(choices_of(space), units, 2, 0.5, torch.Generator().manual_seed(1))


SPACES = [KERNEL_SPACES["minatar-ss1"], KERNEL_SPACES["atari-ss2"], small("nsc-chain"), small("nsc-multibranch")]


# -- architectures as sequences of choices


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_sequences_write_every_architecture_and_nothing_else(space: SearchSpace) -> None:
    choices = choices_of(space)
    written = {choices.decode(sequence).name for sequence in whole_sequences(choices)}
    every = space.up_to_depth(2) if isinstance(space, NscChain | NscMultiBranch) else space
    assert written == {arch.name for arch in every}


@pytest.mark.parametrize("name", ["nsc-chain", "nsc-multibranch"])
def test_deep_networks_are_written_too(name: str) -> None:
    controller, generator = controller_of(nsc_space(name)), torch.Generator().manual_seed(0)
    drawn = [controller.sample(generator) for _ in range(30)]
    depths = [len(controller.choices.decode(sequence).choices) for sequence in drawn]
    assert min(depths) >= 1 and 3 <= max(depths) <= 10


def test_a_space_without_choices_is_refused_by_name() -> None:
    class Strange:
        name = "strange"

    with pytest.raises(InvalidValueError, match="'strange'"):
        choices_of(Strange())  # type: ignore[arg-type]


# -- the controller


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_probabilities_of_all_sequences_sum_to_one(space: SearchSpace) -> None:
    controller = controller_of(space)
    log_prob, entropy = (values.detach() for values in controller.log_prob(whole_sequences(controller.choices)))
    assert float(log_prob.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    assert (entropy > 0).all()


@pytest.mark.parametrize("space", [SPACES[0], SPACES[2]], ids=lambda space: space.name)
def test_sampling_follows_the_probabilities(space: SearchSpace) -> None:
    controller, generator = controller_of(space), torch.Generator().manual_seed(0)
    for parameter in controller.parameters():
        parameter.data.mul_(3)  # far from uniform
    sequences = whole_sequences(controller.choices)
    expected = 1000 * controller.log_prob(sequences)[0].exp().detach().numpy()
    drawn = Counter(controller.sample(generator) for _ in range(1000))
    counts = np.array([drawn[sequence] for sequence in sequences])
    assert expected.max() > 3 * expected.mean()
    assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected) + 4).all()


def test_entropy_is_summed_over_the_steps_of_the_sequence() -> None:
    controller = controller_of(SPACES[0])
    for parameter in controller.parameters():
        parameter.data.zero_()
    _, entropy = controller.log_prob([(0, 1), (4, 4)])
    assert entropy.tolist() == pytest.approx([2 * np.log(5)] * 2)


@pytest.mark.parametrize("space", [SPACES[0], SPACES[2]], ids=lambda space: space.name)
def test_what_the_controller_remembers_ends_with_an_update(space: SearchSpace) -> None:
    controller, generator = controller_of(space), torch.Generator()
    optimizer = torch.optim.Adam(controller.parameters(), 0.1, fused=True)

    def drawn(sampler: Controller) -> list[Tokens]:
        generator.manual_seed(5)
        return [sampler.sample(generator) for _ in range(30)]

    before = drawn(controller)
    for _ in range(3):
        log_prob, _ = controller.log_prob(drawn(controller)[:4])
        optimizer.zero_grad()
        log_prob.sum().backward()
        optimizer.step()
        fresh = controller_of(space)
        fresh.load_state_dict(controller.state_dict())
        assert drawn(controller) == drawn(fresh) != before


@pytest.mark.parametrize("space", [SPACES[0], SPACES[2]], ids=lambda space: space.name)
def test_a_controller_that_is_told_something_samples_by_it(space: SearchSpace) -> None:
    generator = torch.Generator().manual_seed(1)
    controller = Controller(choices_of(space), 16, 1, 2.0, generator, context=3)
    sequences = whole_sequences(controller.choices)
    for told in torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0], [0.0, 2.0, 1.0]], dtype=DTYPE):
        probabilities = controller.log_prob(sequences, told.expand(len(sequences), -1))[0].exp().detach().numpy()
        assert probabilities.sum() == pytest.approx(1.0)
        drawn = Counter(controller.sample(generator, told) for _ in range(500))
        counts, expected = np.array([drawn[sequence] for sequence in sequences]), 500 * probabilities
        assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected) + 4).all()
    nothing = controller.log_prob(sequences)[0]
    assert torch.equal(nothing, controller.log_prob(sequences, torch.zeros(len(sequences), 3, dtype=DTYPE))[0])


# -- rewards


def test_rewards_are_scaled_by_what_was_seen() -> None:
    scale = RewardScale(ToyBenchmark().start(100, 0))
    assert scale(3.0) == 0.5
    for score in (10.0, 30.0, float("nan")):
        scale.see(score)
    assert [scale(score) for score in (10.0, 15.0, 30.0, float("nan"))] == [0.0, 0.25, 1.0, 0.0]


def test_the_baseline_follows_the_rewards() -> None:
    baseline = MovingAverage(0.75)
    assert [baseline.advantage(reward) for reward in (1.0, 2.0, 2.0)] == [0.0, 1.0, 0.75]


# -- learning


@pytest.mark.parametrize(
    ("method", "evaluations"),
    [
        (Reinforce(learning_rate=5e-3), 500),
        (Ppo(), 400),
        (A2c(learning_rate=3e-2, anneal=False), 1500),
        (MetaA2c(learning_rate=1e-2, anneal=False, horizon=2, units=32), 1500),
    ],
    ids=lambda value: type(value).__name__ if callable(value) else "",
)
def test_a_large_budget_teaches_the_best_architecture(method: Method, evaluations: int) -> None:
    run = searched(method, evaluations)
    assert len({point.arch for point in run.points[:60]}) > 10, "it began with a policy far from uniform"
    assert share_of_best(run) > 0.6  # 0.04 for a uniform policy


def test_q_values_put_the_best_choices_first(tmp_path: Path) -> None:
    file = tmp_path / "q.safetensors"
    run = searched(Dqn(save=str(file)), 600)
    assert share_of_best(run) > 0.6
    env, observation = run.env(), run.env().reset()[0]
    network = QNetwork(len(observation), 5, torch.Generator())
    network.load_state_dict(safetensors_torch.load_file(file))
    with torch.no_grad():
        first = network(torch.tensor(observation, dtype=DTYPE))
        env.reset()
        second = network(torch.tensor(env.step(first.argmax().numpy())[0], dtype=DTYPE))
    assert (run.space.kernels[int(first.argmax())], run.space.kernels[int(second.argmax())]) == BEST
    for values in (first, second):
        assert float(values.max() - values.min()) > 0.1
        assert float(values.max()) == pytest.approx(1.0, abs=0.2)  # the best score's reward, and nothing after it


def test_the_clipped_objective_holds_an_update_back() -> None:
    bench = ToyBenchmark()

    def change(clip: float) -> float:
        drawn = searched(Ppo(learning_rate=0.03, epochs=60, clip=clip), 10, bench=bench)
        return len({point.arch for point in drawn.points[5:]})

    assert change(0.01) > change(1e6)  # without clipping one batch makes the controller certain


def test_tensorflows_rmsprop() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    TfRmsprop([parameter]).step([torch.tensor([3.0, 4.0])], 0.1, max_norm=0.5)
    clipped = np.array([0.3, 0.4])  # from norm 5 to 0.5
    expected = 1 - 0.1 * clipped / np.sqrt(0.99 + 0.01 * clipped**2 + 1e-5)
    assert parameter.detach().numpy() == pytest.approx(expected, rel=1e-6)


def test_meta_a2c_remembers_and_its_twin_does_not() -> None:
    inputs, generator = torch.ones(4, dtype=DTYPE), torch.Generator().manual_seed(0)
    outputs = {}
    for recurrent in (True, False):
        network = ActorCritic(4, 3, 8, recurrent, generator)
        first, _, memory = network(inputs, network.begin())
        second, _, _ = network(inputs, memory)
        outputs[recurrent] = bool(torch.equal(first, second))
    assert outputs == {True: False, False: True}


# -- repeatable, and without a trace


def _trace(method: Method, seed: int = 3) -> str:
    return repr([(point.arch, point.spent) for point in searched(method, 12, seed, ToyBenchmark(seeds=2)).points])


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_search_seeds_differ_and_torch_is_left_as_it_was(factory: type) -> None:
    torch.manual_seed(5)
    state, threads, grad = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    assert len({_trace(factory(), seed) for seed in range(3)}) == 3
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, grad)


def test_threads_come_back_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError), one_thread():
            assert torch.get_num_threads() == 1
            raise RuntimeError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# -- the end


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_it_ends_when_everything_it_samples_is_paid_for(factory: type) -> None:
    run = searched(factory(), 1000, bench=ToyBenchmark(seeds=1))
    assert run.spent <= 25 * run.task.max_fidelity
    assert run.points[-201].spent == run.spent or run.points[-200].spent == run.spent


@pytest.mark.parametrize("factory", WITH_POLICY, ids=lambda factory: factory.__name__)
@pytest.mark.parametrize("seeds", [1, 1000])
def test_t_max_counts_environment_steps(factory: type, seeds: int) -> None:
    run = searched(factory(t_max=90), 1000, bench=ToyBenchmark(seeds=seeds))
    assert len(run.points) == 45  # two steps an architecture, free ones included


# -- policies on disk


def _weights(file: Path) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in safetensors_torch.load_file(file).items()}


@pytest.mark.parametrize("factory", WITH_POLICY, ids=lambda factory: factory.__name__)
def test_a_policy_is_carried_over_and_frozen_weights_stay(factory: type, tmp_path: Path) -> None:
    first, frozen, further = (tmp_path / f"{name}.safetensors" for name in ("first", "frozen", "further"))
    searched(factory(save=str(first)), 20)
    searched(factory(policy=str(first), save=str(frozen), learn=False), 20)
    searched(factory(policy=str(first), save=str(further)), 20, bench=ToyBenchmark("atari-ss1/freeway@lite"))
    assert _weights(first) == _weights(frozen)
    assert _weights(first) != _weights(further)


def test_a_trained_policy_finds_the_best_at_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "policy-{seed}.safetensors"
    searched(A2c(learning_rate=3e-2, anneal=False, save=str(file)), 1500, seed=7)
    run = searched(A2c(policy=str(file).replace("{seed}", "7"), learn=False), 100, seed=8)
    assert share_of_best(run) > 0.6


def _refused(method: Method, task: str = "minatar-ss1/breakout@smoke") -> str:
    with pytest.raises(InvalidValueError) as caught:
        searched(method, 2, bench=ToyBenchmark(task))
    return str(caught.value)


@pytest.mark.parametrize("factory", WITH_POLICY, ids=lambda factory: factory.__name__)
def test_a_policy_that_does_not_fit_is_refused(factory: type, tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    searched(factory(save=str(file)), 2)
    assert "does not fit minatar-ss2" in _refused(factory(policy=str(file)), "minatar-ss2/breakout@smoke")
    file.write_bytes(file.read_bytes()[:100])
    assert str(file) in _refused(factory(policy=str(file)))
    assert "no-such-file" in _refused(factory(policy=str(tmp_path / "no-such-file")))
    assert "cannot save" in _refused(factory(save=str(file / "below")))


def test_the_policy_of_another_method_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    searched(A2c(save=str(file)), 2)
    others: Sequence[Method] = (MetaA2c(policy=str(file)), Dqn(policy=str(file)), A2c(policy=str(file), units=64))
    for method in others:
        assert "does not fit" in _refused(method)
