"""Hyperband: its brackets, and draws that are distinct as long as there are new ones."""

from __future__ import annotations

from pathlib import Path

from support.tables import TWO_BY_SEED

from nasbench_rl import Run, get_method, load
from nasbench_rl_baselines._fidelities import draw_bracket

WHOLE = 1_000_000


def start(tables: Path, trainings: float, seed: int = 0) -> Run:
    return load(TWO_BY_SEED, tables=tables).start(round(trainings * WHOLE), seed)


def test_it_runs_brackets_of_nine_five_and_three(made_tables: Path) -> None:
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
