"""The NSC spaces: vectors, text, canonical form, encoding, cost."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    MissingExtraError,
    NotEnumerableError,
    UnknownNameError,
)
from nasbench_rl.spaces.nsc import isomorphism
from nasbench_rl.spaces.nsc.definition import NscDefinition, builtin_definition
from nasbench_rl.spaces.nsc.size import conv_filters
from nasbench_rl.spaces.nsc.space import NscChain, NscMultiBranch, load_space, nsc_space

Rows = tuple[tuple[int, ...], ...]
CHAIN, BRANCH = NscChain(), NscMultiBranch()
FIGURE_4 = [
    [0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
    [1, 1, 1, 0, 0],
    [2, 2, 2, 1, 0],
    [3, 1, 3, 0, 0],
    [4, 3, 2, 3, 0],
    [5, 1, 5, 0, 0],
    [6, 2, 2, 5, 0],
    [7, 5, 0, 2, 4],
    [8, 7, 0, 0, 0],
]
FIGURE_5 = [[0, 0, 0, 0, 0], [1, 1, 5, 0, 0], [2, 2, 2, 1, 0], [3, 6, 0, 0, 2]]
FIGURE_5_ENCODED = [  # as printed, the type's dots written out
    "10000000 100000 10000 10000",
    "01000000 000001 10000 10000",
    "00100000 001000 01000 10000",
    "00000010 100000 10000 00100",
]


def with_depth(definition: NscDefinition, depth: int) -> NscDefinition:
    return NscDefinition(definition.name, depth, definition.chain, definition.layers)


# -- Figure 4


def test_figure_4_has_the_shapes_of_the_paper() -> None:
    by_layer = {
        (kind, kernel, source): shape
        for (_, kind, kernel, source, _), shape in zip(
            BRANCH.parse(FIGURE_4).choices, BRANCH.shapes(FIGURE_4, (84, 84, 3), filters=1)[1:], strict=False
        )
    }
    sizes = {(kind, kernel): shape[0] for (kind, kernel, _), shape in by_layer.items() if (kind, kernel) != (2, 2)}
    assert sizes == {(1, 1): 84, (1, 3): 82, (1, 5): 80, (3, 2): 41, (5, 0): 42}
    assert sorted(shape[0] for (kind, kernel, _), shape in by_layer.items() if (kind, kernel) == (2, 2)) == [40, 42]
    assert BRANCH.shapes(FIGURE_4, (84, 84, 3), filters=1)[-1] == (42, 42, 2)  # addition and one leaf, concatenated


def test_figure_18a_has_the_shapes_of_the_paper() -> None:
    text = "conv5 maxpool3 conv1 conv5 conv1 conv5 conv1 maxpool2 avgpool3"
    assert [shape[0] for shape in CHAIN.shapes(text, (84, 84, 3))[1:-1]] == [80, 26, 26, 22, 22, 18, 18, 9, 3]


# -- one network, many spellings


@pytest.mark.parametrize(
    "spelling",
    [
        "conv3 maxpool2 conv1",
        "conv3 | maxpool2 | conv1",
        ("conv3", "maxpool2", "conv1"),
        [[1, 1, 3, 0, 0], [2, 2, 2, 1, 0], [3, 1, 1, 2, 0]],
        ((3, 1, 1, 2, 0), (1, 1, 3, 0, 0), (2, 2, 2, 1, 0)),
        np.array([[0, 0, 0, 0, 0], [1, 1, 3, 0, 0], [2, 2, 2, 1, 0], [3, 1, 1, 2, 0], [4, 7, 0, 0, 0]]),
        "[[0 0 0 0 0]\n [1 1 3 0 0]\n [2 2 2 1 0]\n [3 1 1 2 0]]",
        "[[1. 1. 3. 0. 0.]\n [2. 2. 2. 1. 0.] [3 1 1 2 0]]",
        "[[1, 1, 3, 0, 0], [2, 2, 2, 1, 0], [3, 1, 1, 2, 0,],]",
        "[1 1 3 0 0] [2 2 2 1 0] [3 1 1 2 0] [4 7 0 3 0]",
    ],
)
def test_every_spelling_of_a_chain_is_one_architecture(spelling: object) -> None:
    arch = CHAIN.parse(spelling)  # type: ignore[arg-type]
    assert arch.name == "conv3 maxpool2 conv1"
    assert arch.choices == ((1, 1, 3, 0, 0), (2, 2, 2, 1, 0), (3, 1, 1, 2, 0))
    assert CHAIN.parse(arch) is arch
    assert arch == CHAIN[CHAIN.index(spelling)]  # type: ignore[arg-type]


def test_multibranch_text_names_predecessors_only_where_needed() -> None:
    arch = BRANCH.parse("conv3 | maxpool2@0 | add( 2, 1 )")
    assert arch.name == "conv3 | maxpool2@0 | add(1,2)"
    assert arch.choices == ((1, 1, 3, 0, 0), (2, 2, 2, 0, 0), (3, 5, 0, 1, 2))
    assert BRANCH.parse("conv3 maxpool2@0 add(1,2)") == arch
    assert BRANCH.parse("maxpool2 | conv3@0 | add(1,2)") == arch


@pytest.mark.parametrize(
    ("space", "bad", "says"),
    [
        (CHAIN, "conv4 maxpool2", "did you mean 'conv5'"),
        (CHAIN, "convv3", "did you mean 'conv3'"),
        (CHAIN, "add(0,0)", "'add(0,0)' is unknown; allowed: conv1"),
        (CHAIN, "", "needs at least one layer"),
        (CHAIN, [], "needs at least one layer"),
        (CHAIN, [[1, 7, 0, 0, 0]], "needs at least one layer"),
        (CHAIN, " ".join(["conv1"] * 11), "11 layers are too many"),
        (CHAIN, "conv3 conv3@0", "predecessor is the layer before, 1, not 0"),
        (CHAIN, [[1, 1, 3, 0]], "is no NSC vector"),
        (CHAIN, [[1, 1, 3.5, 0, 0]], "is no NSC vector"),
        (CHAIN, [[1, 1, float("inf"), 0, 0]], "is no NSC vector"),
        (CHAIN, [[1, "conv", 3, 0, 0]], "is no NSC vector"),
        (CHAIN, [1, 2, 3], "is no NSC vector"),
        (CHAIN, 5, "is no architecture"),
        (CHAIN, None, "is no architecture"),
        (CHAIN, [[1, 4, 0, 0, 0]], "unknown type 4; allowed: 1 conv"),
        (CHAIN, [[1, 2, 5, 0, 0]], "maxpool cannot have size 5; allowed: [2, 3]"),
        (CHAIN, [[2, 1, 3, 0, 0]], "has index"),
        (CHAIN, [[1, 1, 3, 0, 0], [1, 1, 3, 0, 0]], "has index"),
        (CHAIN, [[1, 7, 0, 0, 0], [2, 1, 3, 1, 0]], "terminal may only be the last layer"),
        (CHAIN, "[[1 1 3 0 0] os.system]", "more than numbers"),
        (CHAIN, "[[1 1 3 0 0] [1_0 2 2 1 0]]", "more than numbers"),
        (CHAIN, "[[1 1 1e0 0 0]]", "more than numbers"),
        (CHAIN, "[[1 1 3 0 0] 2 2 2 1 0]", "is no list of rows"),
        (CHAIN, "[[1 1 3 0 -]]", "holds what is no number"),
        (CHAIN, "[[1 1 3 0 0", "is no list of rows"),
        (CHAIN, "[1.1 3 0 0]", "is no NSC vector"),
        (CHAIN, "[[1 1.5 3 0 0]]", "is no NSC vector"),
        (CHAIN, "[[1 1 3 0] [0 2 2 2 1 0]]", "is no NSC vector"),
        (CHAIN, "[[1 1 3 0 0] ... [9 1 3 8 0]]", "is no list of rows"),
        (CHAIN, "[]", "needs at least one layer"),
        (CHAIN, "[1 1 3 0 0 2 2 2 1 0]", "[1, 1, 3, 0, 0, 2, 2, 2, 1, 0] is no NSC vector"),
        (CHAIN, [[1, 1, 3, 0, 0], [2, 7, 3, 0, 0]], "a terminal layer is [2, 7, 0, 0, 0]"),
        (CHAIN, [[1, 1, 3, 0, 0], [2, 7, 0, 2, 0]], "a terminal layer is [2, 7, 0, 0, 0]"),
        (BRANCH, [[1, 1, 3, 0, 0], [2, 7, 0, 1, -3]], "a terminal layer is [2, 7, 0, 0, 0]"),
        (BRANCH, "add(0,1)", "a predecessor must be 0 (the input) up to 0"),
        (BRANCH, "conv3 | add@1", "write it like 'add(1,2)'"),
        (BRANCH, "conv3 | conv3(0,1)", "write it like 'conv3@1'"),
        (BRANCH, [[1, 1, 3, 0, 0], [2, 1, 3, 0, 1]], "takes one predecessor"),
        (BRANCH, [[1, 1, 3, -1, 0]], "a predecessor must be"),
    ],
)
def test_a_wrong_architecture_is_explained(space: NscChain, bad: object, says: str) -> None:
    with pytest.raises(InvalidArchitectureError) as caught:
        space.parse(bad)  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert bad not in space


def test_an_architecture_of_the_other_space_is_refused() -> None:
    with pytest.raises(InvalidArchitectureError, match="belongs to space 'nsc-chain'"):
        BRANCH.parse(CHAIN.parse("conv3"))


# -- counting and order


def test_chains_are_counted_and_ordered_by_depth_then_layer() -> None:
    assert len(CHAIN) == sum(7**depth for depth in range(1, 11)) == 329_554_456
    small = NscChain(with_depth(CHAIN.definition, 3))
    names = [arch.name for arch in small]
    assert len(names) == len(set(names)) == len(small) == 7 + 49 + 343
    assert names[:8] == ["conv1", "conv3", "conv5", "maxpool2", "maxpool3", "avgpool2", "avgpool3", "conv1 conv1"]
    assert [small.index(name) for name in names] == list(range(len(small)))
    assert [arch.name for arch in CHAIN.up_to_depth(2)] == names[:56]
    assert CHAIN[len(CHAIN) - 1].name == " ".join(["avgpool3"] * 10)
    for outside in (-1, len(CHAIN)):
        with pytest.raises(IndexError):
            CHAIN[outside]


@given(st.integers(0, len(CHAIN) - 1))
def test_index_and_item_are_inverse(index: int) -> None:
    arch = CHAIN[index]
    assert CHAIN.index(arch) == CHAIN.index(arch.name) == CHAIN.index(arch.choices) == index


def test_a_space_too_large_to_count_says_so() -> None:
    for ask in (lambda: len(BRANCH), lambda: BRANCH[0], lambda: BRANCH.index("conv3"), lambda: next(iter(BRANCH))):
        with pytest.raises(NotEnumerableError, match="up_to_depth"):
            ask()
    assert BRANCH
    assert "nsc-multibranch" in repr(BRANCH)


# -- canonical form


@st.composite
def networks(draw: st.DrawFn, depth: int = 6) -> Rows:
    """Vectors as an agent might write them."""
    rows = []
    for index in range(1, draw(st.integers(1, depth)) + 1):
        kind, kernel = draw(st.sampled_from([(1, 1), (1, 3), (2, 2), (5, 0), (6, 0)]))
        first, second = draw(st.integers(0, index - 1)), draw(st.integers(0, index - 1))
        rows.append((index, kind, kernel, first, second if kind in (5, 6) else 0))
    return tuple(rows)


def relabelled(vectors: Rows, rng: np.random.Generator) -> Rows:
    """The same network written down in another order, the operands of add exchanged at random."""
    new = {0: 0}
    rows = []
    while len(rows) < len(vectors):
        ready = [v for v in vectors if v[0] not in new and v[3] in new and v[4] in new]
        index, kind, kernel, first, second = ready[int(rng.integers(len(ready)))]
        new[index] = len(rows) + 1
        pair = (new[first], new[second] if kind in (5, 6) else 0)
        if kind == 5 and rng.random() < 0.5:
            pair = pair[::-1]
        rows.append((new[index], kind, kernel, *pair))
    return tuple(rows)


@settings(deadline=None)
@given(networks(depth=10), st.integers(0, 2**32))
def test_isomorphic_networks_are_one_architecture(vectors: Rows, seed: int) -> None:
    arch = BRANCH.parse(vectors)
    assert BRANCH.parse(relabelled(vectors, np.random.default_rng(seed))) == arch
    assert BRANCH.parse(arch.choices) == BRANCH.parse(arch.name) == arch
    assert np.array_equal(BRANCH.state(arch)[-len(vectors) :], arch.choices)


def every_writing(vectors: Rows) -> frozenset[Rows]:
    """All ways to write one network: orders, and operands of add. Brute force."""
    found = set()
    for order in itertools.permutations(vectors):
        new = {0: 0}
        rows = []
        for index, kind, kernel, first, second in order:
            if first not in new or second not in new:
                break
            new[index] = len(new)
            rows.append((new[index], kind, kernel, new[first], new[second] if kind in (5, 6) else 0))
        else:
            choices = [[row, (*row[:3], row[4], row[3])] if row[1] == 5 else [row] for row in rows]
            found.update(itertools.product(*choices))
    return frozenset(found)


@settings(deadline=None, max_examples=200)
@given(networks(depth=4), networks(depth=4))
def test_different_networks_stay_different(one: Rows, other: Rows) -> None:
    if any(vector[1] == 6 for vector in one + other):
        return  # whether concat commutes has a test of its own
    assert (BRANCH.parse(one) == BRANCH.parse(other)) == (other in every_writing(one))


def test_shallow_networks_are_enumerated_once_each() -> None:
    raw = [((1, *first), (2, *second)) for first in layers(1) for second in layers(2)]
    without_concat = [vectors for vectors in raw if all(vector[1] != 6 for vector in vectors)]
    classes = {min(every_writing(vectors)) for vectors in without_concat}
    arches = [arch for arch in BRANCH.up_to_depth(2) if len(arch.choices) == 2]
    assert len([arch for arch in arches if "concat" not in arch.name]) == len(classes)
    assert len(arches) == len(set(arches)) == 144
    assert {BRANCH.parse(vectors) for vectors in raw} == set(arches)


def layers(index: int) -> list[tuple[int, int, int, int]]:
    """(type, kernel, p1, p2) of every layer that can stand at ``index``."""
    sources = range(index)
    single = [(kind, kernel) for kind, kernels in [(1, (1, 3, 5)), (2, (2, 3)), (3, (2, 3))] for kernel in kernels]
    return [(*option, source, 0) for option in single for source in sources] + [
        (kind, 0, one, two) for kind in (5, 6) for one in sources for two in sources
    ]


def test_concat_commutes_unless_an_add_pairs_its_channels() -> None:
    assert BRANCH.parse("conv1 | conv3@0 | concat(2,1)") == BRANCH.parse("conv1 | conv3@0 | concat(1,2)")
    mixed = "conv1 | conv3@0 | concat({}) | conv1 | add(0,4)"  # a convolution absorbs the order
    assert BRANCH.parse(mixed.format("1,2")) == BRANCH.parse(mixed.format("2,1"))
    paired = "conv1 | conv3@0 | concat({}) | maxpool2 | add(0,4)"  # pooling does not
    assert BRANCH.parse(paired.format("1,2")) != BRANCH.parse(paired.format("2,1"))


def test_many_equal_branches_are_quick() -> None:
    parallel = [(index, 1, 1, 0, 0) for index in range(1, 7)]
    merged = parallel + [(7, 5, 0, 1, 2), (8, 5, 0, 3, 4), (9, 5, 0, 5, 6), (10, 5, 0, 2, 3)]
    moved = parallel + [(7, 5, 0, 6, 5), (8, 5, 0, 4, 2), (9, 5, 0, 3, 1), (10, 5, 0, 4, 1)]
    assert BRANCH.parse(merged) == BRANCH.parse(moved)


# -- Figure 5


def test_figure_5_bit_for_bit() -> None:
    space = NscMultiBranch(with_depth(BRANCH.definition, 4))
    expected = [[int(bit) for bit in row.replace(" ", "")] for row in FIGURE_5_ENCODED]
    encoded = space.encode_state(FIGURE_5)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == expected
    assert space.encode(FIGURE_5).tolist() == expected  # already canonical, so the same through the architecture


def test_encodings_have_the_paper_s_sizes() -> None:
    depth, kernel = 10, 5
    assert CHAIN.encode("conv3").shape == (depth, depth + kernel + 10)
    assert BRANCH.encode("conv3").shape == (depth, 2 * depth + kernel + 11)
    assert CHAIN.encode_state(np.zeros((3, 2, 10, 5), dtype=int)).shape == (3, 2, 10, 25)
    state = CHAIN.state("conv3 maxpool2")
    assert (CHAIN.encode_state(state.astype(np.uint64)) == CHAIN.encode_state(state)).all()
    assert CHAIN.encode("conv3 maxpool2").sum() == 3 * depth  # one bit a field, empty rows too
    assert CHAIN.state("conv3 maxpool2").tolist()[-3:] == [[0, 0, 0, 0, 0], [1, 1, 3, 0, 0], [2, 2, 2, 1, 0]]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros((9, 5), int), "has shape"),
        (np.full((10, 5), 99), "outside"),
        (np.zeros((10, 5)), "holds integers, not float64"),
        (np.zeros((10, 5), object), "holds integers, not object"),
        ([[1, 2], [3]], "rows of equal length"),
        ([], "has shape"),
    ],
)
def test_a_state_of_another_shape_is_refused(bad: np.ndarray, says: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=says):
        CHAIN.encode_state(bad)


# -- drawing and edits


@pytest.mark.parametrize("space", [CHAIN, BRANCH])
def test_samples_and_mutations_repeat_and_stay_in_the_space(space: NscChain) -> None:
    def walk() -> list[str]:
        rng = np.random.default_rng(0)
        arches = [space.sample(rng) for _ in range(30)]
        arches += [space.mutate(arch, rng) for arch in arches[:10]]
        assert all(space.parse(arch.choices) == space.parse(arch.name) == arch for arch in arches)
        return [arch.name for arch in arches]

    assert walk() == walk()
    assert {len(space.sample(np.random.default_rng(seed)).choices) for seed in range(100)} == set(range(1, 11))


def test_neighbours_of_a_chain_are_one_edit_away() -> None:
    near = [arch.name for arch in CHAIN.neighbours("conv3 maxpool2")]
    assert len(near) == len(set(near))
    assert "conv3 maxpool2" not in near
    assert {"conv3", "maxpool2", "conv1 maxpool2", "conv3 avgpool3", "conv5 conv3 maxpool2"} <= set(near)
    assert len(CHAIN.neighbours(" ".join(["conv1"] * 10))) == 61  # 60 replacements, one removal, no room to insert
    for name in near:
        assert "conv3 maxpool2" in [back.name for back in CHAIN.neighbours(name)]


def test_neighbours_of_a_network_with_branches() -> None:
    near = [arch.name for arch in BRANCH.neighbours("conv3 | maxpool2@0 | add(1,2)")]
    assert len(near) == len(set(near))
    assert {"conv3 | maxpool2@0 | concat(1,2)", "conv3 | add(0,1)", "conv3 | maxpool2@0"} <= set(near)
    assert "conv3 | maxpool2@0 | add(1,2)" not in near
    assert "conv3 | maxpool2@0 | add(1,2) | conv5" in near


# -- cost and validity


def test_vanishing_maps_are_recognised_without_building() -> None:
    assert CHAIN.is_valid("maxpool3 maxpool3 maxpool3", 28, 28)
    assert not CHAIN.is_valid("maxpool3 maxpool3 maxpool3 maxpool2", 28, 28)
    assert CHAIN.is_valid("conv5 conv5", 9, 9)
    assert not CHAIN.is_valid("conv5 conv5", 9, 8)
    assert not BRANCH.is_valid("conv1 | conv5@0", 4, 4)
    with pytest.raises(InvalidArchitectureError, match=r"vanishes at layer 2: conv5 on 4x4; .* images of 8x8"):
        CHAIN.shapes("conv5 conv5", (8, 8, 1))


def test_params_and_flops_by_hand() -> None:
    size = CHAIN.size("conv3 maxpool2", (28, 28, 1), classes=10, filters=32, dense=256)
    features = 13 * 13 * 32
    assert size.features == features
    assert size.params == (9 * 32 + 64) + (features * 256 + 256) + (256 * 10 + 10)
    assert size.flops == 2 * (9 * 32 * 26 * 26 + features * 256 + 256 * 10)


def test_filters_double_in_the_intensified_training() -> None:
    assert [conv_filters(count, 32, 2) for count in (1, 2, 3)] == [2 ** (4 + i) for i in (1, 2, 3)]
    shapes = CHAIN.shapes("conv3 maxpool2 conv3 conv1", (84, 84, 3), growth=2)
    assert [shape[2] for shape in shapes] == [3, 32, 32, 64, 128, 128]


def test_add_keeps_the_larger_map_and_concat_sums_channels() -> None:
    assert BRANCH.shapes("conv3 | maxpool2@0 | add(1,2)", (10, 10, 3))[-1] == (8, 8, 32)
    assert BRANCH.shapes("conv3 | maxpool2@0 | concat(1,2)", (10, 10, 3))[-1] == (8, 8, 35)
    assert BRANCH.shapes("conv3 | maxpool2@0", (10, 10, 3))[-1] == (8, 8, 35)  # two leaves, concatenated


def test_density_is_edges_by_nodes() -> None:
    assert CHAIN.density("conv3 conv3 conv3") == 3 / 4
    assert BRANCH.density("conv3 | conv1@0") == 4 / 4  # input, two layers, the concatenation of the leaves
    assert BRANCH.density(FIGURE_4) == (8 + 2) / (8 + 1)


# -- definitions


def test_a_space_of_one_s_own_in_toml(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ndepth = 2\n[[layers]]\nname = "conv"\ntype = 1\nkernels = [3, 7]\n'
        '[[layers]]\nname = "identity"\ntype = 4\n'
    )
    space = load_space(path)
    assert isinstance(space, NscChain)
    assert [arch.name for arch in space] == [
        "conv3", "conv7", "identity", "conv3 conv3", "conv3 conv7", "conv3 identity", "conv7 conv3", "conv7 conv7",
        "conv7 identity", "identity conv3", "identity conv7", "identity identity",
    ]  # fmt: skip
    assert space.encode("conv7").shape == (2, 5 + 8 + 3)
    assert space.shapes("conv7 identity", (9, 9, 1))[-1] == (3, 3, 32)


NASGYM = """
nasenv:
    name: theirs
    max_nlayers: 4
    layers:
        - convolution: {id: 1, kernel_size: [1, 3, 5], pred1: True, pred2: False}
        - maxpooling: {id: 2, kernel_size: [1, 3], pred1: True, pred2: False}
        - add: {id: 5, kernel_size: Null, pred1: True, pred2: True}
        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}
