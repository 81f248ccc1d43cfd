from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.tables import DEEP, TWO_BY_SEED

from nasbench_rl import BudgetExhausted, Run, load
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import InvalidValueError, TestDataError, UncopiedError

WHOLE = 1_000_000


@pytest.fixture(scope="module")
def bench(made_tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=made_tables)


def test_an_evaluation_is_a_validation_score_and_is_charged(bench: Benchmark) -> None:
    run = bench.start(2 * WHOLE, seed=0)
    score = run.evaluate((3, 3))
    seeds = [bench.query((3, 3), seed=s, split="validation").score for s in (0, 2)]
    assert score in seeds
    assert run.spent == WHOLE and run.remaining == WHOLE and run.cpu_seconds == pytest.approx(200.0)


def test_raising_the_fidelity_charges_the_difference_of_the_same_training(bench: Benchmark) -> None:
    run = bench.start(WHOLE, seed=3)
    run.evaluate((2, 2), 50_000)
    run.evaluate((2, 2), 500_000)
    run.evaluate((2, 2))
    assert run.spent == WHOLE
    assert run.trajectory()["seed"].nunique() == 1
    assert run.cpu_seconds == pytest.approx(200.0)


def test_a_repeated_evaluation_draws_the_next_seed_and_is_free_once_all_are_paid(bench: Benchmark) -> None:
    run = bench.start(10 * WHOLE, seed=1)
    first, second, third = (run.evaluate((4, 4)) for _ in range(3))
    assert first != second
    assert third == first
    assert run.spent == 2 * WHOLE


def test_noise_depends_on_seed_architecture_and_visit_alone(bench: Benchmark) -> None:
    one, two = bench.start(10 * WHOLE, 7), bench.start(10 * WHOLE, 7)
    a = [one.evaluate(x) for x in ((1, 1), (2, 2), (1, 1))]
    two.rng.random(100)
    b = [two.evaluate(x) for x in ((2, 2), (1, 1), (1, 1))]
    assert a == [b[1], b[0], b[2]]
    orders = {bench.start(WHOLE, seed).evaluate((1, 1)) for seed in range(20)}
    assert len(orders) == 2, "twenty search seeds see both validation seeds first"


def test_over_the_budget_nothing_is_charged_or_logged(bench: Benchmark) -> None:
    run = bench.start(WHOLE, seed=0)
    run.evaluate((1, 1), 100_000)
    with pytest.raises(BudgetExhausted, match="900,000 remain"):
        run.evaluate((2, 2))
    assert run.spent == 100_000 and len(run.points) == 1


@pytest.mark.parametrize("fidelity", [20_000_000, 777_777, -5])
def test_a_wrong_fidelity_is_told_before_the_budget(bench: Benchmark, fidelity: int) -> None:
    run = bench.start(60_000, seed=0)
    with pytest.raises(InvalidValueError, match="is not stored"):
        run.evaluate((1, 1), fidelity)
    assert run.spent == 0 and not run.points


def test_a_search_cannot_see_the_test_split(bench: Benchmark) -> None:
    run = bench.start(WHOLE, seed=0)
    with pytest.raises(TestDataError):
        run.evaluate((1, 1), split="test")
    assert run.spent == 0


@pytest.mark.parametrize(
    ("budget", "seed"),
    [(0, 0), (-5, 0), (WHOLE, -1), ("10x", 0), (WHOLE, None), (WHOLE, 0.5), (float("nan"), 0), (float("inf"), 0)],
)
def test_a_budget_that_buys_nothing_is_refused(bench: Benchmark, budget: int, seed: int) -> None:
    with pytest.raises(InvalidValueError):
        bench.start(budget, seed)


@pytest.mark.parametrize("amount", [-1, -WHOLE, float("nan"), "all"])
def test_budget_is_never_given_back(bench: Benchmark, amount: float) -> None:
    run = bench.start(WHOLE, seed=0)
    run.evaluate((1, 1))
    with pytest.raises(InvalidValueError, match="charge"):
        run.charge(amount)  # type: ignore[arg-type]
    assert run.spent == WHOLE


def test_a_fidelity_that_is_no_number_is_refused_and_free(bench: Benchmark) -> None:
    run = bench.start(WHOLE, seed=0)
    with pytest.raises(InvalidValueError, match="'all' is not a number"):
        run.evaluate((1, 1), "all")  # type: ignore[arg-type]
    assert run.spent == 0


def test_the_incumbent_is_the_best_at_the_highest_fidelity(bench: Benchmark) -> None:
    run = bench.start(10 * WHOLE, seed=0)
    run.evaluate((5, 5), 50_000)
    assert str(run.incumbent) == "k5-k5"
    run.evaluate((1, 1))
    assert str(run.incumbent) == "k1-k1", "one low-fidelity score does not beat a whole training"
    run.evaluate((5, 5))
    assert str(run.incumbent) == "k5-k5"


