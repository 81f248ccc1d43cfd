"""EAS: a controller widens and deepens a small trained network, whose weights every child inherits.

Cai et al. (2018), https://arxiv.org/abs/1707.04873. Tabular runs are an approximation: a child scores as a training
from scratch of the same length. Notes: ``docs/methods/network_growth.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._chain_edits import GrownChain, Layers, grown_chain
from nasbench_rl_baselines._child_training import Children, is_small
from nasbench_rl_baselines._searching import check_positive
from nasbench_rl_baselines._torch import DTYPE, generator_of, log_prob_and_entropy, one_thread

RECENT = 32
"""Networks the encoder was last asked about that it reads again, with new weights, next to another of their length: an
LSTM takes hardly longer for a batch of them. On the kernel-choice spaces these are all there are."""
BATCH, BATCH_SMALL = 10, 4
"""Children an update: of the authors' code, and where ten trainings buy 25 children."""


@dataclass(frozen=True)
class Eas:
    """Grow children from one small trained network, raise the probability of moves that led to good ones.

    Attributes:
        start: the small network on NSC spaces; kernel-choice spaces start with all kernels at their smallest.
        wider_steps: wider decisions an episode, each over all layers.
        deeper_steps: deeper decisions an episode.
        reinitialise: allow moves that do not keep the function, on NSC spaces.
        child_part: part of a training that a child gets, less than a whole one.
        finalists: children that are trained from scratch to the end, at least, if the budget has them.
        embedding: size of a layer's embedding.
        units: of the encoder's LSTM, each way.
        learning_rate: Adam's.
        entropy_coef: weight of the entropy bonus.
        batch: children an update of the controller; None is 10, and 4 on the small kernel-choice spaces.
        baseline_decay: weight of the baseline's past.
    """

    start: str = "conv1 maxpool2 conv1"
    wider_steps: int = 4
    deeper_steps: int = 5
    reinitialise: bool = True
    child_part: float = 0.25
    finalists: int = 3
    embedding: int = 16
    units: int = 50
    learning_rate: float = 2e-3
    entropy_coef: float = 1e-5
    batch: int | None = None
    baseline_decay: float = 0.05

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, embedding=self.embedding, learning_rate=self.learning_rate)
        check_positive(child_part=self.child_part, finalists=self.finalists, wider_steps=self.wider_steps)
        check_positive(batch=1 if self.batch is None else self.batch)

    def __call__(self, run: Run) -> None:
        """Search; ends with the finalists, or in BudgetExhausted."""
        chain = grown_chain(run, self.start, self.reinitialise)
        with one_thread():
            children = Children(run, chain.arch(chain.start), self.child_part, self.finalists, self.baseline_decay)
            controller = MetaController(chain, self.embedding, self.units, generator_of(run))

            def grow() -> tuple[Architecture, Episode]:
                layers, episode = controller.grow(self.wider_steps, self.deeper_steps)
                return chain.arch(layers), episode

            optimizer = torch.optim.Adam(controller.parameters(), self.learning_rate, fused=True)
            batch = self.batch or (BATCH_SMALL if is_small(run) else BATCH)
            children.learn(grow, controller.log_prob, optimizer, batch, self.entropy_coef)
        children.finish()


class Decision(NamedTuple):
    """What an actor was asked about ``layers``, and its answer.

    Attributes:
        actor: ``"wider"``, ``"where"`` or ``"what"``.
        layers: the chain it was asked about.
        at: the layer to widen, or the place of the layer to insert.
        choices: possible answers.
        chosen: the answer.
    """

    actor: str
    layers: Layers
    at: int
    choices: Sequence[int]
    chosen: int


Episode = list[Decision]