"""


def test_the_original_s_yaml_is_read(tmp_path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "nasenv.yml"
    path.write_text(NASGYM)
    space = load_space(path)
    assert isinstance(space, NscMultiBranch)
    assert space.definition.depth == 4
    assert space.parse("conv3 | maxpool1@0 | add(1,2)").choices[2] == (3, 5, 0, 1, 2)


def test_yaml_without_the_library_names_the_extra(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nasenv.yml"
    path.write_text(NASGYM)
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"nasbench-rl\[nsc\]"):
        load_space(path)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.toml", "name = 1 2", "a.toml: "),
        ("a.toml", 'name = "a"\ndepth = 3\n', "the field 'layers' is missing"),
        ("a.toml", 'name = "a"\ndepth = 3\n[[layers]]\nname = "cnov"\ntype = 1\nkernels = [3]', "did you mean 'conv'"),
        ("a.toml", 'name = "a"\ndepth = 3\n[[layers]]\nname = "conv"\ntype = 1', "needs kernels"),
        (
            "a.toml",
            'name = "a"\ndepth = 0\n[[layers]]\nname = "conv"\ntype = 1\nkernels = [3]',
            "depth must be",
        ),
        ("a.toml", 'name = "a"\ndepth = 3\n[[layers]]\nname = "add"\ntype = 5', "no network can start"),
        ("a.toml", 'name = "a"\ndepth = "x"\nlayers = []', "a.toml: "),
        ("a.yaml", "name: [", "not valid YAML"),
        ("a.yaml", "- 1", "holds no mapping"),
        ("a.json", "{}", "unknown file type '.json'"),
    ],
)
def test_a_wrong_definition_is_explained(tmp_path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidValueError) as caught:
        load_space(tmp_path / name)
    assert says in str(caught.value)
    assert name in str(caught.value)


MINE = {"name": '"a"', "depth": "3", "chain": "true", "type": "1", "kernels": "[3]"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"depth": "2.7"}, "depth 2.7 is not a whole number; allowed: 1, 2, 3"),
        ({"depth": '"3"'}, "depth '3' is not a whole number"),
        ({"depth": "true"}, "depth True is not a whole number"),
        ({"type": "1.9"}, "layer 'conv': type 1.9 is not a whole number"),
        ({"kernels": "[3.5]"}, "layer 'conv': kernel 3.5 is not a whole number"),
        ({"kernels": "[3, true]"}, "kernel True is not"),
        ({"kernels": '"35"'}, "kernels '35' is no list"),
        ({"kernels": "3"}, "kernels 3 is no list"),
        ({"kernels": "false"}, "kernels False is no list"),
        ({"chain": '"false"'}, "chain 'false' is neither true nor false"),
        ({"chain": "0"}, "chain 0 is neither true nor false"),
        ({"name": "7"}, "a text, not 7"),
        ({"name": '"a"\ndpeth = 3'}, "unknown field of a space 'dpeth'; did you mean 'depth'?"),
        ({"kernels": "[3]\nkernel = [5]"}, "unknown field of a layer 'kernel'; did you mean 'kernels'?"),
    ],
)
def test_nothing_in_a_definition_is_bent_or_passed_over(tmp_path, changed: dict[str, str], says: str) -> None:
    text = (
        "name = {name}\ndepth = {depth}\nchain = {chain}\n[[layers]]\nname = 'conv'\ntype = {type}\nkernels = {kernels}"
    )
    (tmp_path / "a.toml").write_text(text.format(**MINE))
    assert load_space(tmp_path / "a.toml").definition.max_kernel == 3
    (tmp_path / "a.toml").write_text(text.format(**MINE | changed))
    with pytest.raises(InvalidValueError) as caught:
        load_space(tmp_path / "a.toml")
    assert says in str(caught.value) and "a.toml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("max_nlayers: 4", "max_nlayers: 4.5", "depth 4.5"),
        ("id: 1", "id: '1'", "type '1'"),
        ("[1, 3, 5]", "'135'", "kernels '135' is no list"),
        ("name: theirs", "name: theirs\n    version: 1.0\n    encoding: NSC", ""),
    ],
)
def test_nor_in_the_original_s(tmp_path, was: str, now: str, says: str) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "a.yml").write_text(NASGYM.replace(was, now))
    if not says:  # fields of the original's own files
        assert load_space(tmp_path / "a.yml").definition.depth == 4
        return
    with pytest.raises(InvalidValueError, match=says):
        load_space(tmp_path / "a.yml")


@pytest.mark.parametrize("layers", ["layers: {conv: 1}", "layers: [conv]", "layers: conv", "layers: 3"])
def test_layers_in_another_form(tmp_path, layers: str) -> None:
    pytest.importorskip("yaml")
    for name, text in (("a.yml", f"name: a\ndepth: 3\n{layers}"), ("b.yml", f"nasenv:\n  name: a\n  {layers}")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidValueError, match="no list of layers"):
            load_space(tmp_path / name)


def test_absent_definitions_and_unknown_spaces() -> None:
    with pytest.raises(InvalidValueError, match="no space definition at nowhere.toml"):
        load_space("nowhere.toml")
    with pytest.raises(UnknownNameError, match="did you mean 'nsc-chain'"):
        nsc_space("nsc-chian")
    assert type(nsc_space("nsc-multibranch")) is NscMultiBranch
    assert builtin_definition("nsc-chain").chain


def test_spaces_pickle() -> None:
    assert pickle.loads(pickle.dumps(CHAIN)).parse("conv3") == CHAIN.parse("conv3")


def test_leaves_are_the_layers_nobody_uses() -> None:
    assert isomorphism.leaves(BRANCH.parse("conv1 | conv3@0 | maxpool2@0").choices, BRANCH.definition) == (1, 2, 3)


@pytest.mark.parametrize("text", ["conv{}", "conv3@{}", "conv3 conv3 add({},2)", "[[{} 1 3 0 0]]"])
def test_numbers_of_thousands_of_digits_name_no_layer(text: str) -> None:
    with pytest.raises(InvalidArchitectureError):
        nsc_space("nsc-multibranch").parse(text.format("9" * 5000))
