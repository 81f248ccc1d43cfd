"""What the channels of NSC networks carry, against the networks themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasbench_rl.spaces.nsc import size
from nasbench_rl.spaces.nsc.channel_flow import Signal, signals
from nasbench_rl.spaces.nsc.isomorphism import Vectors
from nasbench_rl.spaces.nsc.space import NscMultiBranch
from nasbench_rl.task.images import LITE
from nasbench_rl.training.nsc_network import NscNetwork

SPACE = NscMultiBranch()
IMAGE = (28, 26, 3)


def carried(arch: str) -> tuple[Vectors, list[list[frozenset[Signal]]]]:
    vectors = SPACE.parse(arch).choices
    return vectors, signals(vectors, SPACE.definition, size.node_shapes(vectors, SPACE.definition, IMAGE))


def test_a_chain_carries_one_signal() -> None:
    _, nodes = carried("conv3 | maxpool3 | conv5")
    expected = [
        Signal(28, 26),
        Signal(26, 24, length=1, convs=1, fewest_convs=1, wide=1, convs_since_pool=1, field=3),
        Signal(8, 8, length=2, convs=1, fewest_convs=1, wide=1, convs_since_pool=0, field=5, stride=3),
        Signal(4, 4, length=3, convs=2, fewest_convs=2, wide=2, convs_since_pool=1, field=17, stride=3),
    ]
    assert [set(channels) for channels in nodes] == [{frozenset([signal])} for signal in expected]
    assert [len(channels) for channels in nodes] == [3, 32, 32, 32]


def test_concat_keeps_channels_apart_and_add_puts_the_fewer_into_the_middle() -> None:
    convolved = Signal(26, 24, length=2, convs=1, fewest_convs=1, wide=1, convs_since_pool=1, field=3)
    pooled = Signal(14, 13, length=2, field=2, stride=2)
    _, nodes = carried("conv3 | maxpool2@0 | concat(1,2)")
    assert nodes[-1] == [{convolved}] * 32 + [{pooled}] * 3
    _, nodes = carried("conv3 | maxpool2@0 | add(1,2)")
    assert nodes[-1] == [{convolved}] * 14 + [{convolved, pooled}] * 3 + [{convolved}] * 15


def test_a_convolution_makes_one_signal_of_all_it_reads() -> None:
    _, nodes = carried("conv3 | maxpool2@0 | concat(1,2) | conv5")
    (carried_on,) = set(nodes[4])
    assert carried_on == {
        Signal(22, 20, length=3, convs=2, fewest_convs=1, wide=2, convs_since_pool=2, field=3 + 4 * 2, stride=2)
    }


def test_pools_shrink_small_pictures_in_large_maps() -> None:
    _, nodes = carried("maxpool3 | add(0,1) | avgpool2 | conv3")
    sizes = [sorted({(signal.height, signal.width) for channel in node for signal in channel}) for node in nodes]
    assert sizes == [[(28, 26)], [(9, 8)], [(9, 8), (28, 26)], [(5, 4), (14, 13)], [(12, 11)]]


@pytest.mark.parametrize(
    "arch",
    [
        "conv3 | conv1 | conv5 | avgpool2 | add(0,0) | add(4,5)",
        "maxpool3 | avgpool2@0 | concat(0,1) | add(2,3) | maxpool2",
        "conv3 | maxpool3 | concat(0,2) | avgpool2 | add(4,4)",
        "maxpool3 | conv3@0 | avgpool3 | concat(1,3) | conv3@0 | add(4,5)",
    ],
)
def test_what_is_not_of_the_picture_is_zero_in_the_network(arch: str) -> None:
    """Of the map that the prediction module reads, to a row: the middle of a map may lie between two pixels."""
    vectors, nodes = carried(arch)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    network = NscNetwork(vectors, SPACE.definition, IMAGE, 10, LITE, *generators).eval()
    images = torch.rand(4, IMAGE[2], *IMAGE[:2], generator=torch.Generator().manual_seed(2)) + 0.1
    maps = read_by_the_prediction_module(network, images)
    rows = (np.abs(maps).max(axis=(0, 3)) > 0).sum(axis=1)
    heights = np.array([max(signal.height for signal in channel) for channel in nodes[-1]])
    assert heights.min() < maps.shape[2]
    assert np.abs(rows - heights).max() <= 1


def read_by_the_prediction_module(network: NscNetwork, images: torch.Tensor) -> np.ndarray:  # type: ignore[type-arg]
    found: list[torch.Tensor] = []
    handle = network.prediction.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
    with torch.no_grad():
        network(images)
    handle.remove()
    return found[0].numpy()
