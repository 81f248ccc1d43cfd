"""TreeCell: its path-level moves keep the function, stay within the space, and its controller learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tables import TWO_BY_SEED, write_made_accuracies

torch = pytest.importorskip("torch")

from nasbench_rl import BudgetExhausted, Run, load
from nasbench_rl.benchmark.method import Method
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.nsc.morphism import find_morphism
from nasbench_rl.task import ImageTask, get_task
from nasbench_rl.task.images import ClassifierRecipe
from nasbench_rl.testing import MethodContract
from nasbench_rl.training.net2net import grow_layers
from nasbench_rl.training.nsc_network import NscNetwork
from nasbench_rl_baselines._tree_lstm import TreeController
from nasbench_rl_baselines.treecell import Cells, TreeCell, Vectors, branched, inserted

TASK = "nsc-multibranch/digits@lite"
SMALL = TreeCell(start="conv3 | conv1", max_depth=1)
"""Few enough networks that a table can hold them all."""


class Coin:
    """Stands in for the controller: every choice with the same probability."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def choose(self, actor: str, vectors: Vectors, focus: int, choices: list[int]) -> int:
        return choices[int(self.rng.integers(len(choices)))]


class Every(Coin):
    """Goes through all sequences of choices, one a ``grow``."""

    def __init__(self) -> None:
        self.path: list[tuple[int, int]] = []
        self.at = 0

    def choose(self, actor: str, vectors: Vectors, focus: int, choices: list[int]) -> int:
        if self.at == len(self.path):
            self.path.append((0, len(choices)))
        self.at += 1
        return choices[self.path[self.at - 1][0]]

    def next(self) -> bool:
        """Move on to the next sequence; False after the last."""
        self.at = 0
        while self.path and self.path[-1][0] + 1 == self.path[-1][1]:
            self.path.pop()
        if self.path:
            self.path[-1] = (self.path[-1][0] + 1, self.path[-1][1])
        return bool(self.path)


class AnyRun:
    """As much of a run as the moves read."""

    def __init__(self, task: str = TASK) -> None:
        self.task = get_task(task)
        self.space = self.task.space


def cells(method: TreeCell) -> Cells:
    return Cells(AnyRun(), method.start, method.max_depth, method.reinitialise)  # type: ignore[arg-type]


def all_grown(method: TreeCell) -> list[str]:
    moves, every = cells(method), Every()
    names = {moves._space.parse(moves.grow(every)).name}  # type: ignore[arg-type]
    while every.next():
        names.add(moves._space.parse(moves.grow(every)).name)  # type: ignore[arg-type]
    return sorted(names)


