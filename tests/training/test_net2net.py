"""Transformed networks compute what they came from: equal outputs before and after."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces import KERNEL_SPACES, KernelSpace
from nasbench_rl.spaces.nsc.morphism import find_morphism
from nasbench_rl.spaces.nsc.size import Shape
from nasbench_rl.spaces.nsc.space import nsc_space
from nasbench_rl.task.images import ClassifierRecipe
from nasbench_rl.training.net2net import grow_kernels, grow_layers, take_over
from nasbench_rl.training.networks import Agent, fit_to
from nasbench_rl.training.nsc_network import NscNetwork

SMALL = ClassifierRecipe("small", filters=4, dense=8)
CHAIN, BRANCHES = nsc_space("nsc-chain"), nsc_space("nsc-multibranch")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def agent_of(space: KernelSpace, arch: tuple[int, ...], seed: int = 0) -> Agent:
    return Agent(space.network(arch, 4, 3, 0.25), generator(seed)).double()


def observations(space: KernelSpace) -> torch.Tensor:
    side, channels = (21, 64) if space.name.startswith("atari") else (10, 4)
    return torch.randint(0, 256, (3, side, side, channels), generator=generator(7), dtype=torch.uint8)


def outputs(agent: Agent, maps: torch.Tensor) -> torch.Tensor:
    """Both heads in double precision, from the stem's maps on; ``forward`` itself begins and ends in float32."""
    hidden = torch.relu(agent.linear(fit_to(agent.run_choices(maps), agent.network.fit).flatten(1)))
    return torch.cat([agent.policy(hidden), agent.value(hidden)], 1)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(KERNEL_SPACES))
def test_a_grown_kernel_computes_the_same_in_every_space_and_from_every_size(name: str) -> None:
    space = KERNEL_SPACES[name]
    side, channels = (20, 8) if name.startswith("atari") else (10, 4)  # the stem's maps at a quarter of the width
    x = torch.rand((3, channels, side, side), generator=generator(7), dtype=torch.float64)
    pairs = [(old, new) for old in space.kernels for new in space.kernels if new >= old]
    for place in range(space.depth):
        for old, new in pairs:
            base = [space.kernels[-1]] * space.depth
            parent_arch, child_arch = (tuple([*base[:place], k, *base[place + 1 :]]) for k in (old, new))
            parent = agent_of(space, parent_arch)
            child = grow_kernels(parent, space.network(child_arch, 4, 3, 0.25)).double()
            assert child.network.choices[place].kernel == new
            assert torch.allclose(outputs(child, x), outputs(parent, x), rtol=0, atol=1e-12), (old, new, place)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(KERNEL_SPACES))
def test_the_largest_network_grown_from_the_smallest_answers_observations_alike(name: str) -> None:
    space = KERNEL_SPACES[name]
    smallest, largest = ((space.kernels[at],) * space.depth for at in (0, -1))
    parent = Agent(space.network(smallest, 4, 3, 0.25), generator(1))
    child = grow_kernels(parent, space.network(largest, 4, 3, 0.25))
    fresh = Agent(space.network(largest, 4, 3, 0.25), generator(1))
    x = observations(space)
    for before, after, other in zip(parent(x), child(x), fresh(x), strict=True):
        assert torch.allclose(before, after, rtol=0, atol=1e-5 * float(before.abs().max()))
        assert not torch.allclose(before, other, rtol=0, atol=1e-2 * float(before.abs().max()))


def test_a_kernel_cannot_shrink() -> None:
    space = KERNEL_SPACES["minatar-ss1"]
    with pytest.raises(InvalidArchitectureError, match="layer 2 cannot shrink from 5 to 4"):
        grow_kernels(agent_of(space, (3, 5)), space.network((3, 4), 4, 3, 0.25))


def network(text: str, image: Shape, seed: int, recipe: ClassifierRecipe = SMALL) -> NscNetwork:
    """A network whose batch norms are set as if by a training."""
    space = CHAIN if " | " not in text and "@" not in text and "(" not in text else BRANCHES
    net = NscNetwork(space.parse(text).choices, space.definition, image, 3, recipe, generator(seed), generator(seed))
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(generator=generator(seed + 1))
        norm.running_var.uniform_(0.5, 2.0, generator=generator(seed + 2))
        norm.weight.data.normal_(generator=generator(seed + 3))
        norm.bias.data.normal_(generator=generator(seed + 4))
    return net.double().eval()


