from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_tables import TWO_BY_SEED

from nasbench_rl import get_method, load
from nasbench_rl.errors import BudgetExhausted, InvalidValueError, MissingExtraError, UnknownNameError
from nasbench_rl.method import Method
from nasbench_rl.run import Run

WHOLE = 1_000_000


def search(method: Method, tables: Path, trainings: int, seed: int = 0) -> Run:
    run = load(TWO_BY_SEED, tables=tables).start(trainings * WHOLE, seed)
    try:
        method(run)
    except BudgetExhausted:
        pass
    return run


def mean_score(method: Method, tables: Path, trainings: int, seeds: int = 30) -> float:
    bench = load(TWO_BY_SEED, tables=tables)
    return float(np.mean([bench.query(search(method, tables, trainings, s).incumbent).score for s in range(seeds)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options"), [("predictor", {}), ("predictor", {"acquisition": "ucb"}), ("optuna", {})]
)
def test_a_model_beats_random_search_where_scores_follow_the_choices(
    name: str, options: dict[str, Any], made_tables: Path
) -> None:
    assert mean_score(get_method(name, **options), made_tables, 8) > mean_score(
        get_method("random_search"), made_tables, 8
    )


def test_predictor_can_use_the_papers_network(made_tables: Path) -> None:
    run = search(get_method("predictor", model="mlp"), made_tables, 4)
    assert len(run.points) == 4 and run.trajectory()["arch"].is_unique


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("tpe", "median"), ("tpe", "successive-halving"), ("tpe", "hyperband"), ("cma-es", "none"), ("nsga-ii", "none"),
     ("random", "none")],
)  # fmt: skip
def test_samplers_and_pruners_repeat_with_the_search_seed(sampler: str, pruner: str, made_tables: Path) -> None:
    method = get_method("optuna", sampler=sampler, pruner=pruner)
    first, again = (search(method, made_tables, 6, 5).trajectory() for _ in range(2))
    assert first.equals(again)
    if pruner == "none":
        assert len(first) == 6
    else:
        assert first["arch"].nunique() > 6, "a pruner leaves money for more architectures"


def test_optuna_is_silent_and_its_verbosity_is_put_back(made_tables: Path, capfd: pytest.CaptureFixture[str]) -> None:
    optuna = pytest.importorskip("optuna")
    before = optuna.logging.get_verbosity()
    search(get_method("optuna"), made_tables, 5)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_a_sampler_whose_package_is_absent_names_the_extra(made_tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nasbench_rl_baselines.optuna.find_spec",
        lambda name: None if name == "cmaes" else importlib.util.find_spec(name),
    )
    with pytest.raises(MissingExtraError, match=r"'cmaes'.*nasbench-rl\[methods\]"):
        search(get_method("optuna", sampler="cma-es"), made_tables, 3)


@pytest.mark.parametrize(
    ("name", "wrong", "error"),
    [
        ("optuna", {"sampler": "tpee"}, UnknownNameError),
        ("optuna", {"pruner": "medium"}, UnknownNameError),
        ("predictor", {"model": "forest"}, UnknownNameError),
        ("predictor", {"acquisition": "ei"}, UnknownNameError),
        ("predictor", {"ensemble": 1}, InvalidValueError),
        ("predictor", {"batch": 0}, InvalidValueError),
    ],
)
def test_unknown_names_and_sizes_are_refused(name: str, wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        get_method(name, **wrong)
