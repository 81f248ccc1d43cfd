"""The recurrent controller of NAS: an LSTM that writes an architecture choice by choice.

Zoph and Le (2017), https://arxiv.org/abs/1611.01578, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nasbench_rl import Run
from nasbench_rl_baselines._choices import Choices, Tokens
from nasbench_rl_baselines._searching import BudgetGuard
from nasbench_rl_baselines._torch import DTYPE, log_prob_and_entropy

States = list[tuple[Tensor, Tensor] | None]


class Controller(nn.Module):
    """An LSTM over the tokens of ``Choices``, with one embedding and one softmax for all steps."""

    def __init__(
        self, choices: Choices, units: int, layers: int, init_range: float, generator: torch.Generator, context: int = 0
    ) -> None:
        """Draw weights uniformly in ±``init_range`` from ``generator``.

        ``context``: how many numbers come with each sequence; a linear layer of them is added to the first input.
        """
        super().__init__()
        self.choices = choices
        self._known: dict[Tokens, tuple[Tensor, States]] = {}
        # Made on "meta" first: the modules' own initialisation would draw from torch's global generator.
        self.embedding = nn.Embedding(choices.tokens + 1, units, device="meta")  # the last row begins a sequence
        # Cells, because nn.LSTM takes three times as long for a single step.
        self.cells = nn.ModuleList(nn.LSTMCell(units, units, device="meta") for _ in range(layers))
        self.head = nn.Linear(units, choices.tokens, device="meta")
        self.context = nn.Linear(context, units, bias=False, device="meta") if context else None
        self.to(DTYPE).to_empty(device="cpu")
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-init_range, init_range, generator=generator)

    def _first(self, count: int, context: Tensor | None) -> Tensor:
        """Return (n, units) the input before the first choice."""
        begin: Tensor = self.embedding(torch.full((count,), self.choices.tokens))
        if self.context is not None and context is not None:
            begin = begin + self.context(context)
        return begin

    def _step(self, out: Tensor, states: States) -> tuple[Tensor, States]:
        """Feed one input a sequence, (n, units); returns logits (n, tokens) and the cells' states."""
        after = []
        for cell, state in zip(self.cells, states, strict=True):
            after.append(cell(out, state))
            out = after[-1][0]
        return self.head(out), after

    @torch.no_grad()
    def sample(self, generator: torch.Generator, context: Tensor | None = None) -> Tokens:
        """Draw one architecture, given ``context`` (numbers,)."""
        if context is not None:
            self._known.clear()
        sequence: Tokens = ()
        while (allowed := self.choices.allowed(sequence)) is not None:
            weights = self._next_token_probs(sequence, allowed, context)
            sequence = (*sequence, int(torch.multinomial(weights, 1, generator=generator)) + allowed.start)
        return sequence

    def _next_token_probs(self, prefix: Tokens, allowed: range, context: Tensor | None) -> Tensor:
        """Return (allowed,) the probabilities of the token after ``prefix``, whose beginnings were asked for before.

        Remembered until ``log_prob``, after which the weights change: architectures drawn in between begin alike.
        """
        if prefix not in self._known:
            states: States = self._known[prefix[:-1]][1] if prefix else [None] * len(self.cells)
            out = self.embedding(torch.tensor([prefix[-1]])) if prefix else self._first(1, context)
            logits, after = self._step(out, states)
            self._known[prefix] = logits[0, allowed.start : allowed.stop].softmax(0), after
        return self._known[prefix][0]

    def log_prob(self, sequences: Sequence[Tokens], context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the log-probability of whole sequences and the entropy summed over the steps of each, both (n,).

        ``context``: (n, numbers) of each. An optimizer's step is expected to follow.
        """
        self._known.clear()
        length = max(map(len, sequences))
        padded = [[*sequence, *[0] * (length - len(sequence))] for sequence in sequences]
        tokens = torch.tensor(padded).T  # (steps, n)
        states: States = [None] * len(self.cells)
        logits = []
        for out in (self._first(len(sequences), context), *map(self.embedding, tokens[:-1])):
            step, states = self._step(out, states)
            logits.append(step)
        allowed, within = self._masks(sequences, length)
        chosen, entropy = log_prob_and_entropy(torch.stack(logits), allowed, tokens)
        return torch.where(within, chosen, 0.0).sum(0), torch.where(within, entropy, 0.0).sum(0)

    def _masks(self, sequences: Sequence[Tokens], length: int) -> tuple[Tensor, Tensor]:
        """Return (steps, n, tokens): what may be chosen; (steps, n): whether the sequence is still being written."""
        everything = range(self.choices.tokens)
        ranges = [[self.choices.allowed(s[:step]) or everything for s in sequences] for step in range(length)]
        bounds = torch.tensor([[(r.start, r.stop) for r in row] for row in ranges])
        token = torch.arange(self.choices.tokens)
        allowed = (token >= bounds[..., :1]) & (token < bounds[..., 1:])
        within = torch.tensor([[step < len(s) for s in sequences] for step in range(length)])
        return allowed, within


def evaluated_batch(
    run: Run,
    controller: Controller,
    generator: torch.Generator,
    size: int,
    advantage: Callable[[float], float],
    guard: BudgetGuard,
) -> tuple[list[Tokens], Tensor] | None:
    """Sample ``size`` architectures and evaluate them; None when ``guard`` ends the search before the batch is full.

    Args:
        run: the search.
        controller: what samples.
        generator: its draws.
        size: architectures in the batch.
        advantage: of a score; called once for each, in order.
        guard: asked before every evaluation.

    Returns:
        The sequences and (size,) their advantages.

    Raises:
        BudgetExhausted: an evaluation costs more than remains.
    """
    sequences: list[Tokens] = []
    advantages: list[float] = []
    while len(sequences) < size:
        if not guard.goes_on():
            return None
        sequences.append(controller.sample(generator))
        advantages.append(advantage(run.evaluate(controller.choices.decode(sequences[-1]))))
    return sequences, torch.tensor(advantages, dtype=DTYPE)
