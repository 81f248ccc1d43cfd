"""A run's view of weight sharing: a supernet or a differentiable search, made live or replayed from its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from nasbench_rl.benchmark.budget import Budget
from nasbench_rl.errors import BudgetExhausted, InvalidValueError, MissingCellError
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.one_shot_scores import OneShot, OneShotScores
from nasbench_rl.tables.results import PathUpdate
from nasbench_rl.task import Task
from nasbench_rl.task.games import with_weight_sharing

Floats = np.ndarray[Any, np.dtype[np.float64]]
SamplePath = Callable[[int, np.random.Generator], ArchLike]
"""(number of the update, random draws) → the architecture whose path that update trains."""
OnUpdate = Callable[[PathUpdate], None]


class FreshSupernet(Protocol):
    """A supernet that was fitted for one run and is not stored.

    Attributes:
        proxies: (architectures,) proxy scores; None where they were not asked for.
        cpu_seconds: of the fit, and of these proxies.
    """

    proxies: Floats | None
    cpu_seconds: float

    def measure(self, archs: Sequence[ArchLike]) -> tuple[Floats, float]:
        """Return (n,) proxy scores, measured now, and the CPU seconds that it took."""


class OneShotSource(Protocol):
    """What weight sharing needs of a benchmark; see ``Benchmark``."""

    @property
    def trains(self) -> bool:
        """Whether it trains what it lacks."""

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> OneShotScores:
        """Return what is stored; fits that of ``seed`` first where it trains."""

    def fit_supernet(
        self, seed: int, sample_path: SamplePath | None, on_update: OnUpdate | None, score_all: bool
    ) -> FreshSupernet:
        """Fit one that is not stored."""

    def how_to_train(self, options: str) -> str:
        """Return the command that trains what is missing."""


class WeightSharing:
    """One supernet of a run. ``fit`` it once, then read the ``proxies`` of all architectures, or ``proxies_of`` some.

    Fitting with uniform paths depends on nothing that it finds, so in tabular mode it is replayed exactly: search seed
    s takes the stored supernet s modulo their number. Fitting with a controller's paths cannot be replayed: in tabular
    mode the controller gets the stored proxies instead, and nothing before the fit has reached the first of them: an
    approximation that reports have to name.

    The fit's env steps are charged. Proxies only play games, which the RL-agents paper calls "negligible to the time
    of training" (section 5.3), and charged no env steps as there; ``docs/budget.md`` has how many they take. Only
    proxies that the search reads add to its CPU seconds, live or tabular. Arrays that a call returns are the caller's
    own.

    Attributes:
        approximation: see ``Run``.
        replays: see ``Run``.
    """

    def __init__(
        self, budget: Budget, benchmark: OneShotSource, task: Task, seed: int, rng: np.random.Generator,
        family: OneShot = "supernet",
    ) -> None:  # fmt: skip
        """Made by ``Run.supernet`` and ``Run.darts``.

        Raises:
            UnsuitedSpaceError: the space has no such network.
        """
        self.task = with_weight_sharing(task, "supernet" if family == "supernet" else "mixed operations")
        self.approximation, self.replays = "", 0
        self._budget, self._bench, self._seed, self._rng, self._family = budget, benchmark, seed, rng, family
        self._proxies: Floats | None = None
        self._unread: _Stored | None = None
        self._fitted: FreshSupernet | None = None

    @property
    def updates(self) -> int:
        """PPO updates in a whole fit."""
        return self.task.recipe.updates

    def fit(
        self, sample_path: SamplePath | None = None, on_update: OnUpdate | None = None, score_all: bool = True
    ) -> None:
        """Fit the supernet over the whole of the task's env steps, and charge them.

        Args:
            sample_path: which path an update trains; None draws uniformly (SPOS).
            on_update: called with what an update brought, in the updates' order. Live that is once the games that it
                played in are over, so some updates later and for the last ones never. In tabular mode the first ones
                are never reported: no proxy is stored of a fit that has not reached the first fidelity.
            score_all: measure every architecture at the end. False, for spaces too large to list and for controllers
                that need no proxies, leaves that to ``proxies_of``, and a live supernet is not stored.

        Raises:
            BudgetExhausted: one whole training does not remain; nothing was charged.
            MissingCellError: tabular mode, and no supernet of this task is stored.
        """
        whole = self._price("a supernet")
        if self._bench.trains and (sample_path is not None or not score_all):
            self._fitted = self._bench.fit_supernet(self._seed, sample_path, on_update, score_all)
            self._proxies = self._fitted.proxies
            self._budget.charge(whole, self._fitted.cpu_seconds)
            return
        stored = self._stored()
        if sample_path is not None:
            self._replay_controller(sample_path, on_update, stored.proxies)
        self._budget.charge(whole, stored.fit_seconds + (stored.final_seconds if score_all else 0.0))
        if score_all:
            self._proxies = stored.proxies[-1]
        else:
            self._unread = stored

    def proxies(self) -> Floats:
        """Return (architectures,) proxy scores in the space's order: mean returns with the shared weights."""
        if self._proxies is None:
            raise InvalidValueError(
                "the supernet is not fitted yet; call fit() first" if self._fitted is None and self._unread is None
                else "the supernet was fitted with score_all=False; ask for proxies_of() some architectures"
            )  # fmt: skip
        return self._proxies.copy()

    def proxies_of(self, archs: Sequence[ArchLike]) -> Floats:
        """Return (n,) proxy scores of some architectures; a supernet that measured none yet measures only these."""
        if self._unread is not None:
            final: Floats = self._unread.proxies[-1]
            self._budget.charge(0, self._unread.final_seconds * len(archs) / len(final))
            read: Floats = final[[self.task.space.index(arch) for arch in archs]]
            return read
        if self._fitted is None or self._proxies is not None:
            return self.proxies()[[self.task.space.index(arch) for arch in archs]]
        measured, cpu_seconds = self._fitted.measure(archs)
        self._budget.charge(0, cpu_seconds)
        return measured

    def search_by_gradient(self) -> Floats:
        """See ``Run.darts``."""
        whole = self._price("a differentiable search")
        stored = self._stored()
        self._budget.charge(whole, stored.fit_seconds)
        final: Floats = stored.proxies[-1]
        return final.copy()

    def _price(self, what: str) -> int:
        """Return the price of one whole training; raise BudgetExhausted when it does not remain."""
        whole = self.task.max_fidelity
        if whole > self._budget.remaining:
            raise BudgetExhausted(f"{what} costs {whole:,} {self._budget.unit}, {self._budget.remaining:,} remain")
        return whole

    def _replay_controller(self, sample_path: SamplePath, on_update: OnUpdate | None, proxies: Floats) -> None:
        """Run a controller against the stored proxies of the last fidelity that a fit has reached by then."""
        self.approximation = (
            f"the controller hears proxies of one of {self.replays} stored supernets whose paths "
            "were drawn uniformly, and nothing before their first fidelity; live it would hear what its children "
            "earned in the supernet that it steers"
        )
        recipe, space = self.task.recipe, self.task.space
        steps = recipe.num_envs * recipe.rollout * np.arange(1, recipe.updates + 1)
        reached = np.searchsorted(self.task.fidelities, steps, side="right")  # how many fidelities
        scores = [dict(zip((arch.name for arch in space), row, strict=True)) for row in proxies.tolist()]
        for i, (step, count) in enumerate(zip(steps.tolist(), reached.tolist(), strict=True)):
            arch = space.parse(sample_path(i, self._rng)).name
            if on_update is not None and count:
                on_update(PathUpdate(i, arch, step, 1.0, scores[count - 1][arch]))

    def _stored(self) -> _Stored:
        """Return the stored supernet or search of the run's search seed; live mode makes it first."""
        table = self._bench.supernets(self._seed, self._family)
        if not len(table.seeds):
            what = "supernet" if self._family == "supernet" else "differentiable search"
            raise MissingCellError(
                f"no {what} of {self.task.id} is stored; make one: "
                f"{self._bench.how_to_train(f'--{self._family} --seeds 1')}, or search in live mode"
            )
        self.replays = 0 if self._bench.trains else len(table.seeds)
        at = table.seeds.index(self._seed) if self._bench.trains else self._seed % len(table.seeds)
        return _Stored(table.proxies[at], float(table.fit_seconds[at]), float(table.final_seconds[at]))


class _Stored(NamedTuple):
    """A supernet or search: (fidelities, architectures) scores, CPU seconds of the fit and of the last scores."""

    proxies: Floats
    fit_seconds: float
    final_seconds: float
