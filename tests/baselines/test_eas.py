"""EAS: its moves, what they reach, and that its controller learns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.tables import DEEP, TWO_BY_SEED, made_accuracy

torch = pytest.importorskip("torch")

from nasbench_rl import BudgetExhausted, Evaluation, Run, load
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.results import Cost, Split
from nasbench_rl.task import get_task
from nasbench_rl_baselines._chain_edits import GrownChain, Layers, grown_chain
from nasbench_rl_baselines._child_training import HIGHEST, Children
from nasbench_rl_baselines.eas import Eas, MetaController

WHOLE = 1_000_000


class ImageToy(Benchmark):
    """Made accuracies of every network of an NSC task."""

    mode = "tabular"

    def __init__(self, task: str) -> None:
        self.task = get_task(task)

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        return (0, 1)

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        name, amount = self.space.parse(arch).name, fidelity or self.task.max_fidelity
        score, cost = made_accuracy(name, seed or 0, amount, 0), Cost(amount, "epochs", 1.0)
        return Evaluation(self.task.id, name, amount, split, (seed or 0,), score, float("nan"), {}, cost, 1, 1, "table")


def searched(method: Eas, bench: Benchmark, trainings: int = 10, seed: int = 0) -> Run:
    run = bench.start(trainings * bench.task.max_fidelity, seed)
    try:
        method(run)
    except BudgetExhausted:
        pass
    return run


def reached(chain: GrownChain, deeper_steps: int) -> set[Layers]:
    """Every chain that any sequence of moves leads to."""
    found, new = {chain.start}, [(chain.start, 0)]
    seen = {(chain.start, 0)}
    while new:
        layers, inserted = new.pop()
        after = [(wider, inserted) for at in range(len(layers)) if (wider := chain.wider(layers, at)) is not None]
        if inserted < deeper_steps and chain.deepens:
            places = enumerate(chain.deeper(layers))
            after += [((*layers[:at], t, *layers[at:]), inserted + 1) for at, tokens in places for t in tokens]
        new += [state for state in after if state not in seen]
        seen |= set(after)
        found |= {layers for layers, _ in after}
    return found


@pytest.mark.parametrize("task", [TWO_BY_SEED, DEEP])
def test_every_kernel_choice_is_reached_and_every_move_keeps_the_function(task: str, made_tables: Path) -> None:
    run = load(task, tables=made_tables).start(WHOLE, 0)
    chain = grown_chain(run, "", True)
    assert {chain.arch(layers) for layers in reached(chain, 5)} == set(run.space)
    assert chain.arch(chain.start).choices == (run.space[0].choices[0],) * chain.depth
    assert all(run.task.keeps_function(chain.arch(chain.start), arch) for arch in run.space)


def test_function_keeping_moves_alone_reach_little_of_the_chains() -> None:
    bench = ImageToy("nsc-chain/digits@lite")
    run = bench.start(12, 0)
    strict, free = (grown_chain(run, "conv1 maxpool2 conv1", flag) for flag in (False, True))
    kept, all_ = reached(strict, 2), reached(free, 2)
    assert {strict.arch(layers).name for layers in kept} == {
        f"{'conv1 ' * before}maxpool2 {'conv1 ' * behind}".strip()
        for before in (1, 2, 3)
        for behind in (1, 2, 3)
        if before + behind <= 4
    }
    assert all(bench.task.keeps_function("conv1 maxpool2 conv1", strict.arch(layers)) for layers in kept)
    assert kept < all_ and len(all_) > 30 * len(kept)
    assert all(bench.task.is_valid(free.arch(layers)) for layers in all_)


def test_children_are_charged_a_quarter_and_the_best_three_are_trained_to_the_end(made_tables: Path) -> None:
    run = searched(Eas(), load(TWO_BY_SEED, tables=made_tables))
    start, *children = run.points
    count = sum(point.fidelity == WHOLE for point in children)
    finals, children = children[-count:], children[:-count]
    assert count >= 3 and run.remaining < WHOLE, "what is left buys more finalists"
    assert (start.arch, start.fidelity, start.spent) == ("k1-k1", WHOLE, WHOLE)
    assert all(point.fidelity == WHOLE // 4 for point in children)
    assert np.diff([point.spent for point in run.points[:-count]]).tolist() == [WHOLE // 4] * len(children)
    assert len({point.arch for point in children}) == len(children) >= 15  # none is trained twice
    others = [point for point in children if point.arch != start.arch]  # which was trained wholly already
    best = sorted(others, key=lambda point: point.score, reverse=True)[:count]
    assert [point.arch for point in finals] == [point.arch for point in best]
    assert all(point.fidelity == WHOLE for point in finals)
    assert run.points[-1].incumbent == max([start, *finals], key=lambda point: point.score).arch


@pytest.mark.parametrize("better", [True, False])
def test_a_search_ends_with_the_best_that_was_trained_wholly_be_it_the_start(better: bool) -> None:
    bench = ImageToy("nsc-chain/digits@lite")
    method = Eas(start="conv5 maxpool2 conv1" if better else "conv1 maxpool2 conv1")
    runs = [searched(method, bench, seed=seed) for seed in range(4)]
    for run in runs:
        start, *finals = (point for point in run.points if point.fidelity == 12)
        best = max([start, *finals], key=lambda point: point.score)
        assert len(finals) == 3 and (best is start) is better
        assert str(run.incumbent) == run.points[-1].incumbent == best.arch


@pytest.mark.parametrize("part", [1.0, 0.97])
def test_children_get_no_whole_training_which_would_stand_beside_those_from_scratch(part: float) -> None:
    run = ImageToy("nsc-chain/digits@lite").start(120, 0)
    with pytest.raises(InvalidValueError, match=f"child_part={part}"):
        Eas(child_part=part)(run)
    assert run.spent == 0


def test_the_baseline_moves_nearly_to_the_mean_of_an_update_before_it_is_subtracted(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(10 * WHOLE, 0)
    children = [run.space[0], run.space[1]]
    family = Children(run, children[0], 0.25, 3, decay=0.05)
    for child in children:
        family.train(child)
    highest = math.tan(HIGHEST * math.pi / 2)  # returns of games: the worse of the two is 0, the better is cut
    mean = highest / 2
    assert sorted(family.advantages(children)) == pytest.approx([-0.95 * mean, highest - 0.95 * mean])
    moved = 0.05 * 0.95 * mean + 0.95 * mean
    assert sorted(family.advantages(children)) == pytest.approx([-moved, highest - moved])


def test_the_baseline_can_begin_with_the_reward_of_the_start() -> None:
    bench = ImageToy("nsc-chain/digits@lite")
    run = bench.start(10 * bench.task.max_fidelity, 0)
    start, child = run.space.parse("conv1"), run.space.parse("conv3")
    family = Children(run, start, 0.25, 3, decay=0.05, from_start=True)
    family.train(child)
    before, reward = (math.tan(score * math.pi / 2) for score in (run.points[0].score, family.scores[child.name]))
    assert before != reward
    assert family.advantages([child]) == pytest.approx([0.05 * (reward - before)])


@pytest.mark.parametrize("reinitialise", [True, False])
def test_chains_are_grown_and_repeat_with_the_seed(reinitialise: bool) -> None:
    bench, method = ImageToy("nsc-chain/digits@lite"), Eas(reinitialise=reinitialise, batch=3)
    run = searched(method, bench, trainings=6)
    archs = [point.arch for point in run.points]
    assert len(set(archs)) > 5 and archs == [p.arch for p in searched(method, bench, trainings=6).points]
    kept = [bench.task.keeps_function(method.start, arch) for arch in archs]
    assert all(kept) is not reinitialise
    assert all(bench.task.is_valid(arch) for arch in archs)


def test_the_controller_learns_to_grow_what_is_rewarded(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(WHOLE, 0)
    chain = grown_chain(run, "", True)
    controller = MetaController(chain, 16, 50, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(controller.parameters(), 2e-2)

    def second_layers() -> float:
        return float(np.mean([controller.grow(4, 5)[0][1] - controller.grow(4, 5)[0][0] for _ in range(50)]))

    before = second_layers()
    for _ in range(40):
        grown = [controller.grow(4, 5) for _ in range(5)]
        rewards = torch.tensor([float(layers[1] - layers[0]) for layers, _ in grown])
        log_probs, _ = controller.log_prob([episode for _, episode in grown])
        optimizer.zero_grad()
        (-((rewards - rewards.mean()) * log_probs).mean()).backward()
        optimizer.step()
    assert second_layers() > before + 1


def test_the_deeper_actor_learns_too() -> None:
    run = ImageToy("nsc-chain/digits@lite").start(12, 0)
    chain = grown_chain(run, "conv1 maxpool2 conv1", True)
    controller = MetaController(chain, 16, 50, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(controller.parameters(), 1e-2)
    lengths = []
    for _ in range(40):
        grown = [controller.grow(1, 3) for _ in range(5)]
        rewards = torch.tensor([-float(len(layers)) for layers, _ in grown])
        lengths.append(-float(rewards.mean()))
        optimizer.zero_grad()
        gains = (rewards - rewards.mean()) * controller.log_prob([episode for _, episode in grown])[0]
        (-gains.mean()).backward()
        optimizer.step()
    assert np.mean(lengths[-5:]) < np.mean(lengths[:5]) - 0.7


def chain_of(task: str, made_tables: Path) -> GrownChain:
    bench = ImageToy(task) if task.startswith("nsc") else load(task, tables=made_tables)
    return grown_chain(bench.start(WHOLE, 0), "conv1 maxpool2 conv1", True)


IMAGES = "nsc-chain/digits@lite"
CHAINS = pytest.mark.parametrize("task", [TWO_BY_SEED, IMAGES])


@CHAINS
def test_what_the_controller_remembers_ends_with_an_update(task: str, made_tables: Path) -> None:
    chain = chain_of(task, made_tables)
    controller = MetaController(chain, 16, 50, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(controller.parameters(), 0.1, fused=True)

    def drawn(grower: MetaController) -> list[Layers]:
        grower.generator.manual_seed(5)
        return [grower.grow(2, 2)[0] for _ in range(30)]

    before = drawn(controller)
    for _ in range(3):
        log_probs, _ = controller.log_prob([controller.grow(2, 2)[1] for _ in range(4)])
        optimizer.zero_grad()
        log_probs.sum().backward()
        optimizer.step()
        fresh = MetaController(chain, 16, 50, torch.Generator().manual_seed(1))
        fresh.load_state_dict(controller.state_dict())
        assert drawn(controller) == drawn(fresh) != before


@CHAINS
def test_episodes_are_judged_side_by_side_as_one_by_one(task: str, made_tables: Path) -> None:
    controller = MetaController(chain_of(task, made_tables), 16, 50, torch.Generator().manual_seed(0))
    episodes = [controller.grow(3, 4)[1] for _ in range(12)]
    together = torch.stack(controller.log_prob(episodes))
    alone = torch.cat([torch.stack(controller.log_prob([episode])) for episode in episodes], 1)
    assert len({round(value, 4) for value in together[0].tolist()}) > 5
    assert torch.allclose(together, alone, rtol=1e-4)


@pytest.mark.parametrize(("task", "wider", "deeper"), [(TWO_BY_SEED, 1, 0), (IMAGES, 1, 0), (IMAGES, 0, 1)])
def test_probabilities_of_all_episodes_sum_to_one(task: str, wider: int, deeper: int, made_tables: Path) -> None:
    controller = MetaController(chain_of(task, made_tables), 16, 50, torch.Generator().manual_seed(0))
    drawn = [controller.grow(wider, deeper)[1] for _ in range(1500)]
    episodes = list({str(episode): episode for episode in drawn}.values())
    log_prob, entropy = (values.detach() for values in controller.log_prob(episodes))
    assert 2 < len(episodes) and float(log_prob.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    mean = float((log_prob.exp() * entropy).sum())  # of what each step was drawn with
    assert mean == pytest.approx(-float((log_prob.exp() * log_prob).sum()), rel=1e-4)


def test_branches_and_senseless_sizes_are_refused_by_name() -> None:
    run = ImageToy("nsc-multibranch/digits@lite").start(12, 0)
    with pytest.raises(InvalidValueError, match="'nsc-multibranch'.*treecell"):
        Eas()(run)
    for wrong in ({"batch": 0}, {"units": 0}, {"child_part": 0.0}, {"finalists": 0}):
        with pytest.raises(InvalidValueError, match=next(iter(wrong))):
            Eas(**wrong)  # type: ignore[arg-type]