def logits(arch: str, seed: int) -> tuple[NscNetwork, torch.Tensor]:
    space, recipe = get_task(TASK).space, ClassifierRecipe("small", filters=4, dense=8)
    generator = torch.Generator().manual_seed(seed)
    net = NscNetwork(space.parse(arch).choices, space.definition, (8, 8, 1), 3, recipe, generator, generator)
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_var.uniform_(0.5, 2.0, generator=generator)
        norm.bias.data.normal_(generator=generator)
    net = net.double().eval()
    x = torch.rand((4, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return net, x


def test_moves_are_written_as_nsc_vectors() -> None:
    space = get_task(TASK).space
    chain = space.parse("conv3 | maxpool2 | conv3").choices
    add = branched(chain, 1, 5)
    assert add == ((1, 1, 3, 0, 0), (2, 1, 3, 0, 0), (3, 5, 0, 1, 2), (4, 2, 2, 3, 0), (5, 1, 3, 4, 0))
    deeper = inserted(add, 2, (1, 1))
    assert deeper == (
        (1, 1, 3, 0, 0), (2, 1, 1, 0, 0), (3, 1, 3, 2, 0), (4, 5, 0, 1, 3), (5, 2, 2, 4, 0), (6, 1, 3, 5, 0)
    )  # fmt: skip
    assert space.parse(deeper).name == "conv1 | conv3 | conv3@0 | add(2,3) | maxpool2 | conv3"


def test_grown_networks_give_the_outputs_of_the_start() -> None:
    method = TreeCell()
    moves, task = cells(method), get_task(TASK)
    names = {task.space.parse(moves.grow(Coin(seed))).name for seed in range(25)}  # type: ignore[arg-type]
    assert len(names) > 15 and max(len(task.space.parse(name).choices) for name in names) == 10
    start = task.space.parse(method.start)
    for name in names - {start.name}:
        assert task.keeps_function(start, name)
        morphism = find_morphism(start.choices, task.space.parse(name).choices, task.space.definition, (8, 8, 1), 4)
        assert morphism is not None, name
        (before, x), (after, _) = logits(start.name, 0), logits(name, 1)
        with torch.no_grad():
            grow_layers(before, after, morphism)
            assert torch.allclose(before(x), after(x), rtol=0, atol=1e-12), name


def test_every_kind_of_branch_and_depth_occurs() -> None:
    space = get_task(TASK).space
    grown = [cells(TreeCell()).grow(Coin(seed)) for seed in range(40)]  # type: ignore[arg-type]
    text = " ".join(space.parse(vectors).name for vectors in grown)
    assert "add(" in text and "concat(" in text and "conv1" in text
    merges_of_merges = [v for v in grown if sum(kind in (5, 6) for _, kind, *_ in v) >= 2]
    assert merges_of_merges


def test_with_reinitialise_all_layers_are_inserted_in_valid_networks() -> None:
    task = get_task(TASK)
    moves = cells(TreeCell(reinitialise=True))
    grown = [task.space.parse(moves.grow(Coin(seed))) for seed in range(40)]  # type: ignore[arg-type]
    text = " ".join(arch.name for arch in grown)
    assert "avgpool2" in text and "conv5" in text
    assert all(task.is_valid(arch) for arch in grown)
    assert not all(task.keeps_function(TreeCell().start, arch) for arch in grown)


def test_the_small_start_reaches_a_known_set() -> None:
    names = all_grown(SMALL)
    assert "conv3 | conv1" in names and "conv3 | conv3@0 | add(1,2) | conv1" in names
    # A cell stays, or has two replicas added or concatenated, and none, one or both have a convolution before them.
    assert len(names) == (1 + 2 * 3) ** 2


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multibranch")
    write_made_accuracies(folder, TASK, all_grown(SMALL), 2)
    return folder


class TestTreeCellContract(MethodContract):
    """On a table that holds all that it can ask for; the kernel-choice spaces are refused below."""

    tasks = (TASK,)

    @pytest.fixture(autouse=True)
    def _tables(self, tables: Path) -> None:
        self.tables = tables

    def make_method(self) -> Method:
        return SMALL


def test_children_inherit_from_the_start_and_the_best_are_trained_to_the_end(tables: Path) -> None:
    run = searched(SMALL, load(TASK, tables=tables).start(120, 0))
    start, *points = run.points
    children, finals = ([point for point in points if point.fidelity == fidelity] for fidelity in (3, 12))
    assert (start.arch, start.fidelity) == ("conv3 | conv1", 12)
    assert points == [*children, *finals] and len(finals) >= 3
    others = [point for point in children if point.arch != start.arch]  # which was trained wholly already
    best = sorted(others, key=lambda point: point.score, reverse=True)[: len(finals)]
    assert [point.arch for point in finals] == [point.arch for point in best]


def test_a_start_that_nothing_grows_from_is_trained_and_that_is_all(tmp_path: Path) -> None:
    write_made_accuracies(tmp_path, TASK, ["maxpool2"], 2)
    run = searched(TreeCell(start="maxpool2"), load(TASK, tables=tmp_path).start(120, 0))
    assert [(point.arch, point.fidelity) for point in run.points] == [("maxpool2", 12), ("maxpool2", 3)]


def searched(method: TreeCell, run: Run) -> Run:
    try:
        method(run)
    except BudgetExhausted:
        pass
    return run


def test_the_controller_learns_to_branch_as_rewarded() -> None:
    moves = cells(TreeCell())
    controller = TreeController(moves.tokens, moves.merges, 10, 20, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(controller.parameters(), 1e-2)
    sizes = []
    for _ in range(30):
        gains, rewards = [], []
        for _ in range(4):
            rewards.append(-float(len(moves.grow(controller))))
            gains.append(controller.take_log_prob()[0])
        sizes.append(-np.mean(rewards))
        optimizer.zero_grad()
        (-((torch.tensor(rewards) - np.mean(rewards)) * torch.stack(gains)).mean()).backward()
        optimizer.step()
    assert np.mean(sizes[-5:]) < np.mean(sizes[:5]) - 1.5


def test_the_encoder_sees_both_what_is_before_and_what_is_behind() -> None:
    moves = cells(TreeCell())
    controller = TreeController(moves.tokens, moves.merges, 10, 20, torch.Generator().manual_seed(0))
    space = moves._space

    def code(arch: str, focus: int) -> torch.Tensor:
        return controller._encode(space.parse(arch).choices, focus)

    base = code("conv3 | maxpool2 | conv3", 2)
    assert not torch.equal(base, code("conv5 | maxpool2 | conv3", 2))
    assert not torch.equal(base, code("conv3 | maxpool2 | conv5", 2))
    assert torch.equal(base, code("conv3 | maxpool2 | conv3", 2))
    first, second = (code(f"conv1 | conv3@0 | concat({pair}) | conv1", 3) for pair in ("1,2", "1,1"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("task", [TWO_BY_SEED])
def test_spaces_without_branches_are_refused_by_name(task: str, made_tables: Path) -> None:
    run = load(task, tables=made_tables).start(1_000_000, 0)
    with pytest.raises(InvalidValueError, match="'minatar-ss1'.*eas"):
        TreeCell()(run)
    chain = AnyRun("nsc-chain/digits@lite")
    assert isinstance(chain.task, ImageTask)
    with pytest.raises(InvalidValueError, match="'nsc-chain'"):
        Cells(chain, "conv3", 3, False)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="max_depth"):
        TreeCell(max_depth=0)
