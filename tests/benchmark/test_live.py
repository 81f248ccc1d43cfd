"""Live mode trains what a search asks for: side by side where it may, never twice, and never more than it has turns."""

from __future__ import annotations

import multiprocessing as mp
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasbench_rl import load
from nasbench_rl._utils import files
from nasbench_rl.benchmark.live import LiveBenchmark
from nasbench_rl.benchmark.run import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.tables import manifest, parquet, table_io
from nasbench_rl.task import get_task
from nasbench_rl.training import workers

pytest.importorskip("torch")
pytest.importorskip("minatar")

TASK = get_task("minatar-ss1/breakout@smoke")
WHOLE = TASK.max_fidelity


def test_trainings_side_by_side_give_what_one_after_the_other_gives(tmp_path: Path) -> None:
    told: list[int] = []
    bench = load(TASK, "live", tables=tmp_path / "two", jobs=2, on_progress=told.append)
    run = bench.start(3 * WHOLE, seed=0)
    best = run.recommend(["k1-k1", "k1-k2"])
    assert run.spent == 2 * WHOLE and {point.source for point in run.points} == {"live"}
    assert told and max(told) == 2 * WHOLE  # both were in work before either was paid for

    alone = load(TASK, "live", tables=tmp_path / "one", jobs=1)
    again = alone.start(3 * WHOLE, seed=0)
    score = again.evaluate("k1-k2")
    seed = again.points[0].seed
    assert (score, seed) == next((p.score, p.seed) for p in run.points if p.arch == "k1-k2")

    told.clear()
    later = bench.start(3 * WHOLE, seed=0)
    assert later.recommend(["k1-k1", "k1-k2"]) == best
    assert {point.source for point in later.points} == {"table"} and not told, "nothing is trained again"


def test_many_and_curves_are_trained_too(tmp_path: Path) -> None:
    bench = load(TASK, "live", tables=tmp_path)
    with pytest.raises(InvalidValueError, match="fidelity"):  # before a long training
        bench.query_many(["k1-k1"], fidelities=3)
    many = bench.query_many(["k1-k1"], split="validation")
    fidelities, scores = bench.curve("k1-k2", split="validation")
    assert many["score"].tolist() == [bench.query("k1-k1", split="validation").score]
    assert len(fidelities) == len(scores) == 20
    assert bench.query("k1-k2", split="validation").source == "table"


@pytest.mark.parametrize("seed", ["a", 1.5, -1, 1])
def test_a_train_seed_that_is_none_is_refused_before_it_trains(tmp_path: Path, seed: object) -> None:
    with pytest.raises(InvalidValueError, match="train seed"):
        load(TASK, "live", tables=tmp_path).query("k1-k1", seed=seed, split="validation")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="jobs '2' is not a whole number"):
        load(TASK, "live", tables=tmp_path, jobs="2")  # type: ignore[arg-type]


def test_fresh_games_at_a_low_fidelity_are_refused_before_it_trains(tmp_path: Path) -> None:
    bench = load(TASK, "live", tables=tmp_path)
    with pytest.raises(InvalidValueError, match="return_eval at .* only"):
        bench.query("k1-k1", fidelity=bench.task.fidelities[0], metric="return_eval")
    assert not list(tmp_path.rglob("*.parquet"))


def test_only_what_the_budget_reaches_is_trained_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(LiveBenchmark, "prefetch", lambda self, cells: asked.append([arch.name for arch, _ in cells]))
    run: Run = load(TASK, "live", tables=tmp_path).start(2 * WHOLE + 1, seed=0)
    run.prepare(["k1-k1", "k1-k2", "k1-k3"])
    assert asked == [["k1-k1", "k1-k2"]] and run.spent == 0


def _hold(folder: Path, taken: object) -> None:
    with workers.training_slot(folder, 1):
        taken.put("held")  # type: ignore[attr-defined]
        time.sleep(600)


