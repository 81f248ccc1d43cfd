"""DARTS: differentiable architecture search, as RL-DARTS brings it to reinforcement learning.

Liu et al. (2019), https://arxiv.org/abs/1806.09055; Miao et al. (2022), https://arxiv.org/abs/2106.02229. Notes:
``docs/methods/weight_sharing.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_rl import Run
from nasbench_rl_baselines._searching import check_positive


@dataclass(frozen=True)
class Darts:
    """Fit mixed operations, take the kernel of the largest alpha in each block, train that architecture from scratch.

    Attributes:
        top_k: architectures trained from scratch, by the product of their blocks' softmax(alpha); the best of them by
            validation score is returned. The first is the argmax of every block, and the original's only one.
    """

    top_k: int = 1

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(top_k=self.top_k)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted when the budget does not reach the search and one training."""
        probabilities = run.darts()
        best = np.argsort(-probabilities, kind="stable")[: self.top_k]
        run.recommend([run.space[int(i)] for i in best])
