from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from made_tables import SINGLE_SEED, TWO_BY_SEED

from nasbench_rl import cli, compare, load, store
from nasbench_rl.presets.rl_agents import RANDOM_REPEATS
from nasbench_rl.proxy_quality import PROXY, SHORT, proxy_taus


@pytest.fixture(scope="module")
def reproduced(made_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables, out = tmp_path_factory.mktemp("with-published"), tmp_path_factory.mktemp("preset")
    shutil.copytree(made_tables, tables, dirs_exist_ok=True)
    shutil.copy(Path(__file__).parents[1] / "tables" / "published.parquet", tables)
    store.register(tables, "published.parquet", 256)
    command = ["--preset", "rl-agents-paper", "--tasks", f"{TWO_BY_SEED},{SINGLE_SEED}", "--out", str(out)]
    assert cli.run(compare.main, [*command, "--tables", str(tables)]) == 0
    return out


def test_table_one_sets_the_published_figures_beside_ours(reproduced: Path) -> None:
    table = pd.read_csv(reproduced / "table1.csv").set_index(["task", "method", "metric"]).sort_index()
    ours = table.loc[(SINGLE_SEED, "enas", "total reward")]
    assert (ours["published"], ours["published_spread"], ours["runs"]) == (161.1, 9.8, 4)
    assert pd.isna(table.loc[(TWO_BY_SEED, "enas", "total reward"), "published"]), "the paper has no MinAtar"
    theirs = table.loc[("atari-ss2/freeway", "spos", "total reward")]  # a column of the paper's without one of ours
    assert (theirs["published"], theirs["runs"]) == (22.0, 0) and pd.isna(theirs["mean"])
    assert table.loc[(TWO_BY_SEED, "random_search:samples=3", "reward mean"), "runs"] == RANDOM_REPEATS
    assert table.loc[(TWO_BY_SEED, "nature_cnn", "reward mean"), "runs"] == 1
    mean = table.loc[(TWO_BY_SEED, "spos")]["mean"]
    assert mean["reward mean"] == pytest.approx(0.6 * mean["total reward"]), "as made returns have it"


def test_it_charges_a_supernet_and_three_trainings(reproduced: Path) -> None:
    runs = store.read_frame(reproduced / "runs.parquet")
    final = runs[runs["task"] == TWO_BY_SEED].sort_values("step").groupby(["method", "seed"]).tail(1)
    spent = final.groupby("method")["spent"].max()
    assert spent.to_dict() == {"enas": 4_000_000, "spos": 4_000_000, "random_search:samples=3": 3_000_000}


def test_best_architectures_and_figures_are_written(reproduced: Path) -> None:
    best = pd.read_csv(reproduced / "best_architectures.csv")
    conv = best[(best["task"] == SINGLE_SEED) & (best["which"] == "best in the table") & (best["layer"] == "Conv-2")]
    assert conv["kernel"].item() == int(conv["arch"].item()[1]) and conv["stride"].item() == 2
    for figure in ("histogram", "proxy_tau"):
        assert (reproduced / f"{figure}.minatar-ss1.breakout.lite.png").stat().st_size > 10_000


def test_proxies_of_a_better_fit_rank_better(made_tables: Path) -> None:
    taus = proxy_taus(load(TWO_BY_SEED, tables=made_tables)).groupby(["what", "fidelity"])["tau"].mean()
    for what in (PROXY, SHORT):
        assert taus[what, 50_000] < taus[what, 1_000_000] <= 1


def test_an_unknown_preset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(compare.main, ["--preset", "rl-agent-paper"]) == 2
    assert "did you mean 'rl-agents-paper'" in capsys.readouterr().err
