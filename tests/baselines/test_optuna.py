"""Optuna's samplers and pruners."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support.tables import TWO_BY_SEED
from support.toy_task import searched

from nasbench_rl import get_method, load
from nasbench_rl.errors import MissingExtraError


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "median"),
        ("tpe", "successive-halving"),
        ("tpe", "hyperband"),
        ("cma-es", "none"),
        ("nsga-ii", "none"),
        ("random", "none"),
    ],
)
def test_samplers_and_pruners_repeat_with_the_search_seed(sampler: str, pruner: str, made_tables: Path) -> None:
    method, bench = get_method("optuna", sampler=sampler, pruner=pruner), load(TWO_BY_SEED, tables=made_tables)
    first, again = (searched(method, 6, 5, bench).trajectory() for _ in range(2))
    assert first.equals(again)
    if pruner == "none":
        assert len(first) == 6
    else:
        assert first["arch"].nunique() > 6, "a pruner leaves money for more architectures"


def test_optuna_is_silent_and_its_verbosity_is_put_back(made_tables: Path, capfd: pytest.CaptureFixture[str]) -> None:
    optuna = pytest.importorskip("optuna")
    before = optuna.logging.get_verbosity()
    searched(get_method("optuna"), 5, bench=load(TWO_BY_SEED, tables=made_tables))
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_a_sampler_whose_package_is_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nasbench_rl_baselines.optuna.find_spec",
        lambda name: None if name == "cmaes" else importlib.util.find_spec(name),
    )
    with pytest.raises(MissingExtraError, match=r"'cmaes'.*nasbench-rl\[methods\]"):
        searched(get_method("optuna", sampler="cma-es"), 3)
