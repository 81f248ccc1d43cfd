"""EAS: a controller widens and deepens a small trained network, whose weights every child inherits.

Cai, Chen, Zhang, Yu and Wang (2018), "Efficient architecture search by network transformation",
https://arxiv.org/abs/1707.04873: the bidirectional-LSTM encoder, the Net2Wider and Net2Deeper actors (section 3), the
shaped reward and REINFORCE (section 3.1 and 5.1). Sizes, rates and steps are those of the authors' code,
https://github.com/han-cai/EAS, ``code/arch_search/arch_search_convnet_net2net.py``; the baseline is that of its
``code/expdir_monitor/arch_manager.py``, whose decay of 0.95 is the weight of the newest rewards and not of the past.

What the moves are, and what they reach:

- Kernel-choice spaces fix depth and width. A wider step grows kernels to the next size, which keeps the function
  exactly whatever the padding's parity and the stride, so every architecture can be reached from the smallest one. The
  deeper actor has nothing to do.
- ``nsc-chain``: a deeper step inserts a layer, or none; a wider step grows convolutions. Filters are fixed and padding
  is valid, so few moves keep the function: a 1x1 convolution where a ReLU follows behind max-pools at most, and larger
  kernels where a later pooling drops what they cut off. These reach a small part of the space. With ``reinitialise``,
  the default, all other moves are allowed too: **they do not keep the function**; layers that parent and child have in
  common inherit, the new ones and whatever no longer fits start with fresh weights. Reached are then all chains
  that grow from ``start`` by ``deeper_steps`` insertions and ``wider_steps`` enlargements.
- Branches are TreeCell's, and refused here.

In live mode a child begins with the weights of the trained start and trains for a part of a training. In tabular mode
this is an **approximation**: its score is that of a training from scratch of that length, for the same charge.

Changed for a default budget of ten trainings, where the paper trains 450 children in its first stage:

- The controller learns after every fourth child, not every tenth; a child gets a quarter of a training (there 20 of 300
  epochs), and the best three are trained from scratch at the end (there further, with the weights they have).
- The entropy bonus is summed over the decisions of a child; the authors' code averages it over them.
- The whole training of the start network is charged; the paper's was there before.
- One stage: the paper makes its best child the start of a second search.
- The reward is tan(r π / 2) as in the paper; for returns of games r is the score between the lowest and the highest
  seen, and r is cut at 0.95.

Not confirmed from a source: the 450 children of the first stage, the 300 epochs and the paper's section numbers (20
epochs and 10 children are those of the authors' code).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasbench_rl import Run
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._grown_chain import GrownChain, Layers, grown_chain
from nasbench_rl_baselines._heirs import Heirs
from nasbench_rl_baselines._searching import check_positive
from nasbench_rl_baselines._torch import generator_of, one_thread


@dataclass(frozen=True)
class Eas:
    """Grow children from one small trained network, raise the probability of moves that led to good ones.

    Attributes:
        start: the small network on NSC spaces; kernel-choice spaces start with all kernels at their smallest.
        wider_steps: wider decisions an episode, each over all layers.
        deeper_steps: deeper decisions an episode.
        reinitialise: allow moves that do not keep the function, on NSC spaces.
        child_part: part of a training that a child gets.
        finalists: children that are trained from scratch to the end.
        embedding: size of a layer's embedding.
        units: of the encoder's LSTM, each way.
        learning_rate: Adam's.
        entropy_coef: weight of the entropy bonus.
        batch: children an update of the controller.
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
    batch: int = 4
    baseline_decay: float = 0.05

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, embedding=self.embedding, learning_rate=self.learning_rate, batch=self.batch)
        check_positive(child_part=self.child_part, finalists=self.finalists, wider_steps=self.wider_steps)

    def __call__(self, run: Run) -> None:
        """Search; ends with the finalists, or in BudgetExhausted."""
        chain = grown_chain(run, self.start, self.reinitialise)
        with one_thread():
            heirs = Heirs(run, chain.arch(chain.start), self.child_part, self.finalists, self.baseline_decay)
            self._search(run, chain, heirs)
        heirs.finish()

    def _search(self, run: Run, chain: GrownChain, heirs: Heirs) -> None:
        generator = generator_of(run)
        controller = MetaController(chain, self.embedding, self.units, generator)
        optimizer = torch.optim.Adam(controller.parameters(), self.learning_rate)
        while heirs.goes_on():
            children: list[Architecture] = []
            log_probs: list[Tensor] = []
            entropies: list[Tensor] = []
            while len(children) < self.batch and heirs.goes_on():
                layers, log_prob, entropy = controller.grow(self.wider_steps, self.deeper_steps)
                children.append(chain.arch(layers))
                log_probs.append(log_prob)
                entropies.append(entropy)
                heirs.train(children[-1])
            gains = torch.tensor(heirs.advantages(children)) * torch.stack(log_probs)
            optimizer.zero_grad()
            (-(gains + self.entropy_coef * torch.stack(entropies)).mean()).backward()
            optimizer.step()


