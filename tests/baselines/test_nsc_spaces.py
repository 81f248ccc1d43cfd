"""The methods on spaces that are too large to go through, one of which has no order either."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from nasbench_rl import BudgetExhausted, Evaluation, get_method
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import NasbenchError, UnsuitedSpaceError
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.results import Cost, Split
from nasbench_rl.task import get_task
from nasbench_rl.testing.watch import global_state, other_global_state

METHODS = (
    "q_learning", "blockqnn", "mcts", "successive_halving", "hyperband", "learning_curve", "predictor", "optuna",
    "mnas", "monas", "rena", "local_search", "regularized_evolution", "reinforce", "ppo", "a2c", "meta_a2c", "dqn",
    "random_search",
)  # fmt: skip
"""All but those that share weights, which is no matter of accuracies alone."""


class NscToyBenchmark(Benchmark):
    """The accuracy grows with the convolutions among the layers."""

    mode = "tabular"

    def __init__(self, space: str, images: str = "fashion-mnist") -> None:
        self.task = get_task(f"{space}/{images}@lite")

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        return (0, 2)

    def query(
        self, arch: ArchLike, *, fidelity: int | None = None, seed: int | None = None, split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:  # fmt: skip
        assert split == "validation", "a search read the test split"
        name = self.space.parse(arch).name
        amount = fidelity or 12
        score = name.count("conv") / (1 + len(name) / 5) * (0.5 + amount / 24)
        cost = Cost(amount, "epochs", 1.0)
        return Evaluation("toy", name, amount, split, (seed or 0,), score, float("nan"), {}, cost, 1, 1, "table")


def trained(name: str, space: str, images: str = "fashion-mnist", seed: int = 0, **options: Any) -> list[str]:
    run = NscToyBenchmark(space, images).start(12 * 12, seed)
    try:
        get_method(name, **options)(run)
    except BudgetExhausted:
        pass
    assert run.spent <= run.budget
    return [point.arch for point in run.points]


@pytest.mark.parametrize("name", METHODS)
def test_methods_search_networks_with_branches_and_repeat_with_the_seed(name: str) -> None:
    """The contract kit goes over chains, whose surrogates are shipped."""
    space = "nsc-multibranch"
    with contextlib.suppress(NasbenchError):  # loads whatever the method loads
        get_method(name)(NscToyBenchmark(space).start(12, 1))
    before = global_state()
    first = trained(name, space)
    assert global_state() == before, "draw from run.rng alone"
    assert len(set(first)) >= 8
    with other_global_state():
        assert trained(name, space) == first


@pytest.mark.parametrize(("name", "options"), [("learning_curve", {}), ("optuna", {"pruner": "median"})])
def test_a_network_that_does_not_exist_is_paid_for_once(name: str, options: dict[str, Any]) -> None:
    """It has no curve to look at, and each look would charge the smallest fidelity."""
    met = trained(name, "nsc-chain", **options)
    task = get_task("nsc-chain/fashion-mnist@lite")
    invalid = [arch for arch in met if not task.is_valid(task.space.parse(arch))]
    assert invalid and len(invalid) == len(set(invalid))


@pytest.mark.parametrize("space", ["nsc-chain", "nsc-multibranch"])
def test_rena_begins_with_a_network_that_exists_and_edits_it_to_others(space: str) -> None:
    """More than half of the chains do not exist on these images: a search that began with one never left it."""
    task = get_task(f"{space}/animals@lite")
    for seed in range(12):
        met = trained("rena", space, "animals", seed)
        assert len(set(met)) == 12 and all(task.is_valid(arch) for arch in met)


def test_the_order_of_train_seeds_needs_no_index() -> None:
    bench = NscToyBenchmark("nsc-multibranch")
    arch = "conv3 | maxpool2@0 | add(1,2)"
    drawn = set()
    for seed in range(20):
        run = bench.start(24, seed)
        run.evaluate(arch)
        drawn.add(run.points[0].seed)
    assert drawn == {0, 2}


def test_a_sampler_of_ordered_choices_is_refused_by_name() -> None:
    with pytest.raises(
        UnsuitedSpaceError, match=r"'cma-es' models ordered choices, and 'nsc-chain' has none; .*tpe, gp"
    ):
        trained("optuna", "nsc-chain", sampler="cma-es")
