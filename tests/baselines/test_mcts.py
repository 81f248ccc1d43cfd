from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import DEEP, TWO_BY_SEED

from nasbench_rl import get_method, load
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines.mcts import Mcts, _Node

WHOLE = 1_000_000


@pytest.mark.parametrize("task", [TWO_BY_SEED, DEEP])
def test_the_whole_tree_is_closed_once_every_architecture_is_trained_once(task: str, made_tables: Path) -> None:
    run = load(task, tables=made_tables).start(1000 * WHOLE, seed=0)
    get_method("mcts")(run)
    assert sorted(run.trajectory()["arch"]) == sorted(arch.name for arch in run.space)


def test_every_choice_is_tried_before_any_is_tried_again(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(5 * WHOLE, seed=3)
    get_method("mcts")(run)
    assert sorted(arch[:2] for arch in run.trajectory()["arch"]) == ["k1", "k2", "k3", "k4", "k5"]


def test_upper_confidence_bounds_are_ucb1(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(10 * WHOLE, seed=0)
    scores = Scores(run)
    scores.scale.see(0.0)
    scores.scale.see(10.0)
    often, rarely = _Node(visits=8, scored=8, total=56.0), _Node(visits=2, scored=2, total=10.0)
    parent = _Node(visits=10, children={0: often, 1: rarely})
    # means 0.7 and 0.5; √2 √(ln 10 / 8) = 0.76 and √2 √(ln 10 / 2) = 1.52
    assert Mcts()._best(parent, scores) == 1
    assert Mcts(exploration=0.1)._best(parent, scores) == 0
    often.closed = True
    assert Mcts(exploration=0.1)._best(parent, scores) == 1
