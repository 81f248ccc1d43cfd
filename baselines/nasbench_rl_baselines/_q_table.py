"""Tabular Q-learning over the choices that make an architecture, as MetaQNN and BlockQNN share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl_baselines._choices import Choices, State, Tokens
from nasbench_rl_baselines._scores import Scores


class QTable:
    """Q(state, choice), where a state is the number of layers so far, the last one, and what is chosen of the next."""

    def __init__(self, choices: Choices, learning_rate: float, discount: float, initial: float) -> None:
        """Start without values; ``initial`` is that of what was never tried."""
        self.choices, self._initial = choices, initial
        self._learning_rate, self._discount = learning_rate, discount
        self._values: dict[State, list[float]] = {}
        self._traces: dict[Tokens, list[tuple[list[float], int, int, int]]] = {}

    def sample(self, epsilon: float, rng: np.random.Generator) -> Tokens:
        """Return one architecture, ε-greedy at each choice; ties are broken at random."""
        sequence: Tokens = ()
        while (allowed := self.choices.allowed(sequence)) is not None:
            row = self._row(sequence)
            values = [row[token] for token in allowed]
            best = max(values)
            options: Sequence[int] = allowed
            if rng.random() >= epsilon:
                options = [token for token, value in zip(allowed, values, strict=True) if value == best]
            sequence = (*sequence, options[int(rng.integers(len(options)))])
        return sequence

    def update(self, sequence: Tokens, reward: float, shaping: float = 0.0) -> None:
        """Bellman's update of every choice of an architecture, the last one first.

        Args:
            sequence: the choices.
            reward: of the whole architecture, given at the last choice.
            shaping: reward of each choice before it.
        """
        gain, following = reward, 0.0
        for row, token, start, stop in self._trace(sequence):
            row[token] += self._learning_rate * (gain + self._discount * following - row[token])
            gain, following = shaping, max(row[start:stop])

    def _trace(self, sequence: Tokens) -> list[tuple[list[float], int, int, int]]:
        """Return (values of the state, choice, first and last choice allowed) of every step, the last one first."""
        if sequence not in self._traces:
            steps = []
            for step in reversed(range(len(sequence))):
                allowed = self.choices.allowed(sequence[:step]) or range(0)
                steps.append((self._row(sequence[:step]), sequence[step], allowed.start, allowed.stop))
            self._traces[sequence] = steps
        return self._traces[sequence]

    def _row(self, prefix: Tokens) -> list[float]:
        state = self.choices.state(prefix)
        if state not in self._values:
            self._values[state] = [self._initial] * self.choices.tokens
        return self._values[state]


def epsilon_at(schedule: Sequence[tuple[float, float]], progress: float) -> float:
    """ε of a schedule of (ε, models) stages after the fraction ``progress`` of all its models."""
    models = progress * sum(length for _, length in schedule)
    for epsilon, length in schedule:
        if models < length:
            return epsilon
        models -= length
    return schedule[-1][0]


def progress_of(run: Run, budget: int, scores: Scores) -> float:
    """Return the part of a search that is over: of its budget, or of the space where that is used up sooner.

    By what was spent and not by how many were drawn: networks that do not exist cost little, and half of those may be.
    """
    return max(run.spent / budget, len(scores.known) / scores.size)


def check_schedule(schedule: Sequence[tuple[float, float]]) -> None:
    """Refuse a schedule whose ε are no probabilities or whose stages are empty.

    Raises:
        InvalidValueError: the message names it.
    """
    if not schedule or any(not 0 <= epsilon <= 1 or length <= 0 for epsilon, length in schedule):
        raise InvalidValueError(
            f"schedule={schedule!r} is not allowed; give stages (ε, models) with 0 ≤ ε ≤ 1 and models above 0"
        )
