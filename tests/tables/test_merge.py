"""Taking in cells trained elsewhere: what is checked, and that either everything goes in or nothing does."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.tables import made_rows, stored_cells, write_made_table

from nasbench_rl._utils import cli, files
from nasbench_rl.build.command import main
from nasbench_rl.errors import InvalidValueError, RecipeMismatchError, TableError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import FOLD_LOCK
from nasbench_rl.tables.merge import Merged, merge
from nasbench_rl.tables.parquet import open_parquet
from nasbench_rl.task import Task, get_task

TASK = get_task("minatar-ss1/breakout@smoke")
OTHER = get_task("atari-ss1/freeway@lite")
Rows = list[dict[str, Any]]


def shard(folder: Path, rows: Rows | None = None, arch: str = "k1-k1", seed: int = 0, task: Task = TASK) -> Path:
    table = table_io.encode_rows(task, made_rows(task, arch, seed) if rows is None else rows)
    return shards.write_shard(folder, task, f"{arch}.seed{seed}", table)


def files_of(folder: Path) -> dict[Path, bytes]:
    """Everything in a folder of tables but the locks."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tables that hold one cell, k5-k5 with train seed 0."""
    write_made_table(tmp_path / "tables", TASK.id, 1, ["k5-k5"])
    return tmp_path / "tables"


def test_shards_and_tables_of_several_tasks_are_found_wherever_they_lie(source: Path, folder: Path) -> None:
    shard(source / "a", arch="k1-k2")
    write_made_table(source / "deep" / "er", TASK.id, 2, ["k2-k2", "k3-k3"])
    write_made_table(source / "b", OTHER.id, 1, ["k1-k1"])
    before = files_of(source)
    merged, aside = merge(source, folder)
    assert merged == [Merged(TASK.id, 5, 0), Merged(OTHER.id, 1, 0)] and aside == []
    assert stored_cells(folder, TASK) == {
        ("k5-k5", 0),
        ("k1-k2", 0),
        *((a, s) for a in ("k2-k2", "k3-k3") for s in (0, 1)),
    }
    assert stored_cells(folder, OTHER) == {("k1-k1", 0)}
    assert files_of(source) == before
    rows = table_io.read_table(folder, TASK).to_pylist()
    expected = table_io.encode_rows(TASK, made_rows(TASK, "k2-k2", 1)).to_pylist()
    assert [row for row in rows if (row["arch"], row["seed"]) == ("k2-k2", 1)] == expected


def test_a_merge_into_an_empty_folder_makes_the_tables(source: Path, tmp_path: Path) -> None:
    shard(source)
    merge(source, tmp_path / "new")
    assert stored_cells(tmp_path / "new", TASK) == {("k1-k1", 0)}


def test_merging_again_changes_nothing_and_counts(source: Path, folder: Path) -> None:
    shard(source)
    merge(source, folder)
    before = files_of(folder)
    assert merge(source, folder)[0] == [Merged(TASK.id, 0, 1)]
    assert files_of(folder) == before
    assert merge(folder, folder)[0] == [Merged(TASK.id, 0, 2)]
    assert files_of(folder) == before


def test_other_times_and_machines_make_no_other_cell(source: Path, folder: Path) -> None:
    rows = [{**row, "cpu_seconds": 1.0, "machine": "another"} for row in made_rows(TASK, "k5-k5", 0)]
    shard(source, rows, "k5-k5")
    write_made_table(source / "again", TASK.id, 1, ["k5-k5"])
    assert merge(source, folder)[0] == [Merged(TASK.id, 0, 2)]
    assert set(table_io.read_table(folder, TASK)["machine"].to_pylist()) == {"made"}


def test_missing_returns_agree_with_each_other(source: Path, folder: Path) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    rows[0] |= {"games": 0, "return_last100": None}
    rows[1] |= {"games": 0, "return_all": math.nan}
    shard(source / "a", rows)
    shard(source / "b", rows)
    assert merge(source, folder)[0] == [Merged(TASK.id, 1, 1)]


