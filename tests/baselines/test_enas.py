"""ENAS: the children's rewards, the controller's updates and inputs."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from support.tables import TWO_BY_SEED

from nasbench_rl import get_method, load
from nasbench_rl.tables.results import PathUpdate

torch = pytest.importorskip("torch")

from nasbench_rl_baselines import enas
from nasbench_rl_baselines.enas import Enas, _Learner

WHOLE = 1_000_000
RNG = np.random.default_rng(0)
"""Given to every path; the controller has draws of its own."""


def learner_of(tables: Path, method: Enas) -> _Learner:
    return _Learner(method, load(TWO_BY_SEED, tables=tables).start(4 * WHOLE, 0), 100)


def test_moves_its_controller_towards_what_scores(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    for seed in range(3):
        run = bench.start(4 * WHOLE, seed)
        get_method("enas", learning_rate=0.01, children=4, child_updates=1)(run)
        likeliest = bench.space.parse(run.points[0].arch).choices
        assert sum(likeliest) >= 8, "made returns grow with the kernels, whose sum is 6 on average"
        assert run.spent == 4 * WHOLE


def test_baseline_is_that_before_the_batch(made_tables: Path) -> None:
    """A baseline that holds the child's own reward would take four fifths of every advantage away."""
    learner = learner_of(made_tables, Enas(children=2, child_updates=1))
    seen = []
    for i, reward in enumerate([10.0, 30.0, 50.0, 50.0]):
        learner.sample_path(i, RNG)
        learner.on_update(PathUpdate(i, learner.arch.name, 1024 * (i + 1), 1, reward))
        seen.append(learner.baseline)
    assert seen == pytest.approx([0.0, 16.0, 16.0, 0.2 * 16 + 0.8 * 50])


