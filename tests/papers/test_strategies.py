"""The tests between two strategies: the paper's cannot find a difference, the permutation test can."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import strategy_power as power

from nasbench_rl.errors import InvalidValueError
from nasbench_rl.leaderboard.stats.ranks import signed_rank
from nasbench_rl.papers.meta_rl.strategies import (
    distance,
    episode_counts,
    episodes_test,
    print_strategies,
    shares_test,
    strategies_differ,
)

scipy_stats = pytest.importorskip("scipy.stats")
STEPS = 400


def steps_of(counts: np.ndarray, task: str, seed: int = 0) -> pd.DataFrame:
    """Steps of ``meta_rl_trials`` with these (episodes, actions)."""
    episode, action = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    frame = pd.DataFrame({"episode": episode, "action": action, "task": task, "seed": seed, "method": "m"})
    return frame.assign(ended=~frame["episode"].duplicated(keep="last"))


def test_unrelated_policies_are_told_apart_and_a_policy_from_itself_is_not() -> None:
    wilcoxon, permutation, smallest = power.rejected(1.0, 25, STEPS, 0)
    assert (wilcoxon, permutation) == (0, 1) and smallest >= 0.117
    pairs = 200
    wilcoxon, permutation, _ = power.rejected(0.0, pairs, STEPS, 0)
    assert wilcoxon == 0
    # Three standard errors of a share of 5 %.
    assert permutation == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / pairs))


def test_episodes_end_with_the_terminal_action_or_at_depth_ten() -> None:
    counts = power.play(np.full(8, 1 / 8), 500, np.random.default_rng(0))
    length, terminal = counts.sum(axis=1), counts[:, power.TERMINAL]
    assert counts.sum() <= 500 < counts.sum() + 10
    assert set(terminal) == {0, 1} and (length[terminal == 0] == 10).all() and (length[terminal == 1] <= 10).all()


def balanced(actions: int) -> Iterator[list[int]]:
    """Every kind of differences that sum to 0, by size and sign: an integer for each, the largest one positive."""
    for steps in product((0, 1), repeat=actions - 1):  # whether a difference ties with the one below it
        size = np.cumsum((1, *steps))
        starts = np.flatnonzero((1, *steps))
        for others in product((1, -1), repeat=actions - 1):
            sign = np.array((*others, 1))
            rest = np.cumsum(sign[::-1])[::-1][starts]  # what raising these and all larger ones adds to the sum
            if rest.min() < 0 < rest.max() or not rest.any():
                yield (sign * size).tolist()


def test_the_paper_s_test_cannot_reject_whatever_the_shares() -> None:
    by_ranks = {kind: signed_rank(kind).pvalue for kind in map(tuple, balanced(8))}
    assert min(by_ranks.values()) == pytest.approx(0.1171875)
    without_ties = [p for kind, p in by_ranks.items() if len({abs(size) for size in kind}) == 8]
    assert min(without_ties) == pytest.approx(0.1953125)
    rng = np.random.default_rng(0)
    for spread in (0.1, 1.0, 10.0) * 50:
        first, second = (rng.multinomial(2000, rng.dirichlet(np.full(8, spread))) for _ in range(2))
        assert shares_test(first, second).pvalue > 0.117


def test_the_paper_s_test_is_scipy_s_exact_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.multinomial(1999, np.full(8, 1 / 8)), rng.multinomial(2003, np.full(8, 1 / 8))
        expected = scipy_stats.wilcoxon(first / first.sum(), second / second.sum(), method="exact")
        assert shares_test(first, second) == pytest.approx((expected.statistic, expected.pvalue))
    assert shares_test([3, 5], [6, 10]) == (0, 1), "equal shares of other numbers of steps"
    counts = [1, 2, 4, 8, 16, 32, 64, 128]
    assert shares_test(counts, counts[::-1]).pvalue == pytest.approx(1), "mirrored shares: no side leads"
    assert shares_test([6, 3, 1, 0, 7], [3, 6, 1, 0, 7]).pvalue == 1, "equal shares are left out, not ranked"


def test_the_permutation_test_is_the_exact_one_up_to_its_draws() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.multinomial(5, [0.2, 0.3, 0.5], size=5), rng.multinomial(5, [0.4, 0.3, 0.3], size=6)
    together = np.concatenate([first, second])
    observed = distance(first.sum(axis=0), second.sum(axis=0))
    far = []
    for mine in combinations(range(11), 5):
        others = np.delete(together, mine, axis=0).sum(axis=0)
        far.append(distance(together[list(mine)].sum(axis=0), others) >= observed - 1e-12)
    found, p = episodes_test(first, second, np.random.default_rng(0), resamples=20_000)
    assert (
        found
        == pytest.approx(observed)
        == pytest.approx(0.5 * np.abs(first.sum(axis=0) / 25 - second.sum(axis=0) / 30).sum())
    )
    assert p == pytest.approx(np.mean(far), abs=0.012)


def test_episodes_are_dealt_out_whole() -> None:
    """Two kinds of episodes, each of one action: as steps they would be certain, as episodes they are not."""
    ones, zeros = np.array([[0, 50]]), np.array([[50, 0]])
    first, second = np.concatenate([ones] * 2 + [zeros]), np.concatenate([zeros] * 2 + [ones])
    assert episodes_test(first, second, np.random.default_rng(0))[1] > 0.5
    as_steps = [np.repeat(np.eye(2, dtype=int), counts, axis=0) for counts in (first.sum(axis=0), second.sum(axis=0))]
    assert episodes_test(*as_steps, np.random.default_rng(0))[1] < 0.001


def test_the_same_draws_from_the_same_generator_and_no_p_of_zero() -> None:
    counts = np.eye(4, dtype=int)[[0] * 50], np.eye(4, dtype=int)[[1] * 50]
    once, again = (episodes_test(*counts, np.random.default_rng(1), 100) for _ in range(2))
    assert once == again == (1.0, 1 / 101)
    with pytest.raises(InvalidValueError, match="0 and 50 episodes"):
        episodes_test(counts[0][:0], counts[1], np.random.default_rng(0))


def test_every_search_seed_is_tested_and_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    policies = rng.dirichlet(np.ones(8), size=2)
    steps = pd.concat(
        [steps_of(power.play(policies[differs * at], STEPS, rng), task, seed)
         for seed, differs in ((4, True), (7, False)) for at, task in enumerate(("a", "b"))]
    )  # fmt: skip
    table = strategies_differ(steps).set_index("seed")
    assert table.index.tolist() == [4, 7]
    assert table["p"].to_dict() == pytest.approx({4: 1 / 4001, 7: table.loc[7, "p"]})
    assert table.loc[4, "p_adjusted"] == pytest.approx(2 * table.loc[4, "p"]) and table.loc[7, "p_adjusted"] > 0.05
    assert (table["wilcoxon_p"] > 0.117).all()
    print_strategies(table.reset_index())
    said = " ".join(capsys.readouterr().out.split())
    assert "A difference is found for 1 of 2 search seeds" in said and "seed 4: shares 0." in said and "< 0.001" in said


def test_an_episode_that_did_not_end_is_left_out() -> None:
    steps = steps_of(np.array([[1, 2, 0], [0, 1, 1], [3, 0, 0]]), "a")
    steps.loc[steps["episode"] == 2, "ended"] = False
    assert episode_counts(steps, 4).tolist() == [[1, 2, 0, 0], [0, 1, 1, 0]]
