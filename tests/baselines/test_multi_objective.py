from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tables import TWO_BY_SEED, write_made_accuracies, write_made_latencies, write_made_table

from nasbench_rl import Benchmark, get_method, load
from nasbench_rl.benchmark.run import Run
from nasbench_rl.errors import BudgetExhausted, MissingCellError
from nasbench_rl_baselines._resources import APPROXIMATION, Resources
from nasbench_rl_baselines.mnas import Mnas
from nasbench_rl_baselines.monas import Monas
from nasbench_rl_baselines.ppo import Ppo
from nasbench_rl_baselines.reinforce import Reinforce
from nasbench_rl_baselines.rena import Rena

WHOLE = 1_000_000
NAMES = ("mnas", "monas", "rena")


@functools.cache
def bench(tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=tables)


def search(name: str, tables: Path, trainings: int = 15, seed: int = 0, **options: Any) -> Run:
    run = bench(tables).start(trainings * WHOLE, seed)
    try:
        get_method(name, **options)(run)
    except BudgetExhausted:
        pass
    return run


def test_mnas_reward_is_the_papers_equation() -> None:
    assert Mnas().reward(0.8, 200.0, 100.0) == pytest.approx(0.8 * 2**-0.07)
    assert Mnas().reward(0.8, 50.0, 100.0) == pytest.approx(0.8 * 0.5**-0.07)
    assert Mnas(alpha=0.0, beta=-1.0).reward(0.8, 50.0, 100.0) == pytest.approx(0.8)
    assert Mnas(alpha=0.0, beta=-1.0).reward(0.8, 200.0, 100.0) == pytest.approx(0.4)


def test_rena_penalty_grows_with_the_relative_violation() -> None:
    assert Rena().penalty(100.0, 100.0) == Rena().penalty(1.0, 100.0) == 1.0
    assert Rena().penalty(200.0, 100.0) == pytest.approx(0.9)
    assert Rena(base_penalty=0.0).penalty(101.0, 100.0) == 0.0


def test_resources_are_those_of_the_networks_and_cost_nothing(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(WHOLE, 0)
    for objective in ("params", "flops"):
        resources = Resources(run, objective)
        costs = [getattr(run.task.network(arch), objective) for arch in run.space]
        assert (resources.low, resources.high, resources.middle) == (min(costs), max(costs), np.median(costs))
        assert resources.scaled(run.space[int(np.argmax(costs))]) == 1.0
    assert run.spent == 0


@pytest.mark.parametrize(
    ("name", "free", "strict"),
    [
        # At the originals' learning rates the updates of ten trainings can hardly be seen in what is sampled.
        (
            "mnas",
            {"alpha": 0.0, "beta": 0.0, "clip": 5.0, "epochs": 4, "learning_rate": 0.03},
            {"alpha": 0.0, "beta": -8.0, "clip": 5.0, "epochs": 4, "learning_rate": 0.03},
        ),
        ("monas", {"alpha": 1.0, "learning_rate": 0.02}, {"kind": "constraint", "learning_rate": 0.02}),
        ("monas", {"alpha": 1.0, "learning_rate": 0.02}, {"alpha": 0.1, "learning_rate": 0.02}),
        (
            "rena",
            {"base_penalty": 1.0, "objective": "flops", "learning_rate": 0.3},
            {"base_penalty": 0.0, "objective": "flops", "learning_rate": 0.3},
        ),
    ],
)
def test_a_strict_price_makes_the_search_look_at_cheaper_networks(
    name: str, free: dict[str, Any], strict: dict[str, Any], made_tables: Path
) -> None:
    def mean_cost(options: dict[str, Any]) -> float:  # of what is tried once there was something to learn from
        runs = [search(name, made_tables, 10, seed, **options) for seed in range(20)]
        return float(np.mean([run.task.network(p.arch).flops for run in runs for p in run.points[5:]]))

    assert mean_cost(strict) < 0.95 * mean_cost(free)


def test_constants_are_those_of_the_methods_that_the_controllers_come_from() -> None:
    nasnet, nas = asdict(Ppo()), asdict(Reinforce())
    assert {name: asdict(Mnas())[name] for name in nasnet} == nasnet
    shared = {"units", "layers", "init_range", "learning_rate", "baseline_decay"}
    assert {name: asdict(Monas())[name] for name in shared} == {name: nas[name] for name in shared}
    assert Rena().learning_rate == nas["learning_rate"]
    assert Rena().baseline_decay == nas["baseline_decay"]


@pytest.mark.parametrize("name", NAMES)
def test_latency_that_no_table_holds_is_refused_by_name(name: str, made_tables: Path) -> None:
    with pytest.raises(MissingCellError, match="no latency of k1-k1 was measured.*--latency"):
        search(name, made_tables, objective="latency")


NSC = "nsc-chain/digits@lite"
KNOWN = ["conv1", "conv3", "conv5", "maxpool2", "avgpool2 conv1"]


def test_draws_of_a_large_space_that_were_not_measured_are_skipped(tmp_path: Path) -> None:
    write_made_accuracies(tmp_path, NSC, [*KNOWN, "conv1 conv1"], 1)
    with pytest.raises(MissingCellError, match=f"those that its table holds.*build {NSC} --latency"):
        Resources(load(NSC, tables=tmp_path).start(100, 0), "latency")
    write_made_latencies(tmp_path, NSC, archs=KNOWN)
    run = load(NSC, tables=tmp_path).start(100, 0)
    resources = Resources(run, "latency")
    measured = {run.resource(arch, "latency") for arch in KNOWN}
    assert resources.low in measured and resources.high in measured and resources.low < resources.high
    assert resources(run.space.parse("conv3")) == run.resource("conv3", "latency") and not run.approximation
    unknown = run.space.parse("conv1 conv1")
    assert resources(unknown) == float("inf") and resources.scaled(unknown) == 1.0
    assert run.approximation == APPROXIMATION


@pytest.mark.parametrize("name", NAMES)
def test_a_search_for_latency_goes_on_past_networks_that_were_not_measured(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = "nsc-chain/emoji@lite"  # on the eight pixels of digits RENA meets networks that do not exist, and no other
    write_made_accuracies(tmp_path, larger, KNOWN, 1)
    write_made_latencies(tmp_path, larger, archs=KNOWN)
    bench = load(larger, tables=tmp_path)
    conv = bench.query("conv3", split="validation", seed=0)
    monkeypatch.setattr(bench, "query", lambda arch, **_: conv)  # as a surrogate would, it scores every network
    named = []
    for seed in range(3):
        run = bench.start(10 * bench.task.max_fidelity, seed)
        try:
            get_method(name, objective="latency")(run)
        except BudgetExhausted:
            pass
        assert run.remaining < bench.task.max_fidelity
        named.append(run.approximation)
    assert APPROXIMATION in named


@pytest.mark.parametrize("name", NAMES)
def test_measured_latency_is_an_objective_like_flops(name: str, tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    write_made_latencies(tmp_path, TWO_BY_SEED)  # proportional to FLOPs, so that every reward is the same
    by_latency, by_flops = (search(name, tmp_path, 10, 3, objective=known) for known in ("latency", "flops"))
    assert [point.arch for point in by_latency.points] == [point.arch for point in by_flops.points]
    resources = Resources(by_latency, "latency")
    assert resources.low == by_latency.resource((1, 1), "latency") < resources.middle < resources.high
