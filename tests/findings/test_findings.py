"""The findings: statistics on tables with known answers, their CSV files, and the command."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.runs import choosing, made_runs
from support.tables import (
    DEEP,
    SINGLE_SEED,
    TWO_BY_SEED,
    write_made_accuracies,
    write_made_darts,
    write_made_latencies,
    write_made_supernets,
    write_made_table,
)

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl.benchmark.surrogate_model.ensemble import surrogate_name
from nasbench_rl.benchmark.surrogate_model.info import SurrogateInfo, SurrogateOptions
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.pool import run_all
from nasbench_rl.errors import InvalidValueError, RecipeMismatchError, TableError
from nasbench_rl.findings import fidelity, latency, results, sources, spread
from nasbench_rl.findings.__main__ import main
from nasbench_rl.findings.page import page
from nasbench_rl.findings.random_search import Against, compare_task, over_tasks
from nasbench_rl.findings.results import Results
from nasbench_rl.findings.searches import Chosen, digests, record, snapshot
from nasbench_rl.leaderboard.ranking import ALL
from nasbench_rl.leaderboard.stats.rank_agreement import kendall_draws
from nasbench_rl.leaderboard.stats.ranks import kendall_tau
from nasbench_rl.leaderboard.stats.variance import one_way, two_way
from nasbench_rl.leaderboard.summary import random_search_chances
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import read_manifest, register
from nasbench_rl.tables.parquet import write_frame
from nasbench_rl.task import get_task
from nasbench_rl.task.splits import SPLITS

IMAGES = "nsc-chain/fashion-mnist@lite"
NETWORKS = [f"{first} {second}" for first in ("conv1", "conv3", "conv5", "maxpool2") for second in
            ("conv1", "conv3", "conv5", "maxpool2")]  # fmt: skip
# Shrout and Fleiss (1979), Table 2: six targets, four judges.
JUDGED = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four train seeds, a single one, supernets alone, and an image task with three seeds of 12 of 16 networks."""
    folder = tmp_path_factory.mktemp("tables")
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_table(folder, SINGLE_SEED, 1)
    write_made_supernets(folder, TWO_BY_SEED, 3)
    write_made_supernets(folder, DEEP, 2)
    write_made_darts(folder, TWO_BY_SEED, 1)
    write_made_latencies(folder, TWO_BY_SEED)
    write_made_accuracies(folder, IMAGES, NETWORKS[:12], 3)
    write_made_accuracies(folder, IMAGES, NETWORKS[12:], 1)
    return folder


@pytest.fixture(scope="module")
def runs(tables: Path) -> pd.DataFrame:
    found = made_runs(tables, [TWO_BY_SEED, SINGLE_SEED], ("random_search", "local_search"))
    worst = {task: str(load(task, tables=tables).space[0]) for task in (TWO_BY_SEED, SINGLE_SEED)}
    never = [choosing(found[found["task"] == task], tables, "worst", arch) for task, arch in worst.items()]
    return pd.concat([found, choosing(found, tables, "always_best"), *never], ignore_index=True)


@pytest.fixture(scope="module")
def found(tables: Path, runs: pd.DataFrame) -> Results:
    return results.results(record(runs, tables), tables)


# -- variance components


def test_variance_components_agree_with_a_published_example() -> None:
    one = one_way(JUDGED)
    assert one.share == pytest.approx(0.17, abs=0.005) and one.high == pytest.approx(0.72, abs=0.005)
    assert one.low == 0 and math.isnan(one.sd_seed) and (one.architectures, one.trainings) == (6, 24)
    two = two_way(JUDGED)
    assert two.share == pytest.approx(0.71, abs=0.005)
    assert (two.low, two.high) == pytest.approx((0.34, 0.95), abs=0.005)
    assert two.sd_seed > two.sd_rest > 0


def test_variance_components_find_what_scores_were_made_of() -> None:
    rng = np.random.default_rng(0)
    scores = 3 * rng.normal(size=(400, 1)) + 4 * rng.normal(size=(400, 4))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    found = one_way(scores)
    assert found.share == pytest.approx(9 / 25, abs=0.05) and found.low < found.share < found.high
    assert (found.sd_architecture, found.sd_rest) == pytest.approx((3, 4), abs=0.3)
    assert found.repeats(0.9) == pytest.approx(9 * (1 - found.share) / found.share)


