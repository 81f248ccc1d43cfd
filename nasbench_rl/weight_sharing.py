"""A run's view of weight sharing: a supernet or a differentiable search, made live or replayed from its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench_rl.errors import BudgetExhausted, InvalidValueError, MissingCellError, UnsuitedSpaceError, missing_extra
from nasbench_rl.records import PathUpdate
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.task import GameTask

if TYPE_CHECKING:
    from nasbench_rl.benchmark import Benchmark
    from nasbench_rl.run import Run
    from nasbench_rl.supernet_table import OneShot
    from nasbench_rl.training.supernet import FittedSupernet

Floats = np.ndarray[Any, np.dtype[np.float64]]
SamplePath = Callable[[int, np.random.Generator], ArchLike]
"""(number of the update, random draws) → the architecture whose path that update trains."""


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

    def __init__(self, run: Run, benchmark: Benchmark) -> None:
        """Made by ``Run.supernet``.

        Raises:
            UnsuitedSpaceError: the space has no supernet.
        """
        if not isinstance(run.task, GameTask):
            raise UnsuitedSpaceError(f"{run.space.name} has no supernet; those that have: the kernel-choice spaces")
        self.run, self.task, self._bench = run, run.task, benchmark
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
        told: Callable[[PathUpdate], None] | None = None,
        listed: bool = True,
    ) -> None:
        """Fit the supernet over the whole of the task's env steps, and charge them.

        Args:
            sample_path: which path an update trains; None draws uniformly (SPOS).
            told: called with what an update brought, in the updates' order. Live that is once the games that it played
                in are over, so some updates later and for the last ones never. In tabular mode the first ones are never
                told: no proxy is stored of a fit that has not reached the first fidelity.
            listed: measure every architecture at the end. False, for spaces too large to list and for controllers that
                need no proxies, leaves that to ``proxies_of``, and a live supernet is not stored.

        Raises:
            BudgetExhausted: one whole training does not remain; nothing was charged.
            MissingCellError: tabular mode, and no supernet of this task is stored.
        """
        whole = _price(self.run, "a supernet")
        if self._bench.mode == "live" and (sample_path is not None or not listed):
            self.run.charge(whole, self._fit_live(sample_path, told, listed))
            return
        stored = _stored(self.run, self._bench, "supernet")
        if sample_path is not None:
            self._pretend(sample_path, told, stored.proxies)
        self.run.charge(whole, stored.fit_seconds + (stored.final_seconds if listed else 0.0))
        if listed:
            self._proxies = stored.proxies[-1]
        else:
            self._unread = stored

    def proxies(self) -> Floats:
        """(architectures,) proxy score of each, in the space's order: mean return with the shared weights."""
        if self._proxies is None:
            raise InvalidValueError(
                "the supernet is not fitted yet; call fit() first" if self._fitted is None and self._unread is None
                else "the supernet was fitted with listed=False; ask for proxies_of() some architectures"
            )  # fmt: skip
        return self._proxies.copy()

    def proxies_of(self, archs: Sequence[ArchLike]) -> Floats:
        """(n,) proxy scores of some architectures; a supernet that measured none yet measures these alone."""
        if self._unread is not None:
            final: Floats = self._unread.proxies[-1]
            self.run.charge(0, self._unread.final_seconds * len(archs) / len(final))
            read: Floats = final[[self.task.space.index(arch) for arch in archs]]
            return read
        if self._fitted is None or self._proxies is not None:
            return self.proxies()[[self.task.space.index(arch) for arch in archs]]
        from nasbench_rl.training.supernet import measure_proxies

        games, device = self.task.supernet_recipe.final_games, next(self._fitted.supernet.parameters()).device
        seeds, started = self._fitted.proxy_seeds.spawn(1)[0], time.process_time()
        with self._bench.turn():
            measured = measure_proxies(self._fitted.supernet, self.task, archs, games, seeds, device)
        self.run.charge(0, time.process_time() - started)
        return np.array([proxy.mean for proxy in measured])

    def _pretend(self, sample_path: SamplePath, told: Callable[[PathUpdate], None] | None, proxies: Floats) -> None:
        """Run a controller against the stored proxies of the last fidelity that a fit has reached by then."""
        self.run.approximation = (
            f"the controller hears proxies of one of {self.run.replays} stored supernets whose paths "
            "were drawn uniformly, and nothing before their first fidelity; live it would hear what its children "
            "earned in the supernet that it steers"
        )
        recipe, space = self.task.recipe, self.task.space
        steps = recipe.num_envs * recipe.rollout * np.arange(1, recipe.updates + 1)
        reached = np.searchsorted(self.task.fidelities, steps, side="right")  # how many fidelities
        scores = [dict(zip((arch.name for arch in space), row, strict=True)) for row in proxies.tolist()]
        for i, (step, count) in enumerate(zip(steps.tolist(), reached.tolist(), strict=True)):
            arch = space.parse(sample_path(i, self.run.rng)).name
            if told is not None and count:
                told(PathUpdate(i, arch, step, 1.0, scores[count - 1][arch]))

    def _fit_live(
        self, sample_path: SamplePath | None, told: Callable[[PathUpdate], None] | None, listed: bool
    ) -> float:
        """Fit, and measure every architecture if ``listed``; returns the CPU seconds."""
        try:
            from nasbench_rl.training.process import check_device, tune_process
            from nasbench_rl.training.supernet import fit_supernet
        except ImportError as error:
            raise missing_extra(error.name or "torch", "live", "fitting a supernet") from error
        task, device = self.task, self._bench.device
        check_device(device)
        tune_process()
        with self._bench.turn():
            fitted = fit_supernet(
                task, self.run.seed, device, self._bench.on_progress, sample_path, told,
                fidelities=[task.max_fidelity] if listed else [],
            )  # fmt: skip
        self._fitted = fitted
        if not listed:
            return fitted.cpu_seconds
        self._proxies = np.array([proxy.mean for proxy in fitted.points[-1].proxies])
        return fitted.cpu_seconds + fitted.points[-1].proxy_cpu_seconds


