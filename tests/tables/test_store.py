"""Tables on disk: schema, checksums, shards, and that a kill at any instant loses nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import multiprocessing as mp
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.tables import made_cell, made_rows, stored_cells, write_made_shard

from nasbench_rl import load
from nasbench_rl._utils import files, leftovers
from nasbench_rl.benchmark.base import Mode
from nasbench_rl.errors import InvalidValueError, MissingExtraError, RecipeMismatchError, TableError
from nasbench_rl.tables import journal, locate, manifest, shards, table_io
from nasbench_rl.tables.locate import (
    ENVIRONMENT_VARIABLE,
    MANIFEST,
    check_kept,
    find_tables,
    folder_to_fill,
    table_folders,
)
from nasbench_rl.tables.manifest import (
    SCHEMA_VERSION,
    Entry,
    read_checked,
    read_manifest,
    write_listed,
    write_manifest,
    writing,
)
from nasbench_rl.tables.parquet import read_frame, read_parquet
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task import Task, get_task

TASK = get_task("minatar-ss1/breakout@smoke")
OTHER = get_task("minatar-ss1/freeway@smoke")
NAME = table_io.table_name(TASK)


def leftovers_in(folder: Path) -> list[Path]:
    return [*folder.rglob("*.tmp"), *shards.shard_folder(folder, TASK).glob("*")]


shard, cells = partial(write_made_shard, task=TASK), partial(stored_cells, task=TASK)


# -- writing and reading


def test_what_was_folded_is_read_back(tmp_path: Path) -> None:
    shard(tmp_path, arch="k3-k2", seed=1)
    shard(tmp_path, arch="k1-k1")
    assert shards.trained_cells(tmp_path, TASK) == {("k3-k2", 1), ("k1-k1", 0)}
    assert table_io.read_table(tmp_path, TASK).num_rows == 0
    assert shards.commit_shards(tmp_path, TASK) == 2
    expected = pa.concat_tables([made_cell(TASK), made_cell(TASK, "k3-k2", 1)])
    assert table_io.read_table(tmp_path, TASK).to_pylist() == expected.to_pylist()
    assert shards.trained_cells(tmp_path, TASK) == {("k3-k2", 1), ("k1-k1", 0)}
    assert not leftovers_in(tmp_path)


def test_the_manifest_says_what_the_table_holds(tmp_path: Path) -> None:
    for seed in (1, 0):
        shard(tmp_path, arch="k1-k1", seed=seed)
    shard(tmp_path, arch="k2-k1", seed=1)
    shards.commit_shards(tmp_path, TASK)
    entry = read_manifest(tmp_path)[NAME]
    assert (entry.rows, entry.architectures, entry.train_seeds, entry.cells) == (60, 2, (0, 1), 3)
    assert entry.recipe == TASK.digest and entry.next_sha256 == ""
    assert "next_sha256" not in (tmp_path / MANIFEST).read_text()


def test_a_missing_return_stays_missing(tmp_path: Path) -> None:
    rows = made_rows(TASK, "k1-k1", 0)
    rows[0] |= {"games": 0, "return_last100": None}
    shards.write_shard(tmp_path, TASK, "x", table_io.encode_rows(TASK, rows))
    shards.commit_shards(tmp_path, TASK)
    assert table_io.read_table(tmp_path, TASK)["return_last100"].to_pylist()[:2] == [None, rows[1]["return_last100"]]


def test_a_cell_that_is_there_is_kept_as_it_is(tmp_path: Path) -> None:
    shard(tmp_path)
    shards.commit_shards(tmp_path, TASK)
    before = (tmp_path / NAME).read_bytes()
    shard(tmp_path, cpu_seconds=1e9)
    assert shards.commit_shards(tmp_path, TASK) == 0
    assert (tmp_path / NAME).read_bytes() == before and not leftovers_in(tmp_path)


def test_tables_of_several_tasks_share_a_manifest(tmp_path: Path) -> None:
    shard(tmp_path)
    shard(tmp_path, task=OTHER)
    shards.commit_shards(tmp_path, TASK)
    shards.commit_shards(tmp_path, OTHER)
    assert set(read_manifest(tmp_path)) == {NAME, table_io.table_name(OTHER)}
    assert cells(tmp_path) == stored_cells(tmp_path, OTHER) == {("k1-k1", 0)}


def test_the_same_cells_make_the_same_file_whatever_the_order(tmp_path: Path) -> None:
    for name, order in (("a", [0, 1, 2]), ("b", [2, 0, 1])):
        for seed in order:
            shard(tmp_path / name, arch="k2-k2", seed=seed)
            shards.commit_shards(tmp_path / name, TASK)
    assert (tmp_path / "a" / NAME).read_bytes() == (tmp_path / "b" / NAME).read_bytes()


# -- a kill at any instant


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the package catches it."""


