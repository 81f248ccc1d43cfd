"""Fronts and hypervolumes: computed by hand, chosen by validation, judged by test, shown for every method."""

from __future__ import annotations

import io
import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from support.tables import TWO_BY_SEED, made_accuracy, write_made_accuracies, write_made_latencies, write_made_table

from nasbench_rl import get_method, load
from nasbench_rl._utils import cli
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.method import objective_of
from nasbench_rl.compare import command
from nasbench_rl.leaderboard import plots
from nasbench_rl.leaderboard.pareto import (
    BY_VALIDATION,
    MARGIN,
    Objectives,
    anytime_fronts,
    attained,
    front,
    hypervolume,
    hypervolume_curves,
    judge_fronts,
    objectives,
    reference_fronts,
)
from nasbench_rl.leaderboard.pareto_page import (
    OF_TRAINED,
    draw_front,
    front_figure,
    fronts_markdown,
    hypervolume_figure,
    in_brief,
    print_fronts,
    shown_fronts,
)
from nasbench_rl.tables.parquet import read_frame
from nasbench_rl.task import get_task

WHOLE = 1_000_000
METHODS = ["random_search", "local_search", "mnas", "rena:objective=latency"]


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([], 0.0),
        ([(2, 3)], 6.0),
        ([(2, 3), (2, 3)], 6.0),
        ([(1, 3), (2, 1)], 4.0),
        ([(1, 3), (2, 1), (1, 1)], 4.0),  # a dominated point adds nothing
        ([(3, 1), (1, 3), (2, 2)], 6.0),
        ([(2, -1), (-1, 5)], 0.0),
    ],
)
def test_hypervolume_by_hand(points: list[tuple[float, float]], area: float) -> None:
    for order in itertools.permutations(points):
        assert hypervolume(np.array(order, dtype=float).reshape(-1, 2)) == pytest.approx(area)


def test_hypervolume_is_the_share_of_a_fine_grid_that_is_dominated() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((12, 2))
    grid = (np.arange(400) + 0.5) / 400
    dominated = ((points[:, :1, None] >= grid[None, :, None]) & (points[:, 1:, None] >= grid[None, None, :])).any(
        axis=0
    )
    assert hypervolume(points) == pytest.approx(dominated.mean(), abs=0.005)


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    costs, scores = np.array([5.0, 1.0, 3.0, 3.0, 2.0, 5.0]), np.array([9.0, 2.0, 4.0, 5.0, 1.0, 9.0])
    assert front(costs, scores).tolist() == [1, 3, 0]  # of the equal points 0 and 5 the first


def three(bench: Benchmark) -> Objectives:
    """Cheap and poor, in between, dear and good."""
    return Objectives(["a", "b", "c"], np.array([1.0, 10.0, 100.0]), np.array([0.0, 5.0, 10.0]), "flops", bench)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fronts")
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_latencies(folder, TWO_BY_SEED)
    return folder


@pytest.fixture
def bench(tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=tables)


def test_objectives_are_scaled_over_the_table_costs_by_their_logarithm(bench: Benchmark) -> None:
    of = three(bench)
    assert of.points == pytest.approx(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]) + MARGIN)
    whole = 1.1 * 0.1 + 0.6 * 0.5 + 0.1 * 0.5  # strips between scores 0, 0.5 and 1
    assert of.whole == pytest.approx(whole)
    assert of.share(("b",)) == pytest.approx(0.36 / whole)
    assert of.share(("a", "c")) == pytest.approx((1.1 * 0.1 + 0.1 * 1.0) / whole)
    assert of.share("abc") == 1.0 and of.share(()) == 0.0


def rows(*evaluations: tuple[str, int, int, float]) -> pd.DataFrame:
    frame = pd.DataFrame(evaluations, columns=["arch", "fidelity", "train_seed", "score"])
    return frame.assign(seed=0, spent=10 * np.arange(1, len(frame) + 1))


def test_validation_chooses_the_front_and_test_judges_it(bench: Benchmark) -> None:
    of = three(bench)
    run = rows(("c", 9, 0, 3.0), ("b", 9, 0, 4.0), ("a", 9, 0, 8.0))  # validation is the reverse of test
    assert anytime_fronts(run, of) == [("c",), ("b",), ("a",)]
    curve = hypervolume_curves(run, of, np.array([5.0, 10.0, 20.0, 99.0]))
    assert curve[0, 1:] == pytest.approx(np.array([0.11, 0.36, 0.11]) / of.whole)  # it falls: test judges
    assert math.isnan(curve[0, 0])


