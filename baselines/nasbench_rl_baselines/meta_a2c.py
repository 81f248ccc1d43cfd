"""Meta-A2C: an actor-critic that sees its last action and reward and so learns how to search, over many tasks.

Gómez Robles and Vanschoren (2019), "Learning to reinforcement learn for neural architecture search",
https://arxiv.org/abs/1911.03769, sections 4.2.4, 4.2.5 and 6.1. The paper builds on OpenAI Baselines' A2C; from there
come the value's weight, the clipping, TensorFlow's RMSprop (decay 0.99, epsilon 1e-5) and the orthogonal weights, which
the paper does not mention. The learning rate stays as it is: section 8 proposes decay as future work, and the authors'
settings (https://github.com/gomerudo/nas-dmrl, ``configs/meta-rl``) say ``constant``.

A run is one trial: the state of the LSTM is zero at its start and lives on over its episodes (section 4.2: h is "set to
zeros" at the start of a trial, in which the agent performs n episodes). The authors' code
(https://github.com/gomerudo/openai-baselines, ``meta_a2c``) zeros it at every episode's end as well, so that only the
last action and reward are carried over; ``forget=True`` does that. The first action is drawn uniformly (section 4.2.4)
and nothing is learned from it. To carry a policy over tasks, run them in turn with ``save``
and then ``policy``; ``learn=False`` evaluates it with frozen weights. Each trial has an optimizer of its own, as each
was a program of its own.

Changed for spaces of 25 or 32 points: scores that are returns of games are scaled to [0, 1] by the lowest and highest
seen so far, nothing else. The paper has 22,000 steps over three tasks, ten trainings are 20 or 50: an untrained policy
hardly moves in so few, and the search is close to random search with replacement.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl_baselines._actor_critic import search
from nasbench_rl_baselines._searching import check_positive, check_share


@dataclass(frozen=True)
class MetaA2c:
    """Act in ``run.env()`` with an LSTM that is told the state, the last action and reward, and the step.

    Attributes:
        units: of the LSTM.
        horizon: environment steps between updates, j; the paper's multi-branch experiment has 10.
        discount: γ.
        entropy: weight of the entropy bonus, η.
        value: weight of the value's squared error.
        learning_rate: RMSprop's, α.
        anneal: lower the learning rate linearly to 0 over the run, as Baselines does by default.
        forget: zero the state of the LSTM at the end of every episode, as the authors' code does.
        max_norm: gradients are scaled down to this norm.
        t_max: environment steps; None goes on until the budget is spent.
        policy: a file to start from; ``{seed}`` in it becomes the search seed.
        save: a file to write the policy to at the end; likewise.
        learn: False keeps the weights as they are.
        trace: a file for the policy's entropy (nats) at each environment step, as safetensors; likewise.
    """

    units: int = 128
    horizon: int = 5
    discount: float = 0.9
    entropy: float = 0.01
    value: float = 0.5
    learning_rate: float = 1e-3
    anneal: bool = False
    forget: bool = False
    max_norm: float = 0.5
    t_max: int | None = None
    policy: str | None = None
    save: str | None = None
    learn: bool = True
    trace: str | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, horizon=self.horizon, learning_rate=self.learning_rate, max_norm=self.max_norm)
        check_positive(t_max=1 if self.t_max is None else self.t_max)
        check_share(discount=self.discount)

    def __call__(self, run: Run) -> None:
        """Search; ends when the budget or ``t_max`` is spent, or when nothing was charged for long."""
        search(run, self, recurrent=True)