class KillSwitch:
    """Ends the process, as it were, at the n-th change of the file system: before it or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = self.seen = 0
        monkeypatch.setattr("os.fsync", lambda file: None)  # matters to a power cut alone, and is slow
        monkeypatch.setattr(Path, "replace", self.guard(Path.replace))
        monkeypatch.setattr(Path, "unlink", self.guard(Path.unlink))

    def guard(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **options: Any) -> Any:
            self.point()
            result = change(*args, **options)
            self.point()
            return result

        return guarded

    def point(self) -> None:
        self.seen += 1
        if self.seen == self.left:
            raise Killed

    def run(self, point: int, action: Callable[[Path], Any], folder: Path) -> bool:
        """Run ``action`` with a kill at ``point``; whether it fell."""
        self.left, self.seen = point, 0
        try:
            action(folder)
        except Killed:
            return True
        finally:
            self.left = 0
        return False

    def at_every_point(
        self, tmp_path: Path, prepare: Callable[[Path], Any], action: Callable[[Path], Any], at_least: int
    ) -> Iterator[Path]:
        """Prepared folders in which ``action`` was killed at its first change, its second, …; the last in none."""
        for point in range(1, 60):
            folder = tmp_path / str(point)
            prepare(folder)
            fell = self.run(point, action, folder)
            yield folder
            if not fell:
                break
        assert at_least <= point < 59, "every step was killed once, and then none was left to kill"


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> KillSwitch:
    return KillSwitch(monkeypatch)


def fold_all(folder: Path) -> None:
    shards.commit_shards(folder, TASK)


def one_folded_and_some_waiting(folder: Path, *waiting: tuple[str, int]) -> None:
    shard(folder)
    fold_all(folder)
    for arch, seed in waiting:
        shard(folder, arch=arch, seed=seed)


def settled(folder: Path, everything: set[tuple[str, int]]) -> bool:
    """Whether the next fold leaves all cells in the table, and nothing beside it."""
    assert shards.trained_cells(folder, TASK) == everything, "a trained cell was lost"
    fold_all(folder)
    entry = read_manifest(folder)[NAME]
    return cells(folder) == everything and (entry.next_sha256, entry.cells) == ("", len(everything))


def test_no_kill_parts_the_table_from_its_manifest(tmp_path: Path, switch: KillSwitch) -> None:
    more = (("k1-k2", 0), ("k1-k3", 1))
    everything = {("k1-k1", 0), *more}
    for folder in switch.at_every_point(tmp_path, lambda f: one_folded_and_some_waiting(f, *more), fold_all, 8):
        assert cells(folder) in ({("k1-k1", 0)}, everything)
        assert settled(folder, everything) and not leftovers_in(folder)


def test_nor_do_two_kills_in_a_row(tmp_path: Path, switch: KillSwitch) -> None:
    for first, second in itertools.product(range(1, 12), repeat=2):
        folder = tmp_path / f"{first}-{second}"
        one_folded_and_some_waiting(folder, ("k1-k2", 0))
        switch.run(first, fold_all, folder)
        shard(folder, arch="k1-k3")
        switch.run(second, fold_all, folder)
        assert settled(folder, {("k1-k1", 0), ("k1-k2", 0), ("k1-k3", 0)})


def test_cells_of_two_tables_go_in_together_or_not_at_all(tmp_path: Path, switch: KillSwitch) -> None:
    more, outcomes = {("k1-k1", 0), ("k2-k2", 0)}, set()

    def add(folder: Path) -> None:
        with writing(folder):
            table_io.write_tables(folder, [(task, [made_cell(task, "k2-k2")]) for task in (TASK, OTHER)])

    # One folder has the first table already; the second is a new one.
    for folder in switch.at_every_point(tmp_path, one_folded_and_some_waiting, add, 12):
        assert cells(folder) in ({("k1-k1", 0)}, more)
        write_listed(pd.DataFrame({"x": [1]}), folder, "other.parquet")  # the next writer
        outcomes.add((cells(folder) == more, bool(stored_cells(folder, OTHER))))
        add(folder)
        assert cells(folder) == more and stored_cells(folder, OTHER) == {("k2-k2", 0)}
        assert not journal.is_open(folder) and not leftovers_in(folder)
        assert not any(entry.next_sha256 for entry in read_manifest(folder).values())
    assert outcomes == {(True, True), (False, False)}, "never has one table them and the other not"


def test_a_listed_file_agrees_with_the_manifest_whatever_kills(tmp_path: Path, switch: KillSwitch) -> None:
    name = "other.parquet"

    def write(folder: Path, rows: int = 2) -> None:
        write_listed(pd.DataFrame({"x": range(rows)}), folder, name)

    for folder in switch.at_every_point(tmp_path, lambda f: (f.mkdir(), write(f, 1)), write, 3):
        assert read_checked(folder, name) is not None and len(read_frame(folder / name)) in (1, 2)
        write(folder)
        assert read_manifest(folder)[name].rows == 2 and not read_manifest(folder)[name].next_sha256


def test_a_kill_before_the_first_manifest_leaves_the_shards(tmp_path: Path, switch: KillSwitch) -> None:
    for folder in switch.at_every_point(tmp_path, shard, fold_all, 4):
        assert settled(folder, {("k1-k1", 0)})


def test_a_kill_while_a_shard_is_written_leaves_no_part_of_it(tmp_path: Path, switch: KillSwitch) -> None:
    assert switch.run(1, shard, tmp_path)
    assert shards.trained_cells(tmp_path, TASK) == set() and shards.commit_shards(tmp_path, TASK) == 0
    shard(tmp_path)
    assert shards.commit_shards(tmp_path, TASK) == 1


@pytest.mark.parametrize("damage", ["truncated", "another recipe"])
def test_a_shard_that_cannot_be_taken_holds_up_no_other(tmp_path: Path, damage: str) -> None:
    bad = shard(tmp_path, arch="k1-k1")
    if damage == "truncated":
        bad.write_bytes(bad.read_bytes()[:100])
    else:
        bad.write_bytes(shard(tmp_path / "elsewhere", arch="k1-k1", task=OTHER).read_bytes())
    shard(tmp_path, arch="k1-k2")
    with pytest.raises(TableError if damage == "truncated" else RecipeMismatchError) as caught:
        shards.commit_shards(tmp_path, TASK)
    assert str(bad) in str(caught.value) and "The others (1 cells) were folded" in str(caught.value)
    assert "or delete it: its cell is trained again" in str(caught.value)
    assert cells(tmp_path) == {("k1-k2", 0)} and bad.exists(), "nothing is lost"
    bad.unlink()
    shard(tmp_path, arch="k1-k1")
    assert shards.commit_shards(tmp_path, TASK) == 1 and cells(tmp_path) == {("k1-k1", 0), ("k1-k2", 0)}


def killed_writer_name() -> str:
    """A temporary file's name as of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return leftovers.temporary_name().replace(f".{os.getpid()}.", f".{process.pid}.")