def test_a_bad_second_seed_can_dethrone_the_incumbent(bench: Benchmark) -> None:
    space = bench.space
    scores = {a.name: [bench.query(a, seed=s, split="validation").score for s in (0, 2)] for a in space}
    for seed in range(50):
        run = bench.start(100 * WHOLE, seed)
        for arch in space:
            run.evaluate(arch)
        for arch in space:
            run.evaluate(arch)
        best = max(scores, key=lambda name: np.mean(scores[name]))
        assert str(run.incumbent) == best


def test_recommend_trains_each_and_makes_the_best_the_incumbent(bench: Benchmark) -> None:
    run = bench.start(4 * WHOLE, seed=0)
    run.evaluate((5, 5))
    best = run.recommend([(1, 1), (3, 3), (2, 2)])
    assert best.name == "k3-k3" == str(run.incumbent) == run.trajectory()["incumbent"].iloc[-1]
    assert run.spent == 4 * WHOLE


def test_a_search_that_repeats_what_it_paid_for_comes_to_an_end(
    bench: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasbench_rl.benchmark.budget.FREE_IN_A_ROW", 10)
    run = bench.start(100 * bench.task.max_fidelity, 0)
    with pytest.raises(BudgetExhausted, match="10 evaluations in a row"):
        while run.remaining:
            run.evaluate((3, 3))
    assert run.evaluate((1, 1)) == run.points[-1].score  # what still costs is still done


def test_recommend_takes_what_the_budget_reaches(bench: Benchmark) -> None:
    run = bench.start(WHOLE, seed=0)
    assert run.recommend([(1, 1), (5, 5)]).name == "k1-k1"
    with pytest.raises(BudgetExhausted):
        run.recommend([(4, 4)])


def test_the_curve_stops_where_the_payment_does(bench: Benchmark) -> None:
    run = bench.start(WHOLE, seed=0)
    run.evaluate((2, 3), 150_000)
    fidelities, scores = run.curve((2, 3))
    assert fidelities.tolist() == [50_000, 100_000, 150_000]
    assert scores[-1] == run.points[-1].score
    with pytest.raises(InvalidValueError, match="evaluate it first"):
        run.curve((1, 1))


def test_global_random_state_is_left_alone(bench: Benchmark) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    run = bench.start(3 * WHOLE, seed=0)
    run.evaluate(run.space.sample(run.rng))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


def test_the_environment_view_pays_through_the_run(made_tables: Path) -> None:
    run = load(DEEP, tables=made_tables).start(2 * WHOLE, seed=0)
    env = run.env()
    env.reset()
    rewards = [env.step(np.int64(1))[1] for _ in range(5)]
    assert rewards[:4] == [0.0] * 4 and rewards[4] == run.points[0].score
    assert run.spent == WHOLE and run.points[0].arch == "k5-k5-k5-k5-k5"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps, lambda run: copy.deepcopy([run])])
def test_a_run_is_neither_copied_nor_pickled(bench: Benchmark, copied: Callable[[object], object]) -> None:
    run = bench.start(4 * WHOLE, seed=0)
    with pytest.raises(UncopiedError, match=r"would search for free; share this run, or .*start\(budget, seed\)"):
        copied(run)
    for part in (run.supernet(), run.env(), run.evaluate):
        with pytest.raises(UncopiedError):
            pickle.dumps(part)
    with pytest.raises(UncopiedError):
        max(run.space, key=lambda arch: copy.deepcopy(run).evaluate(arch))
    with pytest.raises(UncopiedError):
        copy.deepcopy(run.supernet())
    assert run.spent == 0 and copy.deepcopy(run.rng).random() == run.rng.random()


def test_what_holds_a_run_may_be_copied_and_shares_it(bench: Benchmark) -> None:
    class Env:
        def __init__(self, run: Run) -> None:
            self.run, self.design = run, [1]

        def __deepcopy__(self, memo: dict[int, object]) -> Env:
            memo[id(self.run)] = self.run
            other = Env.__new__(Env)
            memo[id(self)] = other
            other.__dict__.update(copy.deepcopy(self.__dict__, memo))
            return other

    env = Env(bench.start(4 * WHOLE, seed=0))
    other = copy.deepcopy(env)
    assert other.run is env.run and other.design is not env.design
    shallow = copy.copy(env.run.supernet())
    shallow.fit()
    assert env.run.spent == WHOLE, "a copied view of weight sharing charges the run that it came from"
