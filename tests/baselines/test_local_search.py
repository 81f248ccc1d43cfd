"""Local search: it climbs to a local optimum, then starts anew elsewhere."""

from __future__ import annotations

import pytest
from support.toy_task import BEST, ToyBenchmark, searched

from nasbench_rl_baselines.local_search import LocalSearch


def test_it_climbs_to_the_best_of_a_space_with_one_optimum() -> None:
    for seed in range(5):
        run = searched(LocalSearch(), 25, seed)
        names = [point.arch for point in run.points]
        assert len(set(names)) == len(names) == 25, "it starts again elsewhere until all are trained"
        best = run.space.parse(BEST).name
        assert names.index(best) < 17, "before the optimum it meets four neighbourhoods of a 5 x 5 space at most"


@pytest.mark.parametrize("first", [False, True])
def test_it_moves_to_the_best_neighbour_or_to_the_first_that_is_better(first: bool) -> None:
    bench = ToyBenchmark()
    near = {arch.name: bench.space.neighbours(arch) for arch in bench.space}
    run = searched(LocalSearch(query_until_better=first), 25, 3, bench)
    start, *rest = run.points
    better = [i for i, point in enumerate(rest) if point.score > start.score]
    seen = {point.arch for point in rest[: better[0] + 1]}
    whole = {arch.name for arch in near[start.arch]}
    assert seen <= whole
    expected = 1 if first else len(whole)
    assert len({point.arch for point in rest[:expected]} & whole) == expected
    if first:  # it has moved on: what follows is next to the better one
        moved = rest[better[0]].arch
        assert rest[better[0] + 1].arch in {arch.name for arch in near[moved]}