def test_half_written_shards_of_a_killed_training_go_in_the_end(tmp_path: Path) -> None:
    path = shard(tmp_path)
    dead, alive = path.with_name(killed_writer_name()), path.with_name(leftovers.temporary_name())
    for half in (dead, alive):
        half.write_bytes(b"half")
    shards.commit_shards(tmp_path, TASK)
    assert not dead.exists() and alive.exists(), "a process that runs may be writing the other one"
    dead.write_bytes(b"half")
    assert shards.commit_shards(tmp_path, TASK) == 0 and not dead.exists(), "without any shard, too"


def test_a_table_whose_manifest_was_lost_is_taken_in_and_not_written_over(tmp_path: Path) -> None:
    shard(tmp_path, arch="k3-k2", seed=1)
    fold_all(tmp_path)
    before = (tmp_path / NAME).read_bytes()
    (tmp_path / MANIFEST).unlink()
    assert shards.trained_cells(tmp_path, TASK) == {("k3-k2", 1)}, "as --dry-run counts, which writes nothing"
    assert not (tmp_path / MANIFEST).exists()
    for waiting in ([], ["k3-k2"]):
        for arch in waiting:
            shard(tmp_path, arch=arch, seed=1)
        assert shards.commit_shards(tmp_path, TASK) == 0 and cells(tmp_path) == {("k3-k2", 1)}
        assert (tmp_path / NAME).read_bytes() == before
        (tmp_path / MANIFEST).unlink()
    shard(tmp_path)
    assert shards.commit_shards(tmp_path, TASK) == 1 and cells(tmp_path) == {("k3-k2", 1), ("k1-k1", 0)}


