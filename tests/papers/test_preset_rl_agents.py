from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from support.tables import SINGLE_SEED, TWO_BY_SEED, made_rows

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl.compare import command as compare
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.pool import run_all
from nasbench_rl.leaderboard.stats.proxy_correlation import PROXY, SHORT, _reliability, mean_proxy, proxy_taus
from nasbench_rl.papers.rl_agents import experiment
from nasbench_rl.papers.rl_agents import page as rl_agents_page
from nasbench_rl.papers.rl_agents.experiment import RANDOM_REPEATS
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import register
from nasbench_rl.tables.parquet import read_frame
from nasbench_rl.task import get_task


def add_published(tables: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "tables" / "published.csv", tables)
    register(tables, "published.csv", 256)


@pytest.fixture(scope="module")
def reproduced(made_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables, out = tmp_path_factory.mktemp("with-published"), tmp_path_factory.mktemp("preset")
    shutil.copytree(made_tables, tables, dirs_exist_ok=True)
    add_published(tables)
    command = ["--preset", "rl-agents-paper", "--tasks", f"{TWO_BY_SEED},{SINGLE_SEED}", "--out", str(out)]
    assert cli.run(compare.main, [*command, "--tables", str(tables)]) == 0
    return out


def test_table_one_sets_the_published_figures_beside_ours(reproduced: Path) -> None:
    table = pd.read_csv(reproduced / "table1.csv").set_index(["task", "method", "metric"]).sort_index()
    ours = table.loc[(SINGLE_SEED, "enas", "total reward")]
    assert (ours["published"], ours["published_spread"], ours["runs"]) == (161.1, 9.8, 3)
    assert pd.isna(table.loc[(TWO_BY_SEED, "enas", "total reward"), "published"]), "the paper has no MinAtar"
    theirs = table.loc[("atari-ss2/freeway", "spos", "total reward")]  # a column of the paper's without one of ours
    assert (theirs["published"], theirs["runs"]) == (22.0, 0) and pd.isna(theirs["mean"])
    assert table.loc[(TWO_BY_SEED, "random_search:samples=3", "reward mean"), "runs"] == RANDOM_REPEATS
    assert table.loc[(TWO_BY_SEED, "nature_cnn", "reward mean"), "runs"] == 1
    mean = table.loc[(TWO_BY_SEED, "spos")]["mean"]
    assert mean["reward mean"] == pytest.approx(0.6 * mean["total reward"]), "as made returns have it"


def test_it_charges_a_supernet_and_three_trainings(reproduced: Path) -> None:
    runs = read_frame(reproduced / "runs.parquet")
    final = runs[runs["task"] == TWO_BY_SEED].sort_values("step").groupby(["method", "seed"]).tail(1)
    spent = final.groupby("method")["spent"].max()
    assert spent.to_dict() == {
        "enas": 4_000_000, "enas:learning_rate=0.0": 4_000_000, "spos": 4_000_000, "random_search:samples=3": 3_000_000
    }  # fmt: skip


def test_what_of_enas_is_its_initial_weights_is_counted(reproduced: Path) -> None:
    runs = read_frame(reproduced / "runs.parquet")
    unmoved = experiment.unmoved_finalists(runs)
    assert set(unmoved) == {TWO_BY_SEED, SINGLE_SEED} and all(0 <= share <= 1 for share in unmoved.values())
    assert [rl_agents_page.controller_updates(get_task(task)) for task in (TWO_BY_SEED, SINGLE_SEED)] == [31, 15]
    assert f"{3 * unmoved[TWO_BY_SEED]:.1f} on {TWO_BY_SEED}" in (reproduced / "report.md").read_text()


def test_finalists_of_a_controller_that_never_learns_are_counted_by_seed() -> None:
    def trained(method: str, seed: int, archs: str) -> list[dict[str, object]]:
        return [{"task": "t", "method": method, "seed": seed, "arch": arch} for arch in archs]

    still = "enas:learning_rate=0.0"
    rows = trained("enas", 0, "abc") + trained(still, 0, "cbd") + trained("enas", 1, "xyz") + trained(still, 1, "xyz")
    assert experiment.unmoved_finalists(pd.DataFrame(rows)) == {"t": pytest.approx((2 / 3 + 1) / 2)}


def test_best_architectures_and_figures_are_written(reproduced: Path) -> None:
    best = pd.read_csv(reproduced / "best_architectures.csv")
    ours = {"best in the table", "best of 3 found by ENAS", "best of 3 found by SPOS"}
    assert set(best["which"]) == {*ours, "the paper's (Table 6)"}
    theirs = best[best["which"] == "the paper's (Table 6)"]
    assert set(theirs["task"]) == {SINGLE_SEED} and set(theirs["arch"]) == {"k4-k5"}
    padded = theirs.set_index("layer")
    assert padded.loc["Padding", "output"] == padded.loc["Linear", "input"] and "Conv-3" in padded.index
    assert set(best.loc[best["layer"] == "Padding", "task"]) == {SINGLE_SEED}, "MinAtar's maps keep their size"
    conv = best[(best["task"] == SINGLE_SEED) & (best["which"] == "best in the table") & (best["layer"] == "Conv-2")]
    assert conv["kernel"].item() == int(conv["arch"].item()[1]) and conv["stride"].item() == 2
    page = (reproduced / "report.md").read_text()
    assert f"3 of ENAS and of SPOS on {TWO_BY_SEED}" in page and "nan" not in page.replace("nasbench", "")
    for figure in ("histogram", "proxy_tau"):
        assert f"]({figure}.minatar-ss1.breakout.lite.png)" in page
        assert (reproduced / f"{figure}.minatar-ss1.breakout.lite.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def opposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in which the reward mean is the better the worse the total reward is."""
    folder, task = tmp_path_factory.mktemp("opposed"), get_task(TWO_BY_SEED)
    rows = [row for arch in task.space for seed in range(4) for row in made_rows(task, arch.name, seed)]
    for row in rows:
        row["return_all"] = 100.0 - row["return_last100"]
    table_io.write_table(folder, task, [table_io.encode_rows(task, rows)])
    add_published(folder)
    return folder


def test_each_row_of_table_one_has_a_choice_of_its_own(opposed: Path) -> None:
    search = Search(TWO_BY_SEED, "random_search", 3_000_000, hyperparameters={"samples": 3}, tables=str(opposed))
    runs, _ = run_all([search], 0, 20, 1)
    bench = load(TWO_BY_SEED, tables=opposed)
    final = runs.sort_values("step").groupby("seed").tail(1).sort_values("seed")
    by_mean, by_total = (experiment.chosen(runs, bench, metric)[search.label] for metric in experiment.METRICS.values())
    assert by_total == final["incumbent"].tolist(), "as the runs themselves choose"
    for seed, of_run in runs.groupby("seed"):
        worst = of_run.loc[of_run["score"].idxmin(), "arch"]  # by total reward, so the best by reward mean
        assert by_mean[seed] == worst != by_total[seed]
    table = experiment.table_one(runs, [TWO_BY_SEED], str(opposed)).set_index(["task", "method", "metric"])
    shown = [bench.query(arch, metric="return_all").score for arch in by_mean]
    assert table.loc[(TWO_BY_SEED, search.label, "reward mean"), "mean"] == pytest.approx(sum(shown) / 20)


def test_the_best_found_by_reward_mean_is_told_from_the_others_found(opposed: Path) -> None:
    bench = load(TWO_BY_SEED, tables=opposed)
    evaluations = [(0, "k5-k5"), (0, "k1-k2"), (1, "k1-k1"), (1, "k3-k3"), (2, "k4-k4"), (3, "k1-k2")]
    runs = pd.DataFrame(evaluations, columns=["seed", "arch"]).assign(
        task=TWO_BY_SEED, method="enas", fidelity=1_000_000, train_seed=0, step=range(len(evaluations))
    )
    found = experiment.found_by(runs, bench)["enas"]
    assert found.best == "k1-k1" and list(found.scores) == ["k1-k1", "k1-k2", "k4-k4"]
    assert found.searches == {"k1-k1": 1, "k1-k2": 2, "k4-k4": 1} and "(2 searches)" in str(found)
    best = experiment.best_architectures(runs, [TWO_BY_SEED], str(opposed)).drop_duplicates("which").set_index("which")
    assert best["arch"].to_dict() == {
        "best in the table": bench.optimum(metric="return_all").arch, "best of 4 found by ENAS": "k1-k1"
    }  # fmt: skip


def test_every_architecture_found_is_marked_in_the_histogram(
    opposed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, drawn = load(TWO_BY_SEED, tables=opposed), []
    runs = pd.DataFrame({"seed": range(4), "arch": ["k1-k1", "k2-k2", "k3-k3", "k2-k2"]}).assign(
        task=TWO_BY_SEED, method="spos", fidelity=1_000_000, train_seed=0, step=0
    )
    monkeypatch.setattr(experiment.plots, "save", lambda figure, path: drawn.append(figure) or [path])
    experiment.draw_histograms(runs, TWO_BY_SEED, bench, tmp_path)
    lines = {line.get_label().split("\n")[0]: line for line in drawn[0].axes[0].lines}
    marked = [bench.query(arch, metric="return_all").score for arch in ("k1-k1", "k2-k2", "k3-k3")]
    assert sorted(lines["SPOS, found by any of them"].get_xdata(), reverse=True) == pytest.approx(marked)
    assert lines["SPOS, best of 4 searches"].get_xdata()[0] == pytest.approx(marked[0])


def test_proxies_of_a_better_fit_rank_better(made_tables: Path) -> None:
    taus = proxy_taus(load(TWO_BY_SEED, tables=made_tables)).groupby(["what", "fidelity"])["tau"].mean()
    for what in (PROXY, SHORT):
        assert taus[what, 50_000] < taus[what, 1_000_000] <= 1


def test_reliability_is_what_the_luck_of_games_leaves(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    stored, taus = bench.supernets(), proxy_taus(bench)
    proxies, luck = stored.proxies[1, -1], stored.variances[1, -1]
    row = taus[(taus["what"] == PROXY) & (taus["seed"] == 1) & (taus["fidelity"] == 1_000_000)].iloc[0]
    assert row["reliability"] == pytest.approx(max(0, 1 - luck.mean() / proxies.var(ddof=1)))
    assert row["games"] == stored.games[-1] > 0
    shorts = taus[taus["what"] == SHORT]
    assert shorts["reliability"].isna().all() and (shorts["games"] == 0).all()
    assert _reliability(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.5])) == pytest.approx(0.5)
    assert _reliability(np.array([1.0, 2.0, 3.0]), np.array([9.0, 9.0, 9.0])) == 0
    assert np.isnan(_reliability(np.array([2.0, 2.0]), np.array([1.0, 1.0])))
    assert np.isnan(_reliability(np.array([1.0, 2.0]), np.array([np.nan, 1.0])))


def test_the_mean_of_all_proxies_is_ranked_too(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    found = mean_proxy(bench)
    proxies, true = bench.supernets().proxies[:, -1].mean(axis=0), bench.table.view("test").mean[:, -1]
    expected = scipy_stats.kendalltau(proxies, true)
    assert (found.tau, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))


def made_taus(by_seed: dict[int, list[float]]) -> pd.DataFrame:
    rows = [
        (TWO_BY_SEED, PROXY, seed, 50_000 * (at + 1), tau, 2 + 14 * (at == 3), 0.5)
        for seed, taus in by_seed.items()
        for at, tau in enumerate(taus)
    ]
    return pd.DataFrame(rows, columns=["task", "what", "seed", "fidelity", "tau", "games", "reliability"])


@pytest.mark.parametrize(
    ("by_seed", "end", "spread", "interval"),
    [
        ({0: [0.1, 0.2, 0.3, 0.4], 1: [0.1, 0.2, 0.3, 0.6]}, "0.50", "0.40, 0.60", "–"),  # too few supernets
        (
            {seed: [0.0] * 3 + [end] for seed, end in enumerate((-0.9, 0.0, 0.9))},
            "0.00",
            "-0.90, 0.90",
            "[-1.00, 1.00]",
        ),
        ({seed: [0.0] * 3 + [end] for seed, end in enumerate((0.1, 0.2, np.nan))}, "–", "0.10, 0.20", "–"),
        ({0: [0.1, 0.2, 0.3, 0.4]}, "0.40", "–", "–"),
    ],
)
def test_the_tau_table_has_no_interval_of_two_and_none_outside_what_tau_can_be(
    by_seed: dict[int, list[float]], end: str, spread: str, interval: str
) -> None:
    table = rl_agents_page._taus(made_taus(by_seed))
    shown = dict(zip(table.header, table.rows[0], strict=True))
    assert (shown["τ at the end"], shown["lowest, highest"], shown["95 % of mean"]) == (end, spread, interval)
    assert shown["games a score"] == "2, at the end 16"


def test_a_supernet_that_tells_none_apart_is_named_and_not_averaged_away(made_tables: Path) -> None:
    taus = made_taus({0: [0.1, 0.2, 0.3, 0.4], 1: [0.1, np.nan, 0.3, 0.6], 2: [0.1, 0.2, 0.3, 0.5]})
    table = rl_agents_page._taus(taus)
    assert dict(zip(table.header, table.rows[0], strict=True))["τ at 1/2"] == "–"
    numbers = rl_agents_page.proxy_numbers(load(TWO_BY_SEED, tables=made_tables), taus)
    assert (numbers["flat"], numbers["fidelities"], numbers["supernets"]) == ({1: 1}, 4, 3)
    assert numbers["mean"] == pytest.approx(0.5) and 0 < numbers["low"] < 0.5 and numbers["agreement"].tau > 0


def test_an_unknown_preset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(compare.main, ["--preset", "rl-agent-paper"]) == 2
    assert "did you mean 'rl-agents-paper'" in capsys.readouterr().err
