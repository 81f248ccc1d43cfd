"""A run's view of weight sharing: a supernet or a differentiable search, made live or replayed from its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from nasbench_rl.budget import Budget
from nasbench_rl.errors import InvalidValueError, MissingCellError, UnsuitedSpaceError, missing_extra
from nasbench_rl.records import PathUpdate
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.supernet_table import OneShot, SupernetScores
from nasbench_rl.task import GameTask, Task

if TYPE_CHECKING:
    from nasbench_rl.training.supernet import FittedSupernet

Floats = np.ndarray[Any, np.dtype[np.float64]]
OnUpdate = Callable[[PathUpdate], None]
SamplePath = Callable[[int, np.random.Generator], ArchLike]
"""(number of the update, random draws) → the architecture whose path that update trains."""


class _Stored(NamedTuple):
    """A supernet or search: (fidelities, architectures) scores, CPU seconds of the fit and of the last scores."""

    proxies: Floats
    fit_seconds: float
    final_seconds: float


class OneShotSource(Protocol):
    """What weight sharing needs of a benchmark; see ``Benchmark``."""

    task: Task
    device: str
    trains: bool

    def supernets(self, seed: int | None = None, family: OneShot = "supernet") -> SupernetScores: ...  # noqa: D102

    def how_to_train(self, options: str) -> str: ...  # noqa: D102

    def training_slot(self) -> AbstractContextManager[None]: ...  # noqa: D102

    def training_progress(self) -> Callable[[int], None] | None: ...  # noqa: D102


class WeightSharing:
    """One supernet of a run. ``fit`` it once, then read the ``proxies`` of all architectures, or ``proxies_of`` some.

    Fitting with uniform paths depends on nothing that it finds, so in tabular mode it is replayed exactly: search seed
    s takes the stored supernet s modulo their number. Fitting with a controller's paths cannot be replayed: in tabular
    mode the controller is told the stored proxies instead, and nothing before the fit has reached the first of them: an
    approximation that reports have to name.

    The fit's env steps are charged. Proxies are inference alone, which the RL-agents paper calls "negligible to the
    time of training" (section 5.3), and charged no env steps as there; ``docs/budget.md`` has how many they take. The
    CPU seconds of those that the search reads are counted, and no others, whether they are measured now or were when
    the table was made (which also has those of earlier fidelities). Arrays that a call returns are the caller's own.
    """

    def __init__(self, budget: Budget, benchmark: OneShotSource, seed: int, rng: np.random.Generator) -> None:
        """Made by ``Run.supernet``.

        Raises:
            UnsuitedSpaceError: the space has no supernet.
        """
        task = benchmark.task
        if not isinstance(task, GameTask):
            raise UnsuitedSpaceError(
                f"{task.space.name} has no supernet and no mixed operations; those that have: the kernel-choice spaces"
            )
        self.task, self.seed = task, seed
        self.approximation, self.replays = "", 0
        self._budget, self._bench, self._rng = budget, benchmark, rng
        self._proxies: Floats | None = None
        self._unread: _Stored | None = None
        self._fitted: FittedSupernet | None = None

    @property
    def updates(self) -> int:
        """PPO updates in a whole fit."""
        return self.task.recipe.updates

    def fit(
        self,
        sample_path: SamplePath | None = None,
        on_update: OnUpdate | None = None,
        score_all: bool = True,
    ) -> None:
        """Fit the supernet over the whole of the task's env steps, and charge them.

        Args:
            sample_path: which path an update trains; None draws uniformly (SPOS).
            on_update: called with the result of each update, in order. Live, a result is known once the games of the
                update are over: some updates later, and never for the last ones. In tabular mode the first updates have
                no result: no proxy is stored of a fit that has not reached the first fidelity.
            score_all: measure every architecture at the end. False, for spaces too large to list and for controllers
                that need no proxies, leaves that to ``proxies_of``; a live supernet is then not stored.

        Raises:
            BudgetExhausted: one whole training does not remain; nothing was charged.
            MissingCellError: tabular mode, and no supernet of this task is stored.
        """
        whole = self._price("a supernet")
        if self._bench.trains and (sample_path is not None or not score_all):
            self._budget.charge(whole, self._fit_live(sample_path, on_update, score_all))
            return
        stored = self._stored("supernet")
        if sample_path is not None:
            self._replay_controller(sample_path, on_update, stored.proxies)
        self._budget.charge(whole, stored.fit_seconds + (stored.final_seconds if score_all else 0.0))
        if score_all:
            self._proxies = stored.proxies[-1]
        else:
            self._unread = stored

    def proxies(self) -> Floats:
        """(architectures,) proxy score of each, in the space's order: mean return with the shared weights."""
        if self._proxies is None:
            raise InvalidValueError(
                "the supernet is not fitted yet; call fit() first" if self._fitted is None and self._unread is None
                else "the supernet was fitted with score_all=False; ask for proxies_of() some architectures"
            )  # fmt: skip
        return self._proxies.copy()

    def proxies_of(self, archs: Sequence[ArchLike]) -> Floats:
        """(n,) proxy scores of some architectures; a supernet that measured none yet measures these alone."""
        if self._unread is not None:
            final: Floats = self._unread.proxies[-1]
            self._budget.charge(0, self._unread.final_seconds * len(archs) / len(final))
            read: Floats = final[[self.task.space.index(arch) for arch in archs]]
            return read
        if self._fitted is None or self._proxies is not None:
            return self.proxies()[[self.task.space.index(arch) for arch in archs]]
        from nasbench_rl.training.supernet import measure_proxies

        games, device = self.task.supernet_recipe.final_games, next(self._fitted.supernet.parameters()).device
        seeds, started = self._fitted.proxy_seeds.spawn(1)[0], time.process_time()
        with self._bench.training_slot():
            measured = measure_proxies(self._fitted.supernet, self.task, archs, games, seeds, device)
        self._budget.charge(0, time.process_time() - started)
        return np.array([proxy.mean for proxy in measured])

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

    def _fit_live(self, sample_path: SamplePath | None, on_update: OnUpdate | None, score_all: bool) -> float:
        """Fit, and measure every architecture if ``score_all``; returns the CPU seconds."""
        try:
            from nasbench_rl.training.process import check_device, tune_process
            from nasbench_rl.training.supernet import fit_supernet
        except ImportError as error:
            raise missing_extra(error.name or "torch", "live", "fitting a supernet") from error
        task, device = self.task, self._bench.device
        check_device(device)
        tune_process()
        with self._bench.training_slot():
            fitted = fit_supernet(
                task, self.seed, device, self._bench.training_progress(), sample_path, on_update,
                fidelities=[task.max_fidelity] if score_all else [],
            )  # fmt: skip
        self._fitted = fitted
        if not score_all:
            return fitted.cpu_seconds
        self._proxies = np.array([proxy.mean for proxy in fitted.points[-1].proxies])
        return fitted.cpu_seconds + fitted.points[-1].proxy_cpu_seconds

    def search_by_gradient(self) -> Floats:
        """See ``Run.darts``."""
        whole = self._price("a differentiable search")
        stored = self._stored("darts")
        self._budget.charge(whole, stored.fit_seconds)
        final: Floats = stored.proxies[-1]
        return final.copy()

    def _price(self, what: str) -> int:
        """Return the cost of one whole training; raise BudgetExhausted if it does not remain."""
        whole = self.task.max_fidelity
        self._budget.check(whole, what)
        return whole

    def _stored(self, family: OneShot) -> _Stored:
        """Return the supernet or search of the run's search seed; live mode makes it first."""
        trains = self._bench.trains
        table = self._bench.supernets(self.seed if trains else None, family)
        if not len(table.seeds):
            what = "supernet" if family == "supernet" else "differentiable search"
            raise MissingCellError(
                f"no {what} of {self.task.id} is stored; make one: "
                f"{self._bench.how_to_train(f'--{family} --seeds 1')}, or search in live mode"
            )
        self.replays = 0 if trains else len(table.seeds)
        at = table.seeds.index(self.seed) if trains else self.seed % len(table.seeds)
        return _Stored(table.proxies[at], float(table.fit_seconds[at]), float(table.final_seconds[at]))
