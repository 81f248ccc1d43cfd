"""Advantage actor-critic with one worker, as in OpenAI Baselines' ``a2c``, with or without memory.

Mnih et al. (2016), https://arxiv.org/abs/1602.01783.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasbench_rl import BudgetExhausted, Run
from nasbench_rl_baselines._episodes import Episodes
from nasbench_rl_baselines._policies import check_savable, load_policy, save_policy, save_tensors
from nasbench_rl_baselines._searching import RewardScale, check_positive, check_share
from nasbench_rl_baselines._torch import DTYPE, generator_of, one_thread

Memory = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ActorCriticSettings:
    """The hyperparameters of ``meta_a2c`` and ``a2c``.

    Attributes:
        units: of the LSTM.
        horizon: environment steps between updates, j; the paper's multi-branch experiment has 10.
        discount: γ.
        entropy: weight of the entropy bonus, η.
        value: weight of the value's squared error.
        learning_rate: RMSprop's, α.
        anneal: lower the learning rate linearly to 0 over the run, as Baselines does by default.
        forget: zero the state of the LSTM at the end of every episode, as the authors' code does.
        max_norm: gradients are scaled down to this norm.
        t_max: environment steps; None goes on until the budget is spent.
        policy: a file to start from; ``{seed}`` in it becomes the search seed.
        save: a file to write the policy to at the end; likewise.
        learn: False keeps the weights as they are.
        trace: a file for the policy's entropy (nats) at each environment step, as safetensors; likewise.
    """

    units: int = 128
    horizon: int = 5
    discount: float = 0.9
    entropy: float = 0.01
    value: float = 0.5
    learning_rate: float = 1e-3
    anneal: bool = False
    forget: bool = False
    max_norm: float = 0.5
    t_max: int | None = None
    policy: str | None = None
    save: str | None = None
    learn: bool = True
    trace: str | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, horizon=self.horizon, learning_rate=self.learning_rate, max_norm=self.max_norm)
        check_positive(t_max=1 if self.t_max is None else self.t_max)
        check_share(discount=self.discount)


class ActorCritic(nn.Module):
    """An LSTM or a tanh layer that policy and value share, and a linear layer for each of the two."""

    def __init__(self, inputs: int, actions: int, units: int, recurrent: bool, generator: torch.Generator) -> None:
        """Orthogonal weights, small ones for the policy, drawn from ``generator``."""
        super().__init__()
        self.units, self.recurrent = units, recurrent
        # Made on "meta" first: the modules' own initialisation would draw from torch's global generator.
        shared: nn.Module = (
            nn.LSTMCell(inputs, units, device="meta") if recurrent else nn.Linear(inputs, units, device="meta")
        )
        self.shared = shared
        self.actor = nn.Linear(units, actions, device="meta")
        self.critic = nn.Linear(units, 1, device="meta")
        self.to(DTYPE).to_empty(device="cpu")
        gains = {"shared": 1.0 if recurrent else 2**0.5, "actor": 0.01, "critic": 1.0}
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.orthogonal_(parameter, gains[name.split(".")[0]], generator=generator)
            else:
                nn.init.zeros_(parameter)

    def begin(self) -> Memory:
        """Return the state of the LSTM at the start of a run; unused without memory."""
        return torch.zeros(1, self.units, dtype=DTYPE), torch.zeros(1, self.units, dtype=DTYPE)

    def forward(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        """Return (inputs,) → logits (actions,), value (), the new state."""
        if self.recurrent:
            memory = self.shared(inputs[None], memory)
            hidden = memory[0]
        else:
            hidden = self.shared(inputs[None]).tanh()
        return self.actor(hidden)[0], self.critic(hidden)[0, 0], memory


class TfRmsprop:
    """TensorFlow 1's RMSprop: its mean square starts at 1 and its epsilon lies under the root, unlike torch's.

    With torch's, the first steps would be ten times as long as the learning rate says.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float = 0.99, epsilon: float = 1e-5) -> None:
        """Start with mean squares of 1; the defaults are Baselines'."""
        self._parameters, self._decay, self._epsilon = parameters, decay, epsilon
        self._mean_squares = [torch.ones_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float, max_norm: float) -> None:
        """One step; gradients are scaled down together to a norm of at most ``max_norm``."""
        norm = float(torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt())
        factor = min(1.0, max_norm / norm) if norm > 0 else 1.0
        for parameter, gradient, square in zip(self._parameters, gradients, self._mean_squares, strict=True):
            gradient = gradient * factor
            square.mul_(self._decay).addcmul_(gradient, gradient, value=1 - self._decay)
            parameter.sub_(learning_rate * gradient * (square + self._epsilon).rsqrt())


