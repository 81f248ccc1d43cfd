"""The kernel-choice spaces: points, strings, edits, encodings, and the cost of a network against torch's own module."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.kernel_choice import KERNEL_SPACES, NATURE_CNN, KernelSpace
from nasbench_rl.spaces.kernel_network import Conv, same_padding
from nasbench_rl.task import GameTask, get_task, task_ids
from nasbench_rl.training.networks import Agent, fit_to, make_conv, run_conv

SPACES = list(KERNEL_SPACES.values())
SS1 = KERNEL_SPACES["atari-ss1"]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


# -- points


@pytest.mark.parametrize(("name", "count"), [("ss1", 25), ("ss2", 32)])
def test_the_paper_s_numbers_of_architectures(name: str, count: int) -> None:
    assert len(KERNEL_SPACES[f"atari-{name}"]) == len(KERNEL_SPACES[f"minatar-{name}"]) == count


@every_space
def test_every_form_of_an_architecture_names_the_same_point(space: KernelSpace) -> None:
    archs = list(space)
    assert len({arch.name for arch in archs}) == len({arch.choices for arch in archs}) == len(space)
    for index, arch in enumerate(archs):
        typed = (str(arch.choices), ",".join(map(str, arch.choices)))
        for form in (arch, arch.name, arch.choices, list(arch.choices), np.array(arch.choices), *typed):
            assert space.parse(form) == arch
            assert space.index(form) == index
            assert form in space
        assert space[index] == arch == space[np.int64(index)]


def test_choices_are_the_kernels_themselves() -> None:
    assert SS1.parse("k4-k3").choices == NATURE_CNN
    assert SS1[0].choices == (1, 1)
    assert KERNEL_SPACES["minatar-ss2"][1].name == "k2-k2-k2-k2-k5"


@every_space
@pytest.mark.parametrize("outside", [-1, 1000])
def test_an_index_outside_is_refused(space: KernelSpace, outside: int) -> None:
    with pytest.raises(IndexError, match=str(outside)):
        space[outside]


@pytest.mark.parametrize(
    "bad",
    [
        (0, 3), (3, 6), (3,), (3, 3, 3), (), "k3", "k3-k6", "", "3", (3.5, 3), ("a", 3), ((1, 2), 3), None, 5, {3: 3},
        (True, 3), (3.0, 3), (np.float64(3), 3), np.array([3.0, 3.0]), np.array([True, True]), {3, 4}, {3: 1, 4: 1},
        (2**64 + 3, 3),
    ],
)  # fmt: skip
def test_what_is_no_point_is_refused_with_what_is_allowed(bad: object) -> None:
    assert bad not in SS1
    with pytest.raises(InvalidArchitectureError) as raised:
        SS1.parse(bad)  # type: ignore[arg-type]
    message = str(raised.value)
    assert repr(bad) in message and "{1, 2, 3, 4, 5}" in message and "k3-k3" in message and "\n" not in message


@pytest.mark.parametrize(
    ("bad", "close"), [((3, 6), "k3-k5"), ((0, 2), "k1-k2"), ("k3k4", "k3-k4"), ("K2-K2", "k2-k2")]
)
def test_the_nearest_point_is_offered(bad: object, close: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=f"did you mean '{close}'"):
        SS1.parse(bad)  # type: ignore[arg-type]


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidArchitectureError, match="'atari-ss1', not of 'minatar-ss1'"):
        KERNEL_SPACES["minatar-ss1"].parse(SS1[3])


@every_space
def test_indices_of_many_agree_with_index(space: KernelSpace) -> None:
    choices = np.array([arch.choices for arch in space])[::-1]
    assert space.indices(choices).tolist() == list(range(len(space)))[::-1]
    with pytest.raises(InvalidArchitectureError):
        space.indices(np.full((2, space.depth), 9))


# -- edits


@every_space
def test_neighbours_differ_in_one_layer_and_are_mutual(space: KernelSpace) -> None:
    for arch in space:
        near = space.neighbours(arch)
        assert len(near) == len(set(near)) == space.depth * (len(space.kernels) - 1)
        for other in near:
            assert sum(a != b for a, b in zip(arch.choices, other.choices, strict=True)) == 1
            assert arch in space.neighbours(other)


@every_space
def test_mutation_draws_every_neighbour_and_nothing_else(space: KernelSpace) -> None:
    rng, arch = np.random.default_rng(0), space[7]
    assert {space.mutate(arch, rng) for _ in range(400)} == set(space.neighbours(arch))


@every_space
def test_samples_are_uniform_and_come_from_the_generator_alone(space: KernelSpace) -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002  (that nothing touches it is the point)
    drawn = [space.index(space.sample(rng)) for rng in [np.random.default_rng(0)] for _ in range(4000)]
    again = [space.index(space.sample(rng)) for rng in [np.random.default_rng(0)] for _ in range(4000)]
    assert drawn == again
    expected = 4000 / len(space)
    chi2 = ((np.bincount(drawn, minlength=len(space)) - expected) ** 2 / expected).sum()
    assert chi2 < len(space) + 4 * np.sqrt(2 * len(space))
    np.testing.assert_equal(np.random.get_state(legacy=False), before)  # noqa: NPY002


@every_space
def test_the_encoding_is_one_hot_and_distinct(space: KernelSpace) -> None:
    codes = np.stack([space.encode(arch) for arch in space])
    assert codes.shape == (len(space), space.depth * len(space.kernels)) and codes.dtype == np.float32
    by_layer = codes.reshape(len(space), space.depth, len(space.kernels))
    assert (by_layer.sum(axis=2) == 1).all() and set(np.unique(codes)) == {0.0, 1.0}
    decoded = np.array(space.kernels)[by_layer.argmax(axis=2)]
    assert [tuple(row) for row in decoded.tolist()] == [arch.choices for arch in space]


@every_space
def test_the_configspace_export_holds_the_same_points(space: KernelSpace) -> None:
    pytest.importorskip("ConfigSpace")
    exported = space.configspace()
    exported.seed(0)
    assert exported.estimate_size() == len(space)
    names = [f"kernel_{i}" for i in range(space.depth)]
    assert list(exported) == names
    assert list(exported[names[0]].sequence) == list(space.kernels)
    configs = exported.sample_configuration(600)
    drawn = [space.index(tuple(int(config[name]) for name in names)) for config in configs]
    assert set(drawn) == set(range(len(space)))
    assert [space.index(space.from_configuration(config)) for config in configs] == drawn
    assert space.from_configuration(dict(configs[0])) == space[drawn[0]]


@pytest.mark.parametrize("layers", [10, 11, 12])
def test_the_configspace_export_of_a_deep_space_is_in_order(layers: int) -> None:
    pytest.importorskip("ConfigSpace")
    backbone = dataclasses.replace(SS1.backbone, choice_strides=(1,) * layers)
    space = KernelSpace("deep", (2, 5), backbone)
    exported = space.configspace()
    names = list(exported)
    assert names == sorted(names) and [int(name.removeprefix("kernel_")) for name in names] == list(range(layers))
    assert names[1] == ("kernel_1" if layers == 10 else "kernel_01")
    exported.seed(0)
    for config in exported.sample_configuration(20):
        kernels = tuple(int(config[name]) for name in names)
        assert space.from_configuration(config).choices == kernels
        assert tuple(space.kernels[int(place)] for place in config.get_array()) == kernels


def test_the_array_of_a_configuration_is_no_architecture_and_the_way_back_is_named() -> None:
    pytest.importorskip("ConfigSpace")
    config = SS1.configspace().get_default_configuration()
    for given in (config.get_array(), list(config.get_array()), config, dict(config)):
        with pytest.raises(InvalidArchitectureError, match=r"space\.from_configuration\(config\)"):
            SS1.parse(given)


@pytest.mark.parametrize("bad", [{}, {"kernel_0": 3}, {"kernel_0": 3, "kernel_2": 3}, {"kernel_0": 3, "kernel_1": 9},
                                 {"kernel_0": 3, "kernel_1": 3.0}, [3, 3], None])  # fmt: skip
def test_what_is_no_configuration_is_refused(bad: object) -> None:
    with pytest.raises(InvalidArchitectureError):
        SS1.from_configuration(bad)  # type: ignore[arg-type]


# -- the network


def test_padding_is_the_paper_s() -> None:
    assert [same_padding(k) for k in (1, 2, 3, 4, 5)] == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_padded_convolutions_keep_the_size_and_reflect(kernel: int) -> None:
    layer = make_conv(Conv(1, 1, kernel, size_in=10))
    torch.nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    torch.nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = 1.0  # picks the first row and column of the window
    x = torch.arange(100.0).view(1, 1, 10, 10)
    out = run_conv(layer, x)
    half = kernel // 2
    assert out.shape == x.shape
    assert out[0, 0, 0, 0] == x[0, 0, half, half]
    assert torch.equal(out[..., half:, half:], x[..., : 10 - half, : 10 - half])


@pytest.mark.parametrize("size", [7, 9, 11, 12, 20])
def test_maps_are_fitted_by_zeros_around_or_a_cut_in_the_centre(size: int) -> None:
    x = torch.rand(2, 3, size, size) + 1
    out = fit_to(x, 11)
    assert out.shape == (2, 3, 11, 11)
    if size <= 11:
        assert out.sum() == pytest.approx(float(x.sum()))
        assert torch.equal(out[..., 5, 5], x[..., 5 - (11 - size) // 2, 5 - (11 - size) // 2])
    else:
        lead = (size - 11 + 1) // 2
        assert torch.equal(out, x[..., lead : lead + 11, lead : lead + 11])


@pytest.mark.parametrize(
    ("size", "before", "after"), [(9, 1, 1), (10, 0, 1), (8, 1, 2), (5, 3, 3), (12, -1, 0), (13, -1, -1), (20, -5, -4)]
)
def test_the_centre_of_a_map_stays_in_the_centre(size: int, before: int, after: int) -> None:
    """Rows and columns padded (or, below 0, cut) on each side; 10 and 20 are the spaces' own maps."""
    x = torch.arange(1.0, size * size + 1).view(1, 1, size, size)
    expected = torch.zeros(11, 11)
    inner = x[0, 0, max(0, -before) : size - max(0, -after), max(0, -before) : size - max(0, -after)]
    start, stop = max(0, before), 11 - max(0, after)
    expected[start:stop, start:stop] = inner
    assert torch.equal(fit_to(x, 11)[0, 0], expected)


