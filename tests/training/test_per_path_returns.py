"""Games that several paths of a supernet played are divided among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nasbench_rl.task import GameTask, get_task
from nasbench_rl.training.games.base import Step
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.per_path_returns import ReturnsByPath


class Scripted:
    """Two games of given lengths, whose reward is the number of the step since the reset."""

    num_envs, observation_shape = 2, (1,)
    forced = np.zeros(2, dtype=np.bool_)

    def __init__(self, *ends: tuple[int, ...]) -> None:
        """``ends``: for each row, the steps at which its games end, from 1."""
        self.ends, self.now, self.earned = ends, 0, [0.0, 0.0]

    def step(self, actions: np.ndarray[Any, np.dtype[np.int64]]) -> Step:
        self.now += 1
        returns = {}
        for row in range(2):
            self.earned[row] += self.now
            if self.now in self.ends[row]:
                returns[row], self.earned[row] = self.earned[row], 0.0
        over = np.array([row in returns for row in range(2)])
        seen, rewards = np.zeros((2, 1), dtype=np.uint8), np.full(2, self.now, dtype=np.float32)
        return Step(seen, rewards, over, np.zeros(2, dtype=np.bool_), {}, returns)


def played(games: ReturnsByPath, *lengths: int) -> list[list[tuple[int, int, float, float]]]:
    """What is settled after each update of so many steps: (index, env steps, games, return)."""
    heard = []
    for index, length in enumerate(lengths):
        games.begin(index, f"path {index}")
        for _ in range(length):
            games.step(np.zeros(games.num_envs, dtype=np.int64))
        settled = list(games.settled())
        assert [update.arch for update in settled] == [f"path {update.index}" for update in settled]
        heard.append([(update.index, update.env_steps, update.games, update.return_mean) for update in settled])
    return heard


def test_a_game_counts_for_each_update_by_its_share_of_the_steps() -> None:
    # Row 0 plays 1-4, then 5-6; row 1 plays 1, then 2-6. Updates end after steps 2, 5, 6.
    heard = played(ReturnsByPath(Scripted((4, 6), (1, 6))), 2, 3, 1)  # type: ignore[arg-type]
    assert heard[:2] == [[], []], "row 1's second game runs to step 6"
    first = 2 / 4 + 1 + 1 / 5, (1 + 2) + 1 + 2
    second = 2 / 4 + 1 / 2 + 3 / 5, (3 + 4 + 5) + (3 + 4 + 5)
    third = 1 / 2 + 1 / 5, 6 + 6
    counted = [(share, earned / share) for share, earned in (first, second, third)]
    assert [row[:2] for row in heard[2]] == [(0, 4), (1, 10), (2, 12)]
    assert [row[2:] for row in heard[2]] == [pytest.approx(pair) for pair in counted]


def test_updates_are_settled_in_their_order_and_the_unfinished_never() -> None:
    heard = played(ReturnsByPath(Scripted((1, 3, 5, 99), (1, 4, 5, 99))), 1, 2, 1, 1, 10)  # type: ignore[arg-type]
    assert [[row[0] for row in rows] for rows in heard] == [[0], [], [1], [2, 3], []]


def test_on_freeway_every_update_is_heard_and_nothing_is_lost() -> None:
    """All games last 2,501 steps, which divide into updates as long as on ``lite`` in no way."""
    task = get_task("minatar-ss1/freeway@lite")
    assert isinstance(task, GameTask)
    raw, returns = make_games(task, 8), list[float]()
    games, rng = ReturnsByPath(raw), np.random.default_rng(0)
    games.reset(np.random.SeedSequence(0))
    told = []
    lengths = [1000] * 5 + [2]
    for index, length in enumerate(lengths):
        games.begin(index, "k1-k1")
        for _ in range(length):
            step = games.step(np.where(rng.random(8) < 0.9, 1, rng.integers(0, 3, 8)))  # mostly up, so that some cross
            returns += step.returns.values()
        told += games.settled()
    games.close()
    assert [update.index for update in told] == [0, 1, 2, 3, 4, 5]
    assert [update.games for update in told] == pytest.approx([8 * length / 2501 for length in lengths])
    assert sum(update.games * update.return_mean for update in told) == pytest.approx(sum(returns)) and sum(returns) > 0