def test_a_turn_waits_for_another_process_and_outlives_its_death(tmp_path: Path) -> None:
    context = mp.get_context("spawn")
    taken = context.Queue()
    other = context.Process(target=_hold, args=(tmp_path, taken))
    other.start()
    assert taken.get(timeout=60) == "held"
    asked = 0

    def waiting() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            other.kill()

    with workers.training_slot(tmp_path, 1, waiting):
        assert asked >= 2
    other.join()
    with workers.training_slot(tmp_path, 0), workers.training_slot(tmp_path, 0):
        pass  # no limit


def test_progress_is_told_in_what_is_charged(tmp_path: Path) -> None:
    """A short evaluation trains to the end, and is charged and shown for what it asked."""
    told: list[int] = []
    bench = load(TASK, "live", tables=tmp_path, jobs=1, on_progress=told.append)
    run = bench.start(3 * WHOLE, seed=0)
    run.evaluate("k1-k1", TASK.fidelities[3])
    assert told == sorted(told) and max(told) == run.spent == TASK.fidelities[3]
    run.evaluate("k1-k1")
    assert max(told) == TASK.fidelities[3] and run.points[1].source == "table", "the training went to its end at once"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables, no shards, that are read."""
    found: list[str] = []
    before = files.read_file

    def read_file(path: Path) -> bytes:
        found.extend([path.name] if path.suffix == ".parquet" and ".shards" not in path.parts else [])
        return before(path)

    for module in (manifest, parquet):
        monkeypatch.setattr(module, "read_file", read_file)
    return found


def test_an_evaluation_reads_and_writes_no_table(tmp_path: Path, reads: list[str]) -> None:
    bench, path = load(TASK, "live", tables=tmp_path, jobs=2), tmp_path / table_io.table_name(TASK)
    run = bench.start(5 * WHOLE, seed=0)
    for arch in ("k1-k1", "k1-k2"):
        run.evaluate(arch)
    run.prepare(["k1-k3", "k1-k4"])
    run.evaluate("k1-k3")
    assert reads == [] and not path.exists()
    bench.close()
    assert path.is_file() and not [*(tmp_path / ".shards").rglob("*.parquet")]
    closed = len(reads)
    assert bench.query("k1-k2", seed=run.points[1].seed, split="validation").score == run.points[1].score
    assert len(reads) == closed, "what is in memory stays there"


def test_what_a_killed_search_trained_is_in_the_table_of_the_next_load(tmp_path: Path) -> None:
    code = (
        "import os\nfrom nasbench_rl import load\n"
        f"load({TASK.id!r}, 'live', tables={str(tmp_path)!r}, jobs=1).query('k1-k1', seed=0, split='validation')\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    path = tmp_path / table_io.table_name(TASK)
    assert not path.exists()
    bench = load(TASK, "live", tables=tmp_path, on_progress=lambda steps: pytest.fail("trained again"))
    assert bench.query("k1-k1", seed=0, split="validation").source == "table" and path.is_file()


def test_at_exit_what_was_trained_is_in_the_table(tmp_path: Path) -> None:
    code = (
        "from nasbench_rl import load\n"
        f"load({TASK.id!r}, 'live', tables={str(tmp_path)!r}, jobs=1).query('k1-k1', seed=0, split='validation')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert load(TASK, tables=tmp_path).query("k1-k1", seed=0, split="validation").source == "table"


def test_two_searches_share_what_either_trains(tmp_path: Path) -> None:
    one, two = (load(TASK, "live", tables=tmp_path, jobs=1) for _ in range(2))
    first = one.query("k1-k1", seed=0, split="validation")
    again = two.query("k1-k1", seed=0, split="validation")
    assert (first.source, again.source, again.score) == ("live", "table", first.score)
    one.query("k1-k2", seed=0, split="validation")
    one.close()
    assert two.query("k1-k2", seed=0, split="validation").source == "table"
