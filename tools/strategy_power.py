"""How often the tests between two strategies find a difference: between unrelated policies, and where there is none.

    python tools/strategy_power.py                 # 500 pairs of each kind, some minutes on one core
    python tools/strategy_power.py --pairs 12000 --wilcoxon-alone

A policy is a random distribution over the eight actions of chains, uniform over all distributions. Each of a pair plays
as many steps as the preset's trials of Experiment 2, in episodes that end with the terminal action or after ten. The
tests are those of ``nasbench_rl.papers.meta_rl.strategies``, at 5 %.
"""

from __future__ import annotations

import argparse

import numpy as np

from nasbench_rl.envs.design_mdp import actions_of
from nasbench_rl.leaderboard.stats.bootstrap import ALPHA, Array
from nasbench_rl.papers.meta_rl.experiments import PAPER
from nasbench_rl.papers.meta_rl.strategies import Counts, episodes_test, shares_test
from nasbench_rl.spaces.nsc.space import nsc_space

SPACE = nsc_space("nsc-chain").definition
ACTIONS = actions_of(SPACE)
TERMINAL = [action.kind for action in ACTIONS].index("terminal")
SHARES = {"unrelated": 1.0, "one action in ten from another": 0.1, "one in twenty": 0.05, "same": 0.0}
"""Of the second policy's actions that come from a policy unrelated to the first."""


def play(policy: Array, steps: int, rng: np.random.Generator) -> Counts:
    """Return (episodes, actions) how often each action was taken in each episode that ends within so many steps."""
    taken = rng.choice(len(ACTIONS), size=(steps, SPACE.depth), p=policy)  # more episodes than there is time for
    ends = taken == TERMINAL
    length = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, SPACE.depth)
    taken, length = taken[np.cumsum(length) <= steps], length[np.cumsum(length) <= steps]
    played = np.arange(SPACE.depth) < length[:, np.newaxis]
    return np.stack([((taken == action) & played).sum(axis=1) for action in range(len(ACTIONS))], axis=1)


def rejected(share: float, pairs: int, steps: int, seed: int, wilcoxon_alone: bool = False) -> tuple[float, ...]:
    """Return the shares of pairs that Wilcoxon's and the permutation test reject, and the smallest p of the former."""
    rng = np.random.default_rng(seed)
    published, found = np.empty(pairs), np.full(pairs, np.nan)
    for at in range(pairs):
        policy = rng.dirichlet(np.ones(len(ACTIONS)))
        other = (1 - share) * policy + share * (rng.dirichlet(np.ones(len(ACTIONS))) if share else 0)
        first, second = play(policy, steps, rng), play(other, steps, rng)
        published[at] = shares_test(first.sum(axis=0), second.sum(axis=0)).pvalue
        if not wilcoxon_alone:
            found[at] = episodes_test(first, second, rng)[1]
    of_found = np.nan if wilcoxon_alone else float((found < ALPHA).mean())
    return float((published < ALPHA).mean()), of_found, float(published.min())


def main() -> None:
    """Print one row for each kind of pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--steps", type=int, default=PAPER.evaluation)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wilcoxon-alone", action="store_true")
    options = parser.parse_args()
    print(f"{options.pairs:,} pairs of each kind, {options.steps:,} steps each; rejected at {ALPHA:.0%}")
    print(f"{'policies':32} {'Wilcoxon':>9} {'smallest p':>11} {'permutation':>12}")
    for name, share in SHARES.items():
        published, found, smallest = rejected(share, options.pairs, options.steps, options.seed, options.wilcoxon_alone)
        print(f"{name:32} {published:9.1%} {smallest:11.3f} {found:12.1%}", flush=True)


if __name__ == "__main__":
    main()