def test_advantages_are_over_the_baseline_before_the_batch(made_tables: Path) -> None:
    """The gradient of a batch: rewards 10 and 30 over a baseline of 5, which only then takes in their mean."""
    method = Enas(children=2, child_updates=1, entropy_coef=0.0, init_range=1.0, max_grad_norm=1e6)
    learner = learner_of(made_tables, method)
    before, learner.baseline, children = copy.deepcopy(learner.controller), 5.0, []
    for i, reward in enumerate([10.0, 30.0]):
        learner.sample_path(i, RNG)
        children.append(learner.playing[i])
        learner.on_update(PathUpdate(i, "", 1024 * (i + 1), 1, reward))
    log_prob, _ = before.log_prob([child.tokens for child in children], torch.stack([c.context for c in children]))
    loss = -(5.0 * log_prob[0] + 25.0 * log_prob[1]) / 2
    expected = torch.autograd.grad(loss, list(before.parameters()))
    for parameter, gradient in zip(learner.controller.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert learner.baseline == pytest.approx(0.2 * 5 + 0.8 * 20)


def test_rewards_the_entropy_of_its_controller(made_tables: Path) -> None:
    """With rewards that are the baseline nothing but the bonus has a gradient."""
    method = Enas(child_updates=1, entropy_coef=2.0, init_range=1.0, max_grad_norm=1e6)
    learner = learner_of(made_tables, method)
    before, learner.baseline = copy.deepcopy(learner.controller), 5.0
    children = []
    for i in range(3):
        learner.sample_path(i, RNG)
        children.append(learner.playing[i])
        learner.on_update(PathUpdate(i, "", 1024 * (i + 1), 1, 5.0))
    told = torch.stack([child.context for child in children])
    _, entropy = before.log_prob([child.tokens for child in children], told)
    expected = torch.autograd.grad(-2.0 * entropy.mean(), list(before.parameters()))
    for parameter, gradient in zip(learner.controller.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert Enas().entropy_coef == 1e-4, "Table 5"


def test_hears_of_a_child_after_others_have_begun_and_rewards_the_right_one(made_tables: Path) -> None:
    """On games of 2,500 steps, as MinAtar's Freeway, a child's last game ends one or two children later."""
    learner = learner_of(made_tables, Enas(child_updates=2))
    sampled = []
    for i in range(6):
        learner.sample_path(i, RNG)
        sampled.append(learner.playing[i // 2])
    for i, (games, mean) in enumerate([(1.0, 8.0), (3.0, 4.0), (2.0, 7.0), (2.0, 9.0)]):
        learner.on_update(PathUpdate(i, "", 1024 * (i + 1), games, mean))
    assert learner.batch == [(sampled[0], pytest.approx(5.0)), (sampled[2], pytest.approx(8.0))]
    assert list(learner.playing.values()) == [sampled[4]]


def test_updates_its_controller_every_three_children_of_ten_updates(
    made_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table 5: 10 child network epochs, 3 NAS runner timesteps; of 97 children the first four end before any proxy."""
    batches: list[list[float]] = []
    rates: list[float] = []
    before = enas._Learner._learn

    def counted(self: enas._Learner) -> None:
        batches.append([reward for _, reward in self.batch])
        rates.append(self.optimizer.param_groups[0]["lr"])
        before(self)

    monkeypatch.setattr(enas._Learner, "_learn", counted)
    enas.Enas()(load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0))
    assert [len(batch) for batch in batches] == [3] * 31
    assert rates == pytest.approx([0.5e-3 * (1 + np.cos(np.pi * i / 32)) for i in range(31)])


def test_controller_is_told_of_the_last_child_and_its_reward(made_tables: Path) -> None:
    """Section 4.2: what it writes next depends on the previous architecture and on its reward."""

    def after(*rewards: float, rate: float = 0.0) -> _Learner:
        learner = learner_of(made_tables, Enas(child_updates=1, learning_rate=rate))
        for i, reward in enumerate(rewards):
            learner.sample_path(i, RNG)
            learner.on_update(PathUpdate(i, "", 1024 * (i + 1), 1, reward))
        return learner

    first = after()
    assert not first.heard.any(), "nothing was heard of yet"
    low, high = after(5.0, 9.0, 5.0), after(5.0, 9.0, 9.0)
    assert torch.equal(low.heard[:-1], high.heard[:-1]) and (low.heard[-1], high.heard[-1]) == (0.0, 1.0)
    assert low.heard[:-1].view(2, 5).sum(1).tolist() == [1.0, 1.0], "one-hot, a choice a layer"
    written = [learner.probabilities() for learner in (first, low, high)]
    assert all(p.sum() == pytest.approx(1.0) for p in written)
    assert np.abs(written[1] - written[2]).max() > 1e-6, "by the reward alone"
    other = after(5.0, 9.0, 9.0)
    other.heard = other.heard.clone()
    other.heard[:5] = other.heard[:5].roll(1)
    assert np.abs(written[2] - other.probabilities()).max() > 1e-6, "by the architecture alone"
    learned, kept = after(5.0, 9.0, 1.0, rate=0.1), after(5.0, 9.0, 1.0)
    assert learned.controller.context is not None and kept.controller.context is not None
    assert not torch.equal(learned.controller.context.weight, kept.controller.context.weight), (
        "a batch teaches it to use them"
    )


def test_learns_from_a_child_as_it_was_told_before_it(made_tables: Path) -> None:
    learner = learner_of(made_tables, Enas(child_updates=1))
    before = []
    for i, reward in enumerate([3.0, 8.0]):
        before.append(learner.heard)
        learner.sample_path(i, RNG)
        learner.on_update(PathUpdate(i, "", 1024 * (i + 1), 1, reward))
    assert all(torch.equal(child.context, told) for (child, _), told in zip(learner.batch, before, strict=True))
    assert not torch.equal(*before)


def test_a_child_that_ends_before_any_proxy_is_left_out_and_moves_no_other_s_reward(made_tables: Path) -> None:
    learner = learner_of(made_tables, Enas(child_updates=2))
    for i in range(6):
        learner.sample_path(i, RNG)
    sampled = dict(learner.playing)
    for i, mean in [(3, 4.0), (4, 7.0), (5, 9.0)]:  # the first child is not heard of, the second in part
        learner.on_update(PathUpdate(i, "", 1024 * (i + 1), 1.0, mean))
    assert learner.batch == [(sampled[1], 4.0), (sampled[2], pytest.approx(8.0))]
