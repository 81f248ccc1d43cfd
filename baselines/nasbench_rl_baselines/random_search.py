"""Random search: uniform draws without replacement, in the usual form and in the RL-agents paper's (section 5.4)."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run


@dataclass(frozen=True)
class RandomSearch:
    """Draw architectures that were not drawn before and train each to the end, until the budget is spent.

    Attributes:
        samples: stop after so many architectures; None goes on. The RL-agents paper's baseline is ``samples=3``: three
            architectures from scratch, the best returned.
    """

    samples: int | None = None

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted when the budget does not reach a further training."""
        seen: set[str] = set()
        limit = len(run.space) if self.samples is None else min(self.samples, len(run.space))
        while run.remaining > 0 and len(seen) < limit:
            arch = run.space.sample(run.rng)
            if arch.name not in seen:
                seen.add(arch.name)
                run.evaluate(arch)
