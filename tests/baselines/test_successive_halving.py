"""Successive halving: rungs, promotions and what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import TWO_BY_SEED

from nasbench_rl import Run, get_method, load
from nasbench_rl.errors import BudgetExhausted, InvalidValueError
from nasbench_rl_baselines._fidelities import bracket_cost, geometric_rungs, most_halvings, nearest_fidelity

WHOLE = 1_000_000


def start(tables: Path, trainings: float, seed: int = 0) -> Run:
    return load(TWO_BY_SEED, tables=tables).start(round(trainings * WHOLE), seed)


def test_rungs_are_the_stored_fidelities_nearest_to_powers_of_eta(made_tables: Path) -> None:
    run = start(made_tables, 1)
    assert most_halvings(run, 3) == 2
    assert geometric_rungs(run, 3, 2) == (100_000, 350_000, WHOLE)
    assert nearest_fidelity(run, 0.25) == 250_000
    with pytest.raises(InvalidValueError, match="part above 0"):
        nearest_fidelity(run, 0.0)


def test_it_promotes_the_best_and_pays_the_difference(made_tables: Path) -> None:
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
