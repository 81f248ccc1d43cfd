"""Any Optuna sampler by name, with its pruners on the stored fidelities.

Akiba et al. (2019), https://arxiv.org/abs/1907.10902. Notes: ``docs/methods/black_box.md``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nasbench_rl import Run
from nasbench_rl.errors import UnsuitedSpaceError, missing_extra, unknown
from nasbench_rl.spaces import Architecture, KernelSpace, size_of
from nasbench_rl_baselines._choices import Choices, Tokens, choices_of
from nasbench_rl_baselines._searching import FREE_LIMIT, check_positive

if TYPE_CHECKING:
    from types import ModuleType

SAMPLERS = {
    "tpe": ("TPESampler", "n_startup_trials"),
    "gp": ("GPSampler", "n_startup_trials"),
    "cma-es": ("CmaEsSampler", "n_startup_trials"),
    "nsga-ii": ("NSGAIISampler", "population_size"),
    "random": ("RandomSampler", ""),
}
"""Class of each sampler, and the argument that ``startup`` is."""
ORDERED_ONLY = ("cma-es",)
"""Samplers that draw categories at random, whatever was found."""
NEEDS = {"gp": (("torch", "live"), ("scipy", "report")), "cma-es": (("cmaes", "methods"),)}
"""Packages that Optuna itself loads for a sampler only, and the extra of each."""
PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "successive-halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}


@dataclass(frozen=True)
class OptunaSearch:
    """Ask the sampler for an architecture, train it, tell its score.

    Attributes:
        sampler: ``"tpe"``, ``"gp"`` (needs torch), ``"cma-es"``, ``"nsga-ii"`` or ``"random"``.
        pruner: ``"none"`` trains to the end; ``"median"``, ``"successive-halving"`` or ``"hyperband"`` see the score at
            every stored fidelity and may stop a training there, which is then charged so far.
        startup: random trials before a model is fitted, or individuals in a generation.
        retries: suggestions of trained architectures in a row, after which one is drawn at random.
    """

    sampler: str = "tpe"
    pruner: str = "none"
    startup: int = 4
    retries: int = 10

    def __post_init__(self) -> None:
        """Refuse unknown names.

        Raises:
            MissingExtraError: Optuna is not installed.
        """
        if find_spec("optuna") is None:
            raise missing_extra("optuna", "methods", "the method optuna")
        if self.sampler not in SAMPLERS:
            raise unknown("Optuna sampler", self.sampler, SAMPLERS)
        if self.pruner not in PRUNERS:
            raise unknown("Optuna pruner", self.pruner, PRUNERS)
        check_positive(startup=self.startup, retries=self.retries)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or nearly all of it.

        Raises:
            MissingExtraError: Optuna, or what the sampler needs, is not installed.
            UnsuitedSpaceError: CMA-ES on NSC networks.
        """
        optuna, choices = _optuna(), choices_of(run.space)
        if self.sampler in ORDERED_ONLY and not isinstance(run.space, KernelSpace):
            raise UnsuitedSpaceError(
                f"Optuna's sampler {self.sampler!r} models ordered choices, and {run.space.name!r} has none; allowed "
                f"there: {', '.join(name for name in SAMPLERS if name not in ORDERED_ONLY)}"
            )
        with _quiet(optuna):
            study = optuna.create_study(
                study_name=f"search-{run.seed}",  # the Hyperband pruner hashes it, and Optuna's own is random
                direction="maximize",
                sampler=self._sampler(optuna, run),
                pruner=self._pruner(optuna, run),
            )
            own, at_random = study.sampler, optuna.samplers.RandomSampler(seed=int(run.rng.integers(2**31)))
            known: dict[str, tuple[float, int]] = {}
            repeats = 0
            while run.remaining > 0 and len(known) < size_of(run.space) and repeats < FREE_LIMIT:
                study.sampler = own if repeats < self.retries else at_random
                trial = study.ask()
                arch = _suggest(trial, choices, run)
                repeats = repeats + 1 if arch.name in known else 0
                if arch.name not in known:
                    known[arch.name] = self._train(run, arch, trial)
                score, pruned_at = known[arch.name]
                if pruned_at:
                    if repeats:
                        trial.report(score, pruned_at)
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                elif score == score:
                    study.tell(trial, score)
                else:  # no game has finished: Optuna takes no NaN
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _train(self, run: Run, arch: Architecture, trial: Any) -> tuple[float, int]:
        """Return (score, step at which the pruner stopped it; 0 when it did not)."""
        if not run.task.is_valid(arch):  # has no curve, and each look at it would be charged
            return run.evaluate(arch), 0
        for step, fidelity in enumerate(run.task.fidelities[:-1] if self.pruner != "none" else (), start=1):
            score = run.evaluate(arch, fidelity)
            if score == score:
                trial.report(score, step)
                if trial.should_prune():
                    return score, step
        return run.evaluate(arch), 0

    def _sampler(self, optuna: ModuleType, run: Run) -> Any:
        name, argument = SAMPLERS[self.sampler]
        options: dict[str, Any] = {"seed": int(run.rng.integers(2**31))}
        if argument:
            options[argument] = max(2, self.startup)
        for module, extra in NEEDS.get(self.sampler, ()):
            if find_spec(module) is None:
                raise missing_extra(module, extra, f"Optuna's sampler {self.sampler!r}")
        return getattr(optuna.samplers, name)(**options)

    def _pruner(self, optuna: ModuleType, run: Run) -> Any:
        options: dict[str, Any] = {}
        if self.pruner == "hyperband":
            options = {"min_resource": 1, "max_resource": len(run.task.fidelities)}
        elif self.pruner == "median":
            options = {"n_startup_trials": self.startup}
        return getattr(optuna.pruners, PRUNERS[self.pruner])(**options)


def _suggest(trial: Any, choices: Choices, run: Run) -> Architecture:
    """Return the architecture that a trial's parameters write."""
    sequence = Tokens()
    while (allowed := choices.allowed(sequence)) is not None:
        name, tokens = f"choice_{len(sequence)}", list(allowed)
        if isinstance(run.space, KernelSpace):  # kernel sizes are ordered
            token = trial.suggest_int(name, tokens[0], tokens[-1])
        else:
            # A name must keep its alternatives, and those of an NSC choice depend on what came before.
            token = trial.suggest_categorical(f"{name}_{tokens[0]}_{tokens[-1]}", tokens)
        sequence = (*sequence, int(token))
    return choices.decode(sequence)


@contextmanager
def _quiet(optuna: ModuleType) -> Iterator[None]:
    """Neither Optuna's log lines nor its notes on experimental classes; its verbosity is put back."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _optuna() -> ModuleType:
    """Import Optuna late: it takes half a second."""
    import optuna

    return optuna
