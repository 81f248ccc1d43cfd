"""What a build would cost: a probe stays short, whatever it is asked about."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from support.tables import write_made_accuracies

from nasbench_rl._utils import cli
from nasbench_rl.build import estimate
from nasbench_rl.build.command import main as build_main
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.tables import table_io
from nasbench_rl.task import ImageTask, Task, get_task
from nasbench_rl.training import train_cell
from nasbench_rl.training.cell import Cell

TASK = "nsc-chain/font-letters@intense"
SMALL, LARGE = "conv1 maxpool2", "conv5 conv5 conv5 conv5 conv5 conv5"


def test_a_network_too_large_for_a_probe_is_extrapolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probed = []

    def train_rows(
        task: Task, arch: Architecture, seed: int, device: str, progress: train_cell.Progress
    ) -> train_cell.Rows:
        probed.append(arch.name)
        sum(range(200_000))  # so that some CPU time passes
        assert progress is not None
        progress(1)
        return []

    monkeypatch.setattr("nasbench_rl.training.train_cell.train_rows", train_rows)
    monkeypatch.setattr("nasbench_rl.training.workers.check_ready", lambda tasks, device: None)
    task = get_task(TASK)
    ratio = task.size(LARGE).flops / task.size(SMALL).flops
    assert ratio > 20
    alone, source = estimate.core_hours([Cell(TASK, SMALL, 0)], tmp_path)
    both, _ = estimate.core_hours([Cell(TASK, SMALL, 0), Cell(TASK, LARGE, 0)], tmp_path)
    assert probed == [SMALL, SMALL] and "probe" in source
    assert 0.1 * ratio < both / alone < 10 * 2 * ratio  # CPU times of milliseconds vary


MULTI = "nsc-multibranch/digits@lite"


def test_drawn_cells_are_priced_by_those_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They were left out: hours of work were called 0 cells and 0 core-hours."""
    deep = ["conv1 | conv1@0", "conv1 | conv1@0 | add(1,2)"]
    write_made_accuracies(
        tmp_path / "made", MULTI, ["conv1", "conv1 | conv1", *deep], seeds=1
    )  # 6 CPU seconds, says its formula
    task, tables = get_task(MULTI), tmp_path / "tables"
    frame = table_io.read_table(tmp_path / "made", task).to_pandas()
    frame.loc[frame["arch"].isin(deep), "cpu_seconds"] *= 10
    table_io.write_table(tables, task, [table_io.encode_rows(task, frame.to_dict("records"))])
    command = [MULTI, "--depth", "1", "--drawn", "300", "--dry-run", "--tables", str(tables)]
    assert cli.run(build_main, command) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("8 cells, 96 epochs, about ")
    assert said[1] == (
        f"and 298 cells of {MULTI} that are drawn, 3,576 epochs, about 5.0 core-hours "
        "(the mean of the table's 2 deeper than 1, without chains: 60 CPU seconds)"
    )
    assert cli.run(build_main, [MULTI, "--drawn", "2", *command[5:]]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"0 cells of {MULTI} that are drawn, 0 epochs, about 0 core-hours "
        "(the table has 2 deeper than 0, without chains)"
    ]


def test_without_deeper_ones_the_middle_of_a_first_round_is_probed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[Cell]] = []
    monkeypatch.setattr(estimate, "_probe_seconds", lambda task, cells: asked.append(cells) or 36.0)
    write_made_accuracies(tmp_path, MULTI, ["conv1", "conv3"], seeds=1)
    task = get_task(MULTI)
    assert isinstance(task, ImageTask)
    count, hours, source = estimate.drawn_core_hours(task, 1, 300, tmp_path)
    assert (count, hours) == (300, pytest.approx(3.0)) and "probe" in source and "50 drawn" in source
    assert len(asked[0]) == 50 and all(len(task.space.parse(cell.arch).choices) > 1 for cell in asked[0])
