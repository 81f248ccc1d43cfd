"""What surrounds a command: encodings, narrow terminals, home folders, seeds, cores, full disks, closed streams."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from support.tables import SINGLE_SEED, TWO_BY_SEED

from nasbench_rl import load
from nasbench_rl._utils import cli, cores, files, paths
from nasbench_rl.build.command import main as build
from nasbench_rl.build.progress import FIRST_LINE_SECONDS, LINE_SECONDS, BuildProgress
from nasbench_rl.compare import command as compare
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.findings.__main__ import main as findings
from nasbench_rl.leaderboard.command import main as leaderboard
from nasbench_rl.tables.locate import ENVIRONMENT_VARIABLE
from nasbench_rl.training.cell import Cell

NARROW = ("cp932", "latin-1", "cp437", "euc-kr", "ascii")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], env={**os.environ, **environment}, capture_output=True, timeout=120
    )


# -- encodings


@pytest.mark.parametrize("encoding", NARROW)
def test_status_is_shown_in_every_encoding(encoding: str, made_tables: Path) -> None:
    done = command("nasbench_rl.build", "status", "--tables", str(made_tables), PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and TWO_BY_SEED in done.stdout.decode(encoding), done.stderr.decode(encoding)


def test_help_and_errors_are_shown_in_every_encoding() -> None:
    for encoding in NARROW[:2]:
        done = command("nasbench_rl.compare", "--help", PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and b"--methods" in done.stdout
    done = command("nasbench_rl.compare", "--tasks", "\N{SNOWMAN}", PYTHONIOENCODING="ascii")
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr


# -- narrow terminals


@pytest.mark.parametrize("width", [60, 80])
def test_names_wrap_and_are_never_cut(width: int, made_tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    monkeypatch.setattr(cli, "console", console)
    table = cli.Table("task", "method", *(f"number {i}" for i in range(7)))
    methods = ["random_search:samples=3", "random_search:samples=30"]
    for method in methods:
        table.add_row(TWO_BY_SEED, method, *(["123,456.789"] * 7))
    console.print(table)
    text = console.export_text()
    assert "…" not in text
    columns = list(zip(*(line.split("│") for line in text.splitlines() if line.count("│") > 7), strict=True))
    joined = ["".join(part.strip() for part in column) for column in columns]
    assert any(TWO_BY_SEED * 2 in column for column in joined) and any("".join(methods) in one for one in joined)


def test_no_command_makes_tables_that_cut(made_tables: Path) -> None:
    done = command("nasbench_rl.build", "status", "--tables", str(made_tables), COLUMNS="60")
    assert done.returncode == 0 and "…/" not in done.stdout.decode() and "/…" not in done.stdout.decode()


# -- home folders


def test_a_tilde_is_the_home_folder_in_every_path(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tables").symlink_to(made_tables)
    assert load(TWO_BY_SEED, tables="~/tables").folder == tmp_path / "tables"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "~/tables")
    assert load(TWO_BY_SEED).folder == tmp_path / "tables"
    arguments = ["--tasks", SINGLE_SEED, "--methods", "random_search", "--runs", "10", "--tables=~/tables", "--no-page"]
    monkeypatch.chdir(made_tables.parent)
    assert cli.run(compare.main, [*arguments, "--out=~/out"]) == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "runs.parquet").is_file() and not Path("~").exists()
    assert cli.run(leaderboard, ["~/out", "--out=~/page", "--tables=~/tables"]) == 0, capsys.readouterr().err
    assert (tmp_path / "page" / "leaderboard.html").is_file() and not Path("~").exists()


def test_a_home_folder_that_nobody_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidValueError, match="~nobody-has-this.*write the path out"):
        paths.user_path("~nobody-has-this/tables")


def test_live_mode_without_a_home_folder_says_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object) -> str:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_data_dir", homeless)
    with pytest.raises(InvalidValueError, match="there is no home folder.*tables"):
        load("minatar-ss1/breakout@smoke", "live")


# -- seeds


@pytest.mark.parametrize("seed", ["9223372036854775808", "9" * 5000, "-1", "1.5", "x"], ids=lambda seed: seed[:20])
def test_a_seed_that_no_file_holds_is_refused_before_anything_runs(
    seed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for preset in ([], ["--preset", "rl-agents-paper"], ["--preset", "meta-rl-paper"]):
        assert cli.run(compare.main, [*preset, f"--seed={seed}", "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert "--seed" in error and "allowed: 0, 1, …, 9223372036854775807" in error
    assert not (tmp_path / "out").exists()


def test_the_last_of_the_search_seeds_has_a_bound_too(
    made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seed", str(2**63 - 1), "--runs", "2", "--tables", str(made_tables), "--out", str(tmp_path / "out")]
    assert cli.run(compare.main, arguments) == 2
    assert "9223372036854775808 is too large" in capsys.readouterr().err and not (tmp_path / "out").exists()
    bench = load(TWO_BY_SEED, tables=made_tables)
    for budget, seed in ((2**63, 0), (10_000_000, 2**63)):
        with pytest.raises(InvalidValueError, match="is too large"):
            bench.start(budget, seed)
    assert bench.start(10_000_000, 2**63 - 1).seed == 2**63 - 1


def test_a_budget_that_no_file_holds_is_refused(
    made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for budget in ("1e30", "1e20x", "0", "inf", "x"):
        arguments = ["--budget", budget, "--tables", str(made_tables), "--out", str(tmp_path / "out")]
        assert cli.run(compare.main, arguments) == 2
        assert f"budget '{budget}'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# -- cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to CPUs")
def test_cores_are_those_that_the_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from nasbench_rl._utils import cores; print(cores.usable())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("version", "content", "allowed"),
    [(2, "150000 100000", 2), (2, "50000 100000", 1), (2, "max 100000", 4), (1, "300000", 3), (1, "-1", 4)],
)
def test_the_quota_of_a_container_counts(
    version: int, content: str, allowed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path if version == 2 else tmp_path / "cpu"
    group = root / "mine"
    group.mkdir(parents=True)
    (group / ("cpu.max" if version == 2 else "cpu.cfs_quota_us")).write_text(content)
    (group / "cpu.cfs_period_us").write_text("100000")
    own = tmp_path / "cgroup"
    own.write_text("0::/mine\n" if version == 2 else "3:cpu,cpuacct:/mine\n")
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self: read(own if str(self) == "/proc/self/cgroup" else self))
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "_affinity", lambda: 4)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert cores.usable() == allowed
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert cores.usable() == 1


# -- places


def test_a_full_disk_says_to_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(TableError, match="No space left on device; make room there"):
        files.replace_file(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_library_that_does_not_load_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def unloadable(_: object) -> int:
        raise ImportError("parsers.so: failed to map segment from shared object")

    assert cli.run(unloadable, []) == 2
    error = capsys.readouterr().err
    assert "failed to map segment" in error and "ulimit -v" in error and error.count("\n") == 1


def test_a_working_directory_that_was_deleted_is_named(tmp_path: Path, made_tables: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        "import os, sys; os.rmdir(os.getcwd()); from nasbench_rl._utils import cli; "
        "from nasbench_rl.compare import command as compare; "
        "sys.exit(cli.run(compare.main, ['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=gone, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr == f"error: {files.GONE}\n"


@pytest.mark.skipif(os.name == "nt", reason="closes streams by a shell")
def test_closed_streams_end_no_command(made_tables: Path) -> None:
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        line = f"'{sys.executable}' -m nasbench_rl.build status --tables '{made_tables}' {closed}"
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and "Traceback" not in done.stderr, (closed, done.stderr)


def test_nothing_is_made_for_arguments_that_are_refused(
    made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out"
    for main, arguments in (
        (compare.main, ["--methods", "no_such_method", "--out", str(out)]),
        (compare.main, ["--tasks", "no/such@task", "--out", str(out)]),
        (compare.main, ["--budget", "x", "--out", str(out)]),
        (compare.main, ["--preset", "meta-rl-paper", "--out", str(out)]),
        (findings, ["--methods", "no_such_method", "--out", str(out / "page.md")]),
        (findings, ["--runs", str(tmp_path / "absent"), "--out", str(out / "page.md")]),
        (leaderboard, [str(tmp_path / "absent"), "--out", str(out)]),
    ):
        assert cli.run(main, [*arguments, "--tables", str(made_tables)]) == 2, arguments  # type: ignore[arg-type]
        assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "deep").exists(), arguments
    assert cli.run(build, ["no/such@task", "--tables", str(out)]) == 2 and not (tmp_path / "deep").exists()


# -- progress of a build


def test_a_file_hears_how_long_a_build_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(cli, "say", said.append)
    cells, now = [Cell("minatar-ss1/breakout@smoke", f"k1-k{i}", 0) for i in (1, 2)], [100.0]
    with BuildProgress(cells, lambda: now[0]) as progress:
        now[0] += FIRST_LINE_SECONDS / 2
        progress.show(cells[0], 5_120, 0)
        assert said == []
        now[0] += FIRST_LINE_SECONDS / 2
        progress.show(cells[0], 10_240, 0)
        assert said == ["0/2 cells, 10,240 of 40,960 env steps, 1,024 env steps/s, about 0:00:30 left"]
        now[0] += LINE_SECONDS / 2
        progress.show(cells[1], 10_240, 0)
        assert len(said) == 1, "not too often"
        now[0] += LINE_SECONDS
        progress.show(cells[0], 20_480, 1)
        assert said[1:] == ["1/2 cells, 30,720 of 40,960 env steps, 307 env steps/s, about 0:00:33 left"]
