"""Meta-A2C: an actor-critic with memory that learns how to search, over many tasks.

Gómez Robles and Vanschoren (2019), https://arxiv.org/abs/1911.03769. Notes: ``docs/methods/agents.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl_baselines._actor_critic import ActorCriticSettings, search


@dataclass(frozen=True)
class MetaA2c(ActorCriticSettings):
    """Act in ``run.env()`` with an LSTM that sees the state, the last action and reward, and the step.

    Hyperparameters: ``ActorCriticSettings``. A run is one trial; ``save`` and ``policy`` carry a policy over tasks.
    """

    def __call__(self, run: Run) -> None:
        """Search; ends when the budget or ``t_max`` is spent, or when nothing was charged for long."""
        search(run, self, recurrent=True)
