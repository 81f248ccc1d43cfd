from __future__ import annotations

import math
from pathlib import Path

import made_tables as made
import numpy as np
import pytest

from nasbench_rl import Run, get_method, load
from nasbench_rl.errors import BudgetExhausted, InvalidValueError
from nasbench_rl.task import Task
from nasbench_rl_baselines._fidelities import (
    bracket_cost,
    draw_bracket,
    geometric_rungs,
    most_halvings,
    nearest_fidelity,
)
from nasbench_rl_baselines.learning_curve import EXPONENTS, probability_to_beat

WHOLE = 1_000_000
POINTS = np.arange(1.0, 21.0)


def start(tables: Path, trainings: float, seed: int = 0) -> Run:
    return load(made.TWO_BY_SEED, tables=tables).start(round(trainings * WHOLE), seed)


def test_rungs_are_the_stored_fidelities_nearest_to_powers_of_eta(made_tables: Path) -> None:
    run = start(made_tables, 1)
    assert most_halvings(run, 3) == 2
    assert geometric_rungs(run, 3, 2) == (100_000, 350_000, WHOLE)
    assert nearest_fidelity(run, 0.25) == 250_000
    with pytest.raises(InvalidValueError, match="part above 0"):
        nearest_fidelity(run, 0.0)


def test_successive_halving_promotes_the_best_and_pays_the_difference(made_tables: Path) -> None:
    run = start(made_tables, 2.3)
    try:
        get_method("successive_halving")(run)
    except BudgetExhausted:
        pass
    points = run.trajectory()
    first = [points[points["fidelity"] == rung] for rung in (100_000, 350_000, WHOLE)]
    assert [len(rung) for rung in first] == [9, 3, 1]
    assert run.spent == bracket_cost(9, (100_000, 350_000, WHOLE), 3) == 2_300_000
    for lower, upper in zip(first, first[1:], strict=False):
        assert set(upper["arch"]) == set(lower.nlargest(len(upper), "score")["arch"])


def test_hyperband_runs_brackets_of_nine_five_and_three(made_tables: Path) -> None:
    run = start(made_tables, 2.3 + 2.4 + 3)
    get_method("hyperband")(run)
    points = run.trajectory()
    assert points["fidelity"].tolist() == (
        [100_000] * 9 + [350_000] * 3 + [WHOLE] + [350_000] * 5 + [WHOLE] + [WHOLE] * 3
    )
    assert run.remaining == 0
    first_time = points.drop_duplicates("arch")
    assert len(first_time) == 17, "draws are distinct while the space has new ones"


def test_a_bracket_takes_what_is_unseen_first(made_tables: Path) -> None:
    run, seen = start(made_tables, 1), set[str]()
    first = {arch.name for arch in draw_bracket(run, 17, seen)}
    second = {arch.name for arch in draw_bracket(run, 9, seen)}
    assert len(second) == 9 and len(first | second) == 25, "8 were left, and one of the 17 comes again"
    assert not {arch.name for arch in draw_bracket(run, 9, seen)} & second, "a second round through the space"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("successive_halving", {"eta": 1}),
        ("hyperband", {"eta": 0}),
        ("learning_curve", {"delta": 1.0}),
        ("learning_curve", {"least_points": 3}),
        ("blockqnn", {"early_stop": 1.5}),
        ("regularized_evolution", {"population": 0}),
        ("random_search", {"samples": 0}),
    ],
)
def test_values_that_allow_no_search_are_refused(name: str, wrong: dict[str, object], made_tables: Path) -> None:
    with pytest.raises(InvalidValueError):
        get_method(name, **wrong)(start(made_tables, 3))


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


def test_learning_curve_stops_the_worse_and_spends_less_on_each(made_tables: Path) -> None:
    run = start(made_tables, 10)
    try:
        get_method("learning_curve")(run)
    except BudgetExhausted:
        pass
    reached = run.trajectory().groupby("arch", sort=False)["fidelity"].max()
    assert reached.iloc[0] == WHOLE, "the first has nothing to be compared with"
    assert len(reached) > 10, "stopping buys more architectures than whole trainings would"
    scores = {
        arch: load(made.TWO_BY_SEED, tables=made_tables).query(arch, split="validation").score for arch in reached.index
    }
    stopped, whole = (np.mean([scores[a] for a in reached.index[mask]]) for mask in (reached < WHOLE, reached == WHOLE))
    assert stopped < whole


def test_learning_curve_lets_a_training_go_on_that_is_above_the_best(
    made_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nasbench_rl_baselines.learning_curve.probability_to_beat", lambda known, *_: float(len(known) < 15)
    )
    outlived = 0
    for seed in range(4):
        run = start(made_tables, 8, seed)
        try:
            get_method("learning_curve")(run)
        except BudgetExhausted:
            pass
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


@pytest.mark.parametrize(
    ("name", "options"),
    [("successive_halving", {}), ("hyperband", {}), ("learning_curve", {}), ("blockqnn", {}), ("predictor", {}),
     ("q_learning", {}), ("mcts", {}), ("mnas", {}), ("monas", {}), ("rena", {}), ("optuna", {}),
     ("optuna", {"pruner": "median"})],
)  # fmt: skip
def test_returns_that_are_missing_before_a_first_game_stop_nobody(
    name: str, options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_return = made.made_return

    def late_return(task: Task, arch: str, seed: int, at: int) -> float:
        never = arch == "k1-k1" and seed < 2
        return float("nan") if never or at < 3 * (arch[1] in "135") else whole_return(task, arch, seed, at)

    monkeypatch.setattr(made, "made_return", late_return)
    made.write_made_table(tmp_path, made.TWO_BY_SEED, 4)
    for seed in range(3):
        run = start(tmp_path, 60, seed)
        get_method(name, **options)(run)
        assert run.incumbent is not None and run.incumbent.name != "k1-k1"