def test_nature_cnn_has_the_layers_of_table_2() -> None:
    network = SS1.network(NATURE_CNN, channels=4, actions=4)
    assert (network.stem.size_out, network.choices[0].size_out, network.choices[1].size_out) == (20, 10, 10)
    assert (network.linear_in, network.linear_out) == (7744, 512)


def test_ss2_has_five_convolutions_on_maps_of_20_pixels() -> None:
    network = KERNEL_SPACES["atari-ss2"].network("k2-k5-k2-k5-k2", channels=4, actions=4)
    assert [conv.size_out for conv in network.choices] == [20] * 5


def test_cost_of_one_layer_by_hand() -> None:
    conv = Conv(inputs=16, outputs=8, kernel=3, size_in=10)
    assert conv.params == 8 * 16 * 9 + 8
    assert conv.flops == 2 * 100 * 8 * 16 * 9
    strided = Conv(inputs=4, outputs=32, kernel=8, stride=4, same=False, size_in=84)
    assert strided.flops == 2 * 20 * 20 * 32 * 4 * 64


def test_cost_of_a_whole_network_by_hand() -> None:
    network = KERNEL_SPACES["minatar-ss1"].network((1, 2), channels=4, actions=3)
    assert network.params == (16 * 4 * 9 + 16) + (16 * 16 + 16) + (16 * 16 * 4 + 16) + 1601 * 128 + 129 * 4
    maps = 16 * 4 * 9 + 16 * 16 + 16 * 16 * 4
    assert network.flops == 2 * (100 * maps + 1600 * 128 + 128 * 4)


