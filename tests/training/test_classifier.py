"""Classifiers of the NSC spaces: what is built is what was counted, and training repeats exactly."""

import dataclasses
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from nasbench_rl.data.images import ImageData, make_dataset
from nasbench_rl.data.substitute_datasets import digits as collect_digits
from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError
from nasbench_rl.spaces.nsc.space import NscChain, NscMultiBranch, NscSpace
from nasbench_rl.task.images import ClassifierRecipe, nsc_recipes
from nasbench_rl.training import classifier
from nasbench_rl.training.classifier import EpochPoint, Generators, train, train_vgg
from nasbench_rl.training.nsc_network import NscNetwork, VggTwoBlocks, fit, merge

CHAIN, BRANCH = NscChain(), NscMultiBranch()
SHORT = ClassifierRecipe("short", epochs=2, dense=32, train_images=300, held_out_images=100)
FIGURE_4 = "conv1 | maxpool2 | conv3@0 | avgpool2 | conv5@0 | maxpool2 | add(2,4)"


@pytest.fixture(scope="module")
def digits() -> ImageData:
    """The real images, split by position."""
    collected = collect_digits()
    labels = np.array([int(label) for label in collected.labels])
    rows = {"train": slice(0, 1000), "validation": slice(1000, 1400), "test": slice(1400, None)}
    images = {split: collected.images[part] for split, part in rows.items()}
    return make_dataset("digits", tuple("0123456789"), images, {split: labels[part] for split, part in rows.items()})


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def build(space: NscSpace, arch: str, image: tuple[int, int, int], recipe: ClassifierRecipe = SHORT) -> NscNetwork:
    streams = Generators.from_seed(0, "cpu")
    choices = space.parse(arch).choices
    return NscNetwork(choices, space.definition, image, 10, recipe, streams.weights, streams.masks)


def scores(curve: list[EpochPoint]) -> list[tuple[float, float, float]]:
    return [(point.train_loss, point.validation_accuracy, point.test_accuracy) for point in curve]


# -- what is built


def drawn(space: NscSpace, count: int) -> list[str]:
    rng = np.random.default_rng(1)
    arches = (space.sample(rng) for _ in itertools.count())
    return [arch.name for arch in itertools.islice((a for a in arches if space.is_valid(a, 28, 28)), count)]


