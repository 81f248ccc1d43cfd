"""Average ranks, tests of methods, Kendall's τ and the noise ceiling, against SciPy, statsmodels and enumeration."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable

import numpy as np
import pytest

from nasbench_rl.errors import InvalidValueError, MissingExtraError
from nasbench_rl.leaderboard.stats import ranks

scipy_stats = pytest.importorskip("scipy.stats")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# Ranks and tests of methods


def test_ranks_are_scipys_with_ties_averaged(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 4, size=(5, 12)).astype(float)
    expected = scipy_stats.rankdata(-scores, axis=0).mean(axis=1)
    np.testing.assert_allclose(ranks.average_ranks(scores), expected)
    np.testing.assert_allclose(ranks.average_ranks(-scores, higher_is_better=False), expected)
    assert ranks.average_ranks(scores).sum() == pytest.approx(5 * 6 / 2)


def test_runs_count_as_blocks_too(rng: np.random.Generator) -> None:
    scores = rng.random((4, 6, 3))
    np.testing.assert_allclose(ranks.average_ranks(scores), ranks.average_ranks(scores.reshape(4, 18)))


def test_friedman_is_scipys_also_with_ties(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 5, size=(4, 10)) + np.array([[0.0], [0.0], [1.0], [2.0]])
    expected = scipy_stats.friedmanchisquare(*scores)
    result = ranks.friedman(scores)
    assert (result.statistic, result.pvalue) == pytest.approx((expected.statistic, expected.pvalue))


def test_friedman_without_any_difference() -> None:
    result = ranks.friedman(np.tile([1.0, 2.0, 3.0], (4, 1)))
    assert math.isnan(result.statistic) and result.pvalue == 1


@pytest.mark.parametrize("shape", [(2, 10), (3, 1)])
def test_friedman_needs_enough_methods_and_tasks(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidValueError, match="at least 3 methods and 2 tasks"):
        ranks.friedman(np.ones(shape))


@pytest.mark.parametrize("blocks", [1, 4, 10, 40])
def test_signed_rank_is_scipys_exact_test(blocks: int, rng: np.random.Generator) -> None:
    difference = rng.normal(0.3, size=blocks)
    expected = scipy_stats.wilcoxon(difference, method="exact")
    result = ranks.signed_rank(difference)
    assert (result.statistic, result.pvalue) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("difference", [[1, 1, 1, -1], [0, 0, 2, 2, -1, 3], [0, 5, 0, -5, 1, 1, 1], [0, 0, 0, 1]])
def test_signed_rank_with_ties_and_zeros_is_that_of_every_sign(difference: list[float]) -> None:
    values = np.array(difference, dtype=float)
    rank = scipy_stats.rankdata(np.abs(values))[values != 0]
    sums = np.array([rank @ signs for signs in itertools.product((0, 1), repeat=len(rank))])
    observed = rank @ (values[values != 0] > 0)
    smaller = min(observed, rank.sum() - observed)
    result = ranks.signed_rank(values)
    assert result.statistic == smaller
    assert result.pvalue == pytest.approx(min(1, 2 * (sums <= smaller).mean()))


def test_signed_rank_of_no_difference() -> None:
    assert ranks.signed_rank(np.zeros(5)) == (0, 1)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1, never falling.
    np.testing.assert_allclose(ranks.holm([0.2, 0.01, 0.03, 0.02]), [0.2, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(ranks.holm([0.9, 0.8]), [1, 1])


def test_holm_is_statsmodels(rng: np.random.Generator) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    pvalues = rng.random(15) ** 3
    np.testing.assert_allclose(ranks.holm(pvalues), multitest.multipletests(pvalues, method="holm")[1])


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(InvalidValueError, match="between 0 and 1"):
        ranks.holm([0.5, 1.5])


# Kendall's tau


def test_tau_is_scipys(rng: np.random.Generator) -> None:
    x, y = rng.integers(0, 6, size=(2, 20)).astype(float)
    assert ranks.kendall_tau(x, y) == pytest.approx(scipy_stats.kendalltau(x, y).statistic)


def test_a_constant_scoring_ranks_nothing() -> None:
    assert math.isnan(ranks.kendall_tau([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_tau_needs_the_same_items(x: list[float], y: list[float]) -> None:
    with pytest.raises(InvalidValueError, match="at least 2"):
        ranks.kendall_tau(x, y)


def test_sparse_tau_rounds_the_predictions_alone() -> None:
    true = np.array([90.00, 90.04, 91.0, 92.0])
    swapped = np.array([90.04, 90.00, 91.0, 92.0])
    assert ranks.kendall_tau(swapped, true) == pytest.approx(4 / 6)
    expected = scipy_stats.kendalltau(np.round(swapped, 1), true).statistic
    assert ranks.sparse_kendall_tau(swapped, true, 0.1) == pytest.approx(expected)
    assert expected > 4 / 6
    # Too coarse to tell any two apart.
    assert math.isnan(ranks.sparse_kendall_tau(swapped, true, 1000.0))


@pytest.mark.parametrize("resolution", [0.0, -0.1, math.nan])
def test_sparse_tau_needs_a_resolution(resolution: float) -> None:
    with pytest.raises(InvalidValueError, match="resolution"):
        ranks.sparse_kendall_tau([1.0, 2.0], [1.0, 2.0], resolution)


# The noise ceiling


def test_two_seeds_have_one_split(rng: np.random.Generator) -> None:
    scores = rng.random((25, 2))
    ceiling = ranks.noise_ceiling(scores)
    assert ceiling.tau == pytest.approx(scipy_stats.kendalltau(scores[:, 0], scores[:, 1]).statistic)
    assert math.isnan(ceiling.std) and ceiling.splits == 1


def test_four_seeds_have_three_splits(rng: np.random.Generator) -> None:
    scores = rng.random((25, 4)) + np.linspace(0, 1, 25)[:, np.newaxis]
    taus = []
    for left, right in [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]:
        halves = scores[:, left].mean(axis=1), scores[:, right].mean(axis=1)
        taus.append(scipy_stats.kendalltau(*halves).statistic)
    assert ranks.noise_ceiling(scores) == pytest.approx((np.mean(taus), np.std(taus, ddof=1), 3))


def test_three_seeds_are_split_into_one_and_two(rng: np.random.Generator) -> None:
    scores = rng.random((25, 3))
    taus = [
        scipy_stats.kendalltau(scores[:, alone], np.delete(scores, alone, axis=1).mean(axis=1)).statistic
        for alone in range(3)
    ]
    assert ranks.noise_ceiling(scores) == pytest.approx((np.mean(taus), np.std(taus, ddof=1), 3))


def test_one_seed_has_no_ceiling() -> None:
    ceiling = ranks.noise_ceiling(np.arange(25.0)[:, np.newaxis])
    assert math.isnan(ceiling.tau) and math.isnan(ceiling.std) and ceiling.splits == 0


def test_without_noise_the_ceiling_is_one_and_with_noise_alone_it_is_none(rng: np.random.Generator) -> None:
    assert ranks.noise_ceiling(np.tile(np.arange(25.0)[:, np.newaxis], 6)).tau == pytest.approx(1)
    assert abs(ranks.noise_ceiling(rng.random((200, 6))).tau) < 0.15


def test_many_splits_are_sampled(rng: np.random.Generator) -> None:
    scores = rng.random((10, 12)) + np.linspace(0, 1, 10)[:, np.newaxis]
    every = ranks.noise_ceiling(scores)
    assert every.splits == math.comb(11, 5)
    some = ranks.noise_ceiling(scores, np.random.default_rng(0), max_splits=100)
    assert some.splits == 100
    assert some.tau == pytest.approx(every.tau, abs=4 * every.std / 10)
    assert some == ranks.noise_ceiling(scores, np.random.default_rng(0), max_splits=100)
    with pytest.raises(InvalidValueError, match="rng"):
        ranks.noise_ceiling(scores, max_splits=100)


@pytest.mark.parametrize(
    "function",
    [
        ranks.average_ranks,
        ranks.friedman,
        ranks.noise_ceiling,
        lambda x: ranks.kendall_tau(x[0], x[1]),
    ],
)
def test_a_missing_score_is_refused(function: Callable[[np.ndarray], object]) -> None:
    scores = np.arange(12.0).reshape(3, 4)
    scores[0, 1] = np.nan
    with pytest.raises(InvalidValueError, match="nothing is imputed"):
        function(scores)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtraError, match=r"nasbench-rl\[report\]"):
        ranks.kendall_tau([1.0, 2.0], [1.0, 2.0])
