"""Structural features of NSC networks."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from nasbench_rl.benchmark.surrogate_model.features import NscFeatures
from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.nsc.definition import LayerType, NscDefinition
from nasbench_rl.spaces.nsc.space import NscChain, NscMultiBranch
from nasbench_rl.task.images import LITE

IMAGE = (28, 28, 1)
CHAIN = NscFeatures(NscChain(), IMAGE, 26, LITE)
BRANCH = NscFeatures(NscMultiBranch(), IMAGE, 26, LITE)
MINE = NscDefinition(
    "mine", 4, True, (LayerType("conv", 1, (7,)), LayerType("maxpool", 2, (4,)), LayerType("identity", 4))
)


def of(features: NscFeatures, arch: object) -> dict[str, float]:
    (row,) = features([arch])  # type: ignore[list-item]
    return dict(zip(features.names, row.tolist(), strict=True))


def numbers(text: str) -> dict[str, float]:
    """The numbers in ``"name=1 other=2"``."""
    return {name: float(value) for name, _, value in (pair.partition("=") for pair in text.split())}


def test_a_chain_by_hand() -> None:
    found = of(CHAIN, "conv3 maxpool2 conv5 conv1 avgpool3")
    expected = numbers(
        "depth=5 count.conv=3 count.conv3=1 count.maxpool=1 count.avgpool2=0 first_pool=2 last_pool=5 pools=2 "
        "adjacent_pools=0 convs_before_first_pool=1 convs_between_pools=2 convs_after_last_pool=0 ends_in_pool=1 "
        "wide.before_first_pool=1 wide.between_pools=1 wide.after_last_pool=0 reach.before_first_pool=2 "
        "reach.between_pools=4 wide_convs=2 first_conv=1 last_conv=4 first_wide_conv=1 first_kernel=3 last_kernel=1 "
        "layers_after_wide=2 pooled_before_conv=1 maxpools=1 first_pool_is_max=1 last_pool_is_max=0 largest_kernel=5 "
        "stride=6 path.convs=3 path.length=5 layer1.conv3=1 layer1.conv5=0 layer5.avgpool3=1 height1=26 height2=13 "
        "height3=9 height5=3 height6=0 final_height=3 final_channels=32"
    )
    expected |= {"density": 5 / 6, "receptive_field": 1 + 2 + 1 + 4 * 2 + 0 + 2 * 2}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["log_largest_conv_area"] == pytest.approx(np.log10(1 + 26 * 26))
    assert found["log_conv_weights"] == pytest.approx(np.log10(1 + 9 * 32 + 25 * 32 * 32 + 32 * 32))


def test_sizes_are_those_of_the_network() -> None:
    found = of(CHAIN, "conv3 maxpool2")
    size = CHAIN.space.size("conv3 maxpool2", IMAGE, 26, dense=LITE.dense)
    logs = [found[name] for name in ("log_params", "log_flops", "log_dense_inputs")]
    assert logs == pytest.approx(np.log10([size.params, size.flops, size.features]))


def test_a_chain_without_pools() -> None:
    found = of(CHAIN, "conv3 conv5")
    assert [found[name] for name in ("first_pool", "last_pool", "ends_in_pool", "convs_between_pools")] == [0, 0, 0, 0]
    assert found["convs_before_first_pool"] == found["convs_after_last_pool"] == 2


def test_a_branched_network_by_hand() -> None:
    found = of(BRANCH, "conv3 | conv5 | maxpool2@0 | add(2,3) | conv1@0")
    expected = numbers(
        "ends=2 end.add=1 end.conv1=1 reads_of_image=3 merge.all=1 merge.same=0 merge.with_image=0 forks=1 "
        "path.convs=2 path.fewest_convs=0 path.length=3 receptive_field=7 stride=2 count.add=1 final_channels=64"
    )
    expected |= {"merge.padded": abs((28 - 2 - 4) - 14), "log_ways": math.log10(3)}
    assert {name: found[name] for name in expected} == expected


def test_what_the_prediction_module_reads_weighs_by_its_inputs() -> None:
    found = of(BRANCH, "conv3 | conv5 | maxpool2@0 | add(2,3) | conv1@0")
    # 32 channels of add(2,3), and in the middle one of them the pooled image too; 32 of conv1, all padded to 28 x 28.
    convolved, pooled, pointwise = 22 * 22 * 32, 14 * 14, 28 * 28 * 32
    total = convolved + pooled + pointwise
    expected = {
        "inputs.log_alive": math.log10(convolved + pointwise),
        "inputs.alive": (convolved + pointwise) / (28 * 28 * 64),
        "inputs.mixed": 22 * 22 / (convolved + pointwise),
        "inputs.signals": 3,
        "inputs.convs": (2 * convolved + pointwise) / total,
        "inputs.wide": 2 * convolved / total,
        "inputs.convs_since_pool": (2 * convolved + pointwise) / total,
        "inputs.receptive_field": (7 * convolved + 2 * pooled + pointwise) / total,
        "inputs.stride": (convolved + 2 * pooled + pointwise) / total,
        "inputs.height": (22 * convolved + 14 * pooled + 28 * pointwise) / total,
        "inputs.without_convs": pooled / total,
        "inputs.without_wide": (pooled + pointwise) / total,
        "inputs.log_image": math.log10(1 + pooled),
        "inputs.log_wide": math.log10(1 + convolved),
        "inputs.log_wide_pooled": 0,
        "inputs.log_wide_unpooled": math.log10(1 + convolved),
        "inputs.image_height": 14,
        "inputs.most_wide": 2,
        "inputs.most_wide_pooled": 0,
        "inputs.most_wide_just_pooled": 0,
        "inputs.largest_wide_height": 22,
        "inputs.smallest_wide_height": 22,
        "main.share": pointwise / total,
        "main.convs": 1,
        "main.wide": 0,
        "main.convs_since_pool": 1,
        "main.stride": 1,
        "main.height": 28,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_isomorphic_networks_have_the_same_features() -> None:
    one = of(BRANCH, "conv3 | maxpool2@0 | add(1,2)")
    assert one == of(BRANCH, "maxpool2 | conv3@0 | add(2,1)")


@pytest.mark.parametrize("features", [CHAIN, BRANCH])
def test_names_fit_the_columns_whatever_the_architecture(features: NscFeatures) -> None:
    archs = [arch for arch in features.space.up_to_depth(2) if features.space.is_valid(arch, *IMAGE[:2])]
    rows = features(archs)
    assert rows.shape == (len(archs), len(features.names))
    assert len(set(features.names)) == len(features.names)
    assert np.isfinite(rows).all()
    assert features.names == replace(features, image=(8, 8, 3), classes=10).names
    for arch, row in itertools.islice(zip(archs, rows, strict=True), 20):
        described = features._describe(features.space.parse(arch).choices, IMAGE)
        assert tuple(described) == features.names
        assert list(described.values()) == row.tolist()


def test_different_chains_differ() -> None:
    archs = [arch for arch in CHAIN.space.up_to_depth(3) if CHAIN.space.is_valid(arch, *IMAGE[:2])]
    assert len(np.unique(CHAIN(archs), axis=0)) == len(archs)


def test_a_space_of_ones_own() -> None:
    features = NscFeatures(NscChain(MINE), IMAGE, 10, LITE)
    found = of(features, "conv7 maxpool4 identity")
    assert {found[name] for name in ("count.conv7", "count.identity", "layer3.identity")} == {1}
    assert (found["receptive_field"], found["stride"], found["final_height"]) == (7 + 3, 4, 5)
    assert "layer4.conv7" in found and "layer5.conv7" not in found


def test_no_architectures_give_no_rows() -> None:
    assert CHAIN([]).shape == (0, len(CHAIN.names))


def test_a_network_that_vanishes_is_refused() -> None:
    with pytest.raises(InvalidArchitectureError, match="vanishes"):
        CHAIN(["conv3", "maxpool3 maxpool3 maxpool3 maxpool3"])
