"""A bidirectional tree-structured LSTM over the layers of a network, and three actors that read it.

Cai et al. (2018), https://arxiv.org/abs/1806.02639, section 3.3 and Figure 4; Tai et al. (2015),
https://arxiv.org/abs/1503.00075: child-sum units at add, N-ary units at concat. One pass follows the image, the other
returns.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nasbench_rl_baselines._torch import DTYPE

Vectors = tuple[tuple[int, int, int, int, int], ...]
State = tuple[Tensor, Tensor]


class Merge(nn.Module):
    """The state after a merge, from those of its two branches. ``ordered``: N-ary, else child-sum."""

    def __init__(self, embedding: int, units: int, ordered: bool) -> None:
        super().__init__()
        self.ordered = ordered
        self.gates = nn.Linear(embedding + units * (2 if ordered else 1), 3 * units, device="meta")
        self.forget = nn.ModuleList(
            nn.Linear(embedding + units * (2 if ordered else 1), units, device="meta") for _ in range(1 + ordered)
        )

    def forward(self, embedded: Tensor, branches: list[State]) -> State:
        """``embedded``: (1, embedding) the merge layer; states of (1, units) each."""
        hidden, cells = [h for h, _ in branches], [c for _, c in branches]
        joined = torch.cat(hidden, 1) if self.ordered else hidden[0] + hidden[1]
        i, o, u = self.gates(torch.cat([embedded, joined], 1)).chunk(3, 1)
        memory = i.sigmoid() * u.tanh()
        for k, cell in enumerate(cells):
            seen = joined if self.ordered else hidden[k]
            forget = self.forget[k if self.ordered else 0]
            memory = memory + forget(torch.cat([embedded, seen], 1)).sigmoid() * cell
        return o.sigmoid() * memory.tanh(), memory


class TreeController(nn.Module):
    """Encoder and actors; it remembers the decisions of an episode until ``take_log_prob``."""

    def __init__(
        self,
        tokens: Mapping[tuple[int, int], int],
        merges: tuple[int, ...],
        embedding: int,
        units: int,
        generator: torch.Generator,
    ) -> None:
        """As in the authors' code: orthogonal matrices, zero biases, embeddings uniform in ± 0.1.

        Args:
            tokens: every layer (type, kernel) to its token.
            merges: the types of add and of concat.
            embedding: size of a layer's embedding.
            units: of each pass.
            generator: draws the weights and the choices.
        """
        super().__init__()
        self.tokens, self.generator, self.units = tokens, generator, units
        # Made on "meta" first: the modules' own initialisation would draw from torch's global generator.
        self.embedding = nn.Embedding(len(tokens), embedding, device="meta")
        self.down, self.up = (nn.LSTMCell(embedding, units, device="meta") for _ in range(2))
        self.merge = nn.ModuleDict(
            {str(kind): Merge(embedding, units, place == 1) for place, kind in enumerate(merges)}
        )
        hidden = 5 * units  # 2.5 x the width of both passes
        self.actors = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(2 * units, hidden, device="meta"), nn.ReLU(), nn.Linear(hidden, choices, device="meta")
                )
                for name, choices in {"merge": 1 + len(merges), "insert": 2, "replace": len(tokens)}.items()
            }
        )
        self.to(DTYPE).to_empty(device="cpu")
        self._draw_weights()
        self._log_prob, self._entropy = torch.zeros((), dtype=DTYPE), torch.zeros((), dtype=DTYPE)

    @torch.no_grad()
    def _draw_weights(self) -> None:
        for name, parameter in self.named_parameters():
            if name.startswith("embedding"):
                parameter.uniform_(-0.1, 0.1, generator=self.generator)
            elif parameter.dim() > 1 and not name.startswith("actors"):
                nn.init.orthogonal_(parameter, generator=self.generator)
            elif parameter.dim() > 1:
                bound = parameter.shape[1] ** -0.5
                parameter.uniform_(-bound, bound, generator=self.generator)
            else:
                parameter.zero_()

    def choose(self, actor: str, vectors: Vectors, focus: int, choices: list[int]) -> int:
        """Return one of ``choices`` for layer ``focus``, drawn from the actor's softmax over them."""
        if len(choices) == 1:
            return choices[0]
        log_probs = self.actors[actor](self._encode(vectors, focus))[0, choices].log_softmax(0)
        at = int(torch.multinomial(log_probs.detach().exp(), 1, generator=self.generator))
        self._log_prob = self._log_prob + log_probs[at]
        self._entropy = self._entropy - (log_probs.exp() * log_probs).sum()
        return choices[at]

    def take_log_prob(self) -> tuple[Tensor, Tensor]:
        """Return log-probability and summed entropy of the choices since the last call."""
        kept = self._log_prob, self._entropy
        self._log_prob, self._entropy = torch.zeros((), dtype=DTYPE), torch.zeros((), dtype=DTYPE)
        return kept

    def _encode(self, vectors: Vectors, focus: int) -> Tensor:
        """Return (1, 2 units) hidden states of a layer in both passes."""
        tokens = torch.tensor([self.tokens[kind, kernel] for _, kind, kernel, _, _ in vectors])
        embedded = self.embedding(tokens)[:, None]
        empty = (torch.zeros(1, self.units, dtype=DTYPE), torch.zeros(1, self.units, dtype=DTYPE))
        forth: list[State] = [empty]
        for at, (_, kind, _, first, second) in enumerate(vectors):
            if str(kind) in self.merge:
                forth.append(self.merge[str(kind)](embedded[at], [forth[first], forth[second]]))
            else:
                forth.append(self.down(embedded[at], forth[first]))
        back: list[State] = [empty] * (len(vectors) + 1)
        for at in range(len(vectors) - 1, focus - 2, -1):
            _, kind, _, first, second = vectors[at]
            h, c = self.up(embedded[at], back[at + 1])
            back[at + 1] = (h, c)
            for source in (first, second) if str(kind) in self.merge else (first,):
                back[source] = (back[source][0] + h, back[source][1] + c)
        return torch.cat([forth[focus][0], back[focus][0]], 1)
