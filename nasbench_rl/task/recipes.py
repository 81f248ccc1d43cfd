"""Recipes of reinforcement-learning tasks: all that fixes a training, as frozen data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

PPO_PROTOCOL = 1
"""Raised whenever the trainer's arithmetic changes: it is part of every recipe digest, so old rows do not mix in."""

FIDELITIES = 20
"""Points on a stored learning curve, equally spaced."""


@dataclass(frozen=True, slots=True)
class PPORecipe:
    """PPO on a vector of games (RL-agents paper, section 5.1 and Table 4).

    Attributes:
        name: the part of a task id behind the ``@``.
        env_steps: agent decisions in a training, over all environments; the maximal fidelity.
        learning_rate: Adam's, annealed by a cosine to zero at the end.
        sticky: probability that the emulator repeats the previous action.
        width: multiplies every layer's outputs; 1.0 is the paper's network.
        autocast: ``"bf16"`` runs convolutions and the linear layer in bfloat16 where that was measured to win.
        num_envs: games played side by side.
        rollout: env steps a game between two updates.
        epochs: passes over a rollout.
        minibatches: gradient steps a pass.
        clip: PPO's ε, for the policy ratio and for the change of the value.
        gamma: discount.
        gae_lambda: λ of generalised advantage estimation.
        value_coef: weight of the squared value error.
        entropy_coef: weight of the entropy bonus.
        adam_eps: Adam's ε.
        max_grad_norm: gradients are scaled down to this norm.
        no_ops: a game starts with up to so many no-ops (ALE).
        max_game_steps: a game is cut (truncated, not terminated) after so many env steps.
        eval_games: fresh games of the final policy, played with seeds that no training uses.
    """

    name: str
    env_steps: int
    learning_rate: float
    sticky: float
    width: float = 1.0
    autocast: Literal["bf16"] | None = None
    num_envs: int = 8
    rollout: int = 128
    epochs: int = 3
    minibatches: int = 4
    clip: float = 0.1
    gamma: float = 0.99
    gae_lambda: float = 0.95
    value_coef: float = 0.25
    entropy_coef: float = 0.01
    adam_eps: float = 1e-5
    max_grad_norm: float = 0.5
    no_ops: int = 30
    max_game_steps: int = 27_000
    eval_games: int = 32

    @property
    def fidelities(self) -> tuple[int, ...]:
        """Env steps at which the learning curve is stored."""
        return tuple(self.env_steps * (i + 1) // FIDELITIES for i in range(FIDELITIES))

    @property
    def updates(self) -> int:
        """PPO updates in a training; the last rollout may reach past ``env_steps``."""
        return -(-self.env_steps // (self.num_envs * self.rollout))


@dataclass(frozen=True, slots=True)
class SupernetRecipe:
    """What a supernet needs beside its task's own recipe, by whose PPO and env steps it is fitted.

    Attributes:
        proxy_games: fresh games behind a proxy score.
        final_games: the same at the maximal fidelity.
        game_steps: a proxy's game is cut after so many env steps, because a path may be stuck in a game without end.
        protocol: raised whenever the arithmetic of the fit or of the proxies changes.
    """

    proxy_games: int
    final_games: int
    game_steps: int = 2_500
    protocol: int = 1


@dataclass(frozen=True, slots=True)
class DartsRecipe:
    """What a differentiable search needs beside its task's own recipe, by whose PPO and env steps it is fitted.

    The official code of RL-DARTS (github.com/google/brain_autorl, rl_darts) puts alphas and weights into one Adam with
    one learning rate, ε and gradient norm, so there is no second optimiser to describe. DARTS itself, with a validation
    set to spare, gave the alphas one of their own (3e-4, β 0.5 and 0.999, weight decay 1e-3).

    Attributes:
        initial_alpha: of every candidate, so that all of a block weigh alike at the start.
        temperature: alphas are multiplied by it before the softmax, as in the official code.
        protocol: raised whenever the arithmetic of the fit changes.
    """

    initial_alpha: float = 0.0
    temperature: float = 1.0
    protocol: int = 1


def supernet_recipe(suite: str, environment: str, recipe: str) -> SupernetRecipe:
    """Return the supernet recipe of a task, by the suite and name of its environment and the name of its recipe."""
    if recipe == "smoke":
        return SupernetRecipe(proxy_games=2, final_games=4, game_steps=250)
    return _SUPERNETS.get((suite, environment), _SUPERNETS[suite, ""])


def digest(**parts: Any) -> str:
    """12 hex digits that identify everything that fixes a training; dataclasses are taken field by field."""
    plain = {key: dataclasses.asdict(p) if dataclasses.is_dataclass(p) else p for key, p in parts.items()}  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


_MINATAR = dict(learning_rate=1e-3, sticky=0.1, no_ops=0, max_game_steps=10_000, autocast="bf16")

ATARI_RECIPES = (
    # The paper names no precision; networks of its width gain by bfloat16 (tests/benchmarks/ppo_against_sb3.py).
    PPORecipe("paper", env_steps=10_000_000, learning_rate=2.5e-4, sticky=0.25, autocast="bf16"),
    PPORecipe("lite", env_steps=500_000, learning_rate=1e-3, sticky=0.0, width=0.25, autocast="bf16"),
)
MINATAR_RECIPES = (
    PPORecipe("lite", env_steps=1_000_000, **_MINATAR),  # type: ignore[arg-type]
    # Seconds a training: for trying out commands and for tests. Nothing is learnt in so few steps.
    PPORecipe("smoke", env_steps=20_480, **_MINATAR),  # type: ignore[arg-type]
)

# Games a proxy, so that the proxies of all fidelities cost about a third of the fit's CPU time or less. Long games and
# a slow emulator do not allow that: over the first fidelities MinAtar's Freeway and ALE's Breakout took 0.5 to 0.7 of
# the fit (two games a proxy, one core). ALE's Freeway was not measured.
_SUPERNETS = {
    ("minatar", "breakout"): SupernetRecipe(proxy_games=64, final_games=256),
    ("minatar", "freeway"): SupernetRecipe(proxy_games=2, final_games=16),  # every game takes 2 500 env steps
    ("minatar", ""): SupernetRecipe(proxy_games=16, final_games=64),
    ("atari", "freeway"): SupernetRecipe(proxy_games=1, final_games=4),  # every game takes 2 048 env steps
    ("atari", ""): SupernetRecipe(proxy_games=2, final_games=16),
}