def test_variance_of_equal_scores_is_not_made_up() -> None:
    assert math.isnan(one_way(np.ones((3, 2))).share) and math.isnan(one_way(np.ones((3, 2))).repeats(0.9))
    assert one_way([[1, 1], [2, 2]])[:3] == (1, 1, 1)
    assert one_way([[1, 2], [2, 1]]).share == 0 and one_way([[1, 2], [2, 1]]).repeats(0.9) == math.inf


@pytest.mark.parametrize("reliability", [1.0, -0.1, math.nan])
def test_repeats_are_for_a_reliability_below_one(reliability: float) -> None:
    with pytest.raises(InvalidValueError, match="reliability"):
        one_way([[1, 2], [2, 3]]).repeats(reliability)


@pytest.mark.parametrize("scores", [[[1.0], [2.0]], [[1.0, 2.0]], [1.0, 2.0]])
def test_variance_needs_two_seeds_of_two_architectures(scores: list) -> None:
    for components in (one_way, two_way):
        with pytest.raises(InvalidValueError, match="needed"):
            components(scores)


# -- against random search


def test_the_best_beats_random_search_and_the_worst_loses(found: Results) -> None:
    rows = found.random_search.set_index(["task", "method"])
    for task in (ALL, TWO_BY_SEED, SINGLE_SEED):
        best, worst, control = (rows.loc[(task, name)] for name in ("always_best", "worst", "random_search"))
        assert 0 <= best["regret_all_seen"] <= best["random_search_full_budget"] <= best["regret_at_random"]
        assert best["verdict"] == "better" and best["regret"] == 0
        assert best["difference"] == pytest.approx(-best["random_search_full_budget"])
        assert worst["verdict"] == "worse" and worst["improvement"] < 0.01
        assert control["verdict"] == "control" and math.isnan(control["p_holm"])
        assert rows.loc[task].index[-1] == "random_search"
        assert control["low"] < 0 < control["high"]
    parts = [rows.loc[(task, "worst")] for task in (TWO_BY_SEED, SINGLE_SEED)]
    exact = np.mean([one["random_search_full_budget"] / one["regret_at_random"] for one in parts])
    overall = rows.loc[(ALL, "worst")]
    assert overall["random_search_full_budget"] == pytest.approx(exact)
    assert (overall["tasks"], overall["train_seeds"], overall["unit"]) == (2, 1, "normalised")


def test_noise_of_the_table_is_known_from_enough_test_seeds_on(
    found: Results, tables: Path, runs: pd.DataFrame, tmp_path: Path
) -> None:
    assert found.random_search[["table_low", "table_high"]].isna().all(axis=None)
    assert dict(found.random_search.groupby("task")["train_seeds"].first()) == {ALL: 1, TWO_BY_SEED: 2, SINGLE_SEED: 1}
    write_made_table(tmp_path, TWO_BY_SEED, 10)
    searches = [one for one in record(runs, tables).searches if one.task == TWO_BY_SEED]
    many = compare_task(load(TWO_BY_SEED, tables=tmp_path), searches[0].budget, searches)
    assert many is not None and many.train_seeds == 5
    for row in many.rows:
        assert row.table_interval[0] <= row.difference <= row.table_interval[1]


def compared(tables: Path, task: str, budget: int, *searches: Chosen) -> dict[str, Against]:
    one = compare_task(load(task, tables=tables), budget, searches)
    assert one is not None
    return {row.method: row for row in one.rows}


def test_few_runs_that_agree_are_not_certain(tables: Path) -> None:
    bench = load(SINGLE_SEED, tables=tables)
    best, budget = bench.optimum().arch, 3 * bench.task.max_fidelity

    def verdict(runs: int) -> str:
        return compared(tables, SINGLE_SEED, budget, Chosen(SINGLE_SEED, budget, "mine", {best: runs}))["mine"].verdict

    assert [verdict(runs) for runs in (1, 2, 100)] == ["open", "open", "better"]


