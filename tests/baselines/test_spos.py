"""SPOS: uniform paths, the top three by proxy, and the evolution in large spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tables import TWO_BY_SEED, made_return

from nasbench_rl import get_method, load
from nasbench_rl.spaces import Architecture

WHOLE = 1_000_000


def test_trains_its_top_three_and_charges_supernet_and_trainings(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run = bench.start(10 * WHOLE, 2)
    get_method("spos")(run)
    proxies = [made_return(bench.task, arch.name, 1002, 19) for arch in bench.space]
    best = [bench.space[int(i)].name for i in np.argsort(proxies)[::-1][:3]]
    assert [point.arch for point in run.points] == best
    assert run.spent == 4 * WHOLE
    assert str(run.incumbent) == max(run.points, key=lambda point: point.score).arch


def test_evolves_where_a_space_is_too_large_to_list(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    listed, evolved = bench.start(4 * WHOLE, 1), bench.start(4 * WHOLE, 1)
    get_method("spos")(listed)
    get_method("spos", full_search=10)(evolved)
    assert {p.arch for p in evolved.points} == {p.arch for p in listed.points}, "25 points are soon all visited"


def test_lists_no_space_that_it_evolves_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live fit measures nobody then, and the evolution only whom it meets."""
    pytest.importorskip("torch")
    from nasbench_rl.training import supernet

    asked: list[str] = []
    before = supernet.measure_proxies

    def spy(net: Any, task: Any, archs: Any, *rest: Any) -> Any:
        measured = before(net, task, archs, *rest)
        asked.extend(proxy.arch.name for proxy in measured)
        return measured

    monkeypatch.setattr(supernet, "measure_proxies", spy)
    run = load("minatar-ss1/breakout@smoke", mode="live", tables=tmp_path, jobs=1).start(2 * 20_480, 0)
    small = {"population": 2, "generations": 2, "parents": 1, "crossovers": 1}
    get_method("spos", full_search=10, top_k=1, **small)(run)
    assert 1 <= len(asked) == len(set(asked)) <= 4
    assert run.points[-1].arch in asked and run.spent == run.budget


def test_the_evolution_measures_as_many_as_it_says_and_none_twice(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 1)
    asked: list[str] = []

    def proxies_of(archs: list[Architecture]) -> np.ndarray[Any, np.dtype[np.float64]]:
        asked.extend(arch.name for arch in archs)
        return np.array([run.space.index(arch) for arch in archs], dtype=np.float64)

    method: Any = get_method("spos", population=6, generations=3, parents=2, crossovers=3)
    method._evolve(run, proxies_of)
    assert len(asked) == len(set(asked)) == 18