def difference(parent: str, child: str, image: Shape, calibrated: bool = True, **options: object) -> float:
    """The largest difference of the logits, relative to the largest logit."""
    space = CHAIN if " | " not in child and "@" not in child and "(" not in child else BRANCHES
    old, new = space.parse(parent).choices, space.parse(child).choices
    morphism = find_morphism(old, new, space.definition, image, SMALL.filters)
    assert morphism is not None, f"no morphism from {parent} to {child}"
    before, after = network(space.parse(parent).name, image, 0), network(space.parse(child).name, image, 50)
    x = torch.rand((5, image[2], *image[:2]), generator=generator(9), dtype=torch.float64)
    with torch.no_grad():
        fresh = (after(x) - before(x)).abs().max()
        grow_layers(before, after, morphism, x.flip(0) if calibrated else None, **options)  # type: ignore[arg-type]
        assert fresh > 1e-3  # the weights that it had before compute something else
        return float((after(x) - before(x)).abs().max() / before(x).abs().max())


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("conv3", "conv1 conv3"),  # Net2Deeper at the image: pixels are not negative
        ("maxpool2", "maxpool2 conv1"),
        ("conv3 maxpool2 conv3", "conv3 conv1 maxpool2 conv1 conv3"),
        ("conv3 conv1", "conv3 conv1 conv1"),
        ("conv1 maxpool3 conv1", "conv3 maxpool3 conv1"),  # 11 and 9 pixels give pools of 3 alike
        ("maxpool2 conv1 maxpool3", "maxpool2 conv3 maxpool3"),
        ("conv1 maxpool3 conv1", "conv3 conv1 maxpool3 conv1"),
        ("conv3 | conv1", "conv3 | conv3@0 | add(1,2) | conv1"),
        ("conv3 | conv1", "conv3 | conv3@0 | concat(1,2) | conv1"),
        ("conv3 | conv1", "conv3 | conv1 | conv3@0 | conv1@3 | add(2,4) | conv1"),
        ("conv3 | maxpool2", "conv3 | conv3@0 | concat(1,2) | maxpool2"),
        ("conv3 | maxpool2", "conv3 | maxpool2 | maxpool2@1 | add(2,3)"),
        ("conv3 | maxpool2", "conv3 | maxpool2 | maxpool2@1 | concat(2,3)"),
        ("conv3 | maxpool2@0", "conv3 | conv3@0 | add(1,2) | maxpool2@0"),  # two leaves
        ("conv3 | conv1@0 | add(1,2)", "conv3 | conv3@0 | add(1,2) | conv1@0 | add(3,4)"),
        ("conv3 | conv1@0 | concat(1,2)", "conv3 | conv1@0 | conv1@0 | add(2,3) | concat(1,4)"),
        ("conv3 | avgpool2 | conv1", "conv3 | avgpool2 | conv1 | conv1 | conv1@2 | concat(4,5)"),
    ],
)
def test_transformed_networks_give_the_same_logits(parent: str, child: str, calibrated: bool) -> None:
    assert difference(parent, child, (11, 11, 2), calibrated) < 1e-12