def test_a_mean_that_one_bad_architecture_moves_is_no_victory(tables: Path) -> None:
    row = compared(tables, TWO_BY_SEED, 3_000_000, Chosen(TWO_BY_SEED, 3_000_000, "m", {"k5-k5": 100}))["m"]
    assert row.verdict == "better" and replace(row, adjusted=0.5).verdict == "open"
    lucky = replace(row, improvement_interval=(0.3, 0.4))  # in the mean better, in most runs worse
    assert lucky.verdict == "mixed" and replace(lucky, difference=1.0).verdict == "worse"
    assert replace(lucky, difference=1.0, improvement_interval=(0.4, 0.6)).verdict == "mixed"


def test_a_method_that_ends_as_random_search_does_differs_by_nothing(tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=tables)
    budget = 3 * bench.task.max_fidelity
    chances = random_search_chances(bench, budget)
    assert chances is not None
    counts = np.rint(chances[-1] * 100_000).astype(int)
    chosen = {arch.name: int(count) for arch, count in zip(bench.space, counts, strict=True)}
    same = compared(tables, TWO_BY_SEED, budget, Chosen(TWO_BY_SEED, budget, "same", chosen))["same"]
    assert same.difference == pytest.approx(0, abs=1e-3) and same.improvement == pytest.approx(0.5, 1e-3)
    assert same.verdict == "open"


def test_random_search_spends_what_the_runs_did(tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=tables)
    budget, worst = 6 * bench.task.max_fidelity, bench.space[0].name
    spent = {"all": {}, "half": {"3": 10}, "some": {"2": 5, "4": 5}, "beyond": {"99": 10}}
    searches = [Chosen(TWO_BY_SEED, budget, name, {worst: 10}, spent=each) for name, each in spent.items()]
    rows, chances = compared(tables, TWO_BY_SEED, budget, *searches), random_search_chances(bench, budget)
    scores = bench.table.view("test").mean[:, -1]
    exact = scores.max() - chances @ scores  # after 1, 2, … trainings
    assert {name: row.regret - row.difference for name, row in rows.items()} == pytest.approx(
        {"all": exact[5], "half": exact[2], "some": (exact[1] + exact[3]) / 2, "beyond": exact[5]}
    )
    assert {name: row.spent for name, row in rows.items()} == {"all": 6, "half": 3, "some": 3, "beyond": 6}


def test_over_tasks_keeps_the_methods_that_ran_on_all(tables: Path) -> None:
    best = {task: load(task, tables=tables).optimum().arch for task in (TWO_BY_SEED, SINGLE_SEED)}
    parts = []
    for names, (task, arch) in zip((("a", "b"), ("b", "c")), best.items(), strict=True):
        bench = load(task, tables=tables)
        budget = 3 * bench.task.max_fidelity
        parts.append(compare_task(bench, budget, [Chosen(task, budget, name, {arch: 5}) for name in names]))
    assert all(parts) and [row.method for row in over_tasks([one for one in parts if one]).rows] == ["b"]


def test_a_task_that_ranks_by_chance_does_not_count_over_all(
    tables: Path, runs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "ranked_by_chance", lambda rankings: [TWO_BY_SEED])
    rows = results.results(record(runs, tables), tables).random_search
    assert ALL not in set(rows["task"]) and TWO_BY_SEED in set(rows["task"])


# -- fidelities and spread


def test_rankings_by_other_trainings_and_by_the_same(found: Results) -> None:
    rows = found.fidelity.set_index(["task", "score"])
    two, single, images = (rows.loc[(task, fidelity.SHORT)] for task in (TWO_BY_SEED, SINGLE_SEED, IMAGES))
    assert (
        not two["same_trainings"].any() and (two["halves_seeds"] == 4).all() and two["halves_tau"].between(0.7, 1).all()
    )
    assert single["same_trainings"].all() and single["halves_tau"].isna().all()
    assert images["same_trainings"].all() and set(images["architectures"]) == {16} and set(images["unit"]) == {"epochs"}
    assert two["tau"].iloc[-1] > two["tau"].iloc[0]
    assert two["low"].iloc[-1] < two["tau"].iloc[-1] <= two["high"].iloc[-1]
    assert 0 < two["holds"].sum() < len(two) and two["even"].iloc[-1]
    proxies = rows.loc[(TWO_BY_SEED, fidelity.PROXY)]
    assert set(proxies["supernets"]) == {3} and (proxies["low"] <= proxies["tau"]).all()
    assert set(found.fidelity[found.fidelity["score"] == fidelity.PROXY]["task"]) == {TWO_BY_SEED}


