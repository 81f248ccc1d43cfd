"""A2C without memory, the control of ``meta_a2c`` (https://arxiv.org/abs/1602.01783).

Notes: ``docs/methods/agents.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl_baselines._actor_critic import ActorCriticSettings, search


@dataclass(frozen=True)
class A2c(ActorCriticSettings):
    """Act in ``run.env()`` with a policy and a value of the state; hyperparameters: ``ActorCriticSettings``."""

    def __call__(self, run: Run) -> None:
        """Search; ends when the budget or ``t_max`` is spent, or when nothing was charged for long."""
        search(run, self, recurrent=False)
