"""How often the tests between two strategies find a difference: between unrelated policies, and where there is none.

    python tools/strategy_power.py                 # 500 pairs of each kind, some minutes on one core
    python tools/strategy_power.py --pairs 12000 --wilcoxon-alone

A policy is a random distribution over the eight actions of chains, uniform over all distributions. Each of a pair plays
as many steps as the preset's trials of Experiment 2, in episodes that end with the terminal action or after ten. The
tests are those of ``nasbench_rl.presets.strategies``, at 5 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from nasbench_rl.envs.nsc_mdp import actions_of
from nasbench_rl.presets.meta_rl import PAPER
from nasbench_rl.presets.strategies import Counts, episodes_test, shares_test
from nasbench_rl.spaces.nsc import nsc_space
from nasbench_rl.stats import ALPHA, Array

SPACE = nsc_space("nsc-chain").definition
ACTIONS = actions_of(SPACE)
TERMINAL = [action.kind for action in ACTIONS].index("terminal")
Pair = Callable[[np.random.Generator], tuple[Array, Array]]


def drawn_policy(rng: np.random.Generator) -> Array:
    """A policy that does not look at the state."""
    return rng.dirichlet(np.ones(len(ACTIONS)))


def unrelated(rng: np.random.Generator) -> tuple[Array, Array]:
    """Two policies that have nothing to do with each other."""
    return drawn_policy(rng), drawn_policy(rng)


def same(rng: np.random.Generator) -> tuple[Array, Array]:
    """One policy twice."""
    policy = drawn_policy(rng)
    return policy, policy


def alike(share: float) -> Pair:
    """A policy, and the same with a share of its actions drawn from another."""

    def drawn(rng: np.random.Generator) -> tuple[Array, Array]:
        policy, other = unrelated(rng)
        return policy, (1 - share) * policy + share * other

    return drawn


KINDS: dict[str, Pair] = {
    "unrelated": unrelated, "one action in ten from another": alike(0.1), "one in twenty": alike(0.05), "same": same
}  # fmt: skip


def play(policy: Array, steps: int, rng: np.random.Generator) -> Counts:
    """(episodes, actions) how often each action was taken in each of the episodes that end within so many steps."""
    taken = rng.choice(len(ACTIONS), size=(steps, SPACE.depth), p=policy)  # more episodes than there is time for
    ends = taken == TERMINAL
    length = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, SPACE.depth)
    taken, length = taken[np.cumsum(length) <= steps], length[np.cumsum(length) <= steps]
    played = np.arange(SPACE.depth) < length[:, np.newaxis]
    return np.stack([((taken == action) & played).sum(axis=1) for action in range(len(ACTIONS))], axis=1)


def rejected(kind: Pair, pairs: int, steps: int, seed: int, wilcoxon_alone: bool = False) -> tuple[float, float, float]:
    """Shares of the pairs that Wilcoxon's and the permutation test reject, and the smallest p of the former."""
    rng = np.random.default_rng(seed)
    published, found = np.empty(pairs), np.full(pairs, np.nan)
    for at in range(pairs):
        first, second = (play(policy, steps, rng) for policy in kind(rng))
        published[at] = shares_test(first.sum(axis=0), second.sum(axis=0)).pvalue
        if not wilcoxon_alone:
            found[at] = episodes_test(first, second, rng)[1]
    of_found = np.nan if wilcoxon_alone else float((found < ALPHA).mean())
    return float((published < ALPHA).mean()), of_found, float(published.min())


def main() -> None:
    """Print one row a kind of pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--steps", type=int, default=PAPER.evaluation)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wilcoxon-alone", action="store_true")
    options = parser.parse_args()
    print(f"{options.pairs:,} pairs of each kind, {options.steps:,} steps each; rejected at {ALPHA:.0%}")
    print(f"{'policies':32} {'Wilcoxon':>9} {'smallest p':>11} {'permutation':>12}")
    for name, kind in KINDS.items():
        published, found, smallest = rejected(kind, options.pairs, options.steps, options.seed, options.wilcoxon_alone)
        print(f"{name:32} {published:9.1%} {smallest:11.3f} {found:12.1%}", flush=True)


if __name__ == "__main__":
    main()
