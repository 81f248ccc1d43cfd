"""Does a fixed policy act differently on two data sets? The meta-RL paper's test, and one that can find a difference.

The paper (section 7, Experiment 2) compares the shares of the actions by Wilcoxon's signed-rank test, one pair an
action. Shares sum to 1 on either side, so that the differences sum to 0 and neither sign can have the large ranks to
itself: of the eight actions of chains its p-value is never below 0.117, whatever the policies (0.195 where no two
differences tie). It is shown beside the paper's and decides nothing.

What decides is a permutation test over whole episodes. If the policy acts alike on both data sets, an episode might as
well have been played on the other one, so the episodes are dealt out again at random; p is the share of deals whose
action shares lie as far apart as the true ones. Actions within an episode stay together, because they depend on each
other. Episodes of one trial are taken for exchangeable, though an LSTM's state lives on from one to the next.
``tools/strategy_power.py`` measures how often either test finds a difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nasbench_rl._utils import cli
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.leaderboard.stats.bootstrap import ALPHA, RESAMPLES, check_resampling
from nasbench_rl.leaderboard.stats.ranks import RankTest, holm, signed_rank

PUBLISHED_P = 0.48
"""Section 7, Experiment 2: p of the Wilcoxon test between the strategies on the two held-out data sets."""
SEED = 0
"""Of the deals of the permutation test."""

Counts = npt.NDArray[np.int64]


def shares_test(first: npt.ArrayLike, second: npt.ArrayLike) -> RankTest:
    """Apply Wilcoxon's signed-rank test to the shares of the actions, as in the paper: exact, equal shares left out.

    Args:
        first: (actions,) how often each action was taken on one data set.
        second: (actions,) on the other.
    """
    counts = [np.asarray(one, dtype=np.int64) for one in (first, second)]
    # Over the common denominator, where equal differences are equal to the digit.
    difference = counts[0] * counts[1].sum() - counts[1] * counts[0].sum()
    return signed_rank(difference[difference != 0]) if difference.any() else RankTest(0.0, 1.0)


def distance(first: npt.ArrayLike, second: npt.ArrayLike) -> Any:
    """Return the total variation distance of the shares of the actions: 0 if they are equal, 1 if they share no action.

    Args:
        first: (…, actions) how often each was taken.
        second: the same of the others.
    """
    one, other = (np.asarray(counts, dtype=np.float64) for counts in (first, second))
    return 0.5 * np.abs(one / one.sum(-1, keepdims=True) - other / other.sum(-1, keepdims=True)).sum(-1)


def episodes_test(
    first: Counts, second: Counts, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Test by permutation of episodes whether two policies take the actions equally often.

    Args:
        first: (episodes, actions) how often each action was taken in each episode of one.
        second: the same of the other; the number of episodes may differ.
        rng: source of the deals.
        resamples: number of deals.

    Returns:
        ``distance`` of the two, and the p-value, which is at least 1 / (resamples + 1).

    Raises:
        InvalidValueError: one of them has no episode, or arguments that ``check_resampling`` refuses.
    """
    check_resampling(rng, resamples, 0.5)
    if not len(first) or not len(second):
        raise InvalidValueError(f"got {len(first)} and {len(second)} episodes; both need at least one that ended")
    together = np.concatenate([first, second]).astype(np.float64)
    mine = np.zeros((resamples, len(together)))
    mine[:, : len(first)] = 1
    dealt = rng.permuted(mine, axis=1) @ together  # whole numbers, and so exact
    observed = float(distance(first.sum(axis=0), second.sum(axis=0)))
    as_far = int((distance(dealt, together.sum(axis=0) - dealt) >= observed - 1e-12).sum())
    return observed, (as_far + 1) / (resamples + 1)


def strategies_differ(steps: pd.DataFrame) -> pd.DataFrame:
    """Apply both tests to each search seed's actions on two tasks.

    Args:
        steps: of ``meta_rl_trials``, of two tasks.

    Returns:
        Columns seed, statistic and wilcoxon_p of ``shares_test``, distance and p of ``episodes_test``, and p_adjusted,
        the last after Holm's correction over the search seeds. Episodes that did not end are left out.
    """
    rows: list[dict[str, Any]] = []
    actions = int(steps["action"].max()) + 1
    for seed in sorted(steps["seed"].unique()):
        one = steps[steps["seed"] == seed]
        first, second = (episode_counts(of_task, actions) for _, of_task in one.groupby("task", sort=False))
        as_published = shares_test(first.sum(axis=0), second.sum(axis=0))
        found, p = episodes_test(first, second, np.random.default_rng([SEED, seed]))
        rows.append(
            {"seed": seed, "statistic": as_published.statistic, "wilcoxon_p": as_published.pvalue,
             "distance": found, "p": p}
        )  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(p_adjusted=holm(table["p"]))


def episode_counts(steps: pd.DataFrame, actions: int) -> Counts:
    """Count, as (episodes, actions), how often each action was taken in each episode that ended."""
    whole = steps[steps.groupby("episode")["ended"].transform("any")]
    episodes, at = np.unique(whole["episode"], return_inverse=True)
    counts = np.zeros((len(episodes), actions), dtype=np.int64)
    np.add.at(counts, (at, whole["action"].to_numpy()), 1)
    return counts


def print_strategies(tests: pd.DataFrame) -> None:
    """Print whether the fixed policy acts differently on the two data sets, and what the paper's test says of it."""
    differ = tests["p_adjusted"] < ALPHA
    each = "; ".join(
        f"seed {row.seed}: shares {row.distance:.3f} apart, p = {_p(row.p_adjusted)}" for row in tests.itertuples()
    )
    published = ", ".join(_p(p) for p in tests["wilcoxon_p"])
    cli.say(
        f"same strategy on both data sets? A difference is found for {differ.sum()} of {len(tests)} search seeds "
        f"(permutation test over whole episodes, total variation distance of the shares of the actions, Holm's "
        f"correction): {each}. Wilcoxon's signed-rank test on these shares, as in the paper: p = {published}, the "
        f"paper {PUBLISHED_P}. It decides nothing: shares sum to 1, so that of eight actions its p is at least 0.117."
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.01 else f"{value:.2f}"
