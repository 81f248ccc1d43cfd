"""UCT: Monte Carlo tree search over the choices that make an architecture.

Kocsis and Szepesvári (2006), ECML; Wistuba (2017), https://arxiv.org/abs/1712.07420. Notes:
``docs/methods/black_box.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from nasbench_rl import Run
from nasbench_rl_baselines._choices import Choices, Tokens, choices_of
from nasbench_rl_baselines._scores import Scores
from nasbench_rl_baselines._searching import check_positive


@dataclass
class _Node:
    """A prefix of choices.

    Attributes:
        visits: architectures below it so far.
        scored: those of them that have a score.
        total: sum of their scores.
        children: by the next choice.
        closed: whether there is nothing left to try below.
    """

    visits: int = 0
    scored: int = 0
    total: float = 0.0
    children: dict[int, _Node] = field(default_factory=dict)
    closed: bool = False


@dataclass(frozen=True)
class Mcts:
    """Descend by UCB1 to a choice never tried, finish the architecture at random, back its score up the path.

    Attributes:
        exploration: weight of the confidence bound, 2 C_p.
    """

    exploration: float = math.sqrt(2.0)

    def __post_init__(self) -> None:
        """Refuse a weight that explores nothing."""
        check_positive(exploration=self.exploration)

    def __call__(self, run: Run) -> None:
        """Search; ends in BudgetExhausted, or when every architecture was trained."""
        choices, scores, root = choices_of(run.space), Scores(run), _Node()
        while scores.goes_on() and not root.closed:
            sequence, path = self._descend(choices, root, scores, run.rng)
            score = scores(choices.decode(sequence))
            for node in path:
                node.visits += 1
                if score == score:
                    node.scored += 1
                    node.total += score
            self._close(choices, sequence, path)

    def _descend(
        self, choices: Choices, root: _Node, scores: Scores, rng: np.random.Generator
    ) -> tuple[Tokens, list[_Node]]:
        """Return a whole sequence, and the nodes on its way, the last of them new unless it is the sequence's end."""
        sequence: Tokens = ()
        path, untried = [root], list[int]()
        while not untried and (allowed := choices.allowed(sequence)) is not None:
            node = path[-1]
            untried = [token for token in allowed if token not in node.children]
            token = untried[int(rng.integers(len(untried)))] if untried else self._best(node, scores)
            path.append(node.children.setdefault(token, _Node()))
            sequence = (*sequence, token)
        while (allowed := choices.allowed(sequence)) is not None:  # the rollout
            sequence = (*sequence, allowed[int(rng.integers(len(allowed)))])
        return sequence, path

    def _best(self, node: _Node, scores: Scores) -> int:
        """Return the open child with the highest upper confidence bound."""

        def bound(child: _Node) -> float:
            mean = scores.scale(child.total / child.scored) * child.scored / child.visits if child.scored else 0.0
            return mean + self.exploration * math.sqrt(math.log(node.visits) / child.visits)

        return max((token for token, child in node.children.items() if not child.closed),
                   key=lambda token: bound(node.children[token]))  # fmt: skip

    def _close(self, choices: Choices, sequence: Tokens, path: list[_Node]) -> None:
        """Close what has nothing left to try, from the end of the path upwards."""
        for depth in range(len(path) - 1, -1, -1):
            node, allowed = path[depth], choices.allowed(sequence[:depth])
            node.closed = all(token in node.children and node.children[token].closed for token in allowed or ())
            if not node.closed:
                return
