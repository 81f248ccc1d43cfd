"""A child's training from its parent's weights, for agents and for classifiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("minatar")

from nasbench_rl.data.images import ImageData
from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.task import GameTask, ImageTask, get_task
from nasbench_rl.training import ppo, warm_start
from nasbench_rl.training.classifier import Generators, fit_network
from nasbench_rl.training.warm_start import TrainedNetworks


def game_task() -> GameTask:
    task = get_task("minatar-ss1/breakout@smoke")
    assert isinstance(task, GameTask)
    return replace(task, recipe=replace(task.recipe, env_steps=4096, autocast=None, eval_games=2))


def weights(network: torch.nn.Module) -> list[Any]:
    return [p.detach().clone() for p in network.parameters()]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_agent_begins_with_the_weights_of_the_cell_that_its_parent_is(monkeypatch: pytest.MonkeyPatch) -> None:
    task = game_task()
    parent, child = task.space.parse((1, 2)), task.space.parse((3, 2))
    began: list[Any] = []
    grow = warm_start.grow_kernels
    monkeypatch.setattr(warm_start, "grow_kernels", lambda old, new: began.append(weights(old)) or grow(old, new))
    networks = TrainedNetworks(task)
    heir = networks.train_child(child, parent, seed=2, parent_seed=0, fidelity=2048)
    assert same(began[0], weights(ppo.train(task, parent, 0).agent))
    assert heir.renewed == ()
    record = heir.evaluation
    assert (record.arch, record.fidelity, record.seeds, record.split) == ("k3-k2", 2048, (2,), "validation")
    assert (record.source, record.cost.amount, record.cost.unit) == ("live", 2048, "env_steps")
    assert record.score > 0 and record.cost.cpu_seconds > 0

    grandchild = networks.train_child(task.space.parse((5, 2)), child, 2, 2, 1024)
    assert same(began[1], weights(networks.held["k3-k2"]))  # what the child learnt, not its beginning
    assert grandchild.evaluation.score > 0


def test_a_childs_training_depends_on_what_is_trained_alone() -> None:
    task = game_task()
    parent, child = task.space.parse((1, 1)), task.space.parse((2, 2))
    torch.manual_seed(0)
    first = TrainedNetworks(task)
    first.train_child(child, parent, 0, 0, 2048)
    torch.manual_seed(1)
    second = TrainedNetworks(task)
    second.train_child(task.space.parse((1, 2)), parent, 0, 0, 1024)  # another child before it
    second.train_child(child, parent, 0, 0, 2048)
    assert same(weights(first.held["k2-k2"]), weights(second.held["k2-k2"]))
    second.train_child(child, parent, 2, 0, 2048)
    assert not same(weights(first.held["k2-k2"]), weights(second.held["k2-k2"]))


def blobs() -> ImageData:
    """Three classes of bright quarters, easy to tell apart."""
    rng, images, labels = np.random.default_rng(0), {}, {}
    for split, count in (("train", 240), ("validation", 90), ("test", 60)):
        label = np.arange(count) % 3
        image = rng.integers(0, 120, size=(count, 8, 8, 1))
        for row, at in enumerate(label):
            image[row, 4 * (at // 2) : 4 * (at // 2) + 4, 4 * (at % 2) : 4 * (at % 2) + 4] += 120
        images[split], labels[split] = image.astype(np.uint8), label.astype(np.int64)
    return ImageData("blobs", ("a", "b", "c"), images, labels, "0" * 16)


def image_networks(monkeypatch: pytest.MonkeyPatch, space: str) -> tuple[TrainedNetworks, Any]:
    task = get_task(f"{space}/digits@lite")
    assert isinstance(task, ImageTask)
    task = replace(
        task,
        recipe=replace(task.recipe, epochs=3, autocast=None, dense=16, filters=6, batch=16),
        environment=replace(task.environment, classes=3),
    )
    monkeypatch.setattr(warm_start, "load_dataset", lambda name: blobs())
    return TrainedNetworks(task), task


@pytest.mark.parametrize(
    ("space", "parent", "child", "renewed"),
    [
        ("nsc-chain", "conv3 maxpool2 conv1", "conv3 maxpool2 conv1 conv1", ()),
        ("nsc-chain", "conv3 maxpool2 conv1", "conv3 maxpool2 conv3", ("layer 3", "prediction")),
        ("nsc-multibranch", "conv3 | conv3", "conv3 | conv3@0 | add(1,2) | conv3", ()),
    ],
)
def test_a_classifier_is_better_after_one_epoch_than_from_scratch(
    space: str, parent: str, child: str, renewed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks, task = image_networks(monkeypatch, space)
    old, new = (task.space.parse(text) for text in (parent, child))
    assert task.keeps_function(old, new) is not bool(renewed)
    heir = networks.train_child(new, old, seed=1, parent_seed=0, fidelity=1)
    assert heir.renewed == renewed
    assert (heir.evaluation.cost.unit, heir.evaluation.fidelity) == ("epochs", 1)
    streams = Generators.from_seed(1, "cpu")
    fresh = fit_network(networks._network(new, streams), blobs(), replace(task.recipe, epochs=1), streams, "cpu")
    if not renewed:
        assert heir.evaluation.score > fresh[-1].validation_accuracy


def test_kernels_do_not_shrink() -> None:
    task = game_task()
    networks = TrainedNetworks(task, held={"k2-k2": ppo.train(task, (2, 2), 0).agent})
    with pytest.raises(InvalidArchitectureError, match="kernels only grow"):
        networks.train_child(task.space.parse((1, 1)), task.space.parse((2, 2)), 0, 0, 1024)