def test_shards_that_wait_at_home_are_folded_first(source: Path, folder: Path) -> None:
    shard(folder)
    shard(source)
    assert merge(source, folder)[0] == [Merged(TASK.id, 0, 1)]
    assert stored_cells(folder, TASK) == {("k1-k1", 0), ("k5-k5", 0)}


def test_files_without_trainings_are_left_aside(source: Path, folder: Path) -> None:
    shard(source)
    pq.write_table(pa.table({"paper": ["x"], "value": [1.0]}), source / "published.parquet")
    (source / "notes.txt").write_text("not looked at")
    merged, aside = merge(source, folder)
    assert merged == [Merged(TASK.id, 1, 0)] and aside == [source / "published.parquet"]


def supernet_rows(seed: int = 0, arch: str = "k1-k1") -> Rows:
    network = TASK.network(arch)
    return [
        {
            "arch": arch, "seed": seed, "fidelity": fidelity, "proxy": float(at), "proxy_std": 1.0, "proxy_games": 2,
            "proxy_env_steps": 500, "proxy_cpu_seconds": 3.0, "cpu_seconds": 10.0 * at, "wall_seconds": 11.0 * at,
            "params": network.params, "flops": network.flops, "code_version": "made", "machine": "made",
        }
        for at, fidelity in enumerate(TASK.fidelities)
    ]  # fmt: skip


def test_supernets_have_a_table_of_their_own(source: Path, folder: Path) -> None:
    rows = supernet_rows()
    shards.write_shard(source, TASK.supernet, "supernet.seed0", table_io.encode_rows(TASK.supernet, rows))
    shard(source)
    assert merge(source, folder)[0] == [Merged(TASK.id, 1, 0), Merged(f"supernets of {TASK.id}", 1, 0)]
    assert table_io.read_table(folder, TASK.supernet).num_rows == 20
    rows[3]["proxy_cpu_seconds"] = 4.0
    shards.write_shard(source, TASK.supernet, "supernet.seed0", table_io.encode_rows(TASK.supernet, rows))
    assert merge(source, folder)[0][1] == Merged(f"supernets of {TASK.id}", 0, 1)
    rows[3]["proxy"] = -1.0
    shards.write_shard(source, TASK.supernet, "supernet.seed0", table_io.encode_rows(TASK.supernet, rows))
    assert f"supernets of {TASK.id} has proxy" in refused(source, folder)
    shards.write_shard(
        source, TASK.supernet, "supernet.seed0", table_io.encode_rows(TASK.supernet, supernet_rows()[1:])
    )
    assert "lacks fidelity" in refused(source, folder)


# -- refusals: each names the cell or the file, and leaves the tables as they were


def refused(source: Path, folder: Path, error: type[Exception] = TableError) -> str:
    """The message; a good cell of another task lies beside, and must not go in either."""
    if source.is_dir():
        shard(source / "good", task=OTHER)
    before = files_of(folder)
    with pytest.raises(error) as raised:
        merge(source, folder)
    assert files_of(folder) == before
    message = str(raised.value)
    assert "\n" not in message
    return message


def names_cell(message: str, arch: str = "k1-k1", seed: int = 0) -> bool:
    return f"cell {arch} train seed {seed} of {TASK.id}" in message


@pytest.mark.parametrize("column", ["return_last100", "return_all", "games", "return_eval"])
def test_a_cell_with_other_scores_is_refused(source: Path, folder: Path, column: str) -> None:
    rows = made_rows(TASK, "k5-k5", 0)
    rows[-1][column] = 4321
    path = shard(source, rows, "k5-k5")
    message = refused(source, folder)
    assert names_cell(message, "k5-k5") and column in message and "4321" in message
    assert str(path) in message and str(folder / table_io.table_name(TASK)) in message


def test_a_cell_with_other_scores_is_refused_where_the_manifest_was_lost_too(source: Path, folder: Path) -> None:
    rows = made_rows(TASK, "k5-k5", 0)
    rows[-1]["return_all"] = 4321
    shard(source, rows, "k5-k5")
    (folder / MANIFEST).unlink()
    with pytest.raises(TableError, match="4321"):
        merge(source, folder)
    assert ("k5-k5", 0) in stored_cells(folder, TASK), "and the table is listed again"