def test_a_front_is_chosen_among_what_was_trained_furthest(bench: Benchmark) -> None:
    of = three(bench)
    run = rows(("a", 3, 0, 1.0), ("c", 3, 0, 5.0), ("b", 9, 0, 2.0), ("a", 3, 2, 9.0), ("a", 9, 0, 1.5))
    assert anytime_fronts(run, of) == [("a",), ("a", "c"), ("b",), ("b",), ("a", "b")]


def test_seeds_are_averaged_and_what_tells_nothing_is_passed_over(bench: Benchmark) -> None:
    of = three(bench)
    run = rows(("gone", 9, -1, 0.0), ("a", 9, 0, math.nan), ("b", 9, 0, 4.0), ("a", 9, 0, 5.0), ("a", 9, 2, 1.0))
    assert anytime_fronts(run, of) == [(), (), ("b",), ("a",), ("a", "b")]  # the mean of a is 3


def test_attained_scores_are_the_mean_of_the_best_at_a_cost_or_below(bench: Benchmark) -> None:
    of = three(bench)
    costs, scores = attained([("a", "c"), ("b",), ()], of)
    assert costs.tolist() == [1.0, 10.0, 100.0]
    assert scores == pytest.approx(np.array([0.0, 5.0 / 3, 15.0 / 3]))


def test_a_task_without_a_true_front_is_not_judged(bench: Benchmark, tmp_path: Path) -> None:
    assert objectives(None, "flops") is None
    of = objectives(bench, "latency")
    assert of is not None and of.costs[bench.space.index((2, 3))] == bench.latency((2, 3))
    write_made_table(tmp_path, TWO_BY_SEED, 4)
    assert objectives(load(TWO_BY_SEED, tables=tmp_path), "latency") is None
    write_made_table(tmp_path / "part", TWO_BY_SEED, 2, ["k1-k1", "k2-k2"])
    assert objectives(load(TWO_BY_SEED, tables=tmp_path / "part"), "flops") is None


def test_reference_fronts_read_the_split_that_they_name(bench: Benchmark) -> None:
    of = objectives(bench, "flops")
    assert of is not None
    validation = bench.table.view("validation").mean[:, -1]
    chosen = reference_fronts(of)[BY_VALIDATION]
    assert chosen == tuple(of.names[i] for i in front(of.costs, validation))
    assert of.share(chosen) < 1 == of.share(of.names[i] for i in of.true_front)
    (best,) = reference_fronts(of)[f"best architecture alone ({bench.optimum().arch})"]
    assert best == bench.optimum().arch


NSC = "nsc-chain/digits@lite"
TRAINED = ["conv1", "conv3", "conv5", "conv3 conv3", "maxpool2 conv1"]
GUESSED = "conv5 conv5"


@pytest.fixture(scope="module")
def nsc_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nsc-fronts")
    write_made_accuracies(folder, NSC, TRAINED, 1)
    return folder


def nsc_runs(*archs_of_run: list[str]) -> pd.DataFrame:
    """Runs of ``mnas`` that looked at these networks, each a whole training; the one that was guessed looked best."""
    task = get_task(NSC)
    rows = []
    for seed, archs in enumerate(archs_of_run):
        for step, arch in enumerate(archs):
            guess = arch == GUESSED
            score = 1.0 if guess else made_accuracy(task.space.parse(arch).name, 0, task.max_fidelity, 0)
            rows.append(
                {
                    "seed": seed, "step": step, "spent": (step + 1) * task.max_fidelity, "arch": arch, "score": score,
                    "source": "surrogate" if guess else "table",
                }
            )  # fmt: skip
    return pd.DataFrame(rows).assign(
        task=NSC, method="mnas", configuration="00", objective="flops", mode="tabular", budget=99, train_seed=0,
        fidelity=task.max_fidelity,
    )  # fmt: skip


