"""A comparison that is killed goes on from what it had finished, and takes over nothing else."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from support.killed_comparisons import HAS_PROC, alive, leftovers, parts, runs_of, start, wait_until, workers_of
from support.tables import TWO_BY_SEED, write_made_table

from nasbench_rl._utils import cli, interrupts, processes
from nasbench_rl.compare import command as compare
from nasbench_rl.compare import pool, unfinished
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.pool import run_all

pytestmark = pytest.mark.skipif(not HAS_PROC, reason="processes are looked up in /proc")


def command(tables: Path, out: Path, runs: int) -> list[str]:
    return ["--tasks", TWO_BY_SEED, "--methods", "random_search", "local_search", "--runs", str(runs), "--jobs", "1",
            "--no-page", "--tables", str(tables), "--out", str(out)]  # fmt: skip


def test_a_comparison_that_is_killed_goes_on(
    made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    with start("compare", *command(made_tables, killed, 200), cwd=tmp_path) as process:
        assert wait_until(lambda: parts(killed) or process.poll() is not None)
        workers = workers_of(process.pid)
        process.kill()
        assert process.wait() == -signal.SIGKILL and parts(killed) and not (killed / "runs.parquet").exists()
    assert workers and wait_until(lambda: not any(map(alive, workers)), 60)
    (killed / unfinished.FOLDER / ".of-a-killed-writer.parquet.1.tmp").touch()
    there = 25 * len(parts(killed))
    assert cli.run(compare.main, command(made_tables, killed, 200)) == 0
    assert f"taken over: {there} of 400 searches" in capsys.readouterr().out
    assert not leftovers(killed)
    assert cli.run(compare.main, command(made_tables, alone, 200)) == 0
    assert "taken over" not in capsys.readouterr().out
    pd.testing.assert_frame_equal(runs_of(killed), runs_of(alone))


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_asks_a_comparison_to_end_ends_all_of_it(
    number: int, group: bool, made_tables: Path, tmp_path: Path
) -> None:
    with start("compare", *command(made_tables, tmp_path, 100_000), cwd=tmp_path) as process:
        assert wait_until(lambda: parts(tmp_path) or process.poll() is not None)
        workers = workers_of(process.pid)
        (os.killpg if group else os.kill)(process.pid, number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number and said.startswith("interrupted; finished searches are kept"), said
    assert said.count("\n") == 1 and workers and not any(map(alive, workers)) and parts(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_findings_leave_no_copy_of_the_tables(number: int, made_tables: Path, tmp_path: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "page.md"
    scratch.mkdir()
    options = ("--tables", str(made_tables), "--methods", "random_search", "--seeds", "100000", "--jobs", "1")
    with start("findings", *options, "--out", str(out), cwd=tmp_path, TMPDIR=str(scratch)) as process:
        assert wait_until(lambda: parts(tmp_path / "page") or process.poll() is not None)
        assert list(scratch.rglob("MANIFEST.json"))
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, said
    assert not list(scratch.iterdir())


SEARCH = Search(TWO_BY_SEED, "random_search", 3_000_000)


def test_what_decides_a_result_is_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    search = replace(SEARCH, tables=str(tmp_path))
    first = unfinished.search_key(search)
    assert unfinished.search_key(replace(search, jobs=7, searches=3)) == first, "no matter of how many at once"
    others = [
        replace(search, budget=4_000_000), replace(search, method="local_search"), replace(search, first_seed=1),
        replace(search, hyperparameters={"samples": 3}), replace(search, mode="live"),
    ]  # fmt: skip
    keys = {unfinished.search_key(other)[1] for other in others}
    with monkeypatch.context() as changed:
        changed.setattr(unfinished, "_sources", lambda package: f"{package} was edited")
        keys.add(unfinished.search_key(search)[1])
    write_made_table(tmp_path, TWO_BY_SEED, 4)
    keys.add(unfinished.search_key(search)[1])
    assert len(keys | {first[1]}) == len(others) + 3


def test_a_kept_result_that_was_changed_is_not_taken(tmp_path: Path) -> None:
    frame = pd.DataFrame({"score": [0.5, 0.25], "arch": ["k1-k1", "k2-k2"]})
    for name in ("whole", "flipped"):
        unfinished.save(tmp_path, name, frame)
    path = next((tmp_path / unfinished.FOLDER).glob("flipped.*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    kept = unfinished.kept(tmp_path, ["whole", "flipped", "absent"])
    assert list(kept) == ["whole"]
    pd.testing.assert_frame_equal(kept["whole"], frame)


def change_the_table(chunk: pool.Chunk, report: object) -> pd.DataFrame:
    found = pool.run_search(chunk.search, chunk.seeds)
    write_made_table(Path(str(chunk.search.tables)), TWO_BY_SEED, 4)
    return found


def test_nothing_is_kept_of_a_table_that_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, out = tmp_path / "tables", tmp_path / "out"
    write_made_table(tables, TWO_BY_SEED, 2)
    monkeypatch.setattr(pool, "_work", change_the_table)
    runs, failures = run_all([replace(SEARCH, tables=str(tables))], 0, 2, 1, out)
    assert len(runs) and not failures and not parts(out)


def test_children_that_cannot_start_are_an_error(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended_early(*arguments: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(processes, "_start", ended_early)
    assert cli.run(compare.main, command(made_tables, tmp_path, 2)) == 2
    said = capsys.readouterr().err
    assert "no worker process could be started ([Errno 32] Broken pipe)" in said and said.count("\n") == 1


def test_only_a_reader_of_stdout_that_is_gone_is_a_good_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(arguments: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    reader, writer = os.pipe()
    with open(writer, "w") as stdout, monkeypatch.context() as piped:
        piped.setattr(sys, "stdout", stdout)
        assert cli.run(main, []) == 2
        os.close(reader)
        assert cli.run(main, []) == 0
    assert capsys.readouterr().err == "error: [Errno 32] Broken pipe\n"


def test_an_end_that_is_asked_for_waits_for_what_must_not_be_cut() -> None:
    reached = []
    with interrupts.requests_heeded(), pytest.raises(interrupts.EndRequested) as caught, interrupts.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append(True)
    assert reached and interrupts.exit_code(caught.value) == 143