@pytest.mark.parametrize(
    ("space", "arch"),
    [*((CHAIN, arch) for arch in drawn(CHAIN, 8)), *((BRANCH, arch) for arch in drawn(BRANCH, 12)), (BRANCH, FIGURE_4)],
)
def test_the_network_has_the_shapes_params_and_flops_that_were_counted(space: NscSpace, arch: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = build(space, arch, (28, 28, 3)).eval()
    expected = space.size(arch, (28, 28, 3), 10, filters=SHORT.filters, dense=SHORT.dense)
    assert sum(weights.numel() for weights in network.parameters()) == expected.params
    seen: list[tuple[int, ...]] = []
    network.prediction.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        logits = network(torch.rand(2, 3, 28, 28))
    assert logits.shape == (2, 10)
    height, width, channels = space.shapes(arch, (28, 28, 3))[-1]
    assert seen == [(2, channels, height, width)]
    assert counter.get_total_flops() == 2 * expected.flops


def test_a_convolution_is_relu_then_conv_then_batch_norm() -> None:
    network = build(CHAIN, "conv3", (8, 8, 3))
    assert [type(part).__name__ for part in network.layers[0]] == ["ReLU", "Conv2d", "BatchNorm2d"]
    assert torch.equal(network(-torch.rand(4, 3, 8, 8)), network(torch.zeros(4, 3, 8, 8)))


def test_merging_pads_with_zeros_half_before_and_half_after() -> None:
    padded = fit(torch.ones(1, 1, 2, 3), channels=4, height=5, width=4)
    assert padded.shape == (1, 4, 5, 4)
    assert padded.sum() == 6
    assert padded[0, 1, 1:3, 0:3].min() == 1  # channels 1 + 2, rows 1 + 2, columns 0 + 1
    small, large = torch.ones(1, 2, 2, 2), torch.full((1, 4, 4, 4), 10.0)
    added = merge([small, large], "add")
    assert added.shape == (1, 4, 4, 4)
    assert added[0, 1:3, 1:3, 1:3].unique().tolist() == [11.0]
    assert added[0, 0].unique().tolist() == [10.0]
    assert torch.equal(added, merge([large, small], "add"))
    joined = merge([small, large], "concat")
    assert joined.shape == (1, 6, 4, 4)
    assert joined[0, 0, 0].unique().tolist() == [0.0]


def test_leaves_are_concatenated() -> None:
    network = build(BRANCH, "maxpool2 | avgpool2@0", (4, 4, 1))
    maps: list[torch.Tensor] = []
    network.prediction.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
    image = torch.rand(1, 1, 4, 4)
    network(image)
    pooled = [torch.nn.functional.max_pool2d(image, 2), torch.nn.functional.avg_pool2d(image, 2)]
    assert torch.equal(maps[0], torch.cat(pooled, dim=1))


def test_isomorphic_spellings_train_to_the_same_curve(digits: ImageData) -> None:
    one = train(BRANCH, "conv3 | maxpool2@0 | concat(1,2)", digits, SHORT, seed=0)
    other = train(BRANCH, "maxpool2 | conv3@0 | concat(1,2)", digits, SHORT, seed=0)
    assert scores(one) == scores(other)


# -- training


def test_a_chain_trains_alike_in_both_spaces(digits: ImageData) -> None:
    """So that a table of networks with branches may take the rows of chains over (``build.reuse_chains``)."""
    measured = [
        [(point.validation_accuracy, point.test_accuracy, point.train_loss) for point in curve]
        for curve in (
            train(BRANCH, "conv3 | maxpool2", digits, SHORT, seed=1),
            train(CHAIN, "conv3 maxpool2", digits, SHORT, seed=1),
        )
    ]
    assert measured[0] == measured[1]


def test_digits_end_to_end(digits: ImageData) -> None:
    recipe = ClassifierRecipe("smoke", dense=256)
    done: list[int] = []
    curve = train(CHAIN, "conv3 maxpool2", digits, recipe, seed=0, progress=done.append)
    assert [point.epoch for point in curve] == done == list(range(1, 13))
    assert curve[-1].validation_accuracy > 0.9
    assert curve[-1].test_accuracy > 0.85
    assert curve[-1].train_loss < curve[0].train_loss / 3
    assert all(a.cpu_seconds < b.cpu_seconds for a, b in itertools.pairwise(curve))


def test_a_seed_repeats_and_another_differs(digits: ImageData) -> None:
    runs = [scores(train(CHAIN, "conv3 maxpool2", digits, SHORT, seed)) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_another_process_gives_the_same_curve(digits: ImageData, tmp_path) -> None:
    arrays = {f"{kind}_{s}": getattr(digits, kind)[s] for kind in ("images", "labels") for s in digits.images}
    np.savez(tmp_path / "d.npz", **arrays)
    script = f"""
import numpy as np, torch
torch.set_num_threads(1)
from nasbench_rl.task.images import ClassifierRecipe
from nasbench_rl.spaces.nsc.space import NscMultiBranch
from nasbench_rl.training.classifier import train
from nasbench_rl.data.images import SPLITS, make_dataset
with np.load({str(tmp_path / "d.npz")!r}) as f:
    parts = [{{s: f[kind + "_" + s] for s in SPLITS}} for kind in ("images", "labels")]
torch.rand(7)
data = make_dataset("digits", tuple("0123456789"), *parts)
curve = train(NscMultiBranch(), "conv3 | maxpool2@0 | add(1,2)", data, {SHORT!r}, 3)
print([(p.train_loss, p.validation_accuracy, p.test_accuracy) for p in curve])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    here = scores(train(BRANCH, "conv3 | maxpool2@0 | add(1,2)", digits, SHORT, 3))
    assert done.stdout.strip() == str(here)


def test_the_global_random_state_is_left_alone(digits: ImageData) -> None:
    before, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(CHAIN, "conv3 maxpool2", digits, SHORT, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


def test_validation_and_test_are_not_mixed(digits: ImageData) -> None:
    swapped = dataclasses.replace(
        digits,
        images={**digits.images, "validation": digits.images["test"], "test": digits.images["validation"]},
        labels={**digits.labels, "validation": digits.labels["test"], "test": digits.labels["validation"]},
    )
    recipe = dataclasses.replace(SHORT, held_out_images=None)
    one = scores(train(CHAIN, "conv3 maxpool2", digits, recipe, seed=0))
    other = scores(train(CHAIN, "conv3 maxpool2", swapped, recipe, seed=0))
    assert one == [(loss, test, validation) for loss, validation, test in other]
    assert any(validation != test for _, validation, test in one)


def test_only_the_recipe_s_images_are_used(digits: ImageData) -> None:
    chosen = digits.subset("train", SHORT.train_images)[0]
    kept = {image.tobytes() for image in chosen}
    images = digits.images["train"].copy()
    others = [at for at, image in enumerate(images) if image.tobytes() not in kept]
    images[others] = 99
    changed = dataclasses.replace(digits, images={**digits.images, "train": images})
    assert len(chosen) == 300
    assert scores(train(CHAIN, "conv3", digits, SHORT, 0)) == scores(train(CHAIN, "conv3", changed, SHORT, 0))


def test_a_last_batch_of_one_image_is_skipped(digits: ImageData) -> None:
    recipe = dataclasses.replace(SHORT, train_images=129)
    curve = train(CHAIN, "conv5 conv3 maxpool2", digits, recipe, seed=0)  # ends in a 1x1 map
    assert np.isfinite(curve[-1].train_loss)


def test_bfloat16_learns_too(digits: ImageData) -> None:
    recipe = ClassifierRecipe("bf16", dense=64, epochs=6, autocast="bf16")
    curve = train(CHAIN, "conv3 maxpool2", digits, recipe, seed=0)
    assert curve[-1].validation_accuracy > 0.85
    exact = train(CHAIN, "conv3 maxpool2", digits, dataclasses.replace(recipe, autocast=None), seed=0)
    assert scores(curve) != scores(exact)  # it is in use


def test_dropout_is_off_when_measuring(digits: ImageData) -> None:
    network = build(CHAIN, "conv3", (8, 8, 1)).eval()
    pixels = classifier._pixels(digits, "test", SHORT, "cpu")
    assert classifier.accuracy(network, pixels, SHORT) == classifier.accuracy(network, pixels, SHORT)
    network.train()
    image = torch.rand(2, 1, 8, 8)
    assert not torch.equal(network(image), network(image))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"arch": "conv5 conv5"}, InvalidArchitectureError, "vanishes at layer 2: conv5 on 4x4"),
        ({"arch": "conv4"}, InvalidArchitectureError, "did you mean"),
        ({"seed": -1}, InvalidValueError, "a train seed is 0 or more, not -1"),
        ({"device": "gpu"}, InvalidValueError, "gpu"),
        ({"recipe": ClassifierRecipe("paper", image_size=84)}, InvalidValueError, "84x84 images, the data set has 8x8"),
    ],
)
def test_bad_input_is_explained_before_training(
    digits: ImageData, changes: dict[str, object], error: type[Exception], says: str
) -> None:
    given = {"space": CHAIN, "arch": "conv3", "data": digits, "recipe": SHORT, "seed": 0, **changes}
    with pytest.raises(error) as caught:
        train(**given, progress=lambda epoch: pytest.fail("it trained"))
    assert says in str(caught.value)


# -- recipes


def test_the_learning_rate_falls_fivefold_every_five_epochs() -> None:
    paper = nsc_recipes("nsc-chain")["paper"]
    rates = [paper.learning_rate_at(epoch, step=7 * epoch) for epoch in paper.fidelities]
    assert rates == pytest.approx([1e-3] * 5 + [2e-4] * 5 + [4e-5] * 2)
    assert (paper.epochs, paper.batch, paper.filters, paper.dense, paper.dropout) == (12, 128, 32, 1024, 0.4)
    assert (paper.adam_betas, paper.adam_eps, paper.image_size) == ((0.9, 0.999), 1e-7, 84)


def test_the_multibranch_experiment_has_batches_of_64() -> None:
    assert nsc_recipes("nsc-multibranch")["paper"].batch == 64
    assert nsc_recipes("nsc-chain")["lite"] == nsc_recipes("nsc-multibranch")["lite"]


def test_the_intensified_training_is_experiment_2_s() -> None:
    intense = nsc_recipes("nsc-chain")["intense"]
    assert (intense.epochs, intense.dense, intense.filters, intense.filter_growth) == (100, 4096, 32, 2)
    rates = [intense.learning_rate_at(epoch, step=0) for epoch in intense.fidelities]
    assert np.allclose(np.diff(np.log(rates)), np.log(rates[1] / rates[0]))  # exponential
    assert rates[0] > rates[-1]
    network = build(CHAIN, "conv3 conv3 conv1", (8, 8, 1), dataclasses.replace(intense, dense=8))
    assert [layer[1].out_channels for layer in network.layers] == [32, 64, 128]


def test_the_authors_reading_of_it_has_a_name_of_its_own(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = nsc_recipes("nsc-chain")["intense-authors"], nsc_recipes("nsc-chain")["intense"]
    assert (theirs.epochs, theirs.dense, theirs.filters, theirs.filter_growth) == (100, 4096, 16, 2)
    network = build(CHAIN, "conv3 conv3 conv1", (8, 8, 1), dataclasses.replace(theirs, dense=8))
    assert [layer[1].out_channels for layer in network.layers] == [16, 32, 64]
    assert [theirs.learning_rate_at(1, step) for step in (0, 50, 100, 200)] == pytest.approx(
        [1e-3, 1e-3 * 0.9**0.5, 9e-4, 8.1e-4]
    )
    others = {"name", "decay", "decay_every", "filters", "decay_unit"}
    same = {field.name for field in dataclasses.fields(theirs)} - others
    assert all(getattr(theirs, name) == getattr(ours, name) for name in same)

    rates: list[float] = []
    step = torch.optim.Adam.step

    def told(adam: torch.optim.Adam, *given: object) -> object:
        rates.append(adam.param_groups[0]["lr"])
        return step(adam, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", told)
    short = dataclasses.replace(theirs, image_size=None, epochs=2, dense=8, train_images=300, held_out_images=20)
    train(CHAIN, "maxpool2", digits, short, 0)
    assert rates == pytest.approx([1e-3 * 0.9 ** (step / 100) for step in range(6)])
    rates.clear()
    falling = dataclasses.replace(SHORT, decay=0.5, decay_every=1)
    train(CHAIN, "maxpool2", digits, falling, 0)
    assert rates == [1e-3] * 3 + [5e-4] * 3


def test_the_vgg_baseline_has_two_blocks(digits: ImageData) -> None:
    recipe = dataclasses.replace(SHORT, dense=8)
    streams = Generators.from_seed(0, "cpu")
    network = VggTwoBlocks((84, 84, 3), 100, recipe, streams.weights, streams.masks)
    convolutions = [layer for layer in network.layers if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 64, 128, 128]
    assert network(torch.rand(2, 3, 84, 84)).shape == (2, 100)
    body = (27 + 1) * 64 + (9 * 64 + 1) * 64 + (9 * 64 + 1) * 128 + (9 * 128 + 1) * 128
    head = (21 * 21 * 128 + 1) * 8 + (8 + 1) * 100
    assert sum(weights.numel() for weights in network.parameters()) == body + head
    recipe = ClassifierRecipe("short", epochs=3, dense=64)
    runs = [scores(train_vgg(digits, recipe, seed=0)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0][-1][1] > 0.3  # three times chance
