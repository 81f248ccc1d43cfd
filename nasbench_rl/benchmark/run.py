"""One search: it charges the budget, draws the noise, logs every evaluation and knows the incumbent."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np

from nasbench_rl._utils.numeric import whole_number
from nasbench_rl.benchmark.budget import Budget, TrainingLedger
from nasbench_rl.benchmark.run_protocols import Inheritance, RunBenchmark
from nasbench_rl.benchmark.weight_sharing import WeightSharing
from nasbench_rl.errors import (
    BudgetExhausted,
    InvalidValueError,
    MissingCellError,
    NotEnumerableError,
    TestDataError,
    UncopiedError,
    check_whole,
)
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.tables.one_shot_scores import OneShot
from nasbench_rl.tables.results import Evaluation, Resource, Split, TrajectoryPoint
from nasbench_rl.task import Task

if TYPE_CHECKING:
    import gymnasium
    import pandas as pd

_METHOD, _NOISE = 0, 1
"""Spawn keys: a method's own randomness and the order of the validation seeds never share a stream."""


class Run:
    """One search on one task, as a method sees it.

    A run is neither copied nor pickled, because its copy would search for free. Arrays and frames that it returns are
    the caller's own.

    Attributes:
        task: the task.
        space: its search space.
        seed: the search seed.
        rng: the method's own random generator.
        budget: what may be spent, in ``task.fidelity_unit``.
        points: every evaluation, in order.
    """

    def __init__(self, benchmark: RunBenchmark, budget: int, seed: int) -> None:
        """Made by ``Benchmark.start``.

        Raises:
            InvalidValueError: a budget below 1, a negative seed, or more than a file of results holds.
        """
        unit, whole = benchmark.task.fidelity_unit, f"one whole training is {benchmark.task.max_fidelity:,}"
        budget = whole_number("budget", budget, f"at least 1 of {unit}, {whole}", least=1)
        seed = whole_number("search seed", seed, "0, 1, 2, …", least=0)
        check_whole("budget", budget, 1)
        check_whole("search seed", seed)
        self._benchmark = benchmark
        self.task: Task = benchmark.task
        self.space: SearchSpace = benchmark.task.space
        self.seed, self.budget = seed, budget
        self._budget = Budget(budget, unit)
        self.rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_METHOD,)))
        self.points: list[TrajectoryPoint] = []
        self._approximation = ""
        self._sharing: list[WeightSharing] = []
        self._trainings: dict[str, TrainingLedger] = {}
        self._incumbent: Architecture | None = None
        self._best_score: tuple[int, float] = (-1, -math.inf)
        self._validation_seeds = benchmark.train_seeds("validation")
        if not self._validation_seeds:
            raise MissingCellError(
                f"{self.task.id} has no validation train seed to search on (train seed 0, or one that every "
                f"architecture has); train one: {benchmark.how_to_train('--seeds 1')}"
            )
        self._inheritance: Inheritance | None = None

    @property
    def spent(self) -> int:
        """Budget spent so far, in the task's unit."""
        return self._budget.spent

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds that the evaluated trainings took when they were made."""
        return self._budget.cpu_seconds

    @property
    def remaining(self) -> int:
        """Budget left, in the task's unit."""
        return self._budget.remaining

    @property
    def approximation(self) -> str:
        """What a stored table put in the place of the real thing, in a sentence; see ``name_approximation``.

        Empty where every score is that of the training which the method asked for. Reports name it.
        """
        return next((s.approximation for s in reversed(self._sharing) if s.approximation), self._approximation)

    def name_approximation(self, sentence: str) -> None:
        """Say what a method put in the place of the real thing, for reports."""
        self._approximation = sentence

    @property
    def replays(self) -> int:
        """How many stored outcomes there are of which this run replays, or learns from, that of its search seed.

        It is the one of the seed modulo their number; 0 for none. No more runs than these are independent.
        """
        return next((s.replays for s in reversed(self._sharing) if s.replays), 0)

    @property
    def incumbent(self) -> Architecture | None:
        """The best architecture so far by mean validation score at the highest fidelity evaluated; None before any."""
        return self._incumbent

    def evaluate(
        self,
        arch: ArchLike,
        fidelity: int | None = None,
        *,
        inherit: ArchLike | None = None,
        split: Split = "validation",
    ) -> float:
        """Return the validation score of one training, charged to the budget.

        A first evaluation trains with the first validation seed. Raising the fidelity goes on with the same training
        and charges the difference. Evaluating again at a fidelity already paid for trains anew with the next
        validation seed, and is free once every seed is paid for. Which seed comes when depends on (search seed,
        architecture, visit) alone.

        Args:
            arch: anything ``space.parse`` takes.
            fidelity: training effort in the task's unit; None is the whole training.
            inherit: an architecture that this run has trained wholly, or by inheritance: ``arch`` begins with its
                weights, transformed so that the function is kept where that is possible (``Task.keeps_function``), and
                is trained for ``fidelity``, which is charged each time. Live mode alone can do that; its scores are no
                cells of the table and are not stored. Tabular mode gives the score of a training from scratch of that
                length, an **approximation** that a method has to name.
            split: only ``"validation"``; a search that asks for the test split gets an error.

        Returns:
            The score; NaN when no game had finished at that fidelity; 0 for an NSC network that does not exist because
            a map vanishes. Nothing is trained for it, but the smallest fidelity is charged, so that a search which
            proposes nothing else comes to an end.

        Raises:
            BudgetExhausted: more than ``remaining``, or ``FREE_IN_A_ROW`` evaluations one after the other that cost
                nothing; nothing was charged.
            TestDataError: the test split was asked for.
            InvalidArchitectureError: no architecture of the space.
            InvalidValueError: the fidelity is not stored; nothing was charged.
            MissingCellError: tabular mode, and the cell was never trained; nothing was charged.
        """
        if split != "validation":
            raise TestDataError(f"a search sees the validation split only, not {split!r}; reports read the test split")
        architecture = self.space.parse(arch)
        # Before anything is charged: no wrong fidelity ends a search as a spent budget.
        fidelity = self.task.fidelities[self.task.fidelity_at(fidelity)]
        if not self.task.is_valid(architecture):
            self.charge(self.task.fidelities[0])
            incumbent = self._incumbent.name if self._incumbent else ""
            self.points.append(
                TrajectoryPoint(
                    self.spent, self.cpu_seconds, architecture.name, fidelity, -1, 0.0, incumbent, "invalid"
                )
            )
            return 0.0
        if inherit is not None:
            return self._evaluate_heir(architecture, self.space.parse(inherit), fidelity)
        mine = self._known(architecture)
        seed, visit = mine.seed_for(fidelity)
        before = mine.paid.get(seed, 0)
        charge = max(0, fidelity - before)
        self._budget.count_free(charge)
        self._check(charge, architecture, fidelity)
        result = self._benchmark.query(architecture, fidelity=fidelity, seed=seed, split="validation")
        earlier = 0.0
        if before and charge:
            earlier = self._benchmark.query(
                architecture, fidelity=before, seed=seed, split="validation"
            ).cost.cpu_seconds
        mine.visit, mine.paid[seed] = visit, max(before, fidelity)
        mine.add_score(fidelity, seed, result.score)
        self.charge(charge, result.cost.cpu_seconds - earlier if charge else 0.0)
        self._log(architecture, result, seed, mine)
        return result.score

    def _known(self, arch: Architecture) -> TrainingLedger:
        if arch.name not in self._trainings:
            self._trainings[arch.name] = TrainingLedger(self._seed_order(arch))
        return self._trainings[arch.name]

    def _check(self, price: int, arch: Architecture, fidelity: int) -> None:
        """Raise BudgetExhausted unless the price of an evaluation remains."""
        if price > self.remaining:
            raise BudgetExhausted(
                f"{arch} at {fidelity:,} {self.task.fidelity_unit} costs {price:,}, {self.remaining:,} remain"
            )

    def _evaluate_heir(self, arch: Architecture, parent: Architecture, fidelity: int) -> float:
        """``evaluate`` with another network's weights to begin with."""
        before, whole = self._trainings.get(parent.name), self.task.max_fidelity
        trained = before.trained(whole) if before is not None else []
        if before is None or not (trained or before.inherited):
            raise InvalidValueError(
                f"{parent} has no weights to inherit in this run; first evaluate it at {whole:,} "
                f"{self.task.fidelity_unit}"
            )
        if self.task.exhaustive and not self.task.keeps_function(parent, arch):
            raise InvalidValueError(f"{arch} cannot inherit the weights of {parent}: kernels only grow")
        self._check(fidelity, arch, fidelity)
        mine = self._known(arch)
        seed = mine.seeds[mine.inherited % len(mine.seeds)]
        if self._inheritance is None:
            self._inheritance = self._benchmark.inheritance()
        self._approximation = self._inheritance.approximation or self._approximation
        result = self._inheritance.evaluate(arch, parent, seed, (trained or before.seeds)[-1], fidelity)
        mine.inherited += 1
        mine.add_score(fidelity, -mine.inherited, result.score)  # a number of no train seed: the training of no cell
        self.charge(fidelity, result.cost.cpu_seconds)
        self._log(arch, result, seed, mine)
        return result.score

    def _seed_order(self, arch: Architecture) -> list[int]:
        try:
            number = self.space.index(arch)
        except NotEnumerableError:
            number = int.from_bytes(hashlib.sha256(arch.name.encode()).digest()[:8], "big")
        key = (_NOISE, number)
        order = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        return [int(seed) for seed in order.permutation(self._validation_seeds)]

    def charge(self, amount: int, cpu_seconds: float = 0.0) -> None:
        """Spend budget on something else than an evaluation.

        Raises:
            InvalidValueError: less than nothing, or no whole number.
            BudgetExhausted: more than ``remaining``; nothing was charged.
        """
        self._budget.charge(amount, cpu_seconds)

    def _log(self, arch: Architecture, result: Evaluation, seed: int, mine: TrainingLedger) -> None:
        if arch == self._incumbent:  # a further seed may have made it worse: look at all again
            self._best_score, self._incumbent = max(
                ((t.best_score(), self.space.parse(name)) for name, t in self._trainings.items()), key=lambda p: p[0]
            )
        elif mine.best_score() > self._best_score:
            self._best_score, self._incumbent = mine.best_score(), arch
        name = self._incumbent.name if self._incumbent else ""
        self.points.append(
            TrajectoryPoint(
                self.spent, self.cpu_seconds, arch.name, result.fidelity, seed, result.score, name, result.source
            )  # fmt: skip
        )

    def resource(self, arch: ArchLike, resource: Resource) -> float:
        """Return what an architecture costs to use, free of charge; see ``Benchmark.resource``."""
        return self._benchmark.resource(arch, resource)

    def curve(self, arch: ArchLike) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """(fidelities, validation scores) of the training of ``arch`` that is going on, as far as it was paid for.

        Raises:
            InvalidArchitectureError: no architecture of the space.
            InvalidValueError: ``arch`` was not evaluated in this run.
        """
        architecture = self.space.parse(arch)
        if not self.task.is_valid(architecture):  # no training of a network that does not exist goes on
            return np.array(self.task.fidelities[:1]), np.zeros(1)
        mine = self._trainings.get(architecture.name)
        if mine is None or mine.visit < 0:
            raise InvalidValueError(f"{architecture} was not evaluated in this run; evaluate it first")
        seed = mine.seeds[mine.visit % len(mine.seeds)]
        reached = [f for f in self.task.fidelities if f <= mine.paid[seed]]
        scores = [self._benchmark.query(architecture, fidelity=f, seed=seed, split="validation").score for f in reached]
        return np.array(reached), np.array(scores)

    def prepare(self, archs: Iterable[ArchLike]) -> None:
        """Say which architectures will be evaluated next, once and to the end, in this order, whatever their scores.

        It charges nothing and changes no score. Live mode trains those that the budget reaches side by side; the other
        modes have nothing to do. A method that has several evaluations to make before it looks at a score gains a
        machine's cores by it.
        """
        if not self._benchmark.trains:
            return
        cells: list[tuple[Architecture, int]] = []
        left = self.remaining // self.task.max_fidelity
        for arch in dict.fromkeys(map(self.space.parse, archs)):
            if len(cells) < left and self.task.is_valid(arch):
                known = self._trainings.get(arch.name) or TrainingLedger(self._seed_order(arch))
                cells.append((arch, known.seed_for(self.task.max_fidelity)[0]))
        self._benchmark.prefetch(cells)

    def recommend(self, archs: Iterable[ArchLike]) -> Architecture:
        """Train each of ``archs`` to the end and return the best by validation score, which becomes the incumbent.

        The last step of methods with a final top-K (RL-agents paper, section 5.3). One whole training each is charged;
        architectures that the budget no longer reaches are left out.

        Raises:
            BudgetExhausted: the budget does not reach even the first.
            InvalidArchitectureError: one is no architecture of the space; nothing was charged.
            InvalidValueError: none was given, or none that exists.
        """
        scored: list[tuple[float, int, Architecture]] = []
        chosen = [*filter(self.task.is_valid, map(self.space.parse, archs))]
        self.prepare(chosen)
        for rank, arch in enumerate(chosen):
            try:
                score = self.evaluate(arch)
            except BudgetExhausted:
                if not scored:
                    raise
                break
            scored.append((score if score == score else -math.inf, -rank, arch))  # NaN: no game has finished
        if not scored:
            raise InvalidValueError(f"{self.task.id}: no network that exists was recommended; recommend at least one")
        best = max(scored, key=lambda entry: entry[:2])[2]
        self._incumbent, self._best_score = best, self._trainings[best.name].best_score()
        last = self.points[-1]
        self.points[-1] = TrajectoryPoint(
            **{f.name: getattr(last, f.name) for f in fields(last)} | {"incumbent": best.name}
        )
        return best

    def env(self, **options: Any) -> gymnasium.Env[Any, Any]:
        """Return a Gymnasium view of this run: an episode designs an architecture, the reward is its validation score.

        ``ArchitectureEnv`` for kernel-choice spaces, ``NscEnv`` for NSC spaces; ``options`` are the environment's.
        """
        from nasbench_rl import envs

        make = envs.NscEnv.of_run if isinstance(self.space, NscSpace) else envs.ArchitectureEnv
        return make(self, **options)

    def supernet(self) -> WeightSharing:
        """Weight sharing on this run's budget: fitted in live mode, replayed from ``tables/supernet`` otherwise."""
        return self._share("supernet")

    def _share(self, family: OneShot) -> WeightSharing:
        self._sharing.append(WeightSharing(self._budget, self._benchmark, self.task, self.seed, self.rng, family))
        return self._sharing[-1]

    def darts(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Search by gradient, once: mixed operations whose weights and alphas PPO fits together (DARTS, RL-DARTS).

        The env steps of one whole training are charged. Such a search depends on nothing but its seed: live mode makes
        the one of the search seed, tabular mode replays the stored one of search seed modulo their number, exactly.

        Returns:
            (architectures,) product of each one's softmax(alpha) over the blocks, in the space's order. The largest is
            of the architecture with each block's strongest kernel.

        Raises:
            BudgetExhausted: one whole training does not remain; nothing was charged.
            InvalidValueError: the space has no mixed operations.
            MissingCellError: tabular mode, and no such search of this task is stored.
        """
        return self._share("darts").search_by_gradient()

    def trajectory(self) -> pd.DataFrame:
        """Every evaluation: spent, cpu_seconds, arch, fidelity, seed, score, incumbent, source."""
        import pandas as pd

        names = [f.name for f in fields(TrajectoryPoint)]
        return pd.DataFrame([[getattr(p, name) for name in names] for p in self.points], columns=names)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse; ``copy.copy``, ``copy.deepcopy`` and ``pickle`` all come here.

        Raises:
            UncopiedError: always.
        """
        raise UncopiedError(
            f"{self!r} is neither copied nor pickled, because its copy would search for free; share this run, or begin "
            "another search with a budget of its own: load(task).start(budget, seed)"
        )

    def __repr__(self) -> str:
        best = f"incumbent {self._incumbent}" if self._incumbent else "no incumbent yet"
        return (
            f"<Run {self.task.id} search seed {self.seed}: {self.spent:,} of {self.budget:,} "
            f"{self.task.fidelity_unit} spent in {len(self.points)} evaluations, {best}>"
        )
