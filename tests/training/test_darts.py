"""Differentiable search: mixed operations, gradients of weights and alphas, repeatability, and its points."""

from __future__ import annotations

import dataclasses
import math
from hashlib import sha256 as hash_bytes

import numpy as np
import pytest
import torch
from support.networks import ALL_SPACES, agent_of_path, fingerprint_elsewhere, observations, tiny

from nasbench_rl.task import GameTask, get_task
from nasbench_rl.training import darts, ppo, supernet
from nasbench_rl.training.darts import DartsPoint, MixedNetwork, fit_darts


def make_network(task: GameTask, seed: int = 0) -> MixedNetwork:
    return MixedNetwork(task, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("id_", ALL_SPACES)
def test_one_hot_alphas_make_the_plain_network(id_: str) -> None:
    task = get_task(id_)
    network, seen = make_network(task), observations(task, 8)
    for arch in (task.space[0], task.space[len(task.space) // 2], task.space[len(task.space) - 1]):
        with torch.inference_mode():
            network.alphas.fill_(-1000.0)
            for layer, kernel in enumerate(arch.choices):
                network.alphas[layer, task.space.kernels.index(kernel)] = 0.0
            expected = agent_of_path(network, task, arch.choices)(seen)
            for mine, other in zip(network(seen), expected, strict=True):
                assert torch.equal(mine, other), arch


def test_a_block_is_the_weighted_sum_of_its_candidates() -> None:
    task = dataclasses.replace(tiny(), recipe=dataclasses.replace(tiny().recipe, autocast=None))
    network = make_network(task)
    x = torch.rand((2, 16, 10, 10), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.alphas.copy_(torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]]))
        for layer, (small, large) in enumerate(((0.25, 0.75), (0.8, 0.2))):
            one, three = (network.block(layer, kernel) for kernel in (1, 3))
            padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
            x = small * one(x).relu() + large * three(padded).relu()
        start = torch.rand((2, 16, 10, 10), generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(network.run_choices(start), x)


def test_the_temperature_multiplies_the_alphas() -> None:
    network = make_network(tiny())
    assert network.temperature == 1.0, "the official code's"
    network.temperature = 2.0
    with torch.no_grad():
        network.alphas.copy_(torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]]))
    assert network.mixture().detach().flatten().tolist() == pytest.approx([0.1, 0.9, 16 / 17, 1 / 17])


def test_one_backward_pass_reaches_every_block_and_every_alpha() -> None:
    task = get_task("minatar-ss1/breakout@lite")
    network = make_network(task)
    torch.nn.init.normal_(network.policy.weight, generator=torch.Generator().manual_seed(1))
    logits, value = network(observations(task, 64))
    (logits.logsumexp(-1).mean() + value.mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert (network.alphas.grad != 0).all()
    torch.testing.assert_close(network.alphas.grad.sum(-1), torch.zeros(task.space.depth), atol=1e-5, rtol=0)


def test_a_search_moves_weights_and_alphas_and_notes_them_at_every_fidelity() -> None:
    task, seen = tiny(), []
    fitted = fit_darts(task, 0, progress=seen.append)
    assert seen == [1024, 2048, 3072]
    assert [point.fidelity for point in fitted.points] == list(task.fidelities)
    start = dict(make_network(task).named_parameters())
    assert all(not torch.equal(p, start[name]) for name, p in fitted.network.named_parameters() if name != "value.bias")
    distinct = {point.mixture for point in fitted.points}
    assert len(distinct) == 3, "one for each update"
    for point in fitted.points:
        assert point.fidelity <= point.env_steps < point.fidelity + 1024
        assert np.array(point.mixture).shape == (2, 2)
        assert np.sum(point.mixture, axis=1) == pytest.approx([1.0, 1.0])
        assert point.mixture != ((0.5, 0.5), (0.5, 0.5)), "the alphas moved"
        assert sum(point.probability(task, arch) for arch in task.space) == pytest.approx(1.0)
    np.testing.assert_allclose(fitted.points[-1].mixture, fitted.network.mixture().detach().numpy(), rtol=1e-6)
    times = [point.cpu_seconds for point in fitted.points]
    assert 0 < times[0] and times == sorted(times)
    assert fitted.points[-1].games > 0 and 0 <= fitted.points[-1].return_last100 < 50


def test_an_architecture_s_probability_is_the_product_of_its_weights() -> None:
    task = tiny()
    point = DartsPoint(1, 1, ((0.25, 0.75), (0.6, 0.4)), 0.0, 0, 0.0, 0.0)
    assert point.probability(task, "k3-k1") == pytest.approx(0.75 * 0.6)
    best = max(task.space, key=lambda arch: point.probability(task, arch))
    assert best.choices == (3, 1), "each block's argmax"


def fingerprint(seed: int) -> str:
    """Mixtures, returns and final weights of a search."""
    fitted = fit_darts(tiny(), seed)
    weights = b"".join(p.detach().numpy().tobytes() for p in fitted.network.parameters())
    points = [(point.mixture, point.return_last100, point.games) for point in fitted.points]
    return f"{points} {hash_bytes(weights).hexdigest()}"


def test_a_search_is_the_same_in_another_process_and_another_with_another_seed() -> None:
    assert fingerprint_elsewhere(__file__, 0) == fingerprint(0) != fingerprint(1)


def test_seeds_are_no_training_s_and_no_supernet_s() -> None:
    task = tiny()
    keys = [ppo.seed_sequence(task, arch, 0).spawn_key for arch in task.space]
    keys += [supernet.seed_sequence(task, 0).spawn_key, darts.seed_sequence(task, 0).spawn_key]
    assert len(set(keys)) == len(task.space) + 2


def test_a_search_can_be_stopped_from_its_progress() -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def stop(steps: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        fit_darts(tiny(), 0, progress=stop)
