"""MONAS: a controller trained by REINFORCE on a mixture of score and cost, or on the score under a limit.

Hsu et al. (2018), "MONAS: multi-objective neural architecture search using reinforcement learning",
https://arxiv.org/abs/1806.10332: an LSTM trained by the policy gradient of Zoph and Le; the mixed reward α score −
(1 − α) cost, and the reward under a constraint, which is the score within the limit and 0 beyond.

Not confirmed from a source: the formulas of both rewards, as neither the paper's section on them nor code of its
authors was at hand. The paper's α, limits and learning rate were not found; the values here are this project's own.

Changed for spaces of 25 or 32 points, whose default budget is ten trainings:

- The controller is a table of logits in place of an LSTM, so the learning rate is not the paper's. An architecture is
  trained once.
- Scores are returns of games, not accuracies, so they are scaled to [0, 1] by the lowest and highest seen so far; costs
  are scaled to [0, 1] over the space.
- The cost is params, FLOPs or measured latency where the paper measures energy or power. The limit is the median of the
  space by default.
- The gradient has the moving-average baseline of Zoph and Le, with the decay of 0.95 that NASNet gives.

Tuned: the learning rate, on made-up tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError, unknown
from nasbench_rl_baselines._choices import choices_of
from nasbench_rl_baselines._resources import Resources, check_objective
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import MovingAverage, check_positive
from nasbench_rl_baselines._table_policy import TablePolicy

REWARDS = ("mixed", "constraint")


@dataclass(frozen=True)
class Monas:
    """Sample architectures one by one and make those more likely that earn more than the moving average.

    Attributes:
        objective: ``"params"``, ``"flops"`` or ``"latency"``.
        kind: ``"mixed"`` or ``"constraint"``.
        alpha: weight of the score in the mixed reward, between 0 and 1.
        target: limit of the constrained reward, in parameters, FLOPs or seconds; None is the median of the space.
        learning_rate: of the logits: half the range of rewards above the baseline moves a logit by about 1.
        baseline_decay: weight of the baseline's past.
    """

    objective: str = "flops"
    kind: str = "mixed"
    alpha: float = 0.5
    target: float | None = None
    learning_rate: float = 2.0
    baseline_decay: float = 0.95

    def __post_init__(self) -> None:
        """Refuse unknown objectives and rewards."""
        check_objective(self.objective)
        check_positive(learning_rate=self.learning_rate)
        if self.kind not in REWARDS:
            raise unknown("kind of reward", self.kind, REWARDS)
        if not 0 <= self.alpha <= 1:
            raise InvalidValueError(f"alpha={self.alpha} is not allowed; give a weight between 0 and 1")

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or when the policy samples only what is.

        Raises:
            MissingCellError: latency was asked for and not measured.
        """
        resources = Resources(run, self.objective)
        target = resources.target(self.target)
        policy, scores = TablePolicy(choices_of(run.space), self.learning_rate), Scores(run)
        baseline = MovingAverage(self.baseline_decay)
        while scores.goes_on():
            sequence = policy.sample(run.rng)
            arch = policy.choices.decode(sequence)
            scores(arch)
            if self.kind == "mixed":
                reward = self.alpha * scores.reward(arch) - (1 - self.alpha) * resources.scaled(arch)
            else:
                reward = scores.reward(arch) if resources(arch) <= target else 0.0
            policy.ascend([sequence], [baseline.advantage(reward)])
