"""DARTS: differentiable architecture search, as RL-DARTS brings it to reinforcement learning.

Liu et al. (2019), "DARTS: Differentiable architecture search", https://arxiv.org/abs/1806.09055; Miao et al. (2022),
"Differentiable architecture search for reinforcement learning", https://arxiv.org/abs/2106.02229.

Every choice block of one network computes the softmax(alpha)-weighted sum of all its kernels; the network plays the
games while PPO fits weights and alphas together. The kernel of the largest alpha in each block makes the architecture
that is trained from scratch. It costs one whole training for the search and one for the architecture. In tabular mode a
stored search is replayed, which is exact: nothing of it depends on the run but its seed.

Changed from Liu et al. as RL-DARTS' official code has it (github.com/google/brain_autorl, rl_darts): alphas start at
zero and share Adam, learning rate and gradient norm with the weights, here those of the task's PPO, whose rate a cosine
anneals. Liu et al. alternate two optimisers over training and validation images, which games do not have, for 50 epochs
of search, search four times, and keep the best after a short training of each; here a run searches once, and the spread
over search seeds shows what that leaves to chance. Their cells, edges and zero operation have no counterpart in a chain
of kernels.
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