SMALL = [i for i in task_ids() if isinstance(get_task(i), GameTask) and get_task(i).recipe.name == "lite"]


@pytest.mark.parametrize("id_", SMALL)
def test_params_are_those_of_the_torch_module(id_: str) -> None:
    task = get_task(id_)
    for arch in (task.space[0], task.space[len(task.space) // 2], task.space[len(task.space) - 1]):
        agent = Agent(task.network(arch), torch.Generator().manual_seed(0))
        assert sum(p.numel() for p in agent.parameters()) == task.network(arch).params


@pytest.mark.parametrize("id_", ["minatar-ss1/breakout@lite", "minatar-ss2/seaquest@lite", "atari-ss2/freeway@lite"])
def test_flops_are_those_that_torch_counts(id_: str) -> None:
    task = get_task(id_)
    shape = (21, 21, 64) if task.environment.suite == "atari" else (10, 10, task.environment.channels)
    for arch in (task.space[1], task.space[len(task.space) - 2]):
        agent = Agent(task.network(arch), torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            agent(torch.zeros(1, *shape, dtype=torch.uint8))
        assert counter.get_total_flops() == task.network(arch).flops


def test_width_scales_every_layer_s_outputs() -> None:
    full, quarter = (SS1.network((3, 3), 4, 4, width) for width in (1.0, 0.25))
    for a, b in itertools.chain([(full.stem, quarter.stem)], zip(full.choices, quarter.choices, strict=True)):
        assert a.outputs == 4 * b.outputs
    assert full.linear_out == 4 * quarter.linear_out == 512


@pytest.mark.parametrize("text", ["9" * 5000, f"({'9' * 5000},3)", f"k{'9' * 5000}-k3"])
def test_numbers_of_thousands_of_digits_are_no_kernels(text: str) -> None:
    with pytest.raises(InvalidArchitectureError):
        KERNEL_SPACES["minatar-ss1"].parse(text)
