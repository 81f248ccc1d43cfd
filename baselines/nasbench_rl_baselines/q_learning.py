"""MetaQNN: tabular Q-learning that picks an architecture layer by layer.

Baker et al. (2017), https://arxiv.org/abs/1611.02167. Notes: ``docs/methods/q_learning.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._q_table import QTable, check_schedule, epsilon_at, progress_of
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import check_positive, check_share

SCHEDULE = (
    (1.0, 1500), (0.9, 100), (0.8, 100), (0.7, 100), (0.6, 150),
    (0.5, 150), (0.4, 150), (0.3, 150), (0.2, 150), (0.1, 150),
)  # fmt: skip
"""(ε, models trained with it), of the authors' code."""


@dataclass(frozen=True)
class QLearning:
    """Draw each layer ε-greedily by Q, train, then learn from the new architecture and from remembered ones.

    Attributes:
        learning_rate: α of the Q update.
        discount: γ.
        initial: value of a choice that was never tried.
        replay: remembered architectures to learn from after each draw.
        schedule: stages (ε, models); only their proportions count.
    """

    learning_rate: float = 0.01
    discount: float = 1.0
    initial: float = 0.5
    replay: int = 100
    schedule: tuple[tuple[float, float], ...] = SCHEDULE

    def __post_init__(self) -> None:
        """Refuse values that allow no search."""
        check_positive(learning_rate=self.learning_rate, replay=self.replay)
        check_share(discount=self.discount)
        check_schedule(self.schedule)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, when all is trained, or when Q offers nothing but what is known."""
        table = QTable(choices_of(run.space), self.learning_rate, self.discount, self.initial)
        scores = Scores(run)
        memory: dict[Tokens, Architecture] = {}
        while scores.goes_on():
            sequence = table.sample(epsilon_at(self.schedule, progress_of(run, run.budget, scores)), run.rng)
            if sequence in memory:  # nothing new to learn from; it counts as a repetition
                scores(memory[sequence])
                table.update(sequence, scores.reward(memory[sequence]))
                continue
            memory[sequence] = table.choices.decode(sequence)
            scores(memory[sequence])
            replayed = [(known, scores.reward(arch)) for known, arch in memory.items()]
            table.update(*replayed[-1])
            for at in run.rng.integers(len(replayed), size=self.replay).tolist():
                table.update(*replayed[at])