def test_a_space_too_large_for_a_table_is_judged_by_the_networks_trained(nsc_tables: Path) -> None:
    bench = load(NSC, tables=nsc_tables)
    of = objectives(bench, "flops")
    assert of is not None and not of.whole_space and list(of.names) == sorted(TRAINED)
    assert of.scores.tolist() == [bench.query(name).score for name in of.names]
    assert of.costs.tolist() == [bench.task.size(name).flops for name in of.names]
    assert objectives(bench, "latency") is None, "none was measured"
    judged = judge_fronts(nsc_runs(TRAINED, ["conv1", GUESSED]), str(nsc_tables)).set_index(["method", "resource"])
    row = judged.loc[("mnas", "flops")]
    everything = of.front_of({name: float(bench.query(name, split="validation").score) for name in TRAINED})
    assert row["hypervolume"] == pytest.approx((of.share(everything) + of.share(("conv1",))) / 2), "guesses count not"
    assert row["left_out"] == pytest.approx(0.25)  # none of the one run's, half of the other's
    assert judged.loc[(BY_VALIDATION, "flops"), "hypervolume"] == pytest.approx(of.share(everything))


def test_a_search_that_saw_guesses_alone_found_no_front(nsc_tables: Path) -> None:
    of = objectives(load(NSC, tables=nsc_tables), "flops")
    assert of is not None
    runs = nsc_runs([GUESSED, "conv3"])
    assert anytime_fronts(runs, of) == [(), ("conv3",)]
    curve = hypervolume_curves(runs, of, np.array([12.0, 24.0]))
    assert curve[0] == pytest.approx([0.0, of.share(("conv3",))])


def test_latencies_of_some_networks_make_a_front_of_these(nsc_tables: Path, tmp_path: Path) -> None:
    shutil.copytree(nsc_tables, tmp_path, dirs_exist_ok=True)
    write_made_latencies(tmp_path, NSC, archs=TRAINED[:3])
    of = objectives(load(NSC, tables=tmp_path), "latency")
    assert of is not None and list(of.names) == sorted(TRAINED[:3])
    judged = judge_fronts(nsc_runs(TRAINED), str(tmp_path))
    shares = judged[judged["method"] == "mnas"].set_index("resource")["left_out"]
    assert shares.to_dict() == pytest.approx({"params": 0.0, "flops": 0.0, "latency": 0.4})


def test_a_network_that_is_the_best_by_one_cost_alone_has_dashes_for_the_others() -> None:
    """Where not every latency is measured, the best network of those that are is another one."""
    rows = [
        {"task": NSC, "method": method, "objective": "", "mode": "reference", "runs": 0, "resource": resource,
         "hypervolume": 0.5, "low": math.nan, "high": math.nan, "left_out": math.nan}
        for method, resource in (("best alone (a)", "flops"), ("best alone (b)", "latency"))
    ]  # fmt: skip
    frame = shown_fronts(pd.DataFrame(rows)).frame
    assert list(frame.columns[2:4]) == ["hypervolume, flops [95 %]", "hypervolume, latency [95 %]"]
    assert frame.iloc[:, 2:4].to_numpy().tolist() == [["0.500", "–"], ["–", "0.500"]]


def test_text_and_figures_say_that_the_front_is_that_of_the_networks_trained(nsc_tables: Path, tables: Path) -> None:
    runs = nsc_runs(TRAINED, ["conv1", GUESSED])
    judged = judge_fronts(runs, str(nsc_tables))
    assert shown_fronts(judged).frame.set_index("method").loc["mnas", "left out"] == "25 %"
    assert OF_TRAINED in fronts_markdown(judged)
    console = Console(width=200, record=True, file=io.StringIO())
    print_fronts(judged, console)
    assert "front of the networks trained" in console.export_text()
    of = objectives(load(NSC, tables=nsc_tables), "flops")
    whole = objectives(load(TWO_BY_SEED, tables=tables), "flops")
    assert of is not None and whole is not None
    figure = front_figure(runs, of)(plots.Look())
    assert {"networks trained", "their front (test)"} <= {line.get_label() for line in figure.axes[0].lines}
    assert "guesses left out" in figure.axes[0].get_title()
    assert "of the networks trained" in hypervolume_figure(runs, of, 5)(plots.Look()).axes[0].get_ylabel()
    labels = {line.get_label() for line in draw_front(plots.Look(), whole, {}, []).axes[0].lines}
    assert {"architectures", "true front (test)"} <= labels