class MetaController(nn.Module):
    """The encoder and both actors (Figures 1 to 3 of the paper)."""

    def __init__(self, chain: GrownChain, embedding: int, units: int, generator: torch.Generator) -> None:
        """Weights are uniform in ± 1/√fan-in, embeddings in ± √3, drawn from ``generator``."""
        super().__init__()
        self.chain, self.generator = chain, generator
        self._encoded: dict[Layers, tuple[Tensor, tuple[Tensor, Tensor]]] = {}
        self._version = -1
        positions, both = chain.depth + 2, 2 * units
        # Made on "meta" first: the modules' own initialisation would draw from torch's global generator.
        self.layers = nn.Embedding(chain.tokens, embedding, device="meta")
        self.encoder = nn.LSTM(embedding, units, bidirectional=True, device="meta")
        self.wider = nn.Linear(both, 1, device="meta")
        self.positions = nn.Embedding(positions + 1, embedding, device="meta")  # the last row begins
        self.decoder = nn.LSTMCell(embedding, both, device="meta")
        self.where = nn.Linear(both, positions, device="meta")
        self.what = nn.Linear(both, chain.tokens, device="meta")
        self.to_empty(device="cpu")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                embedded = name.startswith(("layers", "positions"))
                bound = 3**0.5 if embedded else (parameter.shape[-1] if parameter.dim() > 1 else both) ** -0.5
                parameter.uniform_(-bound, bound, generator=generator)

    def grow(self, wider_steps: int, deeper_steps: int) -> tuple[Layers, Tensor, Tensor]:
        """One episode: the layers it ends with, the log-probability of its decisions and their summed entropy."""
        layers, log_prob, entropy = self.chain.start, torch.zeros(()), torch.zeros(())
        for _ in range(wider_steps):
            layers, p, e = self._widen(layers)
            log_prob, entropy = log_prob + p, entropy + e
        for _ in range(deeper_steps if self.chain.deepens else 0):
            layers, p, e = self._deepen(layers)
            log_prob, entropy = log_prob + p, entropy + e
        return layers, log_prob, entropy

    def _encode(self, layers: Layers) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(layers, 2 units) the layers' hidden states, and the last states of both directions side by side.

        Remembered until the weights change: the children of one update pass through the same networks.
        """
        if self._version != self.wider.weight._version:
            self._version = self.wider.weight._version
            self._encoded.clear()
        if layers not in self._encoded:
            out, (h, c) = self.encoder(self.layers(torch.tensor(layers)))
            self._encoded[layers] = out, (h.reshape(1, -1), c.reshape(1, -1))
        return self._encoded[layers]

    def _widen(self, layers: Layers) -> tuple[Layers, Tensor, Tensor]:
        """Net2Wider: a sigmoid for each layer says whether it grows by one size."""
        logits = self.wider(self._encode(layers)[0]).squeeze(-1)
        drawn = torch.bernoulli(logits.detach().sigmoid(), generator=self.generator)
        could = torch.zeros(len(layers))
        for at, wanted in enumerate(drawn.tolist()):
            wider = self.chain.wider(layers, at)
            could[at] = wider is not None  # a decision that changes nothing is no part of the episode
            layers = wider if wanted and wider is not None else layers
        log_probs = nn.functional.logsigmoid(torch.stack([-logits, logits]))
        entropy = -(log_probs.exp() * log_probs).sum(0)
        return layers, (log_probs.gather(0, drawn.long()[None])[0] * could).sum(), (entropy * could).sum()

    def _deepen(self, layers: Layers) -> tuple[Layers, Tensor, Tensor]:
        """Net2Deeper: a decoder says where a layer goes in, or nowhere, and then which."""
        allowed = self.chain.deeper(layers)
        begin, nowhere = torch.tensor([self.positions.num_embeddings - 1]), self.where.out_features - 1
        state = self.decoder(self.positions(begin), self._encode(layers)[1])
        places = [place for place, options in enumerate(allowed) if options]
        at, log_prob, entropy = self._draw(self.where(state[0])[0], [*places, nowhere])
        if at == nowhere:
            return layers, log_prob, entropy
        state = self.decoder(self.positions(torch.tensor([at])), state)
        token, p, e = self._draw(self.what(state[0])[0], allowed[at])
        return (*layers[:at], token, *layers[at:]), log_prob + p, entropy + e

    def _draw(self, logits: Tensor, choices: list[int]) -> tuple[int, Tensor, Tensor]:
        """One of ``choices``, its log-probability and the entropy it was drawn with."""
        log_probs = logits[choices].log_softmax(0)
        at = int(torch.multinomial(log_probs.detach().exp(), 1, generator=self.generator))
        return choices[at], log_probs[at], -(log_probs.exp() * log_probs).sum()
