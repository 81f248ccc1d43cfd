"""Hyperparameters that allow no search are refused, and scores that are missing stop no method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import tables as made
from support.toy_task import ToyBenchmark

from nasbench_rl import get_method, load
from nasbench_rl.errors import InvalidValueError, UnknownNameError
from nasbench_rl.task import Task

BAD_SCHEDULE = ((2.0, 5),)
REFUSED = {
    "a2c": {"t_max": 0},
    "blockqnn": {"early_stop": 1.5, "replay": -1, "schedule": BAD_SCHEDULE, "learning_rate": 0.0},
    "dqn": {"buffer": 0, "epsilon_start": 5, "discount": -5, "target_every": -5, "learning_starts": 2},
    "hyperband": {"eta": 0},
    "learning_curve": {"delta": 1.0, "least_points": 3},
    "meta_a2c": {"horizon": 0, "discount": 1.5},
    "mnas": {"objective": "flopps", "target": -1.0, "learning_rate": 0.0},
    "monas": {"objective": "flopps", "target": -1.0, "learning_rate": 0.0, "alpha": 1.5, "kind": "sum"},
    "optuna": {"sampler": "tpee", "pruner": "medium"},
    "ppo": {"epochs": 0},
    "predictor": {"ensemble": 1, "batch": 0, "model": "forest", "acquisition": "ei"},
    "q_learning": {"replay": -1, "schedule": BAD_SCHEDULE, "learning_rate": 0.0},
    "random_search": {"samples": 0},
    "regularized_evolution": {"population": 0},
    "reinforce": {"batch": 0},
    "rena": {"objective": "flopps", "target": -1.0, "learning_rate": 0.0, "base_penalty": 2.0},
    "successive_halving": {"eta": 1},
}
"""Hyperparameters of each method that allow no search."""


@pytest.mark.parametrize(
    ("name", "option", "value"), [(name, *item) for name, wrong in REFUSED.items() for item in wrong.items()]
)
def test_values_that_allow_no_search_are_refused(name: str, option: str, value: Any) -> None:
    named = value if isinstance(value, str) else option if option != "early_stop" else "of a training"
    with pytest.raises((InvalidValueError, UnknownNameError), match=named):
        get_method(name, **{option: value})(ToyBenchmark().start(10 * 20_480, 0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("successive_halving", {}),
        ("hyperband", {}),
        ("learning_curve", {}),
        ("blockqnn", {}),
        ("predictor", {}),
        ("q_learning", {}),
        ("mcts", {}),
        ("mnas", {}),
        ("monas", {}),
        ("rena", {}),
        ("optuna", {}),
        ("optuna", {"pruner": "median"}),
    ],
)
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