def test_what_lies_in_an_installed_package_is_not_added_to(tmp_path: Path) -> None:
    check_kept(tmp_path)
    with pytest.raises(TableError, match="next pip install would delete.*--tables"):
        check_kept(Path(locate.__file__).parents[1] / "_tables")


def test_what_a_killed_fold_leaves_lying_is_swept_up(tmp_path: Path) -> None:
    shard(tmp_path)
    shards.commit_shards(tmp_path, TASK)
    stale = [tmp_path / killed_writer_name(), (tmp_path / NAME).with_name(killed_writer_name())]
    others = [tmp_path / ".notes.tmp", (tmp_path / NAME).with_name(f".{NAME[3:]}.1.tmp")]
    for path in (*stale, *others):
        path.write_bytes(b"half")
    shard(tmp_path, arch="k1-k2")
    shards.commit_shards(tmp_path, TASK)
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in others), "files of others are no leftovers"


def test_a_reader_beside_a_writer_sees_the_old_table_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard(tmp_path)
    shards.commit_shards(tmp_path, TASK)
    shard(tmp_path, arch="k1-k2")
    look, calls = manifest.read_manifest, []

    def overtaken(folder: Path) -> Any:
        found = look(folder)
        if not calls:  # the fold falls between the reader's look at the manifest and its look at the file
            calls.append(1)
            shards.commit_shards(tmp_path, TASK)
        return found

    monkeypatch.setattr(manifest, "read_manifest", overtaken)
    assert cells(tmp_path) == {("k1-k1", 0), ("k1-k2", 0)}


# -- what is wrong is refused


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Path of a table with one cell; its folder is ``tmp_path``."""
    shard(tmp_path)
    shards.commit_shards(tmp_path, TASK)
    return tmp_path / NAME


def refused(folder: Path, error: type[Exception] = TableError, task: Task = TASK) -> str:
    with pytest.raises(error) as raised:
        table_io.read_table(folder, task)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: content[:700] + bytes([content[700] ^ 1]) + content[701:], "checksum.*restore"),
        (lambda content: content[:-100], "cut short"),
        (lambda content: None, "absent"),
    ],
)
def test_a_damaged_table_is_refused(
    tmp_path: Path, table: Path, damage: Callable[[bytes], bytes | None], says: str
) -> None:
    content = damage(table.read_bytes())
    table.unlink()
    if content is not None:
        table.write_bytes(content)
    message = refused(tmp_path)
    assert str(table) in message and re.search(says, message)


def test_a_truncated_file_without_a_checksum_is_refused(tmp_path: Path, table: Path) -> None:
    short = tmp_path / "short.parquet"
    for length in (0, 3, 500):
        short.write_bytes(table.read_bytes()[:length])
        with pytest.raises(TableError, match="no readable Parquet") as raised:
            read_parquet(short, SCHEMAS["rl"])
        assert str(short) in str(raised.value) and "\n" not in str(raised.value)


def rewritten(tmp_path: Path, table: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a table and let the manifest agree with it."""
    pq.write_table(change(pq.read_table(table, partitioning=None)), table)
    entry = read_manifest(tmp_path)[NAME]
    sha = hashlib.sha256(table.read_bytes()).hexdigest()
    write_manifest(tmp_path, {NAME: dataclasses.replace(entry, sha256=sha)})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.rename_columns(["archs", *t.column_names[1:]]), "'arch'.*'archs'"),
        (lambda t: t.set_column(t.schema.get_field_index("games"), "games", pa.array(["many"] * len(t))), ""),
    ],
)
def test_a_table_of_another_schema_is_refused(
    tmp_path: Path, table: Path, change: Callable[[pa.Table], pa.Table], says: str
) -> None:
    rewritten(tmp_path, table, change)
    message = refused(tmp_path)
    assert "another schema" in message and re.search(says, message)


