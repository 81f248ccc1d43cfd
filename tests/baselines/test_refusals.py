"""Hyperparameters that allow no search are refused, and scores that are missing stop no method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_tables as made
import pytest
from toy_task import ToyBenchmark

from nasbench_rl import get_method, load
from nasbench_rl.errors import InvalidValueError, UnknownNameError
from nasbench_rl.task import Task

BAD_SCHEDULE = {"schedule": ((2.0, 5),)}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("successive_halving", {"eta": 1}), ("hyperband", {"eta": 0}), ("learning_curve", {"delta": 1.0}),
        ("learning_curve", {"least_points": 3}), ("blockqnn", {"early_stop": 1.5}), ("blockqnn", {"replay": -1}),
        ("blockqnn", BAD_SCHEDULE), ("blockqnn", {"learning_rate": 0.0}), ("q_learning", {"replay": -1}),
        ("q_learning", BAD_SCHEDULE), ("q_learning", {"learning_rate": 0.0}),
        ("regularized_evolution", {"population": 0}), ("random_search", {"samples": 0}),
        ("predictor", {"ensemble": 1}), ("predictor", {"batch": 0}),
    ],
)  # fmt: skip
def test_values_that_allow_no_search_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        get_method(name, **wrong)(ToyBenchmark().start(20_480, 0))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("optuna", {"sampler": "tpee"}), ("optuna", {"pruner": "medium"}), ("predictor", {"model": "forest"}),
     ("predictor", {"acquisition": "ei"})],
)  # fmt: skip
def test_unknown_names_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError):
        get_method(name, **wrong)


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
        run = load(made.TWO_BY_SEED, tables=tmp_path).start(60_000_000, seed)
        get_method(name, **options)(run)
        assert run.incumbent is not None and run.incumbent.name != "k1-k1"
