"""The frozen records that cross the public interface."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from nasbench_rl.task.splits import Split as Split

Source = Literal["table", "surrogate", "live", "invalid"]
SOURCES: tuple[Source, ...] = ("table", "surrogate", "live", "invalid")
Resource = Literal["params", "flops", "latency"]
RESOURCES: tuple[Resource, ...] = ("params", "flops", "latency")
"""What an architecture costs to use: parameters, operations of a forward pass, seconds of one (batch 1, one core)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an evaluation cost when it was trained.

    Attributes:
        amount: training effort in ``unit``, summed over nothing: one training.
        unit: ``"env_steps"`` or ``"epochs"``.
        cpu_seconds: CPU seconds of one training on the machine named in the table, mean over the seeds read.
    """

    amount: int
    unit: Literal["env_steps", "epochs"]
    cpu_seconds: float

    @property
    def env_steps(self) -> int | None:
        """``amount`` where it is counted in env steps, else None."""
        return self.amount if self.unit == "env_steps" else None

    @property
    def epochs(self) -> int | None:
        """``amount`` where it is counted in epochs, else None."""
        return self.amount if self.unit == "epochs" else None


def _same_nan(value: float) -> float:
    """NaN as one object: records are compared as tuples, where it equals itself and no other NaN."""
    return math.nan if value != value else value


class Metrics(Mapping[str, float]):
    """A dictionary that cannot be changed, so that a cached record cannot; it is hashed, copied and pickled with it."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float]) -> None:
        """``values``: score by metric."""
        self._values = {name: _same_nan(value) for name, value in values.items()}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a network scores.

    Attributes:
        task: task id, ``"<space>/<environment>@<recipe>"``.
        arch: the architecture's canonical string.
        fidelity: training effort in the task's unit (env steps or epochs).
        split: ``"validation"`` (what searches see) or ``"test"`` (what reports use).
        seeds: the train seeds averaged over.
        score: mean of the metric over ``seeds``.
        score_std: sample standard deviation over ``seeds``, NaN for one seed; of a guess, over the ensemble's models.
        metrics: every stored metric, each the mean over ``seeds``.
        cost: cost of one training to ``fidelity``.
        params: trainable parameters.
        flops: floating point operations of one forward pass of one observation (2 x multiply-accumulates).
        source: ``"table"``, ``"surrogate"`` (a guess, never a measurement), ``"live"``, or ``"invalid"``: an NSC
            network that does not exist because a map vanishes. It scores 0, and its cost, params and flops are 0.
        metric: what ``score`` is of; ``"return_eval"`` where a table with one train seed tests on fresh games.
    """

    task: str
    arch: str
    fidelity: int
    split: Split
    seeds: tuple[int, ...]
    score: float
    score_std: float
    metrics: Mapping[str, float]
    cost: Cost
    params: int
    flops: int
    source: Source
    metric: str = ""

    def __post_init__(self) -> None:
        """Freeze the mapping too, and make two answers of one cell equal where they have a NaN."""
        object.__setattr__(self, "metrics", Metrics(self.metrics))
        object.__setattr__(self, "score", _same_nan(self.score))
        object.__setattr__(self, "score_std", _same_nan(self.score_std))

    def __repr__(self) -> str:
        spread = "" if self.score_std != self.score_std else f" ± {self.score_std:.3g}"
        unit = self.cost.unit.replace("_", " ")
        what = f" ({self.metric})" if self.metric else ""
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        seeds = ", ".join(map(str, self.seeds))
        origin = "no such network" if self.source == "invalid" else f"from {self.source}"
        return (
            f"Evaluation({self.task} {self.arch}: {self.split} score {self.score:.4g}{spread}{what} "
            f"at {self.fidelity:,} {unit}, seeds ({seeds}); {metrics}; "
            f"{self.params:,} params, {self.flops:,} FLOPs, {self.cost.cpu_seconds:,.0f} CPU s; {origin})"
        )


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """One evaluation of a run.

    Attributes:
        spent: budget spent after it, in the task's unit.
        cpu_seconds: CPU seconds those trainings took, or would have taken, after it.
        arch: canonical string of what was evaluated.
        fidelity: at what training effort.
        seed: the validation train seed drawn; −1 for an NSC network that does not exist.
        score: the validation score seen.
        incumbent: canonical string of the best architecture so far by validation score.
        source: whether ``score`` was measured (``"table"``, ``"live"``), guessed (``"surrogate"``), or is the 0 of an
            NSC network that does not exist (``"invalid"``).
    """

    spent: int
    cpu_seconds: float
    arch: str
    fidelity: int
    seed: int
    score: float
    incumbent: str
    source: Source = "table"


@dataclass(frozen=True, slots=True)
class PathUpdate:
    """What one update of a supernet brought, for a controller that learns from it.

    Attributes:
        index: number of the update, from 0.
        arch: canonical string of the architecture whose path was trained.
        env_steps: env steps of the fit up to the end of this update.
        games: games played in it; one that several updates played counts for each by its share of the game's steps. 1
            in tabular mode.
        return_mean: raw reward earned in the update over ``games``: the mean undiscounted, unclipped return of its own
            play. In tabular mode the stored proxy score of the architecture at the last fidelity that the fit has
            reached, of a uniformly fitted supernet, an approximation.
    """

    index: int
    arch: str
    env_steps: int
    games: float
    return_mean: float
