"""Regularized evolution: the oldest dies, tournaments choose the parents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.toy_task import searched

from nasbench_rl.spaces import KernelSpace
from nasbench_rl_baselines.regularized_evolution import RegularizedEvolution


def test_the_oldest_dies_and_not_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Algorithm 1 of Real et al.: a parent is one of the last ``population`` births, the best of its tournament."""
    parents: list[str] = []
    mutate = KernelSpace.mutate

    def noted(space: KernelSpace, parent: Any, rng: np.random.Generator) -> Any:
        parents.append(parent.name)
        return mutate(space, parent, rng)

    monkeypatch.setattr(KernelSpace, "mutate", noted)
    run = searched(RegularizedEvolution(population=4, tournament=60), 40)
    births = [(point.arch, point.score) for point in run.points]
    assert len(births) == 40 and len(parents) == 36
    best_ever = 0
    for i, parent in enumerate(parents):
        alive = births[i : i + 4]
        assert parent in {arch for arch, score in alive if score == max(score for _, score in alive)}
        best_ever += max(score for _, score in alive) < max(score for _, score in births[: i + 4])
    assert best_ever, "at times the best so far has died of age"
