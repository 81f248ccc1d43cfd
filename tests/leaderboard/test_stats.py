"""Regret, aggregates and intervals, against SciPy and rliable."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest

from nasbench_rl.errors import InvalidValueError
from nasbench_rl.leaderboard.stats import bootstrap as stats


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def scores(rng: np.random.Generator) -> np.ndarray:
    """(runs, tasks), tasks of different level and spread, with ties."""
    return np.round(rng.normal([0.0, 1.0, 5.0], [1.0, 0.5, 2.0], size=(30, 3)), 1)


def rliable_library() -> ModuleType:
    """rliable's bootstrap. The ``arch`` it rests on (7.2) uses a decorator of pandas' whose arguments pandas 3 changed.

    That only warns of old names of arguments, of functions that rliable does not call: here it does nothing.
    """
    pytest.importorskip("rliable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pandas.util._decorators.deprecate_kwarg", lambda *_, **__: lambda function: function)
        from rliable import library
    return library


# Regret curves


def test_regret_is_a_step_function_of_the_budget() -> None:
    curve = stats.regret_curve([10, 20, 30], [4.0, 1.0, 0.0], [9.9, 10, 19.9, 20, 30, 1000])
    np.testing.assert_array_equal(curve, [np.nan, 4.0, 4.0, 1.0, 0.0, 0.0])


def test_regret_may_rise_and_the_last_of_equal_budgets_counts() -> None:
    # The incumbent is chosen on validation data, so its regret on test data need not fall.
    np.testing.assert_array_equal(stats.regret_curve([1, 2, 2], [1.0, 9.0, 3.0], [1, 2]), [1.0, 3.0])


def test_regret_of_a_run_without_evaluations_is_missing() -> None:
    assert np.isnan(stats.regret_curve([], [], [0, 1])).all()


@pytest.mark.parametrize(("spent", "regret"), [([2, 1], [0.0, 0.0]), ([1], [0.0, 0.0]), ([np.nan], [0.0])])
def test_regret_refuses_a_run_out_of_order(spent: list[float], regret: list[float]) -> None:
    with pytest.raises(InvalidValueError, match="spent"):
        stats.regret_curve(spent, regret, [1])


# Interquartile mean


@pytest.mark.parametrize("runs", [1, 3, 4, 5, 7, 8, 30])
def test_iqm_is_scipys_trimmed_mean(runs: int, scores: np.ndarray) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    part = scores[:runs]
    assert stats.interquartile_mean(part) == pytest.approx(scipy_stats.trim_mean(part, 0.25, axis=None))
    np.testing.assert_allclose(stats.interquartile_mean(part, axis=0), scipy_stats.trim_mean(part, 0.25, axis=0))


def test_iqm_of_curves_pools_runs_and_tasks(rng: np.random.Generator) -> None:
    curves = rng.random((6, 3, 4))
    pooled = stats.interquartile_mean(curves, axis=(0, 1))
    assert pooled.shape == (4,)
    for point in range(4):
        assert pooled[point] == pytest.approx(stats.interquartile_mean(curves[:, :, point]))


def test_iqm_never_trims_a_missing_score_away() -> None:
    assert np.isnan(stats.interquartile_mean([1.0, 2.0, 3.0, np.nan]))
    np.testing.assert_array_equal(
        stats.interquartile_mean([[1.0, 1.0], [np.nan, 1.0], [1.0, 1.0], [1.0, 1.0]], axis=0), [np.nan, 1.0]
    )


def test_iqm_refuses_nothing() -> None:
    with pytest.raises(InvalidValueError, match="no score"):
        stats.interquartile_mean(np.empty((0, 3)))


# Bootstrap


@contextmanager
def seeded_global_state(seed: int) -> Iterator[None]:
    """For rliable, which ignores its ``random_state``: findings/rliable_random_state.sh."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def test_bootstrap_matches_rliable(scores: np.ndarray) -> None:
    library = rliable_library()
    with seeded_global_state(1):
        _, expected = library.get_interval_estimates(
            {"a": scores},
            lambda x: np.array([stats.interquartile_mean(x)]),
            reps=4000,
        )
    interval = stats.bootstrap_interval(scores, stats.interquartile_mean, np.random.default_rng(1), resamples=4000)
    # Two Monte Carlo estimates of the same bounds: 4000 resamples leave about 3 % of the width.
    np.testing.assert_allclose(interval, expected["a"][:, 0], atol=0.06 * np.ptp(interval))


