"""Learning-curve extrapolation: the fit of the power law, and what it stops."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.tables import TWO_BY_SEED
from support.toy_task import searched

from nasbench_rl import get_method, load
from nasbench_rl_baselines.learning_curve import EXPONENTS, probability_to_beat

WHOLE = 1_000_000
POINTS = np.arange(1.0, 21.0)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.5, 4.0])
@pytest.mark.parametrize("rise", [3.0, -3.0])
def test_a_power_law_is_extrapolated_to_its_end(alpha: float, rise: float) -> None:
    curve = 10.0 - rise * POINTS**-alpha + np.random.default_rng(0).normal(0, 0.01, 20)
    end, rng = 10.0 - rise * 20.0**-alpha, np.random.default_rng(1)
    assert probability_to_beat(curve[:10], 20, end - 0.3, rng) > 0.95
    assert probability_to_beat(curve[:10], 20, end + 0.3, rng) < 0.05


def test_the_exponents_have_the_published_prior() -> None:
    logarithms = np.log(EXPONENTS)
    assert np.median(logarithms) == pytest.approx(0.0, abs=0.1)
    assert np.std(logarithms) == pytest.approx(2.0, rel=0.05)


def test_a_posterior_of_four_points_is_that_of_a_brute_force_sum() -> None:
    curve, last, best = np.array([1.0, 2.0, 2.2, 2.7]), 20, 3.5
    first, rise, log_noise = np.meshgrid(
        np.linspace(-2, 4, 25), np.linspace(-3, 9, 37), np.linspace(-4, 3, 15), indexing="ij"
    )
    noise, above, total = np.exp(log_noise), 0.0, 0.0
    for alpha in EXPONENTS:
        shape = (1 - np.arange(1.0, 5.0) ** -alpha) / (1 - last**-alpha)
        misfit = sum((y - first - rise * x) ** 2 for x, y in zip(shape, curve, strict=True))
        weight = np.exp(-0.5 * misfit / noise**2) / noise**4
        over = np.vectorize(math.erfc)((best - first - rise) / noise / 2**0.5) / 2
        above, total = above + float((weight * over).sum()), total + float(weight.sum())
    drawn = probability_to_beat(curve, last, best, np.random.default_rng(0), draws=100_000)
    assert drawn == pytest.approx(above / total, abs=0.02)


def test_noise_makes_the_extrapolation_unsure() -> None:
    curve = 2.0 * np.log(POINTS) + np.random.default_rng(0).normal(0, 1.0, 20)
    assert 0.05 < probability_to_beat(curve[:6], 20, 6.0, np.random.default_rng(1)) < 0.95


def test_a_flat_curve_is_no_certainty_and_no_error() -> None:
    assert probability_to_beat(np.zeros(5), 20, 1.0, np.random.default_rng(0)) == 0.0


def test_it_stops_the_worse_and_spends_less_on_each(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run = searched(get_method("learning_curve"), 10, bench=bench)
    reached = run.trajectory().groupby("arch", sort=False)["fidelity"].max()
    assert reached.iloc[0] == WHOLE, "the first has nothing to be compared with"
    assert len(reached) > 10, "stopping buys more architectures than whole trainings would"
    scores = {arch: bench.query(arch, split="validation").score for arch in reached.index}
    stopped, whole = (np.mean([scores[a] for a in reached.index[mask]]) for mask in (reached < WHOLE, reached == WHOLE))
    assert stopped < whole


def test_it_lets_a_training_go_on_that_is_above_the_best(made_tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nasbench_rl_baselines.learning_curve.probability_to_beat", lambda known, *_: float(len(known) < 15)
    )
    outlived = 0
    for seed in range(4):
        run = searched(get_method("learning_curve"), 8, seed, load(TWO_BY_SEED, tables=made_tables))
        curves = [one["score"] for _, one in run.trajectory().groupby("arch", sort=False)]
        best = curves[0].iloc[-1]
        for curve in curves[1:-1]:  # the budget may have ended the last
            above = bool((curve.iloc[:-1] > best).any())
            if len(curve) < len(POINTS):
                assert not above
            else:
                outlived += above
                best = max(best, curve.iloc[-1])
    assert outlived, "some trainings rose above the best before their end"
