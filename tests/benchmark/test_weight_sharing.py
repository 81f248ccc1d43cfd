from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.tables import TWO_BY_SEED, made_return, write_made_supernets, write_made_table

from nasbench_rl import BudgetExhausted, get_method, load
from nasbench_rl._utils import cli
from nasbench_rl.build.command import main as build_main
from nasbench_rl.compare.command import main as compare_main
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.pool import run_all
from nasbench_rl.errors import InvalidValueError, MissingCellError
from nasbench_rl.tables.results import PathUpdate

WHOLE = 1_000_000
SMOKE = "minatar-ss1/breakout@smoke"


def test_a_replayed_supernet_is_the_stored_one_of_the_search_seed(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    for seed in (0, 1, 4):
        run = bench.start(4 * WHOLE, seed)
        supernet = run.supernet()
        supernet.fit()
        stored = [made_return(bench.task, arch.name, 1000 + seed % 3, 19) for arch in bench.space]
        assert supernet.proxies() == pytest.approx(stored)
        assert run.spent == WHOLE
        assert run.cpu_seconds == pytest.approx(200.0 + 3.0), "the fit and the proxies of the last of 20 fidelities"
    assert bench.supernets().cpu_seconds == pytest.approx(200.0 + 20 * 3.0), "what making them all took"


def test_a_replay_counts_the_cpu_seconds_of_the_proxies_that_are_read(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run = bench.start(WHOLE, 0)
    supernet = run.supernet()
    supernet.fit(score_all=False)
    assert run.cpu_seconds == pytest.approx(200.0)
    with pytest.raises(InvalidValueError, match="score_all=False"):
        supernet.proxies()
    expected = [made_return(bench.task, name, 1000, 19) for name in ("k5-k5", "k1-k2")]
    assert supernet.proxies_of([(5, 5), (1, 2)]) == pytest.approx(expected)
    assert run.cpu_seconds == pytest.approx(200.0 + 3.0 * 2 / 25) and run.spent == WHOLE


@pytest.mark.parametrize(("method", "seconds"), [("spos", 203.0), ("enas", 200.0)])
def test_a_supernet_costs_a_method_what_it_uses_of_it(method: str, seconds: float, made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0)
    get_method(method)(run)
    trained = [point.cpu_seconds for point in run.points]
    assert trained[0] - (trained[2] - trained[0]) / 2 == pytest.approx(seconds), "made trainings cost the same each"


def test_a_live_fit_is_charged_as_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that counts measurements alone: a controller's fit takes none, a listed one those of the end."""
    pytest.importorskip("torch")
    from nasbench_rl.training import supernet

    measured = [0.0]
    before = supernet.measure_proxies

    def counted(net: Any, task: Any, archs: Any, *rest: Any) -> Any:
        measured[0] += len(archs)
        return before(net, task, archs, *rest)

    write_made_supernets(tmp_path, SMOKE, 1)
    smoke = load(SMOKE, mode="live", tables=tmp_path, jobs=1)
    spos = smoke.start(smoke.task.max_fidelity, 0)
    spos.supernet().fit()
    assert spos.cpu_seconds == pytest.approx(200.0 + 3.0), "that of seed 0 is stored"
    monkeypatch.setattr(supernet, "measure_proxies", counted)
    monkeypatch.setattr("time.process_time", lambda: measured[0])
    enas = smoke.start(smoke.task.max_fidelity, 1)
    shared = enas.supernet()
    shared.fit(lambda index, rng: (1, 1), score_all=False)
    assert enas.cpu_seconds == measured[0] == 0
    shared.proxies_of([(1, 1), (2, 2)])
    assert enas.cpu_seconds == measured[0] == 2


def test_a_controller_is_told_the_proxies_of_the_stage_it_is_at(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run, told = bench.start(WHOLE, 0), list[PathUpdate]()
    run.supernet().fit(lambda index, rng: (5, 5), told.append)
    assert [update.index for update in told] == list(range(48, 977)) and told[-1].env_steps == 977 * 1024
    reached = [sum(fidelity <= update.env_steps for fidelity in bench.task.fidelities) for update in told]
    assert reached[0] == 1 and reached[-1] == 20
    expected = [made_return(bench.task, "k5-k5", 1000, count - 1) for count in range(1, 21)]
    assert [update.return_mean for update in told] == pytest.approx([expected[count - 1] for count in reached])


def test_no_proxy_is_heard_of_before_the_fit_has_reached_it(made_tables: Path) -> None:
    """The first of 20 fidelities is 50,000 env steps, which the 49th update of 1,024 reaches."""
    run, sampled, told = load(TWO_BY_SEED, tables=made_tables).start(WHOLE, 0), list[int](), list[PathUpdate]()

    def sample_path(index: int, rng: np.random.Generator) -> tuple[int, int]:
        sampled.append(index)
        return 1, 1

    run.supernet().fit(sample_path, told.append)
    assert sampled == list(range(977)), "every update has its path, heard of or not"
    assert min(update.env_steps for update in told) == 49 * 1024 >= run.task.fidelities[0] > 48 * 1024
    assert "nothing before their first fidelity" in run.approximation


def test_reports_name_what_a_stored_table_stands_in_for(made_tables: Path, tmp_path: Path) -> None:
    command = ["--tasks", TWO_BY_SEED, "--methods", "spos", "enas", "eas", "--runs", "2", "--budget", "4x"]
    assert cli.run(compare_main, [*command, "--tables", str(made_tables), "--out", str(tmp_path), "--jobs", "1"]) == 0
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    said = runs.groupby("method")["approximation"].first()
    assert "proxies" in said["enas"] and "inherits" in said["eas"] and said["spos"] == ""
    for name in (
        "leaderboard.md",
        "leaderboard.csv",
        "leaderboard.tex",
        "leaderboard.html",
    ):
        text = (tmp_path / name).read_text()
        assert all(sentence in text for sentence in said[["enas", "eas"]]), name


def test_a_stored_outcome_counts_as_one_run_however_often_it_is_replayed(made_tables: Path) -> None:
    """The made table has three supernets; controllers that hear one of them share its luck, as replays do."""
    searches = [Search(TWO_BY_SEED, name, 4 * WHOLE, tables=str(made_tables)) for name in ("spos", "enas")]
    runs, failures = run_all(searches, 1, 30, jobs=1)
    seeds = runs.groupby("method")["seed"].unique()
    assert not failures
    for method in ("spos", "enas"):
        assert sorted(seeds[method]) == [1, 2, 3], "search seeds 4 to 30 would repeat these"


def test_too_small_a_budget_charges_nothing(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(WHOLE - 1, 0)
    with pytest.raises(BudgetExhausted):
        run.supernet().fit()
    assert run.spent == 0
    with pytest.raises(InvalidValueError, match="fit"):
        run.supernet().proxies()


def test_without_a_stored_supernet_the_error_names_the_command(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    run = load(TWO_BY_SEED, tables=tmp_path).start(4 * WHOLE, 0)
    with pytest.raises(MissingCellError, match="--supernet"):
        run.supernet().fit()


def test_build_fits_supernets_that_a_live_run_then_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke = "minatar-ss1/breakout@smoke"
    command = [smoke, "--supernet", "--tables", str(tmp_path), "--jobs", "1"]
    assert cli.run(build_main, command) == 0
    assert "supernet seed 0 in" in capsys.readouterr().out
    assert cli.run(build_main, command) == 0
    assert "nothing to train" in capsys.readouterr().out
    run = load(smoke, "live", tables=tmp_path).start(20_480, 0)
    supernet = run.supernet()
    supernet.fit()
    assert np.isfinite(supernet.proxies()).all() and run.spent == 20_480


def test_supernets_of_chosen_architectures_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(build_main, ["minatar-ss1/breakout@smoke", "--supernet", "--archs", "k1-k1"]) == 2
    assert "--archs" in capsys.readouterr().err