def search_by_gradient(run: Run, benchmark: Benchmark) -> Floats:
    """See ``Run.darts``."""
    if not isinstance(run.task, GameTask):
        raise UnsuitedSpaceError(f"{run.space.name} has no mixed operations; those that have: the kernel-choice spaces")
    whole = _price(run, "a differentiable search")
    stored = _stored(run, benchmark, "darts")
    run.charge(whole, stored.fit_seconds)
    final: Floats = stored.proxies[-1]
    return final.copy()


def _price(run: Run, what: str) -> int:
    """One whole training; raises BudgetExhausted when it does not remain."""
    whole = run.task.max_fidelity
    if whole > run.remaining:
        raise BudgetExhausted(f"{what} costs {whole:,} {run.task.fidelity_unit}, {run.remaining:,} remain")
    return whole


class _Stored(NamedTuple):
    """A supernet or search: (fidelities, architectures) scores, CPU seconds of the fit and of the last scores."""

    proxies: Floats
    fit_seconds: float
    final_seconds: float


def _stored(run: Run, benchmark: Benchmark, family: OneShot) -> _Stored:
    """The one of the run's search seed; live mode makes it first."""
    live = benchmark.mode == "live"
    table = benchmark.supernets(run.seed if live else None, family)
    if not len(table.seeds):
        what = "supernet" if family == "supernet" else "differentiable search"
        raise MissingCellError(
            f"no {what} of {run.task.id} is stored; make one: {benchmark.how_to_train(f'--{family} --seeds 1')}, "
            "or search in live mode"
        )
    run.replays = 0 if live else len(table.seeds)
    at = table.seeds.index(run.seed) if live else run.seed % len(table.seeds)
    return _Stored(table.proxies[at], float(table.fit_seconds[at]), float(table.final_seconds[at]))
