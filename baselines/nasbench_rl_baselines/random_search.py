"""Random search: uniform draws without replacement, in the usual form and in that of both papers.

The RL-agents paper (section 5.4) draws architectures, the meta-RL paper (section 6.1) actions in its environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from nasbench_rl import BudgetExhausted, Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._searching import check_positive


@dataclass(frozen=True)
class RandomSearch:
    """Draw architectures that were not drawn before and train each to the end, until the budget is spent.

    Attributes:
        samples: stop after so many architectures; None goes on. The RL-agents paper's baseline is ``samples=3``: three
            architectures from scratch, the best returned.
        t_max: instead take so many uniformly random actions in ``run.env()``, the meta-RL paper's baseline.
    """

    samples: int | None = None
    t_max: int | None = None

    def __post_init__(self) -> None:
        """Refuse both kinds at once."""
        if self.samples is not None and self.t_max is not None:
            raise InvalidValueError(f"samples={self.samples} draws architectures, t_max={self.t_max} actions; give one")
        given = {"samples": self.samples, "t_max": self.t_max}
        check_positive(**{name: value for name, value in given.items() if value is not None})

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted when the budget does not reach a further training."""
        if self.t_max is not None:
            _act_at_random(run, self.t_max)
            return
        seen: set[str] = set()
        limit = size_of(run.space) if self.samples is None else min(self.samples, size_of(run.space))
        while run.remaining > 0 and len(seen) < limit:
            draws = min(limit - len(seen), max(1, run.remaining // run.task.max_fidelity))
            archs = _draw(run, seen, int(draws))
            run.prepare(archs)
            for arch in archs:
                run.evaluate(arch)


def _draw(run: Run, seen: set[str], count: int) -> list[Architecture]:
    """``count`` architectures that are not among ``seen``, which takes them in."""
    archs: list[Architecture] = []
    while len(archs) < count:
        arch = run.space.sample(run.rng)
        if arch.name not in seen:
            seen.add(arch.name)
            archs.append(arch)
    return archs


def _act_at_random(run: Run, t_max: int) -> None:
    """Episode after episode, every action as likely as any other."""
    env = cast(Any, run.env())
    env.reset()
    for action in run.rng.integers(int(env.action_space.n), size=t_max):
        try:
            done = env.step(action)[2]
        except BudgetExhausted:
            return
        if done:
            env.reset()
