"""Temporary files: none is left by an error, those of dead writers are swept, and nobody else's."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasbench_rl._utils import files, leftovers
from nasbench_rl.errors import TableError


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), TableError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
)
def test_what_was_half_written_goes_when_writing_fails(
    error: BaseException, raised: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.replace_file(tmp_path / "table", b"old")

    def fail(file: int) -> None:
        assert len(list(tmp_path.iterdir())) == 2, "there is something to remove"
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(raised):
        files.replace_file(tmp_path / "table", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="processes are not asked for there")
def test_dead_writers_files_are_swept_by_the_next_write(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal\n"
        "from nasbench_rl._utils import files\n"
        "os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.replace_file(pathlib.Path({str(tmp_path)!r}) / 'table', b'new')\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode < 0
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".nasbench-rl.") and left.suffix == ".tmp"
    files.replace_file(tmp_path / "another", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_the_files_of_others_stay(tmp_path: Path) -> None:
    mine = leftovers.temporary_name()
    head, host, pid, start, number = mine[1:].removesuffix(".tmp").split(".")
    assert (head, int(pid)) == ("nasbench-rl", os.getpid())
    strangers = [".table.123.tmp", ".notes.tmp", "nasbench-rl.tmp", f".nasbench-rl.{host}.{pid}.tmp", f"{mine}.bak"]
    elsewhere = f".nasbench-rl.another-host.{pid}.{start}.{number}.tmp"
    for name in (mine, elsewhere, *strangers):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (0, 0) if name in strangers else None)
    leftovers.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine, elsewhere, *strangers}
    long_ago = time.time() - leftovers.ELSEWHERE - 60
    os.utime(tmp_path / elsewhere, (long_ago, long_ago))
    os.utime(tmp_path / mine, (long_ago, long_ago))
    leftovers.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine, *strangers}, (
        "its process cannot be asked, and a day went"
    )


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="when a process began is known on Linux alone")
def test_a_process_number_that_was_given_anew_is_another_writer(tmp_path: Path) -> None:
    head, host, pid, start, number = leftovers.temporary_name()[1:].removesuffix(".tmp").split(".")
    earlier = tmp_path / f".{head}.{host}.{pid}.{int(start) - 1}.{number}.tmp"
    earlier.write_bytes(b"")
    leftovers.sweep(tmp_path)
    assert not earlier.exists()


def test_a_folder_that_is_not_there_needs_no_sweep(tmp_path: Path) -> None:
    leftovers.sweep(tmp_path / "absent")
