"""DeepQN with experience replay, the baseline of the meta-RL paper (https://arxiv.org/abs/1911.03769, section 6.1).

Mnih et al. (2013), https://arxiv.org/abs/1312.5602. Notes: ``docs/methods/agents.md``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasbench_rl import BudgetExhausted, Run
from nasbench_rl_baselines._episodes import Episodes
from nasbench_rl_baselines._policies import check_savable, load_policy, save_policy
from nasbench_rl_baselines._searching import RewardScale, check_positive, check_share
from nasbench_rl_baselines._torch import DTYPE, generator_of, one_thread


@dataclass(frozen=True)
class Dqn:
    """Act ε-greedily by Q-values in ``run.env()``, learn them from replayed transitions.

    Attributes:
        learning_rate: Adam's.
        batch: transitions an update, one update a step.
        buffer: transitions kept, as a share of t_max.
        epsilon_start: share of random actions at first …
        epsilon_end: … and at the end.
        exploration: share of t_max over which it falls.
        learning_starts: share of t_max before the first update.
        target_every: share of t_max between copies to the target network.
        discount: γ.
        max_norm: the gradient of each tensor is scaled down to this norm.
        t_max: environment steps; None: as many as the budget pays for, at a full training an architecture.
        policy: a file of Q-values to start from; ``{seed}`` in it becomes the search seed.
        save: a file to write them to at the end; likewise.
        learn: False keeps the weights as they are and explores at ``epsilon_end``.
    """

    learning_rate: float = 5e-4
    batch: int = 20
    buffer: float = 0.5
    epsilon_start: float = 1.0
    epsilon_end: float = 0.1
    exploration: float = 1.0
    learning_starts: float = 1000 / 6500
    target_every: float = 100 / 6500
    discount: float = 1.0
    max_norm: float = 10.0
    t_max: int | None = None
    policy: str | None = None
    save: str | None = None
    learn: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(learning_rate=self.learning_rate, batch=self.batch, buffer=self.buffer, max_norm=self.max_norm)
        check_positive(exploration=self.exploration, t_max=1 if self.t_max is None else self.t_max)
        check_positive(target_every=self.target_every)
        check_share(epsilon_start=self.epsilon_start, epsilon_end=self.epsilon_end, discount=self.discount)
        check_share(learning_starts=self.learning_starts)

    def __call__(self, run: Run) -> None:
        """Search; ends when the budget or ``t_max`` is spent, or when nothing was charged for long."""
        check_savable(self.save, run)
        with one_thread():
            agent = _Agent(run, self)
            try:
                agent.play()
            except BudgetExhausted:
                pass
            if self.save is not None:
                save_policy(agent.online, self.save, run)


class QNetwork(nn.Module):
    """Baselines' ``mlp`` with a dueling head: (…, features) → (…, actions)."""

    def __init__(self, features: int, actions: int, generator: torch.Generator) -> None:
        """Orthogonal weights below, Glorot's in the two streams, as in Baselines; drawn from ``generator``."""
        super().__init__()

        # Made on "meta" first: the modules' own initialisation would draw from torch's global generator.
        def linear(inputs: int, outputs: int) -> nn.Linear:
            return nn.Linear(inputs, outputs, device="meta")

        self.body = nn.Sequential(linear(features, 64), nn.Tanh(), linear(64, 64), nn.Tanh())
        self.advantage = nn.Sequential(linear(64, 256), nn.ReLU(), linear(256, actions))
        self.value = nn.Sequential(linear(64, 256), nn.ReLU(), linear(256, 1))
        self.to(DTYPE).to_empty(device="cpu")
        for name, parameter in self.named_parameters():
            if parameter.ndim == 1:
                nn.init.zeros_(parameter)
            elif name.startswith("body"):
                nn.init.orthogonal_(parameter, 2**0.5, generator=generator)
            else:
                nn.init.xavier_uniform_(parameter, generator=generator)

    def forward(self, observations: Tensor) -> Tensor:
        """Q-values: the value plus the advantages less their mean."""
        hidden = self.body(observations)
        advantage: Tensor = self.advantage(hidden)
        value: Tensor = self.value(hidden)
        return value + advantage - advantage.mean(-1, keepdim=True)


class _Agent:
    def __init__(self, run: Run, method: Dqn) -> None:
        self.method, self.generator = method, generator_of(run)
        self.episodes, self.scale = Episodes(run, method.t_max), RewardScale(run)
        self.online, self.target = (
            QNetwork(self.episodes.features, self.episodes.actions, self.generator) for _ in range(2)
        )
        if method.policy is not None:
            load_policy(self.online, method.policy, run)
        self.weights = list(self.online.parameters())
        self._renew_target()
        self.optimizer = torch.optim.Adam(self.weights, method.learning_rate, fused=True)
        size = max(1, int(method.buffer * self.episodes.expected))
        # observation, action, score (NaN: nothing was evaluated), what it led to, whether the episode went on
        self.buffer: deque[tuple[Tensor, int, float, Tensor, float]] = deque(maxlen=size)

    def play(self) -> None:
        """Act, remember, learn, once a step."""
        method, expected = self.method, self.episodes.expected
        starts, every = method.learning_starts * expected, max(1, round(method.target_every * expected))
        step = 0
        while self.episodes.goes_on():
            observation = self.episodes.observation
            action = self._act(observation)
            score, led_to, done = self.episodes.step(action)
            if score is not None:
                self.scale.see(score)
            self.buffer.append((observation, action, float("nan") if score is None else score, led_to, float(not done)))
            if method.learn and step > starts:
                self._learn()
                if step % every == 0:
                    self._renew_target()
            step += 1

    def _act(self, observation: Tensor) -> int:
        method = self.method
        fallen = min(1.0, self.episodes.progress / method.exploration) if method.learn else 1.0
        epsilon = method.epsilon_start + fallen * (method.epsilon_end - method.epsilon_start)
        if float(torch.rand((), generator=self.generator)) < epsilon:
            return int(torch.randint(self.episodes.actions, (), generator=self.generator))
        with torch.no_grad():
            return int(self.online(observation).argmax())

    def _learn(self) -> None:
        """One step on a batch drawn with replacement, towards double Q-learning's target."""
        at = torch.randint(len(self.buffer), (self.method.batch,), generator=self.generator).tolist()
        seen, actions, scores, led_to, goes_on = zip(*(self.buffer[i] for i in at), strict=True)
        rewards = torch.tensor([0.0 if score != score else self.scale(score) for score in scores], dtype=DTYPE)
        values, values_after = self.online(torch.stack(seen + led_to)).chunk(2)
        with torch.no_grad():
            best = values_after.argmax(1, keepdim=True)
            following = self.target(torch.stack(led_to)).gather(1, best)[:, 0] * torch.tensor(goes_on, dtype=DTYPE)
        now = values.gather(1, torch.tensor(actions)[:, None])[:, 0]
        loss = nn.functional.huber_loss(now, rewards + self.method.discount * following)
        for parameter, gradient in zip(self.weights, torch.autograd.grad(loss, self.weights), strict=True):
            norm = float(torch.linalg.vector_norm(gradient))
            parameter.grad = gradient if norm <= self.method.max_norm else gradient * (self.method.max_norm / norm)
        self.optimizer.step()

    @torch.no_grad()
    def _renew_target(self) -> None:
        for old, new in zip(self.target.parameters(), self.weights, strict=True):
            old.copy_(new)