@pytest.mark.parametrize(
    ("parent", "child", "why"),
    [
        ("conv3", "conv3 conv1", "the prediction module reads what a ReLU would cut"),
        ("conv3 avgpool2 conv1", "conv3 conv1 avgpool2 conv1", "the mean of a ReLU is not the ReLU of a mean"),
        ("conv3 conv1", "conv3 conv3", "the map gets smaller"),
        ("conv1 maxpool2 conv1", "conv3 maxpool2 conv1", "12 and 10 pixels do not give pools of 2 alike"),
        ("conv3 conv1", "conv3 maxpool2 conv1", "no pool is an identity"),
        ("conv3 conv1", "conv3", "the parent is larger"),
        ("conv3 | conv1", "conv3 | conv1 | conv3@0 | add(2,3) | conv1", "a ReLU in one branch of a sum alone"),
        ("conv3 | add(1,1)", "conv3 | conv3@0 | concat(1,2) | conv3@0 | add(3,4)", "32 channels added to 64"),
    ],
)
def test_what_does_not_keep_the_function_is_no_morphism(parent: str, child: str, why: str) -> None:
    space = CHAIN if " | " not in child else BRANCHES
    if " | " not in parent and space is BRANCHES:
        parent = parent.replace(" ", " | ")
    old, new = space.parse(parent).choices, space.parse(child).choices
    assert find_morphism(old, new, space.definition, (12, 12, 2), SMALL.filters) is None, why


def test_every_morphism_between_small_networks_holds() -> None:
    """All pairs of one and two layers, and a draw of deeper children: whatever is found is exact."""
    import numpy as np

    rng, image, found = np.random.default_rng(0), (8, 8, 1), 0
    for space in (CHAIN, BRANCHES):
        small = [a for a in space.up_to_depth(2) if space.is_valid(a, 8, 8)]
        for _ in range(600):
            parent = small[int(rng.integers(len(small)))]
            child = parent
            for _ in range(int(rng.integers(1, 4))):
                child = space.mutate(child, rng)
            if child == parent or not space.is_valid(child, 8, 8):
                continue
            if find_morphism(parent.choices, child.choices, space.definition, image, SMALL.filters) is not None:
                found += 1
                assert difference(parent.name, child.name, image) < 1e-12, (parent.name, child.name)
    assert found > 20


def test_new_layers_are_near_the_identity_in_training_too() -> None:
    image = (11, 11, 2)
    old, new = (CHAIN.parse(text).choices for text in ("conv3 maxpool2 conv3", "conv3 conv1 maxpool2 conv3"))
    morphism = find_morphism(old, new, CHAIN.definition, image, SMALL.filters)
    assert morphism is not None
    x = torch.rand((64, 2, 11, 11), generator=generator(3), dtype=torch.float64)
    before = network("conv3 maxpool2 conv3", image, 0)
    norms = [m for m in before.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
        for _ in norms:
            before.train()(x)
        deviation = {}
        for images in (x, None):
            after = network("conv3 conv1 maxpool2 conv3", image, 50)
            grow_layers(before, after, morphism, images)
            before.prediction.dropout = after.prediction.dropout = 0.0
            deviation[images is not None] = float((before.train()(x) - after.train()(x)).abs().max())
    assert deviation[True] < 0.05 < deviation[False]


def test_noise_tells_replicas_apart_and_leaves_the_first() -> None:
    image, arch = (8, 8, 1), BRANCHES.parse("conv3 | conv3@0 | add(1,2) | conv1")
    parent = BRANCHES.parse("conv3 | conv1")
    morphism = find_morphism(parent.choices, arch.choices, BRANCHES.definition, image, SMALL.filters)
    assert morphism is not None
    before, after = network(parent.name, image, 0), network(arch.name, image, 1)
    grow_layers(before, after, morphism, None, 0.01, generator(2))
    first, second, old = after.layers[0][1].weight, after.layers[1][1].weight, before.layers[0][1].weight
    first, second, old = first.detach(), second.detach(), old.detach()
    assert torch.equal(first, old)
    assert 0.002 < float((second - old).std() / old.std()) < 0.05


def test_layers_in_common_are_taken_over_and_the_others_named() -> None:
    image = (12, 12, 2)
    parent, child = network("conv3 maxpool2 conv3", image, 0), network("conv3 conv5 maxpool2 conv3", image, 50)
    fresh = child.layers[1][1].weight.clone()
    assert take_over(parent, child) == ("layer 2", "prediction")
    assert torch.equal(child.layers[0][1].weight, parent.layers[0][1].weight)
    assert torch.equal(child.layers[3][2].running_mean, parent.layers[2][2].running_mean)
    assert torch.equal(child.layers[1][1].weight, fresh)
    assert torch.equal(child.prediction.out.weight, parent.prediction.out.weight)
