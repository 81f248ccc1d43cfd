"""BlockQNN: Q-learning whose reward is an early-stopped score, less a price for FLOPs and for density.

Zhong et al. (2018), https://arxiv.org/abs/1708.05552. Notes: ``docs/methods/q_learning.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasbench_rl import Run
from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._choices import Tokens, choices_of
from nasbench_rl_baselines._fidelities import nearest_fidelity
from nasbench_rl_baselines._q_table import QTable, check_schedule, epsilon_at, progress_of
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import check_positive, check_share

SCHEDULE = (
    (1.0, 95), (0.9, 7), (0.8, 7), (0.7, 7), (0.6, 10),
    (0.5, 10), (0.4, 10), (0.3, 10), (0.2, 10), (0.1, 12),
)  # fmt: skip
"""(ε, iterations with it), of the re-implementation."""


@dataclass(frozen=True)
class BlockQnn:
    """Draw blocks ε-greedily by Q, train them for a while, learn, and train the best few to the end.

    Attributes:
        learning_rate: α of the Q update.
        discount: γ.
        initial: value of a choice that was never tried.
        replay: remembered blocks to learn from after each draw.
        mu: price of log FLOPs, in points of a hundred.
        rho: price of log density, in points of a hundred.
        early_stop: part of a training that a block gets.
        finalists: blocks that are trained to the end, at least, if the budget has them.
        schedule: stages (ε, models); only their proportions count.
    """

    learning_rate: float = 0.01
    discount: float = 1.0
    initial: float = 0.5
    replay: int = 64
    mu: float = 1.0
    rho: float = 8.0
    early_stop: float = 0.25
    finalists: int = 3
    schedule: tuple[tuple[float, float], ...] = SCHEDULE

    def __post_init__(self) -> None:
        """Refuse values that allow no search."""
        check_positive(learning_rate=self.learning_rate, replay=self.replay)
        check_share(discount=self.discount)
        check_positive(early_stop=self.early_stop, finalists=self.finalists)
        check_schedule(self.schedule)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or with the finalists."""
        fidelity, whole = nearest_fidelity(run, self.early_stop), run.task.max_fidelity
        set_aside = min(self.finalists, max(1, run.budget // (2 * whole))) * (whole - fidelity)
        for_blocks = max(fidelity, run.budget - set_aside)
        table = QTable(choices_of(run.space), self.learning_rate, self.discount, self.initial)
        scores = Scores(run, fidelity)
        prices: dict[str, float] = {}
        memory: dict[Tokens, Architecture] = {}

        def reward(arch: Architecture) -> float:
            return scores.reward(arch) - prices[arch.name]

        while scores.goes_on() and run.spent + fidelity <= for_blocks:
            sequence = table.sample(epsilon_at(self.schedule, progress_of(run, for_blocks, scores)), run.rng)
            if sequence not in memory:
                memory[sequence] = arch = table.choices.decode(sequence)
                prices[arch.name] = self._price(run, arch)
            scores(memory[sequence])  # remembered, and counted as a repetition, where it is known
            replayed = [(known, reward(known_arch)) for known, known_arch in memory.items()]
            for at in run.rng.integers(len(replayed), size=self.replay).tolist():
                known, value = replayed[at]
                table.update(known, value, shaping=value / len(known))
        trained = [run.space.parse(name) for name in scores.known]
        finalists = max(self.finalists, run.remaining // (whole - fidelity)) if fidelity < whole else self.finalists
        run.recommend(sorted(trained, key=reward, reverse=True)[:finalists])

    def _price(self, run: Run, arch: Architecture) -> float:
        """μ log FLOPs + ρ log density as a part of 1; all of it for a network that cannot be built."""
        density = getattr(run.space, "density", None)
        log_density = math.log(density(arch)) if density is not None else 0.0
        try:
            flops = run.task.size(arch).flops
        except InvalidArchitectureError:
            return 1.0
        return (self.mu * math.log(flops) + self.rho * log_density) / 100
