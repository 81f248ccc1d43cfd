"""The exact chances of random search, against enumeration; improvement and its intervals, against definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nasbench_rl.errors import InvalidValueError
from nasbench_rl.leaderboard.stats.random_search import (
    FEWEST_TRAIN_SEEDS,
    Outcome,
    Reference,
    drawn_shares,
    improvement,
    improvement_draws,
    random_search_choice,
    regret_draws,
    train_seed_interval,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def enumerated(values: np.ndarray, count: int) -> np.ndarray:
    """Chances over every subset, every seed of each member, and every way to break a tie."""
    chances = np.zeros(len(values))
    for drawn in itertools.permutations(range(len(values)), count):  # orders: ties go to each member equally often
        seen = [values[i][~np.isnan(values[i])] for i in drawn]
        for scores in itertools.product(*seen):
            weight = 1 / math.prod(map(len, seen))
            chances[drawn[int(np.argmax(scores))]] += weight
    return chances / math.perm(len(values), count)


@pytest.mark.parametrize(
    "values",
    [
        [[1.0], [2.0], [3.0], [0.5]],
        [[1.0, 4.0], [2.0, 2.0], [3.0, 1.0], [2.0, 3.0]],
        [[1.0, math.nan], [1.0, 1.0], [1.0, 2.0], [0.0, math.nan]],
    ],
)
def test_random_search_chances_are_those_of_enumeration(values: list[list[float]]) -> None:
    array = np.array(values)
    found = random_search_choice(array)
    for count in range(1, len(array) + 1):
        np.testing.assert_allclose(found[count - 1], enumerated(array, count), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("values", "n", "says"),
    [([[1.0], [2.0]], 3, "between 1 and the 2"), ([[1.0], [2.0]], 0, "between 1 and the 2"),
     ([[1.0], [math.nan]], None, "architecture 1 "), ([1.0, 2.0], None, "shape"), (np.empty((0, 2)), None, "shape")],
)  # fmt: skip
def test_chances_of_what_was_not_measured_are_refused(values: list[list[float]], n: int | None, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        random_search_choice(values, n)


def outcome(counts: list[int], scores: list[list[float]]) -> Outcome:
    array = np.array(scores)
    return Outcome(np.array(counts), array, array[array.mean(axis=1).argmax()])


THREE = [[1.0, 1.2], [2.0, 1.8], [3.0, 2.9]]
SEVERAL = [row * 3 for row in THREE]
"""Train seeds enough for an interval over them."""


def test_improvement_is_the_share_of_pairs_won() -> None:
    own, other = [0, 3, 7], [5, 1, 4]
    means = np.mean(THREE, axis=1)
    runs, random = np.repeat(means, own), np.repeat(means, other)
    reference = Reference(np.array(other) / 10, 10)
    expected = ((runs[:, None] > random) + 0.5 * (runs[:, None] == random)).mean()
    assert improvement(outcome(own, THREE), reference) == pytest.approx(expected)


def test_against_itself_random_search_comes_to_a_half(rng: np.random.Generator) -> None:
    chances = random_search_choice(np.array(THREE))[1]
    runs = rng.multinomial(2000, chances)
    mine = outcome(runs.tolist(), THREE)
    assert improvement(mine, Reference(runs / 2000, 2000)) == pytest.approx(0.5)
    low, high = np.quantile(improvement_draws(mine, Reference(chances), rng, 2000), [0.005, 0.995])
    assert low < 0.5 < high and high - low < 0.1


def test_draws_have_the_spread_of_runs_drawn_again(rng: np.random.Generator) -> None:
    own, other = [2, 10, 28], [14, 20, 6]
    means = np.mean(THREE, axis=1)
    runs, random = np.repeat(means, own), np.repeat(means, other)
    found = np.quantile(
        improvement_draws(outcome(own, THREE), Reference(np.array(other) / 40, 40), rng, 4000), [0.025, 0.975]
    )
    again = [(rng.choice(runs, 40)[:, None], rng.choice(random, 40)) for _ in range(4000)]
    expected = np.quantile([((x > y) + 0.5 * (x == y)).mean() for x, y in again], [0.025, 0.975])
    np.testing.assert_allclose(found, expected, atol=0.02)
    exact = improvement_draws(outcome(own, THREE), Reference(np.array(other) / 40), rng, 4000)
    assert exact.std() < np.diff(expected) / 3.92, "nothing of an exact reference is resampled"


def test_train_seeds_that_disagree_widen_the_interval_and_equal_ones_do_not(rng: np.random.Generator) -> None:
    counts, chances = [5, 5, 40], Reference(np.array([0.4, 0.4, 0.2]))
    agree = [[1.0] * 6, [2.0] * 6, [3.0] * 6]
    disagree = [[9.0, 1.0] * 3, [1.0, 2.0] * 3, [1.0, 9.0] * 3]
    for scores, wider in ((agree, False), (disagree, True)):
        mine = outcome(counts, scores)
        narrow = improvement_draws(mine, chances, rng, 2000).std()
        wide = improvement_draws(mine, chances, rng, 2000, over_train_seeds=True).std()
        assert bool(wide > 2 * narrow) is wider
        if not wider:
            assert wide == pytest.approx(narrow, rel=0.15)


def test_regret_draws_centre_on_the_mean_regret(rng: np.random.Generator) -> None:
    mine = outcome([20, 20, 60], SEVERAL)
    draws = regret_draws(mine, rng, 4000)
    expected = (mine.best.mean() - mine.scores.mean(axis=1)) @ mine.chosen / 100
    assert draws.mean() == pytest.approx(expected, abs=4 * draws.std() / 4000**0.5)


def test_what_one_run_or_few_train_seeds_cannot_tell_is_missing(rng: np.random.Generator) -> None:
    chances = Reference(np.array([0.5, 0.5]))
    one_run = outcome([1, 0], [[1.0, 2.0] * 5, [2.0, 1.0] * 5])
    assert np.isnan(improvement_draws(one_run, chances, rng, 10)).all()
    assert np.isnan(regret_draws(one_run, rng, 10)).all()
    for seeds in (1, 2, FEWEST_TRAIN_SEEDS - 1, FEWEST_TRAIN_SEEDS):
        few, known = outcome([5, 5], [[1.0] * seeds, [2.0] * seeds]), seeds == FEWEST_TRAIN_SEEDS
        assert np.isfinite(improvement_draws(few, chances, rng, 10, over_train_seeds=True)).all() == known
        assert np.isfinite(regret_draws(few, rng, 10)).all() == known
        assert np.isfinite(improvement_draws(few, chances, rng, 10)).all()
    assert np.isnan(train_seed_interval(0.5, np.full(9, math.nan), 2, 0.95)).all()


@pytest.mark.parametrize("seeds", [5, 10])
def test_an_interval_over_train_seeds_holds_the_truth_as_often_as_it_says(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    inside, tried = 0, 400
    for _ in range(tried):
        scores = np.array([[0.0], [1.0]]) + rng.normal(size=(2, seeds))
        mine = Outcome(np.array([100, 100]), scores, np.zeros(seeds))
        low, high = train_seed_interval(-float(scores.mean()), regret_draws(mine, rng, 500), seeds, 0.95)
        inside += low <= -0.5 <= high
    assert 0.92 <= inside / tried <= 0.985


def test_many_architectures_are_compared_in_parts(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = outcome([3, 4, 5], SEVERAL)
    reference = Reference(np.array([0.2, 0.3, 0.5]))
    whole = improvement_draws(mine, reference, np.random.default_rng(1), 50, over_train_seeds=True)
    monkeypatch.setattr("nasbench_rl.leaderboard.stats.random_search._CHUNK", 9 * 7)
    np.testing.assert_array_equal(
        improvement_draws(mine, reference, np.random.default_rng(1), 50, over_train_seeds=True), whole
    )


def test_the_global_random_state_is_left_alone(rng: np.random.Generator) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    improvement_draws(
        outcome([3, 4], [[1.0, 2.0] * 3, [2.0, 1.0] * 3]), Reference(np.array([0.5, 0.5]), 9), rng, 20, True
    )
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("chosen", "scores", "best"),
    [
        ([1, 2], [[1.0], [2.0], [3.0]], [3.0]),
        ([0, 0], [[1.0], [2.0]], [2.0]),
        ([1, 1], [[1.0], [math.nan]], [2.0]),
        ([1, 1], [[1.0], [2.0]], [2.0, 3.0]),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused(
    chosen: list[int], scores: list[list[float]], best: list[float]
) -> None:
    with pytest.raises(InvalidValueError):
        Outcome(np.array(chosen), np.array(scores), np.array(best))


def test_what_nobody_chose_does_not_move_the_draws() -> None:
    some = drawn_shares([3, 5, 2], 10, np.random.default_rng(0), 50)
    more = drawn_shares([0, 3, 5, 0, 2, 0], 10, np.random.default_rng(0), 50)
    assert (more[:, [1, 2, 4]] == some).all() and (more[:, [0, 3, 5]] == 0).all()
    assert some.sum(axis=1) == pytest.approx(1)
