"""DARTS as a method: the replayed search, its price, its outcome, and the command that stores one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.tables import DEEP, TWO_BY_SEED, made_mixture, write_made_darts, write_made_table

from nasbench_rl import BudgetExhausted, load
from nasbench_rl._utils import cli
from nasbench_rl.build.command import main as build_main
from nasbench_rl.errors import InvalidValueError, MissingCellError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.task import ImageTask, get_task, task_ids
from nasbench_rl_baselines.darts import Darts

WHOLE = 1_000_000
SMOKE = "minatar-ss1/breakout@smoke"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("darts")
    for id_ in (TWO_BY_SEED, DEEP):
        write_made_table(folder, id_, 4)
        write_made_darts(folder, id_, 3)
    return folder


@pytest.mark.parametrize("id_", [TWO_BY_SEED, DEEP])
def test_the_strongest_kernel_of_every_block_is_trained_from_scratch(tables: Path, id_: str) -> None:
    bench = load(id_, tables=tables)
    found = set()
    for seed in range(6):
        run = bench.start(10 * WHOLE, seed)
        Darts()(run)
        mixture = made_mixture(bench.task, seed % 3, 19)
        expected = tuple(bench.task.space.kernels[i] for i in mixture.argmax(axis=1))
        assert [bench.space.parse(point.arch).choices for point in run.points] == [expected]
        assert str(run.incumbent) == run.points[0].arch
        assert run.spent == 2 * WHOLE, "the search and one training"
        assert run.cpu_seconds == pytest.approx(20 * 30.0 + 20 * 10.0)
        found.add(expected)
    assert len(found) > 1, "search seeds replay different searches"


def test_probabilities_are_those_after_the_last_update(tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=tables).start(WHOLE, 1)
    probabilities, mixture = run.darts(), made_mixture(run.task, 1, 19)
    assert probabilities == pytest.approx(np.outer(*mixture).ravel())
    assert probabilities.sum() == pytest.approx(1.0)
    assert run.spent == WHOLE and not run.points


def test_more_than_one_candidate_can_be_trained(tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=tables).start(10 * WHOLE, 0)
    Darts(top_k=3)(run)
    assert len({point.arch for point in run.points}) == 3 and run.spent == 4 * WHOLE
    assert str(run.incumbent) == max(run.points, key=lambda point: point.score).arch
    for bad in (0, "three"):
        with pytest.raises(InvalidValueError, match="top_k"):
            Darts(top_k=bad)  # type: ignore[arg-type]


def test_a_budget_below_the_search_charges_nothing_and_one_below_the_training_keeps_the_search(tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=tables)
    run = bench.start(WHOLE - 1, 0)
    with pytest.raises(BudgetExhausted, match="differentiable search costs"):
        Darts()(run)
    assert run.spent == 0
    run = bench.start(2 * WHOLE - 1, 0)
    with pytest.raises(BudgetExhausted):
        Darts()(run)
    assert run.spent == WHOLE


def test_without_a_stored_search_the_error_names_the_command(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    run = load(TWO_BY_SEED, tables=tmp_path).start(4 * WHOLE, 0)
    with pytest.raises(MissingCellError, match=f"nasbench_rl.build {TWO_BY_SEED} --darts --seeds 1"):
        Darts()(run)
    assert run.spent == 0


def test_build_stores_a_search_that_a_live_run_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [SMOKE, "--darts", "--tables", str(tmp_path), "--jobs", "1"]
    assert cli.run(build_main, command) == 0
    assert f"{SMOKE} darts seed 0 in" in capsys.readouterr().out
    assert cli.run(build_main, command) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert cli.run(build_main, ["status", "--tables", str(tmp_path)]) == 0
    assert f"differentiable searches of {SMOKE}" in capsys.readouterr().out
    task = get_task(SMOKE)
    frame = table_io.read_table(tmp_path, task.darts).to_pandas()
    assert len(frame) == len(task.fidelities) * len(task.space)
    sums = frame.groupby("fidelity")["probability"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(task.fidelities)))
    assert (frame["params"] == [task.size(arch).params for arch in frame["arch"]]).all()
    before = (tmp_path / table_io.table_name(task.darts)).read_bytes()
    run = load(SMOKE, "live", tables=tmp_path).start(20_480, 0)
    last = frame[frame["fidelity"] == task.max_fidelity].set_index("arch")["probability"]
    assert run.darts() == pytest.approx([last[arch.name] for arch in task.space])
    assert run.spent == 20_480 and (tmp_path / table_io.table_name(task.darts)).read_bytes() == before


def test_a_live_run_makes_the_search_of_its_seed(tmp_path: Path) -> None:
    task = get_task(SMOKE)
    task = dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, env_steps=2048))
    run = load(task, "live", tables=tmp_path).start(2048, 4)
    probabilities = run.darts()
    assert shards.trained_cells(tmp_path, task.darts) == {(arch.name, 4) for arch in task.space}
    assert probabilities.sum() == pytest.approx(1.0) and probabilities.std() > 0
    assert run.cpu_seconds > 0


@pytest.mark.parametrize("also", [["--archs", "k1-k1"], ["--supernet"]])
def test_a_search_takes_no_chosen_architectures_and_no_second_kind(
    also: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(build_main, [SMOKE, "--darts", *also]) == 2
    assert also[0] in capsys.readouterr().err


def test_a_dry_run_estimates_a_search_from_a_probe_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(build_main, [SMOKE, "--darts", "--seeds", "2", "--dry-run", "--tables", str(tmp_path)]) == 0
    assert "2 cells, 40,960 env steps" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.parquet"))


def test_spaces_without_kernel_choices_are_refused_by_name(tables: Path) -> None:
    id_ = next(id_ for id_ in task_ids() if isinstance(get_task(id_), ImageTask))
    assert cli.run(build_main, [id_, "--darts", "--tables", str(tables)]) == 2
