"""A controller without a network: a table of logits, one row for each position and last choice.

It stands where MnasNet and MONAS have an LSTM. On spaces of 25 or 32 points the table holds every preference for a
layer given the one before, and a search takes milliseconds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from nasbench_rl_baselines._choices import Choices, Tokens


class TablePolicy:
    """Softmax over the allowed choices at each step; uniform at first."""

    def __init__(self, choices: Choices, learning_rate: float) -> None:
        """``learning_rate``: of plain gradient ascent on the logits."""
        self.choices, self._learning_rate = choices, learning_rate
        self._logits: dict[tuple[int, Tokens], list[float]] = {}

    def sample(self, rng: np.random.Generator) -> Tokens:
        """One architecture."""
        sequence = Tokens()
        while (allowed := self.choices.allowed(sequence)) is not None:
            bounds = list(itertools.accumulate(self._weights(sequence, allowed)))
            drawn = rng.random() * bounds[-1]
            at = next((i for i, bound in enumerate(bounds) if drawn < bound), len(bounds) - 1)
            sequence = (*sequence, allowed[at])
        return sequence

    def log_prob(self, sequence: Tokens) -> float:
        """Log-probability of a whole architecture."""
        total = 0.0
        for step, token in enumerate(sequence):
            allowed = self.choices.allowed(sequence[:step]) or range(0)
            total += math.log(self._weights(sequence[:step], allowed)[token - allowed.start])
        return total

    def ascend(self, sequences: Sequence[Tokens], weights: Sequence[float]) -> None:
        """One step along the sum of ``weights`` x ∇ log π(sequence), all gradients taken at the logits before it."""
        moves: list[tuple[list[float], int, float]] = []
        for sequence, weight in zip(sequences, weights, strict=True):
            for step, chosen in enumerate(sequence if weight else ()):
                allowed = self.choices.allowed(sequence[:step]) or range(0)
                row = self._row(sequence[:step])
                for token, p in zip(allowed, self._weights(sequence[:step], allowed), strict=True):
                    moves.append((row, token, self._learning_rate * weight * ((token == chosen) - p)))
        for row, token, move in moves:
            row[token] += move

    def _row(self, prefix: Tokens) -> list[float]:
        return self._logits.setdefault((len(prefix), prefix[-1:]), [0.0] * self.choices.tokens)

    def _weights(self, prefix: Tokens, allowed: range) -> list[float]:
        logits = self._row(prefix)[allowed.start : allowed.stop]
        highest = max(logits)
        powers = [math.exp(logit - highest) for logit in logits]
        total = math.fsum(powers)
        return [power / total for power in powers]