def test_methods_declare_what_they_weigh() -> None:
    assert objective_of(get_method("mnas")) == "flops" and objective_of(get_method("rena")) == "params"
    assert objective_of(get_method("monas", objective="latency")) == "latency"
    assert objective_of(get_method("random_search")) == ""


@pytest.fixture(scope="module")
def compared(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    arguments = ["--tasks", TWO_BY_SEED, "--methods", *METHODS, "--runs", "20", "--budget", "8x", "--jobs", "1"]
    arguments += ["--resource", "latency", "--out", str(out), "--tables", str(tables)]
    assert cli.run(command.main, arguments) == 0
    return out


def test_compare_reports_hypervolumes_of_every_method(compared: Path, bench: Benchmark) -> None:
    found = pd.read_csv(compared / "hypervolume.csv", keep_default_na=False)
    methods = found[found["mode"] == "tabular"]
    assert set(methods["method"]) == set(METHODS) and set(methods["resource"]) == {"params", "flops", "latency"}
    weighed = dict(zip(methods["method"], methods["objective"], strict=True))
    assert weighed == {"random_search": "", "local_search": "", "mnas": "flops", "rena:objective=latency": "latency"}
    values = methods[["low", "hypervolume", "high"]].astype(float)
    assert (values.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None) and values.min().min() > 0 and values.max().max() <= 1
    assert set(read_frame(compared / "runs.parquet")["objective"]) == {"", "flops", "latency"}
    name = "minatar-ss1-breakout-lite.png"
    for kind in ("front", "hypervolume"):
        assert (compared / "figures" / f"{kind}-latency-{name}").read_bytes().startswith(b"\x89PNG")


def test_the_mean_is_that_of_every_run_on_its_own(compared: Path, bench: Benchmark) -> None:
    runs = read_frame(compared / "runs.parquet")
    judged = judge_fronts(runs, str(bench.folder))
    of = objectives(bench, "flops")
    assert of is not None
    shares = []
    for _, run in runs[runs["method"] == "mnas"].groupby("seed"):
        means = run.groupby("arch")["score"].mean()  # every evaluation is a whole training here
        costs = np.array([bench.task.size(arch).flops for arch in means.index], dtype=float)
        shares.append(of.share(means.index[front(costs, means.to_numpy())]))
    row = judged[(judged["method"] == "mnas") & (judged["resource"] == "flops")].iloc[0]
    assert row["hypervolume"] == pytest.approx(np.mean(shares)) and row["runs"] == 20


def test_text_and_page_show_the_section(compared: Path) -> None:
    text = (compared / "leaderboard.md").read_text()
    assert "## Score against cost" in text and "hypervolume, latency [95 %]" in text and BY_VALIDATION in text
    page = (compared / "leaderboard.html").read_text()
    assert "Score against cost" in page and "hypervolume of every method" in page
    assert (compared / "figures" / "front-latency-minatar-ss1-breakout-lite.svg").is_file()


def test_the_terminal_shows_the_named_methods_and_markdown_all(compared: Path, bench: Benchmark) -> None:
    judged = judge_fronts(read_frame(compared / "runs.parquet"), str(bench.folder))
    brief = set(in_brief(judged)["method"])
    assert {"mnas", "rena:objective=latency", "random_search", BY_VALIDATION} <= brief
    frame = shown_fronts(judged).frame
    assert frame.shape[1] == 5 and set(frame["method"]) >= set(METHODS)
    assert fronts_markdown(judged.iloc[:0]) == []


def test_without_a_method_that_weighs_a_cost_nothing_is_reported(tables: Path, tmp_path: Path) -> None:
    arguments = ["--tasks", TWO_BY_SEED, "--methods", "random_search", "--runs", "3", "--out", str(tmp_path)]
    assert cli.run(command.main, [*arguments, "--tables", str(tables), "--jobs", "1"]) == 0
    assert not (tmp_path / "hypervolume.csv").exists()
    assert "Score against cost" not in (tmp_path / "leaderboard.html").read_text()


@pytest.mark.parametrize(
    ("resource", "words"),
    [("flopps", "did you mean 'flops'"), ("latency", "build minatar-ss1/breakout@lite --latency")],
)
def test_a_resource_that_is_not_there_is_one_line(
    resource: str, words: str, made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--tasks", TWO_BY_SEED, "--resource", resource, "--out", str(tmp_path), "--tables", str(made_tables)]
    assert cli.run(command.main, arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