def test_too_few_architectures_are_not_ranked(tmp_path: Path) -> None:
    write_made_accuracies(tmp_path, IMAGES, ["conv1", "conv3", "conv5"], 3)
    bench = load(IMAGES, tables=tmp_path)
    assert fidelity.rankings(bench).empty and spread.components(bench).empty


@pytest.mark.parametrize(
    ("tau", "low", "holds", "even"),
    [
        ((0.1, 0.8, 0.5, 0.75, 0.8), math.nan, 2, 1),
        ((math.nan, 0.8, 0.8), math.nan, 2, 2),
        ((0.8, 0.8), math.nan, 2, 2),
        ((0.9, 0.5, 0.8), math.nan, 1, 1),
        ((0.5, -0.1), math.nan, 0, 0),
        ((0.1, 0.2, 0.3), -0.1, 0, 0),  # 0 is in the interval of whole trainings
    ],
)
def test_a_ranking_holds_only_after_its_last_dip(tau: tuple[float, ...], low: float, holds: int, even: int) -> None:
    taus = np.array(tau)
    found = fidelity.settled(taus, np.full(len(tau), low), taus - taus[-1])
    assert [int(one.sum()) for one in found] == [holds, even]


def test_the_bootstrap_of_tau_is_scipy_s() -> None:
    rng = np.random.default_rng(1)
    true, cheap = rng.normal(size=12), rng.integers(4, size=(2, 12)).astype(float)
    taus = kendall_draws(cheap, true, np.random.default_rng(0))
    counts = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=len(taus))
    for row in range(20):
        items = np.repeat(np.arange(12), counts[row])
        expected = [kendall_tau(one[items], true[items]) for one in cheap]
        assert taus[row] == pytest.approx(expected, nan_ok=True)


def test_a_tie_at_the_edge_of_the_top_shares_its_place() -> None:
    true = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert fidelity.top_overlap(true, true) == 1 and fidelity.top_overlap(-true, true) == pytest.approx(1 / 3)
    assert fidelity.top_overlap(np.zeros(5), true) == pytest.approx(3 / 5)
    assert fidelity.top_overlap(np.array([2.0, 1.0, 1.0, 1.0, 0.0]), true) == pytest.approx((1 + 2 * 2 / 3) / 3)


def test_spread_needs_a_second_seed(found: Results) -> None:
    rows = found.spread.set_index(["task", "score"])
    two, single, images = (rows.loc[[(task, spread.TRAINING)]] for task in (TWO_BY_SEED, SINGLE_SEED, IMAGES))
    # Made of 2 · (sum of two kernels of 1 to 5), variance 16 over the 25 drawn without mean error, plus noise of 1.
    last = two.iloc[-1]
    assert last["share"] == pytest.approx(16 / 17, abs=0.03) and last["sd_rest"] == pytest.approx(1, abs=0.15)
    assert len(single) == 1 and single["share"].isna().all() and (single["sd_all"] > 0).all()
    assert images.iloc[-1][["architectures", "trainings", "repeated"]].tolist() == [12, 36, 12]
    assert len(rows.loc[(TWO_BY_SEED, spread.PROXY)]) == 20 and (SINGLE_SEED, spread.PROXY) not in rows.index


def test_a_seed_in_the_making_is_not_compared(tmp_path: Path) -> None:
    names = [arch.name for arch in list(get_task(TWO_BY_SEED).space)[:15]]
    write_made_table(tmp_path, TWO_BY_SEED, 1)
    write_made_table(tmp_path, TWO_BY_SEED, 2, names)
    bench = load(TWO_BY_SEED, tables=tmp_path)
    assert bench.table.seeds.tolist() == [0, 1]
    ranked = fidelity.rankings(bench)
    assert spread.components(bench)["share"].isna().all()
    assert ranked["same_trainings"].all() and set(ranked["architectures"]) == {25}


# -- latencies, surrogates and sources


