"""MetaQNN: tabular Q-learning that picks an architecture layer by layer.

Baker, Gupta, Naik and Raskar (2017), "Designing neural network architectures using reinforcement learning",
https://arxiv.org/abs/1611.02167. α, γ, the initial Q of 0.5 and the ε schedule are those of the authors' code,
https://github.com/bowenbaker/metaqnn, ``models/cifar10/state_space_parameters.py``. It replays 128 architectures at a
time; the 100 here are the paper's, page 6, as a re-implementation cites it, and as ``q_server.py`` of the authors' code
names without using it. Not confirmed from the paper itself.

Changed for spaces of 25 or 32 points, whose default budget is ten trainings and not the paper's 2 700:

- The ε schedule keeps its proportions (the first 1,500, 56 % of all models, are random) but is stretched over the
  budget, or the whole space where that is smaller.
- A state is the depth and the last layer. The authors' has the size of the image there too, in three classes.
- Scores are returns of games, not accuracies, so they are scaled to [0, 1] by the lowest and highest seen so far, anew
  at each replay.

- Q learns from every drawn architecture itself, once, and from the replay after a new one; the authors' code
  (``q_server.py``) learns from the replay alone, after a repeated architecture too.

As in the authors' code, an architecture that was trained before is not trained again: its score is remembered.
At α = 0.01 ten models move Q by little, so that the greedy choices of a short search follow the first few scores.
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
