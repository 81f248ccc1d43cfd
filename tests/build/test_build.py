"""The build command: what it trains, how it survives kills and other builds, what it prints, what it refuses."""

from __future__ import annotations

import multiprocessing as mp
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support.killed_builds import TASK, cells_in_work, scores, start_build
from support.tables import made_rows, write_made_table

from nasbench_rl._utils import cli, files, processes
from nasbench_rl.build.command import main as build_main
from nasbench_rl.build.todo import missing_cells
from nasbench_rl.build.train import train_missing
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.task import task_ids
from nasbench_rl.training import workers
from nasbench_rl.training.cell import Cell
from nasbench_rl.training.process import check_device

ARCHS = ["k1-k1", "k1-k2"]
Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    return cli.run(build_main, [str(argument) for argument in arguments])


# -- training


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a build that nobody disturbs."""
    folder = tmp_path_factory.mktemp("alone")
    start_build(folder, ARCHS, seeds=1, jobs=2).finish()
    return folder


def test_a_build_fills_the_table_and_leaves_nothing_lying_about(alone: Path) -> None:
    entry = read_manifest(alone)[table_io.table_name(TASK)]
    assert (entry.cells, entry.rows, entry.train_seeds, entry.next_sha256) == (2, 40, (0,), "")
    assert not list(alone.rglob("*.tmp")) and not list(shards.shard_folder(alone, TASK).glob("*"))
    assert not cells_in_work(alone)
    rows = table_io.read_table(alone, TASK).to_pylist()
    assert all(row["cpu_seconds"] > 0 and row["code_version"] and "torch" in row["machine"] for row in rows)


def test_a_build_that_is_killed_ends_with_the_rows_of_one_left_alone(alone: Path, tmp_path: Path) -> None:
    plan: list[tuple[str, float, bool]] = [("parent", 0.5, False), ("group", 1.5, False), ("group", 60.0, True)]
    for victim, seconds, on_write in plan:
        running = start_build(tmp_path, ARCHS, seeds=1, jobs=2)
        assert running.wait_until_training()
        if on_write:
            running.wait_until_written(seconds)
        else:
            time.sleep(seconds)
        running.kill(victim)  # type: ignore[arg-type]
    start_build(tmp_path, ARCHS, seeds=1, jobs=2).finish()
    assert scores(tmp_path) == scores(alone)
    assert not list(shards.shard_folder(tmp_path, TASK).glob("*.parquet"))


def test_two_builds_at_once_share_the_work_and_both_end_with_all_of_it(alone: Path, tmp_path: Path) -> None:
    both = [start_build(tmp_path, ARCHS, seeds=1, jobs=1) for _ in range(2)]
    out = [one.finish() for one in both]
    assert scores(tmp_path) == scores(alone)
    trained = [line for text in out for line in text.splitlines() if " train seed 0 in " in line]
    assert len(trained) == 2, out
    seen_by_each = [text.count(" train seed 0 ") for text in out]
    assert seen_by_each == [2, 2] or any("nothing to train" in text for text in out)


def test_a_second_build_has_nothing_to_do(alone: Path, capsys: Capture) -> None:
    before = (alone / MANIFEST).read_bytes()
    assert run(TASK.id, "--archs", *ARCHS, "--resume", "--tables", alone) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert (alone / MANIFEST).read_bytes() == before


def test_shards_left_by_a_killed_build_are_folded_in(tmp_path: Path, capsys: Capture) -> None:
    shards.write_shard(tmp_path, TASK, "k1-k1.seed0", table_io.encode_rows(TASK, made_rows(TASK, "k1-k1", 0)))
    assert run(TASK.id, "--archs", "k1-k1", "--tables", tmp_path) == 0
    assert table_io.read_table(tmp_path, TASK).num_rows == 20
    assert "nothing to train" in capsys.readouterr().out


def events_of(cells: list[Cell], folder: Path, on: Callable[[workers.Event], None]) -> dict[str, tuple[str, str]]:
    """Architecture → (kind, text) of the event each cell ended in."""
    ends = {}
    with closing(workers.train(cells, folder, jobs=2)) as events:
        for event in events:
            on(event)
            if event.kind != "steps":
                ends[event.cell.arch] = event.kind, event.text
    return ends


def test_a_worker_that_is_killed_fails_its_cell_alone(tmp_path: Path) -> None:
    archs = ["k1-k1", "k2-k2", "k3-k3", "k4-k4"]
    write_made_table(tmp_path, TASK.id, 1, archs[1:])  # found trained: the other worker is through them at once

    def on(event: workers.Event) -> None:
        if event.kind == "steps":
            for child in mp.active_children():
                child.kill()

    ends = events_of([Cell(TASK.id, arch, 0) for arch in archs], tmp_path, on)
    assert ends["k1-k1"] == ("failed", "its worker process ended with exit code -9")
    assert [ends[arch][0] for arch in archs[1:]] == ["elsewhere"] * 3
    assert not mp.active_children()


def test_a_build_whose_only_worker_is_killed_trains_on(tmp_path: Path) -> None:
    killed: list[int] = []
    ends = []
    with closing(workers.train([Cell(TASK.id, arch, 0) for arch in ("k1-k1", "k2-k2")], tmp_path, jobs=1)) as events:
        for event in events:
            if event.kind == "steps" and not killed:
                write_made_table(tmp_path, TASK.id, 1, ["k1-k1", "k2-k2"])  # so that the next worker is soon through
                killed = [child.pid for child in mp.active_children() if child.pid and not child.kill()]
            elif event.kind != "steps":
                ends.append((event.cell.arch, event.kind))
    assert len(killed) == 1 and sorted(ends) == [("k1-k1", "elsewhere"), ("k2-k2", "elsewhere")]


def test_a_worker_that_raises_says_so_in_one_line_and_goes_on(tmp_path: Path, capsys: Capture) -> None:
    write_made_table(tmp_path, TASK.id, 1, ["k2-k2"])
    broken = tmp_path / files.LOCKS / "minatar-ss1.breakout.smoke.k1-k1.seed0.lock"
    broken.mkdir(parents=True)  # a folder where the lock file should be
    cells = [Cell(TASK.id, arch, 0) for arch in ("k1-k1", "k2-k2")]
    assert train_missing(cells, tmp_path, jobs=1) == 1
    said = capsys.readouterr()
    assert "k2-k2 train seed 0 another build has trained it" in said.out
    lines = said.err.splitlines()
    assert len(lines) == 2 and "k1-k1 train seed 0 failed: TableError" in lines[0] and "1 of 2 cells" in lines[1]
    assert run(TASK.id, "--archs", "k1-k1", "--tables", tmp_path) == 1


def test_a_cell_that_another_build_has_in_work_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ExitStack()
    other.enter_context(files.lock(tmp_path, "minatar-ss1.breakout.smoke.k1-k1.seed0"))
    wait, answers = processes.wait, []

    def watching(*arguments: Any, **options: Any) -> Any:
        heard = wait(*arguments, **options)
        answers.extend(heard)
        if (
            heard and len(answers) == 3
        ):  # it is ready, and has asked twice in vain; now the other build ends its training
            write_made_table(tmp_path, TASK.id, 1, ["k1-k1"])
            other.close()
        return heard

    monkeypatch.setattr(processes, "wait", watching)
    with closing(workers.train([Cell(TASK.id, "k1-k1", 0)], tmp_path, jobs=1)) as events:
        assert [event.kind for event in events] == ["elsewhere"]
    assert len(answers) == 4


# -- what is missing, and what it costs


def test_missing_cells_come_seed_by_seed_and_the_longest_first(tmp_path: Path) -> None:
    write_made_table(tmp_path, TASK.id, 1, ["k5-k5"])
    shards.write_shard(tmp_path, TASK, "x", table_io.encode_rows(TASK, made_rows(TASK, "k4-k4", 1)))
    cells = missing_cells(tmp_path, [TASK], 2, None)
    assert len(cells) == len(set(cells)) == 48
    assert [cell.seed for cell in cells] == [0] * 24 + [1] * 24
    for seed in (0, 1):
        flops = [TASK.network(cell.arch).flops for cell in cells if cell.seed == seed]
        assert flops == sorted(flops, reverse=True)
    assert Cell(TASK.id, "k5-k5", 0) not in cells and Cell(TASK.id, "k4-k4", 1) not in cells


def test_an_architecture_named_twice_is_trained_once(tmp_path: Path) -> None:
    assert len(missing_cells(tmp_path, [TASK], 1, ["k1-k1", "k1-k1"])) == 1


def test_a_dry_run_estimates_from_the_table_and_writes_nothing(tmp_path: Path, capsys: Capture) -> None:
    write_made_table(tmp_path, TASK.id, 1, ["k1-k1"])  # 200 CPU seconds, says its formula
    before = sorted(tmp_path.rglob("*"))
    assert run(TASK.id, "--seeds", 2, "--dry-run", "--tables", tmp_path) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"49 cells, {49 * 20480:,} env steps, about {49 * 200 / 3600:.2g} core-hours (CPU seconds in the table)"
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_without_a_table_measures_a_few_updates(tmp_path: Path, capsys: Capture) -> None:
    assert run(TASK.id, "--archs", "k1-k1", "--dry-run", "--tables", tmp_path / "none") == 0
    out = capsys.readouterr().out
    assert out.startswith("1 cells, 20,480 env steps, about 0.00") and "probe" in out
    assert not (tmp_path / "none").exists()


# -- status


def test_status_shows_what_is_there_and_names_the_rest(tmp_path: Path, capsys: Capture) -> None:
    write_made_table(tmp_path, TASK.id, 2, ["k1-k1", "k1-k2", "k1-k3"])
    write_made_table(tmp_path, TASK.id, 3, ["k2-k1"])
    shards.write_shard(tmp_path, TASK, "x", table_io.encode_rows(TASK, made_rows(TASK, "k4-k4", 1)))
    assert run("status", "--tables", tmp_path) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if TASK.digest in line]
    columns = [part.strip() for part in line.split("│")[1:-1]]
    assert columns == [
        TASK.id, "4/25", "0, 1, 2 (1 architectures)", "9 + 1 not folded in yet", "180", TASK.digest,
    ]  # fmt: skip
    last = out.splitlines()[-1]
    assert last.startswith(f"no cell of {len(task_ids()) - 1} further tasks, such as ") and "tasks()" in last


def test_status_shows_the_good_tables_and_reports_the_bad(tmp_path: Path, capsys: Capture) -> None:
    write_made_table(tmp_path, TASK.id, 1, ["k1-k1"])
    write_made_table(tmp_path, "minatar-ss2/breakout@smoke", 1, ["k2-k2-k2-k2-k2"])
    bad = tmp_path / "rl" / "minatar-ss2.breakout.smoke.parquet"
    bad.write_bytes(bad.read_bytes()[:-9])
    assert run("status", "--tables", tmp_path) == 2
    said = capsys.readouterr()
    assert TASK.digest in said.out and "minatar-ss2/breakout@smoke" not in said.out
    assert said.err.count("\n") == 1 and str(bad) in said.err and "checksum" in said.err


@pytest.mark.parametrize("content", ['{"schema_version": 2, "tables": {}}', "{"])
def test_status_of_a_bad_manifest_is_one_line(content: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / MANIFEST).write_text(content)
    assert run("status", "--tables", tmp_path) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and str(tmp_path / MANIFEST) in said.err


def test_the_shipped_tables_are_whole(capsys: Capture) -> None:
    assert run("status") == 0
    assert capsys.readouterr().err == ""


# -- bad input: one line, exit code 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name at least one task"),
        (["minatar-ss1/breakout"], "names no recipe"),
        (["minatar-ss1/breakuot@lite"], "did you mean 'minatar-ss1/breakout@lite'"),
        ([TASK.id, "--archs", "k3-k9"], "did you mean 'k3-k5'"),
        ([TASK.id, "--archs"], "--archs"),
        ([TASK.id, "--jobs", "0"], "'0' is not a whole number of at least 1"),
        ([TASK.id, "--jobs", "two"], "'two'"),
        ([TASK.id, "--seeds", "-1"], "'-1'"),
        ([TASK.id, "--seeds", "1.5"], "'1.5'"),
        ([TASK.id, "--device", "gpu"], "unknown device 'gpu'"),
        ([TASK.id, "--device", "gpu", "--dry-run"], "unknown device 'gpu'"),
        ([TASK.id, "--nonsense"], "--nonsense"),
        (["statsu"], "did you mean 'status'"),
        (["nsc-chain/digits@lite", "--depth", "10"], "329,554,456 networks"),
        (["nsc-chain/digits@lite", "--depth", "10", "--dry-run"], "at most --depth 6"),
        (["nsc-chain/digits@lite", "--depth", "12", "--drawn", "3"], "329,554,456 networks"),
        (["status", "--nonsense"], "--nonsense"),
        (["merge"], "DIR"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path, capsys: Capture
) -> None:
    tables = ["--tables", tmp_path] if arguments else []
    assert run(*arguments[:1], *tables, *arguments[1:]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and says in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [[TASK.id], ["merge", "x"], ["status"]])
def test_a_folder_of_tables_that_cannot_be_used_is_one_line(
    command: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_text("in the way")
    if command[0] == "merge":
        write_made_table(tmp_path / "x", TASK.id, 1, ["k1-k1"])
        command = ["merge", str(tmp_path / "x")]
    assert run(*command, "--tables", tmp_path / "file" / "tables") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(tmp_path / "file" / "tables") in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    tmp_path.chmod(0o500)
    assert run(TASK.id, "--archs", "k1-k1", "--tables", tmp_path) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [".", MANIFEST, table_io.table_name(TASK)])
def test_a_file_that_may_not_be_read_is_one_line(closed: str, users_folder: Path, capsys: Capture) -> None:
    tables = users_folder / "tables"
    write_made_table(tables, TASK.id, 1, ["k1-k1"])
    (tables / closed).chmod(0)
    assert run("status", "--tables", tables) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(tables / closed) in err and "Permission denied" in err


def test_a_cuda_device_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(TASK.id, "--archs", "k1-k1", "--device", "cuda", "--tables", tmp_path) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "'cuda'" in err and "use cpu" in err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda:0")
    with pytest.raises(InvalidValueError, match="cuda:1"):
        check_device("cuda:1")


def test_training_without_torch_names_the_extra(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "nasbench_rl.training.process", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(TASK.id, "--archs", "k1-k1", "--tables", tmp_path) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "nasbench-rl[live]" in err
    assert run(TASK.id, "--archs", "k1-k1", "--dry-run", "--tables", tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 cells, 20,480 env steps, core-hours unknown: training needs" in said and "nasbench-rl[live]" in said


def test_the_command_line_itself_prints_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nasbench_rl.build", "minatar-ss1/breakout", "--tables", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    done = subprocess.run([*command[:3], "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--dry-run" in done.stdout and "examples:" in done.stdout