def test_two_files_that_disagree_are_refused(source: Path, folder: Path) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    shard(source / "a", rows)
    shard(source / "b", [{**row, "return_all": 0.0} for row in rows])
    assert names_cell(refused(source, folder))


def test_a_missing_score_is_not_the_same_as_a_score(source: Path, folder: Path) -> None:
    rows = made_rows(TASK, "k5-k5", 0)
    rows[0]["return_all"] = None
    shard(source, rows, "k5-k5")
    assert "return_all" in refused(source, folder)


@pytest.mark.parametrize("lacking", [0, 7, 19])
def test_a_cell_that_lacks_a_fidelity_is_refused(source: Path, folder: Path, lacking: int) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    gone = rows.pop(lacking)
    shard(source, rows)
    message = refused(source, folder)
    assert names_cell(message) and str(gone["fidelity"]) in message and "19 of 20" in message


def test_a_fidelity_that_is_there_twice_is_refused(source: Path, folder: Path) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    shard(source, [*rows, rows[4]])
    message = refused(source, folder)
    assert names_cell(message) and str(rows[4]["fidelity"]) in message and "more than once" in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arch": "k9-k9"}, "k9-k9"),
        ({"arch": None}, "no architecture"),
        ({"seed": -1}, "train seed"),
        ({"seed": None}, "train seed"),
        ({"params": 7}, "params"),
        ({"flops": 7}, "FLOPs"),
    ],
)
def test_a_cell_that_is_none_of_the_task_s_is_refused(
    source: Path, folder: Path, change: dict[str, Any], says: str
) -> None:
    shard(source, [{**row, **change} for row in made_rows(TASK, "k1-k1", 0)])
    assert says in refused(source, folder)


def test_a_fidelity_of_another_recipe_is_refused(source: Path, folder: Path) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    shard(source, [*rows, {**rows[0], "fidelity": 17}])
    assert "17" in refused(source, folder)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_cell_without_an_evaluation_is_refused(source: Path, folder: Path, value: float | None) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    rows[-1]["return_eval"] = value
    shard(source, rows)
    assert "not evaluated" in refused(source, folder)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("column", ["return_last100", "return_all", "cpu_seconds", "games"])
def test_a_cell_that_no_training_measured_is_refused(
    source: Path, folder: Path, column: str, value: float | None
) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    rows[3][column] = -5 if column == "games" and value is not None else value
    shard(source, rows)
    message = refused(source, folder)
    assert names_cell(message) and column in message


def test_rows_of_an_unknown_recipe_are_refused(source: Path, folder: Path) -> None:
    changed = dataclasses.replace(TASK, recipe=dataclasses.replace(TASK.recipe, gamma=0.5))
    path = shard(source, task=changed)
    message = refused(source, folder, RecipeMismatchError)
    assert str(path) in message and changed.digest in message


@pytest.mark.parametrize("column", ["recipe", "return_all", "arch"])
def test_a_file_of_another_schema_is_refused(source: Path, folder: Path, column: str) -> None:
    path = shard(source)
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns([column]), path)
    message = refused(source, folder)
    assert str(path) in message and "another schema" in message and column in message


def test_a_truncated_file_is_refused(source: Path, folder: Path) -> None:
    path = shard(source)
    path.write_bytes(path.read_bytes()[:-20])
    message = refused(source, folder)
    assert str(path) in message and "no readable Parquet" in message


def test_a_table_that_its_manifest_does_not_know_is_refused(source: Path, folder: Path) -> None:
    write_made_table(source, TASK.id, 1, ["k2-k2"])
    path = source / table_io.table_name(TASK)
    pq.write_table(pq.read_table(path, partitioning=None), path, compression="none")
    message = refused(source, folder)
    assert str(path) in message and "checksum" in message


def test_a_folder_that_is_absent_or_holds_nothing_is_refused(tmp_path: Path, folder: Path) -> None:
    assert str(tmp_path / "no") in refused(tmp_path / "no", folder, InvalidValueError)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidValueError, match="holds no training"):
        merge(tmp_path / "empty", folder)


# -- the command