def test_times_are_compared_with_what_is_counted(found: Results, tables: Path, tmp_path: Path) -> None:
    one, many = found.latency.to_dict("records")
    assert (one["task"], one["batch"], many["batch"], one["networks"]) == (TWO_BY_SEED, 1, 32, 25)
    assert one["tau_flops"] == pytest.approx(1), "the made times are proportional to FLOPs"
    assert one["time_ratio"] == pytest.approx(one["flops_ratio"]) and one["fastest_ms"] < one["slowest_ms"]
    write_made_latencies(tmp_path, SINGLE_SEED, archs=["k1-k1", "k1-k2", "k1-k3", "k1-k4"])
    assert latency.agreement(latency.measured(tmp_path)).empty, "four networks are no ranking"


def test_every_table_is_listed_with_what_it_holds(found: Results, tables: Path, runs: pd.DataFrame) -> None:
    listed = found.tables.set_index("table")
    assert listed["holds"].to_dict() == {
        "rl/minatar-ss1.breakout.lite.parquet": "cells: 100",
        "rl/atari-ss1.breakout.lite.parquet": "cells: 25",
        "nsc/nsc-chain.fashion-mnist.lite.parquet": "cells: 40",
        "supernet/minatar-ss1.breakout.lite.parquet": "supernets: 3",
        "supernet/minatar-ss2.freeway.lite.parquet": "supernets: 2",
        "darts/minatar-ss1.breakout.lite.parquet": "differentiable searches: 1",
        "latency/minatar-ss1.breakout.lite.parquet": "networks timed: 25",
        "searches": f"searches: {runs.groupby(['task', 'method', 'seed']).ngroups}",
    }
    assert listed["sha256"].dropna().to_dict() == digests(tables)
    made = listed.loc["rl/minatar-ss1.breakout.lite.parquet"]
    assert (made["train_seeds"], made["complete_seeds"]) == ("0 1 2 3", 4) and made["cpu_hours"] > 0


def with_surrogate(tables: Path, folder: Path, **changed: Any) -> pd.DataFrame:
    """Copy the tables, add a surrogate's description as ``Surrogate.save`` does, and return the quality shown."""
    snapshot(tables, folder)
    scores = {"r2": 0.9123, "tau": 0.7123, "sparse_tau": 0.7351, "within_1": 0.6789, "within_2": 0.9456}
    ceilings = {"r2_ceiling": 0.98, "tau_ceiling": 0.88, "sparse_tau_ceiling": None}
    rows = [(grouping, split) for grouping in ("layers", "random") for split in SPLITS]
    task = get_task(IMAGES)
    given: dict[str, Any] = {
        "task": IMAGES, "task_digest": task.digest, "features": ("depth",), "options": SurrogateOptions(),
        "spread_factors": {split: (1.0,) for split in SPLITS},
        "quality": tuple({"grouping": one, "split": split, **scores, **ceilings} for one, split in rows),
        "table_sha256": read_manifest(folder)[table_io.table_name(task)].sha256, "rows": 480, "architectures": 16,
        "models": {"test-0.txt": "0", "validation-0.txt": "0"}, "lightgbm": "4", "code_version": "made",
        "machine": "made",
    }  # fmt: skip
    info = SurrogateInfo(**{**given, **changed})
    (folder / surrogate_name(task)).parent.mkdir(parents=True, exist_ok=True)
    (folder / surrogate_name(task)).write_bytes(info.to_json())
    register(folder, surrogate_name(task), info.rows)
    benches = {IMAGES: load(IMAGES, tables=folder)}
    return sources.surrogate_quality(sources.surrogate_infos(folder), benches, digests(folder))


def test_the_quality_of_surrogates_is_that_of_the_test_split(tables: Path, tmp_path: Path) -> None:
    rows = with_surrogate(tables, tmp_path / "tables").set_index("held_out")
    assert rows.index.tolist() == ["layers", "random"]
    layers = rows.loc["layers"]
    assert (layers["networks"], layers["shallow"], layers["deep"], layers["tau"]) == (16, 16, 0, 0.7123)
    assert math.isnan(layers["sparse_tau_ceiling"]) and not rows["table_changed"].any()
    assert with_surrogate(tables, tmp_path / "other", table_sha256="f" * 64)["table_changed"].all()
    assert with_surrogate(tables, tmp_path / "unmeasured", quality=()).empty
    with pytest.raises(RecipeMismatchError, match="recipe 000; nsc-chain/fashion-mnist@lite is"):
        with_surrogate(tables, tmp_path / "recipe", task_digest="000")