def search(run: Run, method: ActorCriticSettings, recurrent: bool) -> None:
    """One trial: learn while acting, or act with frozen weights; then save the policy where that was asked for."""
    check_savable(method.save, run)
    check_savable(method.trace, run, "trace")
    with one_thread():
        worker = _Worker(run, method, recurrent)
        try:
            if recurrent:
                worker.begin()
            while worker.rollout():
                pass
        except BudgetExhausted:
            pass
        if method.save is not None:
            save_policy(worker.network, method.save, run)
        if method.trace is not None:
            save_tensors({"entropy": torch.tensor(worker.entropies, dtype=DTYPE)}, method.trace, run, "trace")


class _Worker:
    """One environment, its network, and what they remember between rollouts."""

    def __init__(self, run: Run, method: ActorCriticSettings, recurrent: bool) -> None:
        self.method, self.recurrent = method, recurrent
        self.generator = generator_of(run)
        self.episodes = Episodes(run, method.t_max)
        actions = self.episodes.actions
        inputs = self.episodes.features + (actions + 2 if recurrent else 0)
        self.network = ActorCritic(inputs, actions, method.units, recurrent, self.generator)
        if method.policy is not None:
            load_policy(self.network, method.policy, run)
        self.parameters = list(self.network.parameters())
        self.optimizer = TfRmsprop(self.parameters)
        self.scale = RewardScale(run)
        self.memory = self.network.begin()
        self.last_action, self.last_reward = 0, 0.0
        self.entropies: list[float] = []  # one a step; kept for ``trace`` alone

    def begin(self) -> None:
        """Take a_0, which is drawn uniformly (meta-RL paper, section 4.2.4): the policy's first input tells of it."""
        if self.episodes.goes_on():
            if self.method.trace is not None:
                self.entropies.append(math.log(self.episodes.actions))
            self._act(int(torch.randint(self.episodes.actions, (), generator=self.generator)))

    def _act(self, action: int) -> bool:
        """Return whether the step ended an episode."""
        score, _, done = self.episodes.step(action)
        if score is not None:
            self.scale.see(score)
        self.last_action, self.last_reward = action, 0.0 if score is None else self.scale(score)
        return done

    def inputs(self) -> Tensor:
        """With memory the state, the previous action and reward and the step in the episode; else the state alone."""
        if not self.recurrent:
            return self.episodes.observation
        extra = torch.zeros(self.episodes.actions + 2, dtype=DTYPE)
        extra[self.last_action] = 1.0
        extra[-2], extra[-1] = self.last_reward, self.episodes.position
        return torch.cat([self.episodes.observation, extra])

    def rollout(self) -> bool:
        """Act for ``horizon`` steps, then update once; False when the search should end."""
        self.memory = (self.memory[0].detach(), self.memory[1].detach())
        log_probs: list[tuple[int, Tensor]] = []
        values: list[Tensor] = []
        rewards: list[float] = []
        dones: list[bool] = []
        for _ in range(self.method.horizon):
            if not self.episodes.goes_on():
                return False
            with torch.set_grad_enabled(self.method.learn):  # here alone: a live evaluation below trains an agent
                logits, value, self.memory = self.network(self.inputs(), self.memory)
                log_prob = logits.log_softmax(0)
            probabilities = log_prob.detach().exp()
            if self.method.trace is not None:
                self.entropies.append(-float(probabilities @ log_prob.detach()))
            action = int(torch.multinomial(probabilities, 1, generator=self.generator))
            done = self._act(action)
            if done and self.method.forget:
                self.memory = self.network.begin()
            log_probs.append((action, log_prob))
            values.append(value)
            rewards.append(self.last_reward)
            dones.append(done)
        if self.method.learn:
            self._update(log_probs, values, rewards, dones)
        return True

    def _returns(self, rewards: list[float], dones: list[bool]) -> list[float]:
        """R_t of equation 1, cut at the end of an episode; after the rollout comes the value's guess."""
        following = 0.0
        if not dones[-1]:
            with torch.no_grad():
                following = float(self.network(self.inputs(), self.memory)[1])
        returns = []
        for reward, done in zip(reversed(rewards), reversed(dones), strict=True):
            following = reward + (0.0 if done else self.method.discount * following)
            returns.append(following)
        return returns[::-1]

    def _update(
        self, log_probs: list[tuple[int, Tensor]], values: list[Tensor], rewards: list[float], dones: list[bool]
    ) -> None:
        returns, guesses = torch.tensor(self._returns(rewards, dones), dtype=DTYPE), torch.stack(values)
        advantages = returns - guesses.detach()
        chosen = torch.stack([log_prob[action] for action, log_prob in log_probs])
        every = torch.stack([log_prob for _, log_prob in log_probs])
        entropy = -(every.exp() * every).sum(-1).mean()
        error = (returns - guesses).square().mean()
        loss = -(advantages * chosen).mean() - self.method.entropy * entropy + self.method.value * error
        gradients = torch.autograd.grad(loss, self.parameters)
        rate = self.method.learning_rate * (1 - self.episodes.progress if self.method.anneal else 1.0)
        self.optimizer.step(gradients, rate, self.method.max_norm)