def test_bootstrap_of_a_mean_has_the_stratified_standard_error(scores: np.ndarray) -> None:
    low, high = stats.bootstrap_interval(scores, np.mean, np.random.default_rng(2), resamples=4000)
    runs, tasks = scores.shape
    # Strata are tasks, so the spread between tasks (levels 0, 1 and 5) does not enter.
    error = np.sqrt((scores.var(axis=0) / runs).sum()) / tasks
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert low < scores.mean() < high


def test_tasks_are_strata() -> None:
    constant_per_task = np.tile([1.0, 100.0], (5, 1))
    np.testing.assert_array_equal(stats.bootstrap_interval(constant_per_task, np.mean, np.random.default_rng(0)), 50.5)


def test_tasks_are_resampled_independently(rng: np.random.Generator) -> None:
    # Each run's two scores cancel: drawing whole runs would leave no spread at all.
    opposed = rng.normal(size=(30, 1)) * [1.0, -1.0]
    expected = 2 * 1.96 * opposed[:, 0].std() / np.sqrt(30) / np.sqrt(2)
    assert np.ptp(stats.bootstrap_interval(opposed, np.mean, rng)) == pytest.approx(expected, rel=0.1)


def test_bootstrap_depends_on_its_generator_alone(scores: np.ndarray) -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw = [stats.bootstrap_interval(scores, np.mean, np.random.default_rng(seed), 50) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert not np.array_equal(draw[0], draw[2])
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_bootstrap_gives_bands_of_curves(rng: np.random.Generator) -> None:
    curves = rng.random((8, 2, 5))
    low, high = stats.bootstrap_interval(curves, np.mean, rng, resamples=200)
    assert low.shape == high.shape == (5,)
    assert (low < curves.mean(axis=(0, 1))).all() and (curves.mean(axis=(0, 1)) < high).all()


def test_a_wider_level_gives_a_wider_interval(scores: np.ndarray) -> None:
    narrow = stats.bootstrap_interval(scores, np.mean, np.random.default_rng(0), level=0.5)
    wide = stats.bootstrap_interval(scores, np.mean, np.random.default_rng(0), level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_single_run_has_no_interval() -> None:
    assert np.isnan(stats.bootstrap_interval([[1.0, 2.0]], np.mean, np.random.default_rng(0))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rng": 0}, "default_rng"),
        ({"resamples": 0}, "resamples"),
        ({"level": 95}, "level"),
        ({"scores": [1.0, 2.0]}, "shape"),
        ({"scores": np.empty((3, 0))}, "shape"),
    ],
)
def test_bootstrap_refuses(change: dict[str, object], message: str) -> None:
    arguments = {"scores": np.ones((3, 2)), "statistic": np.mean, "rng": np.random.default_rng(0)} | change
    with pytest.raises(InvalidValueError, match=message):
        stats.bootstrap_interval(**arguments)


@pytest.mark.parametrize("module", ["bootstrap", "ranks"])
def test_import_does_not_load_scipy(module: str) -> None:
    code = f"import nasbench_rl.leaderboard.stats.{module}, sys; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_bootstrap_in_parts_gives_the_same_interval(scores: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    for statistic in (np.mean, stats.interquartile_mean):
        whole = stats.bootstrap_interval(scores, statistic, np.random.default_rng(3), resamples=101)
        with monkeypatch.context() as small:
            small.setattr(stats, "_CHUNK", 7 * scores.size)  # several parts, the last one short
            parts = stats.bootstrap_interval(scores, statistic, np.random.default_rng(3), resamples=101)
        np.testing.assert_allclose(parts, whole)