@pytest.mark.parametrize("closed", ["theirs", "theirs/rl", MANIFEST, table_io.table_name(TASK)])
def test_what_may_not_be_read_is_refused_and_not_passed_over(closed: str, users_folder: Path) -> None:
    theirs = users_folder / "theirs"
    write_made_table(theirs, TASK.id, 1, ["k1-k1"])
    path = users_folder / closed if closed.startswith("theirs") else theirs / closed
    path.chmod(0)
    with pytest.raises(TableError, match=f"{re.escape(str(path))}.*Permission denied"):
        merge(theirs, users_folder / "mine")


def test_the_command_says_what_it_did(source: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard(source)
    write_made_table(source, TASK.id, 1, ["k5-k5"])
    pq.write_table(pa.table({"paper": ["x"]}), source / "published.parquet")
    assert cli.run(main, ["merge", str(source), "--tables", str(folder)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{source / 'published.parquet'} holds no trainings, left aside"
    assert out[1] == f"{TASK.id}: 1 cells taken in, 1 identical duplicates skipped"


def test_the_command_refuses_in_one_line(source: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard(source, made_rows(TASK, "k1-k1", 0)[1:])
    assert cli.run(main, ["merge", str(source), "--tables", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and names_cell(said.err)


# -- beside a build


def test_a_build_in_the_source_waits_with_its_folds(
    source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_made_table(source, TASK.id, 1, ["k1-k1"])
    shard(source, arch="k1-k2")
    shards.commit_shards(source, TASK)
    shard(source, arch="k1-k3")
    read, held = open_parquet, []

    def reading(path: Path, content: bytes) -> Any:
        with files.lock(source, FOLD_LOCK, wait=False) as mine:
            held.append(not mine)
        return read(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("nasbench_rl.tables.parquet.open_parquet", reading)
        patch.setattr("nasbench_rl.tables.merge.open_parquet", reading)
        assert merge(source, folder)[0] == [Merged(TASK.id, 3, 0)]
    assert all(held[:4]) and len(held) >= 4
    assert shards.commit_shards(source, TASK) == 1


@pytest.mark.parametrize("kind", ["a shard is folded", "a table is replaced"])
def test_a_folder_that_changes_while_it_is_read_is_listed_anew(
    source: Path, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the locks of the build are out of reach: on another machine, or not to be written."""
    write_made_table(source, TASK.id, 1, ["k1-k1"])
    for arch in ("k1-k2", "k1-k3"):
        shard(source, arch=arch)
    monkeypatch.setattr("nasbench_rl.tables.merge._folds_waiting", lambda source: nullcontext())
    overtaken = ["files_below" if kind == "a shard is folded" else "read_manifest"]
    module: Any = files if kind == "a shard is folded" else sys.modules["nasbench_rl.tables.merge"]
    look = getattr(module, overtaken[0])
    calls: list[Path] = []

    def then_fold(path: Path) -> Any:
        found = look(path)
        calls.append(path)
        if len(calls) == (2 if kind == "a shard is folded" else 1):  # the first listing is for comparison
            monkeypatch.setattr(module, overtaken[0], look)
            shards.commit_shards(source, TASK)
        return found

    monkeypatch.setattr(module, overtaken[0], then_fold)
    assert merge(source, folder)[0] == [Merged(TASK.id, 3, 0)]
    assert {("k1-k1", 0), ("k1-k2", 0), ("k1-k3", 0)} < stored_cells(folder, TASK)


def test_a_folder_that_never_rests_is_refused_with_the_reason(
    source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shard(source)
    good = path.read_bytes()

    def changed(source: Path) -> Any:
        path.write_bytes(good[:-1] if path.read_bytes() == good else good)
        raise TableError("no readable Parquet")

    monkeypatch.setattr("nasbench_rl.tables.merge._find", changed)
    with pytest.raises(TableError, match="a build goes on there"):
        merge(source, folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the campaign forks")
def test_a_merge_of_two_tables_that_is_killed_goes_in_whole_or_not_at_all() -> None:
    campaign = Path(__file__).parents[1] / "campaigns" / "kill_at_file_operations.py"
    command = [sys.executable, campaign, "--actions", "merge", "--every", "4"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 half merged" in done.stdout and "0 left at the end" in done.stdout and ": 0 faults" in done.stdout
