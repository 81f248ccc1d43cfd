"""A2C: the twin without memory of ``meta_a2c``, to tell what its memory is worth.

Mnih et al. (2016), "Asynchronous methods for deep reinforcement learning", https://arxiv.org/abs/1602.01783. Every
hyperparameter is that of ``meta_a2c``, the meta-RL paper's; a layer of 128 tanh units, which sees the state alone,
takes the place of the LSTM. What comes from OpenAI Baselines is said there.

Changed for spaces of 25 or 32 points as ``meta_a2c`` is.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl_baselines._actor_critic import search
from nasbench_rl_baselines.meta_a2c import MetaA2c


@dataclass(frozen=True)
class A2c(MetaA2c):
    """Act in ``run.env()`` with a policy and a value of the state; hyperparameters as in ``MetaA2c``."""

    def __call__(self, run: Run) -> None:
        """Search; ends when the budget or ``t_max`` is spent, or when nothing was charged for long."""
        search(run, self, recurrent=False)
