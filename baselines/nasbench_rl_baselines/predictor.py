"""A predictor of scores picks what to train next, as in BANANAS.

White, Neiswanger and Savani (2021), https://arxiv.org/abs/1910.11858, Algorithm 1. Notes:
``docs/methods/black_box.md``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError, missing_extra, unknown
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._scores import Scores, draw_untrained
from nasbench_rl_baselines._searching import check_positive

Floats = np.ndarray[Any, np.dtype[Any]]
MODELS = ("tree", "mlp")
ACQUISITIONS = ("thompson", "ucb")
ENUMERABLE = 1000
"""Spaces up to this size are gone through for candidates."""


@dataclass(frozen=True)
class Predictor:
    """Fit the ensemble to all scores so far, train what it promises most, and again.

    Attributes:
        initial: random architectures before the first fit.
        batch: architectures trained between two fits.
        ensemble: predictors.
        model: ``"tree"`` or the paper's ``"mlp"``.
        acquisition: ``"thompson"`` draws each candidate's score from its predicted normal distribution; ``"ucb"`` adds
            ``beta`` standard deviations to the mean.
        beta: of ``"ucb"``.
        mutants: candidates in a space that is too large to go through.
        parents: trained architectures, the best, that the mutants come from.
    """

    initial: int = 3
    batch: int = 1
    ensemble: int = 5
    model: str = "tree"
    acquisition: str = "thompson"
    beta: float = 0.5
    mutants: int = 100
    parents: int = 10

    def __post_init__(self) -> None:
        """Refuse unknown models and sizes that allow no search.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        if find_spec("sklearn") is None:
            raise missing_extra("sklearn", "methods", "the method predictor")
        check_positive(initial=self.initial, batch=self.batch, mutants=self.mutants, parents=self.parents)
        if self.ensemble < 2:
            raise InvalidValueError(f"ensemble={self.ensemble} has no spread; give at least 2")
        if self.model not in MODELS:
            raise unknown("model of predictor", self.model, MODELS)
        if self.acquisition not in ACQUISITIONS:
            raise unknown("acquisition of predictor", self.acquisition, ACQUISITIONS)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when every architecture was trained."""
        scores = Scores(run)
        while scores.goes_on() and len(scores.known) < self.initial:
            scores(draw_untrained(run, scores.known))
        while scores.goes_on():
            candidates = self._candidates(run, scores)
            predicted = self._predict(run, scores, candidates)
            mean, spread = predicted.mean(axis=0), predicted.std(axis=0, ddof=1)
            weight: Any = run.rng.standard_normal(len(mean)) if self.acquisition == "thompson" else self.beta
            for at in np.argsort(-(mean + weight * spread), kind="stable")[: self.batch]:
                scores(candidates[int(at)])

    def _candidates(self, run: Run, scores: Scores) -> list[Architecture]:
        if scores.size <= ENUMERABLE:
            found = [arch for arch in run.space if arch.name not in scores.known]
        else:
            best = sorted(scores.known, key=lambda name: scores.reward(run.space.parse(name)), reverse=True)
            near = [run.space.neighbours(parent) for parent in best[: self.parents]]
            each = -(-self.mutants // len(near))
            mutants = [some[int(i)] for some in near for i in run.rng.integers(len(some), size=each)]
            found = [arch for arch in dict.fromkeys(mutants) if arch.name not in scores.known]
            found = found or [draw_untrained(run, scores.known)]
        return [found[int(i)] for i in run.rng.permutation(len(found))]  # equal promises are broken at random

    def _predict(self, run: Run, scores: Scores, candidates: list[Architecture]) -> Floats:
        """Return (ensemble, candidates) predicted rewards."""
        trained = [run.space.parse(name) for name in scores.known]
        x = np.stack([run.space.encode(arch).ravel() for arch in trained])
        y = np.array([scores.reward(arch) for arch in trained])
        ahead = np.stack([run.space.encode(arch).ravel() for arch in candidates])
        fit = self._tree if self.model == "tree" else self._network
        return np.stack([fit(x, y, ahead, run.rng) for _ in range(self.ensemble)])

    def _tree(self, x: Floats, y: Floats, ahead: Floats, rng: np.random.Generator) -> Floats:
        """Return a tree on a bootstrap sample."""
        sklearn, sample = _scikit_learn(), rng.integers(len(y), size=len(y))
        with sklearn.config_context(skip_parameter_validation=True):  # costs as much as the fit does
            model = sklearn.tree.DecisionTreeRegressor(random_state=int(rng.integers(2**31)))
            model.fit(x[sample], y[sample], check_input=False)
            return np.asarray(model.predict(ahead, check_input=False))

    def _network(self, x: Floats, y: Floats, ahead: Floats, rng: np.random.Generator) -> Floats:
        """Return the paper's network; its ensemble differs by the initialisation alone."""
        model = _scikit_learn().neural_network.MLPRegressor(
            hidden_layer_sizes=(20,) * 10, learning_rate_init=0.01, random_state=int(rng.integers(2**31))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a network that has not converged is still an estimate
            return np.asarray(model.fit(x, y).predict(ahead))


def _scikit_learn() -> Any:
    import sklearn
    import sklearn.neural_network
    import sklearn.tree

    return sklearn
