from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_rl import Evaluation, get_method, load
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import BudgetExhausted
from nasbench_rl.spaces import KERNEL_SPACES
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.results import Cost, Source, Split
from nasbench_rl.task import get_task
from nasbench_rl_baselines._choices import choices_of
from nasbench_rl_baselines._q_table import QTable, epsilon_at
from nasbench_rl_baselines.blockqnn import SCHEDULE as BLOCKS
from nasbench_rl_baselines.q_learning import SCHEDULE as MODELS

TASK = "minatar-ss1/breakout@lite"
WHOLE = 1_000_000


@pytest.fixture
def table() -> QTable:
    return QTable(choices_of(KERNEL_SPACES["minatar-ss1"]), learning_rate=0.5, discount=0.9, initial=0.5)


def test_bellman_updates_run_from_the_last_choice_to_the_first(table: QTable) -> None:
    table.update((2, 1), reward=1.0)
    # Q(last, 1) = 0.5 + 0.5 (1 − 0.5) = 0.75, the best there; Q(first, 2) = 0.5 + 0.5 (0.9 · 0.75 − 0.5) = 0.5875
    assert table.sample(0.0, np.random.default_rng(0)) == (2, 1)
    assert table._row((2,))[1] == pytest.approx(0.75)
    assert table._row(())[2] == pytest.approx(0.5875)


def test_shaping_rewards_every_choice_before_the_last(table: QTable) -> None:
    table.update((2, 1), reward=1.0, shaping=0.5)
    assert table._row(())[2] == pytest.approx(0.5 + 0.5 * (0.5 + 0.9 * 0.75 - 0.5))


def test_epsilon_one_is_uniform_and_zero_is_greedy(table: QTable) -> None:
    for _ in range(20):
        table.update((4, 0), reward=1.0)
    rng = np.random.default_rng(0)
    assert {table.sample(0.0, rng) for _ in range(50)} == {(4, 0)}
    counts = Counter(table.sample(1.0, rng) for _ in range(5000))
    assert len(counts) == 25 and max(counts.values()) < 300


@pytest.mark.parametrize(
    ("schedule", "total", "progress", "epsilon"),
    [
        (MODELS, 2700, 0.0, 1.0),
        (MODELS, 2700, 0.55, 1.0),
        (MODELS, 2700, 0.56, 0.9),
        (MODELS, 2700, 0.97, 0.1),
        (MODELS, 2700, 1.5, 0.1),
        (BLOCKS, 178, 0.53, 1.0),
        (BLOCKS, 178, 0.54, 0.9),
        (BLOCKS, 178, 0.99, 0.1),
    ],
)
def test_the_papers_schedules_are_stretched(
    schedule: tuple[tuple[float, float], ...], total: int, progress: float, epsilon: float
) -> None:
    assert sum(models for _, models in schedule) == total
    assert epsilon_at(schedule, progress) == epsilon


def test_blockqnn_trains_its_finalists_to_the_end_and_pays_the_difference(made_tables: Path) -> None:
    run = load(TASK, tables=made_tables).start(10 * WHOLE, seed=0)
    get_method("blockqnn")(run)
    points = run.trajectory()
    early, late = points[points["fidelity"] == WHOLE // 4], points[points["fidelity"] == WHOLE]
    assert len(points) == len(early) + len(late) and len(late) >= 3
    assert run.spent == len(early) * WHOLE // 4 + len(late) * WHOLE * 3 // 4
    assert run.remaining < WHOLE * 3 // 4 or len(late) == len(early), "what is left buys more finalists"
    assert str(run.incumbent) in set(late["arch"])


def test_blockqnn_prefers_the_cheaper_of_equals(made_tables: Path) -> None:
    bench = load(TASK, tables=made_tables)
    costs = {}
    for mu in (0.0, 1000.0):
        run = bench.start(10 * WHOLE, seed=1)
        get_method("blockqnn", mu=mu)(run)
        finalists = run.trajectory().query("fidelity == @WHOLE")["arch"]
        costs[mu] = np.mean([run.task.network(arch).flops for arch in finalists])
    assert costs[1000.0] < costs[0.0]


def test_q_learning_trains_no_architecture_twice(made_tables: Path) -> None:
    run = load(TASK, tables=made_tables).start(20 * WHOLE, seed=0)
    try:
        get_method("q_learning")(run)
    except BudgetExhausted:
        pass
    assert run.trajectory()["arch"].is_unique


class Chains(Benchmark):
    """All that exist score alike."""

    mode = "tabular"

    def __init__(self) -> None:
        self.task = get_task("nsc-chain/animals@lite")

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        return (0,)

    def query(self, arch: ArchLike, *, fidelity: int | None = None, split: Split = "test", **rest: Any) -> Evaluation:
        name, exists = self.space.parse(arch).name, self.task.is_valid(self.space.parse(arch))
        amount = fidelity or 12
        cost = Cost(amount if exists else 0, "epochs", 1.0)
        score = 0.5 if exists else 0.0
        source: Source = "table" if exists else "invalid"
        return Evaluation("toy", name, amount, split, (0,), score, 0.0, {}, cost, 1, 1, source)


@pytest.mark.parametrize("name", ["q_learning", "blockqnn"])
def test_the_schedule_runs_with_what_was_spent_where_networks_do_not_exist(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most chains do not exist on small images and cost an epoch: a schedule by their number would be over at once."""
    seen: list[tuple[float, float]] = []

    def watched(schedule: Any, progress: float) -> float:
        seen.append((run.spent / run.budget, epsilon_at(schedule, progress)))
        return seen[-1][1]

    monkeypatch.setattr(f"nasbench_rl_baselines.{name}.epsilon_at", watched)
    run = Chains().start(40 * 12, 0)
    with contextlib.suppress(BudgetExhausted):
        get_method(name)(run)
    random_until = max(spent for spent, epsilon in seen if epsilon == 1.0)
    assert 0.45 < random_until < 0.6, "56 % of MetaQNN's schedule, 53 % of BlockQNN's"


def test_a_state_of_branches_is_the_layers_so_far_and_what_is_begun() -> None:
    choices = choices_of(get_task("nsc-multibranch/font-letters@lite").space)
    rng = np.random.default_rng(0)
    states: dict[Any, set[Any]] = {}
    for _ in range(300):
        sequence = QTable(choices, 0.1, 1.0, 0.5).sample(1.0, rng)
        for at in range(len(sequence)):
            states.setdefault(choices.state(sequence[:at]), set()).add(choices.allowed(sequence[:at]))
    assert all(len(allowed) == 1 for allowed in states.values()), "a state knows what may come next"
    conv, pool = choices.decode((0, choices.first_source)), choices.decode((4, choices.first_source))  # type: ignore[attr-defined]
    assert conv != pool
    first = choices.first_source  # type: ignore[attr-defined]
    assert choices.state((0, first)) != choices.state((4, first)), "and which layer came last"
    assert choices.state((0, first, 0)) == (1, (0, first), (0,))
    chain = choices_of(get_task("nsc-chain/font-letters@lite").space)
    assert chain.state((3, 5)) == (2, (5,), ())
