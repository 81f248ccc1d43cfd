"""MnasNet: a controller trained by PPO on score x (cost / target)^w.

Tan, Chen, Pang, Vasudevan, Sandler, Howard and Le (2019), "MnasNet: platform-aware neural architecture search for
mobile", https://arxiv.org/abs/1807.11626: equations 2 and 3, with α = β = −0.07 (section 3) or, as a hard limit, α = 0
and β = −1 (section 7.1). The controller is NASNet's (section 5), https://arxiv.org/abs/1707.07012, trained by PPO
(section 4.2), whose clip and epochs the paper does not give: they are those of ``ppo`` here, the baseline decay is
NASNet's (its appendix A.2).

Changed for spaces of 25 or 32 points, whose default budget is ten trainings and not the paper's 8 000:

- The controller is a table of logits in place of an LSTM, so the learning rate is not the paper's.
- A batch has 5 architectures, two batches a default budget. An architecture is trained once.
- Scores are returns of games: they are divided by the highest seen so far, and one below 0 counts as 0.
- The cost is params, FLOPs or, as in the paper, measured latency: here of one core at batch 1, where a table has it.
  The target is the space's median by default.

The clip of 0.2 lets each of the two updates move an architecture's probability by a fifth: at the default budget the
search stays close to random search.

Tuned: the learning rate, on made-up tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._resources import Resources, check_objective
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import MovingAverage, check_positive
from nasbench_rl_baselines._table_policy import TablePolicy


@dataclass(frozen=True)
class Mnas:
    """Sample a batch, then take several clipped steps towards what is good for what it costs.

    Attributes:
        objective: ``"params"``, ``"flops"`` or ``"latency"``.
        target: T, in parameters, FLOPs or seconds; None is the median of the space.
        alpha: exponent w of an architecture within the target.
        beta: exponent w of one above it; α = 0 and β = −1 make the target a hard limit.
        learning_rate: of the logits: half the range of rewards above the baseline moves a logit by about 1.
        batch: architectures an update.
        epochs: gradient steps on each batch.
        clip: how far the probability of an architecture may move from 1 times what it was, in an update.
        baseline_decay: weight of the baseline's past.
    """

    objective: str = "flops"
    target: float | None = None
    alpha: float = -0.07
    beta: float = -0.07
    learning_rate: float = 2.0
    batch: int = 5
    epochs: int = 10
    clip: float = 0.2
    baseline_decay: float = 0.95

    def __post_init__(self) -> None:
        """Refuse unknown objectives and sizes that allow no search."""
        check_objective(self.objective)
        check_positive(learning_rate=self.learning_rate, batch=self.batch, epochs=self.epochs, clip=self.clip)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or when the policy samples only what is.

        Raises:
            MissingCellError: latency was asked for and not measured.
        """
        resources = Resources(run, self.objective)
        target = resources.target(self.target)
        policy, scores = TablePolicy(choices_of(run.space), self.learning_rate), Scores(run)
        baseline = MovingAverage(self.baseline_decay)
        highest = 0.0
        while scores.goes_on():
            sequences: list[Tokens] = []
            advantages: list[float] = []
            while scores.goes_on() and len(sequences) < self.batch:
                sequences.append(policy.sample(run.rng))
                arch = policy.choices.decode(sequences[-1])
                score = scores(arch)
                highest = max(highest, score) if score == score else highest
                relative = max(0.0, score) / highest if score == score and highest > 0 else 0.0
                advantages.append(baseline.advantage(self.reward(relative, resources(arch), target)))
            self._update(policy, sequences, advantages)

    def reward(self, score: float, cost: float, target: float) -> float:
        """Equation 2: score x (cost / target)^w."""
        return float(score * (cost / target) ** (self.alpha if cost <= target else self.beta))

    def _update(self, policy: TablePolicy, sequences: list[Tokens], advantages: list[float]) -> None:
        """PPO's clipped objective; an architecture is one action, its ratio that of the joint probabilities."""
        before = [policy.log_prob(sequence) for sequence in sequences]
        for _ in range(self.epochs):
            weights = []
            for sequence, advantage, old in zip(sequences, advantages, before, strict=True):
                ratio = math.exp(policy.log_prob(sequence) - old)
                clipped = ratio > 1 + self.clip if advantage > 0 else ratio < 1 - self.clip
                weights.append(0.0 if clipped else ratio * advantage / len(sequences))
            policy.ascend(sequences, weights)
