"""``run.evaluate(arch, fidelity, inherit=parent)``: what it charges, gives and refuses, in tabular and in live mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.tables import TWO_BY_SEED

from nasbench_rl import BudgetExhausted, load
from nasbench_rl.benchmark.live import LiveBenchmark
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.task import GameTask, ImageTask, get_task

WHOLE, QUARTER = 1_000_000, 250_000


def test_tabular_mode_gives_the_score_from_scratch_and_charges_it_each_time(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run = bench.start(3 * WHOLE, 0)
    run.evaluate((1, 1))
    first, second = (run.evaluate((2, 2), QUARTER, inherit=(1, 1)) for _ in range(2))
    assert run.spent == WHOLE + 2 * QUARTER
    scores = {
        seed: bench.query((2, 2), fidelity=QUARTER, seed=seed, split="validation").score
        for seed in bench.train_seeds("validation")
    }
    drawn = [point.seed for point in run.points[1:]]
    assert set(drawn) == set(scores)  # one validation seed after the other
    assert [scores[seed] for seed in drawn] == [first, second] == [point.score for point in run.points[1:]]
    assert run.incumbent == run.space.parse((1, 1))  # the only one trained to the end

    run.evaluate((2, 2))  # what was inherited is no part of a training from scratch
    assert run.spent == 2 * WHOLE + 2 * QUARTER
    assert run.incumbent == run.space.parse((2, 2))


def test_a_child_may_be_a_parent_and_its_own(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(2 * WHOLE, 0)
    run.evaluate((1, 1))
    run.evaluate((2, 2), QUARTER, inherit=(1, 1))
    run.evaluate((3, 3), QUARTER, inherit=(2, 2))
    run.evaluate((3, 3), QUARTER, inherit=(3, 3))
    assert run.spent == WHOLE + 3 * QUARTER


def test_parents_without_weights_and_odd_fidelities_are_refused_before_anything_is_charged(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(WHOLE + QUARTER, 0)
    with pytest.raises(InvalidValueError, match="k1-k1 has no weights to inherit .* 1,000,000 env_steps"):
        run.evaluate((2, 2), QUARTER, inherit=(1, 1))
    run.evaluate((1, 1), QUARTER)
    with pytest.raises(InvalidValueError, match="k1-k1 has no weights"):
        run.evaluate((2, 2), QUARTER, inherit=(1, 1))
    run.evaluate((1, 1))
    with pytest.raises(InvalidValueError, match="fidelity 7 of .* is not stored"):
        run.evaluate((2, 2), 7, inherit=(1, 1))
    with pytest.raises(BudgetExhausted, match="k2-k2 at 1,000,000 env_steps costs"):
        run.evaluate((2, 2), inherit=(1, 1))
    assert run.spent == WHOLE and len(run.points) == 2
    run.evaluate((2, 2), QUARTER, inherit=(1, 1))
    with pytest.raises(InvalidValueError, match="k2-k2 was not evaluated"):
        run.curve((2, 2))


def test_a_task_says_whether_a_child_keeps_the_function() -> None:
    games, chain = get_task("minatar-ss1/breakout@lite"), get_task("nsc-chain/digits@lite")
    assert games.keeps_function((1, 3), (2, 3)) and games.keeps_function((1, 3), (1, 3))
    assert not games.keeps_function((1, 3), (2, 2))
    assert chain.keeps_function("conv3 conv1", "conv3 conv1 conv1")
    assert not chain.keeps_function("conv3 conv1", "conv3 conv3")


def live(task: GameTask | ImageTask, folder: Path) -> LiveBenchmark:
    pytest.importorskip("torch")
    return LiveBenchmark(task, folder)


def test_live_mode_trains_agents_from_inherited_weights_and_stores_nothing_of_it(tmp_path: Path) -> None:
    pytest.importorskip("minatar")
    task = get_task("minatar-ss1/breakout@smoke")
    assert isinstance(task, GameTask)
    bench = live(replace(task, recipe=replace(task.recipe, env_steps=5120, eval_games=2)), tmp_path)
    least = bench.task.fidelities[3]
    run = bench.start(5120 + 2 * least, 0)
    run.evaluate((1, 1))
    score = run.evaluate((3, 3), least, inherit=(1, 1))
    assert score > 0 and run.points[-1].source == "live" and run.spent == 5120 + least
    assert run.points[-1].cpu_seconds > run.points[-2].cpu_seconds
    assert [name for name, complete in bench.coverage().any(axis=1).items() if complete] == ["k1-k1"]

    again = live(bench.task, tmp_path).start(5120 + 2 * least, 0)  # the parent's scores come from the table by now
    again.evaluate((1, 1))
    assert again.points[-1].source == "table"
    assert again.evaluate((3, 3), least, inherit=(1, 1)) == score


def test_live_mode_trains_classifiers_from_inherited_weights(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    task = get_task("nsc-chain/digits@lite")
    assert isinstance(task, ImageTask)
    recipe = replace(task.recipe, epochs=2, batch=16, dense=32, autocast=None)
    bench = live(replace(task, recipe=recipe), tmp_path)
    run = bench.start(4, 0)
    before = run.evaluate("conv3 maxpool2 conv1")
    after = run.evaluate("conv3 conv1 maxpool2 conv1", 1, inherit="conv3 maxpool2 conv1")
    assert run.spent == 3 and 0 < before < after <= 1
    assert list(bench.coverage().index) == ["conv3 maxpool2 conv1"]