# -- searches, page and command


def test_what_was_spent_is_recorded_in_whole_trainings(tables: Path) -> None:
    whole = load(SINGLE_SEED, tables=tables).task.max_fidelity
    runs, _ = run_all([Search(SINGLE_SEED, "random_search", 3 * whole + 1, tables=str(tables))], 0, 4, 1)
    (recorded,) = record(runs, tables).searches
    (begun,) = record(runs.assign(spent=runs["spent"] + 1), tables).searches
    assert (recorded.spent, begun.spent, recorded.runs) == ({"3": 4}, {"4": 4}, 4)


def test_runs_of_other_tables_are_refused(tables: Path, runs: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="were made with table 000; .* holds"):
        record(runs.assign(table="000"), tables)
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    with pytest.raises(TableError, match="run the searches again"):
        record(runs, tmp_path)


def test_the_page_has_every_question_and_no_missing_number(found: Results, tables: Path, tmp_path: Path) -> None:
    quality = with_surrogate(tables, tmp_path / "tables")
    text = page(replace(found, surrogates=quality), "findings")
    assert text.count("\n## ") == 5 and "\n\n\n" not in text
    assert set(re.findall(r"\((findings/[^)]*)\)", text)) >= {
        f"findings/{one.name}.csv" for one in fields(Results) if one.name != "left_out"
    }
    assert not re.search(r"\b(nan|inf|NaN|None)\b", text)
    nothing = Results(*(getattr(found, one.name).iloc[:0] for one in fields(Results)))
    assert page(nothing, "findings").count("Not known yet") == 3


def test_the_command_runs_methods_and_redraws_the_same_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, few = tmp_path / "docs" / "page.md", tmp_path / "tables"
    write_made_table(few, SINGLE_SEED, 1)
    arguments = ["--tables", str(few), "--out", str(out)]
    run = ["--methods", "random_search", "local_search", "--seeds", "4", "--jobs", "1", "--budgets", "3x"]
    assert cli.run(main, [*arguments, "--redraw"]) == 2
    assert "run without --redraw" in capsys.readouterr().err
    assert cli.run(main, [*arguments, *run]) == 0, capsys.readouterr().err
    first = {path.name: path.read_bytes() for path in [out, *(out.parent / "page").iterdir()]}
    csv = {f"{one.name}.csv" for one in fields(Results)}
    assert first.keys() == {"page.md", "random_search.png", "fidelity.png", *csv}
    assert "(page/random_search.png)" in out.read_text()
    for name in ("page.md", "page/fidelity.png"):
        (out.parent / name).unlink()
    assert cli.run(main, [*arguments, "--redraw"]) == 0
    assert {path.name: path.read_bytes() for path in [out, *(out.parent / "page").iterdir()]} == first


def test_the_command_reads_runs(tables: Path, runs: pd.DataFrame, tmp_path: Path) -> None:
    write_frame(runs[runs["task"] == SINGLE_SEED], tmp_path / "runs.parquet")
    out = tmp_path / "findings.md"
    assert cli.run(main, ["--tables", str(tables), "--runs", str(tmp_path), "--out", str(out)]) == 0
    rows = pd.read_csv(tmp_path / "findings" / "random_search.csv")
    assert set(rows["task"]) == {SINGLE_SEED} and len(rows) == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--methods", "random_serch"], "did you mean 'random_search'"),
        (["--runs", ""], "names nothing"),
        (["--methods", ""], "names nothing"),
        (["--budgets", ""], "names nothing"),
    ],
)
def test_options_are_checked_before_anything_runs(
    given: list[str], said: str, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(main, ["--tables", str(tables), "--out", str(tmp_path / "page.md"), *given]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "page.md").exists()


def test_a_snapshot_is_a_folder_of_tables(tables: Path, tmp_path: Path) -> None:
    assert digests(snapshot(tables, tmp_path / "copy")) == digests(tables)
    assert {name.split("/")[0] for name in digests(tables)} == {"rl", "nsc", "supernet", "darts", "latency"}
