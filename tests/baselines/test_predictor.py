"""Predictor (BANANAS): an ensemble fitted to the scores so far says what is trained next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tables import TWO_BY_SEED
from support.toy_task import ToyBenchmark, searched

from nasbench_rl import get_method, load
from nasbench_rl.benchmark.method import Method

sklearn = pytest.importorskip("sklearn")

from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines.predictor import Predictor


def mean_score(method: Method, tables: Path, trainings: int, seeds: int = 30) -> float:
    bench = load(TWO_BY_SEED, tables=tables)
    found = (searched(method, trainings, seed, bench).incumbent for seed in range(seeds))
    return float(np.mean([bench.query(arch).score for arch in found if arch is not None]))


@pytest.mark.parametrize(
    ("name", "options"), [("predictor", {}), ("predictor", {"acquisition": "ucb"}), ("optuna", {})]
)
def test_a_model_beats_random_search_where_scores_follow_the_choices(
    name: str, options: dict[str, Any], made_tables: Path
) -> None:
    random = mean_score(get_method("random_search"), made_tables, 8)
    assert mean_score(get_method(name, **options), made_tables, 8) > random


def test_it_trains_what_the_ensemble_promises_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose predictions are the scores: after three random draws the best are trained in their order."""
    bench = ToyBenchmark()

    def predict(self: Predictor, run: Any, scores: Scores, candidates: Any) -> Any:
        known = np.array([bench.query(arch).score for arch in candidates])
        return np.stack([known, known])

    monkeypatch.setattr(Predictor, "_predict", predict)
    points = searched(Predictor(batch=2, ensemble=2), 9, bench=bench).points
    drawn = {point.arch for point in points[:3]}
    others = sorted((bench.query(arch).score for arch in bench.space if arch.name not in drawn), reverse=True)
    assert [point.score for point in points[3:]] == others[:6]


def test_its_network_is_the_papers(made_tables: Path) -> None:
    run = searched(get_method("predictor", model="mlp"), 4, bench=load(TWO_BY_SEED, tables=made_tables))
    assert len(run.points) == 4 and run.trajectory()["arch"].is_unique