def test_rows_of_another_recipe_are_refused_and_a_shard_of_one_is_kept(tmp_path: Path, table: Path) -> None:
    changed = dataclasses.replace(TASK, recipe=dataclasses.replace(TASK.recipe, gamma=0.9))
    message = refused(tmp_path, RecipeMismatchError, changed)
    assert TASK.digest in message and changed.digest in message and TASK.id in message
    before, path = table.read_bytes(), shard(tmp_path, arch="k2-k2", task=changed)
    with pytest.raises(RecipeMismatchError, match="seed0"):
        shards.commit_shards(tmp_path, TASK)
    assert path.exists() and table.read_bytes() == before


ONE_TABLE = (
    '{"schema_version": 1, "tables": {"a": {"sha256": "0", "rows": 1, "architectures": 1, "train_seeds": [0], '
    '"cells": 1, "recipe": "r"}}}'
)


def test_a_plain_manifest_is_read(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(ONE_TABLE)
    assert read_manifest(tmp_path)["a"] == Entry("0", 1, 1, (0,), 1, "r")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 1, "tables": {"a": {}}}',
     '{"schema_version": 1, "tables": []}', '{"schema_version": 1, "tables": {"a": 3}}',
     '{"schema_version": 1, "tables": {"a": {"train_seeds": [], "what": 1}}}', "[" * 100_000,
     *(ONE_TABLE.replace(right, wrong) for right, wrong in (
         ('"0"', "7"), ('"rows": 1', '"rows": "1"'), ('"rows": 1', '"rows": -1'), ('"rows": 1', '"rows": true'),
         ("[0]", "0"), ("[0]", "[0.5]"), ("[0]", '["0"]'), ('"r"', "null"), ('"r"', "[]"),
     ))],
)  # fmt: skip
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    assert str(tmp_path / MANIFEST) in refused(tmp_path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path, table: Path) -> None:
    path = tmp_path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    message = refused(tmp_path)
    assert "99" in message and str(SCHEMA_VERSION) in message


def test_every_place_tried_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "a"))
    assert table_folders() == [tmp_path / "a"]  # a folder that was named is not passed over for the shipped one
    with pytest.raises(TableError, match=re.escape(str(tmp_path / "a"))):
        find_tables()
    assert folder_to_fill() == tmp_path / "a"  # a build makes it
    assert folder_to_fill(tmp_path / "b") == tmp_path / "b"
    assert table_folders(tmp_path / "b") == [tmp_path / "b"]
    with pytest.raises(TableError) as raised:
        find_tables(tmp_path / "b")
    assert str(tmp_path / "b") in str(raised.value) and ENVIRONMENT_VARIABLE in str(raised.value)


@pytest.mark.parametrize("mode", ["tabular", "live"])
@pytest.mark.parametrize("tables", [3, ""])
def test_what_is_no_path_is_refused(mode: Mode, tables: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one, as an unset variable of a shell gives, would be the checkout's or the present folder."""
    with pytest.raises(InvalidValueError, match="names no folder of tables"):
        load("minatar-ss1/breakout@lite", mode, tables=tables)  # type: ignore[arg-type]
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")  # an empty variable is one that is not set
    assert len(table_folders()) == 2


def test_the_first_folder_with_a_manifest_is_taken(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    assert find_tables() == tmp_path


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "tables"
    actions: list[Callable[[], Any]] = [
        lambda: shard(folder),
        lambda: files.check_writable(folder),
        lambda: write_manifest(folder, {}),
        lambda: files.lock(folder, "x").__enter__(),
    ]
    for action in actions:
        with pytest.raises(TableError, match="cannot write") as raised:
            action()
        assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


# -- locks


def hold(folder: Path, held: Any, release: Any) -> None:
    with files.lock(folder, "cell"):
        held.set()
        release.wait(30)


def test_a_lock_is_held_by_one_process_and_let_go_when_it_is_killed(tmp_path: Path) -> None:
    context = mp.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, held, release))
    process.start()
    try:
        assert held.wait(30)
        with files.lock(tmp_path, "cell", wait=False) as mine:
            assert not mine
        with files.lock(tmp_path, "another", wait=False) as mine:
            assert mine
        process.kill()
        process.join()
        with files.lock(tmp_path, "cell", wait=False) as mine:
            assert mine
    finally:
        process.kill()
        process.join()


def test_a_lock_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtraError, match=r"nasbench-rl\[live\]"), files.lock(tmp_path, "x"):
        pass
