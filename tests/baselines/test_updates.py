"""What one update of a learned method does, against its formula: targets, discounts and bonuses."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from support.toy_task import ToyBenchmark, searched

from nasbench_rl.spaces import KERNEL_SPACES
from nasbench_rl_baselines import dqn
from nasbench_rl_baselines._actor_critic import _Worker
from nasbench_rl_baselines._choices import choices_of
from nasbench_rl_baselines._controller import Controller
from nasbench_rl_baselines._torch import DTYPE
from nasbench_rl_baselines.a2c import A2c
from nasbench_rl_baselines.meta_a2c import MetaA2c
from nasbench_rl_baselines.mnas import Mnas
from nasbench_rl_baselines.ppo import Ppo

BOTH = pytest.mark.parametrize("factory", [A2c, MetaA2c], ids=lambda factory: factory.__name__)


def flat(tensors: Any) -> Any:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


# -- DQN


@pytest.mark.parametrize("goes_on", [1.0, 0.0])
def test_dqn_learns_towards_double_q_learning_s_target(goes_on: float) -> None:
    """The best next action is the online network's, its value the target network's (van Hasselt et al., 2016)."""
    agent = dqn._Agent(ToyBenchmark().start(1_000_000, 0), dqn.Dqn(discount=0.7))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (*agent.online.parameters(), *agent.target.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=DTYPE) / 12)
    features = agent.episodes.features
    seen, led_to = torch.randn(2, features, generator=generator, dtype=DTYPE)
    agent.scale.see(1.0)
    agent.scale.see(3.0)
    agent.buffer.append((seen, 2, 2.0, led_to, goes_on))
    with torch.no_grad():
        best = int(agent.online(led_to).argmax())
        following = float(agent.target(led_to)[best])
        assert best != int(agent.target(led_to).argmax())
        assert following != pytest.approx(float(agent.online(led_to)[best]))
    target = torch.tensor(0.5 + 0.7 * following * goes_on, dtype=DTYPE)
    now = agent.online(seen)[2]
    assert abs(float((now - target).detach())) < 1, "beyond 1 the loss has the same gradient for any target"
    loss = torch.nn.functional.huber_loss(now, target)
    expected = torch.autograd.grad(loss, agent.weights)
    agent._learn()
    for parameter, gradient in zip(agent.weights, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient * min(1.0, 10.0 / float(gradient.norm())))


def test_dqn_s_target_network_stands_still_between_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    updates, copied, still = [0], list[int](), list[bool]()
    learn, renew = dqn._Agent._learn, dqn._Agent._renew_target

    def counted(agent: dqn._Agent) -> None:
        before = flat(agent.target.parameters())
        learn(agent)
        updates[0] += 1
        still.append(torch.equal(before, flat(agent.target.parameters())))

    def noted(agent: dqn._Agent) -> None:
        renew(agent)
        assert torch.equal(flat(agent.target.parameters()), flat(agent.online.parameters()))
        copied.append(updates[0])

    monkeypatch.setattr(dqn._Agent, "_learn", counted)
    monkeypatch.setattr(dqn._Agent, "_renew_target", noted)
    searched(dqn.Dqn(t_max=100, target_every=0.2, learning_starts=0.1), 1000)
    assert updates == [89] and all(still), "steps 11 to 99"
    assert copied == [0, 10, 30, 50, 70], "at the start and at steps 20, 40, 60 and 80"


# -- A2C and meta-A2C


@BOTH
def test_returns_are_discounted_as_in_the_meta_rl_paper(factory: type[MetaA2c]) -> None:
    """Section 6.1 has γ = 0.9; equation 1 ends at an episode's end and goes on from the value elsewhere."""
    worker = _Worker(ToyBenchmark().start(1_000_000, 0), factory(), factory is MetaA2c)
    with torch.no_grad():
        for parameter in worker.parameters:
            parameter.fill_(0.1)
        behind = float(worker.network(worker.inputs(), worker.memory)[1])
    assert behind > 0.05
    got = worker._returns([1.0, 0.5, 2.0, 0.25], [False, False, True, False])
    assert got == pytest.approx([1 + 0.9 * (0.5 + 0.9 * 2.0), 0.5 + 0.9 * 2.0, 2.0, 0.25 + 0.9 * behind])
    assert worker._returns([1.0, 1.0], [False, True]) == pytest.approx([1.9, 1.0])


@BOTH
def test_the_entropy_of_the_policy_is_rewarded(factory: type[MetaA2c]) -> None:
    gradients: dict[float, Any] = {}
    expected = None
    for weight in (0.0, 2.0):
        worker = _Worker(ToyBenchmark().start(1_000_000, 0), factory(entropy=weight), factory is MetaA2c)
        logits, value, _ = worker.network(worker.inputs(), worker.memory)
        log_prob = logits.log_softmax(0)
        entropy = -(log_prob.exp() * log_prob).sum()
        expected = flat(
            torch.autograd.grad(
                entropy, worker.parameters, retain_graph=True, allow_unused=True, materialize_grads=True
            )
        )
        worker.optimizer.step = lambda found, rate, norm, weight=weight: gradients.update({weight: flat(found)})
        worker._update([(0, log_prob)], [value], [1.0], [True])
    torch.testing.assert_close(gradients[2.0] - gradients[0.0], -2.0 * expected)
    assert factory().entropy == 0.01


# -- PPO's controller


@pytest.mark.parametrize("factory", [Ppo, Mnas], ids=lambda factory: factory.__name__)
def test_ppo_rewards_the_entropy_of_its_controller(factory: type[Ppo]) -> None:
    space = KERNEL_SPACES["minatar-ss1"]
    entropies = {}
    for weight in (0.0, 1.0):
        generator = torch.Generator().manual_seed(0)
        controller = Controller(choices_of(space), 16, 1, 2.0, generator)
        drawn = [controller.sample(generator) for _ in range(5)]
        start = float(controller.log_prob(drawn)[1].mean().detach())
        optimizer = torch.optim.Adam(controller.parameters(), 0.01)
        factory(entropy=weight)._update(controller, optimizer, drawn, torch.zeros(5, dtype=DTYPE))
        entropies[weight] = float(controller.log_prob(drawn)[1].mean().detach()) - start
    assert entropies[0.0] == 0.0 and entropies[1.0] > 0.05
    assert factory().entropy == 1e-5