class MetaController(nn.Module):
    """The encoder and both actors (Figures 1 to 3 of the paper)."""

    def __init__(self, chain: GrownChain, embedding: int, units: int, generator: torch.Generator) -> None:
        """Weights are uniform in ± 1/√fan-in, embeddings in ± √3, drawn from ``generator``."""
        super().__init__()
        self.chain, self.generator = chain, generator
        self._known: dict[Layers, tuple[Tensor, Tensor, Tensor]] = {}
        self._recent: list[Layers] = []
        positions, both = chain.depth + 2, 2 * units
        # Made on "meta" first: the modules' own initialisation would draw from torch's global generator.
        self.layers = nn.Embedding(chain.tokens, embedding, device="meta")
        self.encoder = nn.LSTM(embedding, units, bidirectional=True, device="meta")
        self.wider = nn.Linear(both, 1, device="meta")
        self.positions = nn.Embedding(positions + 1, embedding, device="meta")  # the last row begins
        self.decoder = nn.LSTMCell(embedding, both, device="meta")
        self.where = nn.Linear(both, positions, device="meta")
        self.what = nn.Linear(both, chain.tokens, device="meta")
        self.to(DTYPE).to_empty(device="cpu")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                embedded = name.startswith(("layers", "positions"))
                bound = 3**0.5 if embedded else (parameter.shape[-1] if parameter.dim() > 1 else both) ** -0.5
                parameter.uniform_(-bound, bound, generator=generator)

    @torch.no_grad()
    def grow(self, wider_steps: int, deeper_steps: int) -> tuple[Layers, Episode]:
        """Return the layers an episode ends with, and its decisions for ``log_prob``."""
        layers, episode = self.chain.start, Episode()
        for _ in range(wider_steps):
            layers = self._widen(layers, episode)
        for _ in range(deeper_steps if self.chain.deepens else 0):
            layers = self._deepen(layers, episode)
        return layers, episode

    def _widen(self, layers: Layers, episode: Episode) -> Layers:
        """Net2Wider: a sigmoid for each layer says whether it grows by one size."""
        asked, drawn = layers, torch.bernoulli(self._read(layers)[0], generator=self.generator)
        for at, wanted in enumerate(drawn.tolist()):
            wider = self.chain.wider(layers, at)
            choices = (0, 1) if wider is not None else (0,)  # a decision that changes nothing is none
            episode.append(Decision("wider", asked, at, choices, int(wanted) if wider is not None else 0))
            layers = wider if wanted and wider is not None else layers
        return layers

    def _deepen(self, layers: Layers, episode: Episode) -> Layers:
        """Net2Deeper: a decoder says where a layer goes in, or nowhere, and then which."""
        allowed, nowhere = self.chain.deeper(layers), self.where.out_features - 1
        state = self._begin(*self._read(layers)[1:])
        places = [place for place, options in enumerate(allowed) if options]
        at = self._draw(self.where(state[0])[0], [*places, nowhere])
        episode.append(Decision("where", layers, 0, [*places, nowhere], at))
        if at == nowhere:
            return layers
        state = self.decoder(self.positions(torch.tensor([at])), state)
        token = self._draw(self.what(state[0])[0], allowed[at])
        episode.append(Decision("what", layers, at, allowed[at], token))
        return (*layers[:at], token, *layers[at:])

    def _draw(self, logits: Tensor, choices: list[int]) -> int:
        return choices[int(torch.multinomial(logits[choices].softmax(0), 1, generator=self.generator))]

    def _read(self, layers: Layers) -> tuple[Tensor, Tensor, Tensor]:
        """Return (layers,) probabilities to widen, (1, 2 units) the last h and last c.

        Remembered until ``log_prob``, after which the weights change: the children of one update pass through the same
        networks. A tensor's ``_version`` would not tell, as fused optimizers leave it as it was.
        """
        if layers not in self._known:
            alike = [layers, *(other for other in self._recent if len(other) == len(layers) and other != layers)]
            hidden, h, c = self._encode(alike)
            grow = self.wider(hidden).reshape(len(alike), -1).sigmoid()
            self._known.update((key, (grow[n], h[n : n + 1], c[n : n + 1])) for n, key in enumerate(alike))
        return self._known[layers]

    def _encode(self, chains: Sequence[Layers]) -> tuple[Tensor, Tensor, Tensor]:
        """Of chains sorted by length: (layers of all, 2 units) hidden states, (chains, 2 units) last h and last c."""
        groups: list[list[Tensor]] = []
        for _, alike in groupby(chains, len):
            out, last = self.encoder(self.layers(torch.tensor(list(alike)).T))
            groups.append([states.transpose(0, 1).reshape(-1, out.shape[-1]) for states in (out, *last)])
        hidden, h, c = (torch.cat(states) for states in zip(*groups, strict=True))
        return hidden, h, c

    def _begin(self, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's state when it says where."""
        begin = torch.full((len(h),), self.positions.num_embeddings - 1)
        state: tuple[Tensor, Tensor] = self.decoder(self.positions(begin), (h, c))
        return state

    def log_prob(self, episodes: Sequence[Episode]) -> tuple[Tensor, Tensor]:
        """Return (episodes,) the log-probability of the decisions of each, and their summed entropy; with gradients.

        An optimizer's step is expected to follow.
        """
        self._known.clear()
        chains = sorted(dict.fromkeys(d.layers for episode in episodes for d in episode), key=len)
        encoded = self._encode(chains)
        self._recent = list(dict.fromkeys([*chains, *self._recent]))[:RECENT]
        log_prob, entropy = torch.zeros(len(episodes), dtype=DTYPE), torch.zeros(len(episodes), dtype=DTYPE)
        for actor in ("wider", "where", "what"):
            asked = [(n, d) for n, episode in enumerate(episodes) for d in episode if d.actor == actor]
            if not asked:
                continue
            owners, decisions = torch.tensor([n for n, _ in asked]), [d for _, d in asked]
            logits = self._logits(actor, decisions, chains, encoded)
            allowed = torch.tensor([[token in d.choices for token in range(logits.shape[1])] for d in decisions])
            p, e = log_prob_and_entropy(logits, allowed, torch.tensor([d.chosen for d in decisions]))
            log_prob, entropy = log_prob.index_add(0, owners, p), entropy.index_add(0, owners, e)
        return log_prob, entropy

    def _logits(
        self, actor: str, decisions: list[Decision], chains: list[Layers], encoded: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """Return (decisions, answers) what an actor chose from, given what ``_encode`` made of the chains."""
        hidden, h, c = encoded
        if actor == "wider":
            first = dict(zip(chains, accumulate(map(len, chains), initial=0), strict=False))
            grow = self.wider(hidden[[first[d.layers] + d.at for d in decisions]])
            return torch.cat([torch.zeros_like(grow), grow], 1)  # their softmax is the sigmoid of ``grow``
        row = {layers: n for n, layers in enumerate(chains)}
        rows = [row[d.layers] for d in decisions]
        state = self._begin(h[rows], c[rows])
        if actor == "what":
            state = self.decoder(self.positions(torch.tensor([d.at for d in decisions])), state)
        logits: Tensor = self.where(state[0]) if actor == "where" else self.what(state[0])
        return logits
