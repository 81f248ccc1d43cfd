"""One rule of which trainings a score is made of, the same in both modes and kept while a table grows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.tables import (
    SINGLE_SEED,
    TWO_BY_SEED,
    made_rows,
    write_made_accuracies,
    write_made_darts,
    write_made_latencies,
    write_made_supernets,
    write_made_table,
)

from nasbench_rl import load
from nasbench_rl.benchmark.live import LiveBenchmark
from nasbench_rl.build import command, train
from nasbench_rl.build.merging import merge_command
from nasbench_rl.compare import experiment
from nasbench_rl.compare.experiment import Judge, Search, run_search
from nasbench_rl.errors import InvalidValueError, MissingCellError, NasbenchError
from nasbench_rl.leaderboard.summary import references, table_note
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.tables import locate, table_io
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import present_sha256
from nasbench_rl.tables.results import Evaluation, Split
from nasbench_rl.tables.score_table import ScoreTable
from nasbench_rl.task import GameTask, Task, get_task
from nasbench_rl.task.splits import SPLITS
from nasbench_rl.training import workers

NSC = "nsc-chain/emoji@lite"
ALL = [arch.name for arch in get_task(SINGLE_SEED).space]
FEW = ["k1-k1", "k1-k2", "k5-k5"]
Cells = list[tuple[str, int]]


def every(archs: Sequence[str], *seeds: int) -> Cells:
    return [(arch, seed) for arch in archs for seed in seeds]


def add(folder: Path, task: Task, cells: Cells) -> None:
    """Made cells of a task in a folder of tables, as a build leaves them."""
    if isinstance(task, GameTask):
        rows = [row for arch, seed in cells for row in made_rows(task, arch, seed)]
        table_io.write_table(folder, task, [table_io.encode_rows(task, rows)])
    else:
        for arch, seed in cells:
            write_made_accuracies(folder, task.id, [arch], seed + 1)


@pytest.fixture(autouse=True)
def made_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings are made from a formula: live mode and `build` do all but the training itself."""

    def live(self: LiveBenchmark, arch: Architecture, seed: int, asked: int) -> None:
        add(self.folder, self.task, [(arch.name, seed)])
        self._fresh.add((arch.name, seed))
        self._reload()

    def build(cells: Sequence[workers.Cell], folder: Path, options: Any) -> int:
        whole = {"supernet": write_made_supernets, "darts": write_made_darts}
        for cell in cells:
            if cell.arch in whole:
                whole[cell.arch](folder, cell.task, cell.seed + 1)
        for id_ in {cell.task for cell in cells if cell.arch not in whole}:
            add(folder, get_task(id_), [(cell.arch, cell.seed) for cell in cells if cell.task == id_])
        return 0

    def latencies(tasks: Sequence[Task], folder: Path, *rest: Any) -> None:
        for task in tasks:
            write_made_latencies(folder, task.id)

    monkeypatch.setattr(LiveBenchmark, "_train", live)
    monkeypatch.setattr(train, "_train_and_say", build)
    monkeypatch.setattr(train, "measure_latencies", latencies)
    monkeypatch.setattr(workers, "check_ready", lambda *given: None)


STATES: dict[str, tuple[Cells, str, tuple[int, ...]]] = {
    "empty": ([], "return_eval", (0,)),
    "some of seed 1": (every(FEW, 1), "return_eval", (0,)),
    "some of seed 0": (every(FEW, 0), "return_eval", (0,)),
    "some of seeds 0 to 3": (every(FEW, 0, 1, 2, 3), "return_eval", (0,)),
    "all of seed 0, some of seed 1": (every(ALL, 0) + every(FEW, 1), "return_eval", (0,)),
    "all of seeds 0 and 2, some of seed 1": (every(ALL, 0, 2) + every(FEW, 1), "return_eval", (0, 2)),
    "all of seed 1, some of seed 0": (every(ALL, 1) + every(FEW, 0), "return_last100", (1,)),
    "all of seeds 0 to 3, some of seed 4": (every(ALL, 0, 1, 2, 3) + every(FEW, 4), "return_last100", (1, 3)),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("arch", ["k1-k1", "k3-k3"])
def test_a_live_answer_is_the_tabular_one_and_is_repeated(tmp_path: Path, state: str, arch: str) -> None:
    cells, metric, seeds = STATES[state]
    if cells:
        add(tmp_path, get_task(SINGLE_SEED), cells)
    for split, wanted in zip(SPLITS, (None, (metric, seeds)), strict=True):
        live = load(SINGLE_SEED, "live", tables=tmp_path, jobs=1)
        first, again, many = (
            live.query(arch, split=split),
            live.query(arch, split=split),
            live.query_many([arch], split=split),
        )
        table = load(SINGLE_SEED, tables=tmp_path).query(arch, split=split)
        assert same(first) == same(again) == same(table)
        assert many["score"].tolist() == [table.score]
        assert wanted is None or (table.metric, table.seeds) == wanted


def same(answer: Evaluation) -> Evaluation:
    return dataclasses.replace(answer, source="table")


def test_live_test_scores_by_number_are_those_that_stay_once_the_seed_is_complete(tmp_path: Path) -> None:
    add(tmp_path, get_task(SINGLE_SEED), every(ALL, 0) + every(ALL[:-2], 1))
    live = load(SINGLE_SEED, "live", tables=tmp_path, jobs=1)
    early = live.query(ALL[-2], seed=1)
    assert (early.metric, early.source, early.seeds) == ("return_last100", "live", (1,))
    assert live.query(ALL[-2]).metric == "return_eval" and live.query(ALL[-2], seed=0) == live.query(ALL[-2])
    low = live.task.fidelities[0]
    assert live.query(ALL[0], seed=1, fidelity=low).fidelity == low and len(live.curve(ALL[0], seed=1)[1]) == 20
    for ask in (
        lambda: live.query(ALL[0], seed=0, fidelity=low), lambda: live.query_many([0, 0], low, [1, 0]),
        lambda: live.curve(ALL[0]),
    ):  # fmt: skip
        with pytest.raises(InvalidValueError, match="return_eval at"):
            ask()
    tabular = load(SINGLE_SEED, tables=tmp_path)
    many = tabular.query_many([0, 0], seeds=[0, 1])["score"].tolist()
    assert many == [tabular.query(ALL[0], seed=0).score, tabular.query(ALL[0], seed=1).score]
    with pytest.warns(UserWarning, match=r"from now on .*test: return_last100 of train seed 1"):
        last = live.query(ALL[-1], seed=1)
    assert last.metric == "return_last100" == live.query(ALL[-1]).metric and same(live.query(ALL[-2])) == same(early)
    assert load(SINGLE_SEED, tables=tmp_path).query(ALL[-2]) == same(early)


def test_a_live_curve_of_no_train_seed_is_refused_before_it_trains(tmp_path: Path) -> None:
    live = load(SINGLE_SEED, "live", tables=tmp_path, jobs=1)
    for ask in (lambda: live.curve("k1-k1", seed="a"), lambda: live.query_many([0], live.task.fidelities[0], "a")):  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError, match="(train seed |seeds=)'a'"):
            ask()
    assert not list(tmp_path.rglob("*.parquet"))


def test_no_answer_changes_with_a_cell_unless_it_completes_a_seed() -> None:
    task = get_task(SINGLE_SEED)
    rows = {cell: table_io.encode_rows(task, made_rows(task, *cell)) for cell in every(ALL, 0, 1, 2)}
    order = np.random.default_rng(0).permutation(len(rows))
    chosen, before = [], None
    rules = 0
    for at in order:
        cell = list(rows)[at]
        chosen.append(rows[cell])
        table = ScoreTable(task, pa.concat_tables(chosen))
        if before is not None and table.rule() == before.rule():
            for split in SPLITS:
                for name, old, new in zip(
                    table.names, before.view(split).mean[:, -1], table.view(split).mean[:, -1], strict=True
                ):
                    assert old == new or (np.isnan(old) and (np.isnan(new) or name == cell[0]))
        elif before is not None:
            rules += 1
            assert table.full_seeds.sum() == before.full_seeds.sum() + 1, "a rule changes when a seed completes"
        before = table
    assert 1 <= rules <= 3 and before is not None and before.seeds_behind("validation") == (0, 2)


def test_an_answer_about_a_network_that_no_table_can_be_whole_of_never_changes(tmp_path: Path) -> None:
    add(tmp_path, get_task(NSC), [("conv1", 1)])
    alone = load(NSC, tables=tmp_path).query("conv1")
    add(tmp_path, get_task(NSC), [("conv3", 0)])
    assert load(NSC, tables=tmp_path).query("conv1") == alone and alone.seeds == (0,)
    assert load(NSC, tables=tmp_path).query("conv1", seed=1).seeds == (1,)


@pytest.mark.parametrize("how", ["build", "merge"])
def test_a_build_that_completes_a_seed_says_what_scores_are_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    add(here, get_task(SINGLE_SEED), every(ALL, 0) + every(ALL[:-2], 1))
    for arch in ALL[-2:]:
        if how == "build":
            command.main([SINGLE_SEED, "--seeds", "2", "--archs", arch, "--tables", str(here)])
        else:
            add(there, get_task(SINGLE_SEED), [(arch, 1)])
            merge_command([str(there), "--tables", str(here)])
        said = " ".join(capsys.readouterr().out.split())
        assert ("from now on" in said) == (arch == ALL[-1])
    assert "test: return_last100 of train seed 1" in said


Question = Callable[[Task | str, Path], Any]
KINDS: dict[str, tuple[str, Cells, Question]] = {
    "no table": (SINGLE_SEED, [], lambda task, at: load(task, tables=at).query("k3-k3")),
    "test score": (SINGLE_SEED, every(FEW, 0), lambda task, at: load(task, tables=at).query("k3-k3")),
    "test score, odd seed there": (SINGLE_SEED, every(FEW, 1), lambda task, at: load(task, tables=at).query("k1-k1")),
    "validation score": (
        SINGLE_SEED, every(FEW, 1, 2), lambda task, at: load(task, tables=at).query("k1-k1", split="validation")),
    "many": (TWO_BY_SEED, every(FEW, 0), lambda task, at: load(task, tables=at).query_many(["k1-k1", "k3-k3"])),
    "test seed": (SINGLE_SEED, every(ALL, 0), lambda task, at: load(task, tables=at).query("k3-k3", seed=3)),
    "many test seeds": (
        SINGLE_SEED, every(ALL, 0), lambda task, at: load(task, tables=at).query_many([0, 12], seeds=[0, 1])),
    "validation seed": (
        TWO_BY_SEED, every(ALL, 0, 1), lambda task, at: load(task, tables=at).query("k3-k3", seed=4, split=SPLITS[0])),
    "curve": (TWO_BY_SEED, every(FEW, 0), lambda task, at: load(task, tables=at).curve("k3-k3", split="validation")),
    "optimum": (SINGLE_SEED, every(FEW, 0), lambda task, at: load(task, tables=at).optimum()),
    "search": (SINGLE_SEED, every(FEW, 1), lambda task, at: load(task, tables=at).start(10**7, 0).evaluate("k1-k1")),
    "supernet": (
        TWO_BY_SEED, every(ALL, 0), lambda task, at: load(task, tables=at).start(10**7, 0).supernet().fit()),
    "darts": (TWO_BY_SEED, every(ALL, 0), lambda task, at: load(task, tables=at).start(10**7, 0).darts()),
    "latency": (TWO_BY_SEED, every(FEW, 0), lambda task, at: load(task, tables=at).latency("k3-k3")),
    "nsc row": (NSC, [("conv1", 0)], lambda task, at: load(task, tables=at).query("conv3 maxpool2")),
    "nsc seed": (NSC, [("conv1", 0)], lambda task, at: load(task, tables=at).query("conv1", seed=2)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_that_a_message_names_answers_the_question(tmp_path: Path, kind: str) -> None:
    id_, cells, question = KINDS[kind]
    folder = tmp_path / "my tables"
    add(folder, get_task(id_), cells) if cells else add(folder, get_task(NSC), [("conv1", 0)])
    with pytest.raises(NasbenchError) as refused:
        question(id_, folder)
    found = re.search(r"python -m nasbench_rl\.build (\S+ .*?--tables '[^']*')", str(refused.value))
    assert found is not None, str(refused.value)
    assert command.main(shlex.split(found[1])) == 0
    question(id_, folder)


@pytest.mark.parametrize(
    "kind", ["no table", "test score", "test seed", "many", "optimum", "search", "supernet", "latency"]
)
@pytest.mark.parametrize("recipe", ["mine", None])
def test_no_message_names_a_command_for_a_task_that_it_does_not_know(
    tmp_path: Path, kind: str, recipe: str | None
) -> None:
    id_, cells, question = KINDS[kind]
    known = get_task(id_)
    own = dataclasses.replace(
        known, recipe=dataclasses.replace(known.recipe, gamma=0.5, name=recipe or known.recipe.name)
    )
    add(tmp_path, own, cells) if cells else add(tmp_path, get_task(NSC), [("conv1", 0)])
    with pytest.raises(NasbenchError) as refused:
        question(own, tmp_path)
    text = str(refused.value).replace("python -m nasbench_rl.build status", "")
    assert "python -m nasbench_rl.build" not in text
    if kind == "latency":
        assert "register(task), then nasbench_rl.build.command.main([" in text
        return
    assert f"load(task, mode='live', tables={str(tmp_path)!r})" in text
    if kind in ("test score", "test seed"):
        seed = 3 if kind == "test seed" else None
        asked = load(own, "live", tables=tmp_path, jobs=1).query("k3-k3", seed=seed)
        assert same(asked) == question(own, tmp_path)


def test_a_message_of_the_installed_package_copies_its_tables_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, get_task(SINGLE_SEED), every(FEW, 0))
    monkeypatch.setattr(locate, "table_folders", lambda tables=None: [tmp_path])
    monkeypatch.setattr(locate, "is_packaged", lambda folder: folder == tmp_path)
    with pytest.raises(MissingCellError, match=rf"cp -r {tmp_path} my-tables && python -m .* --tables my-tables"):
        load(SINGLE_SEED).query("k3-k3")


@pytest.mark.parametrize("split", SPLITS)
def test_the_best_of_a_table_in_the_making_is_named_as_such(tmp_path: Path, split: Split) -> None:
    add(tmp_path, get_task(SINGLE_SEED), every(FEW, 0))
    bench = load(SINGLE_SEED, tables=tmp_path)
    with pytest.raises(MissingCellError, match=f"has {split} scores of 3 of 25 architectures"):
        bench.optimum(split)
    assert bench.optimum(split, partial=True).arch == "k5-k5"
    assert "the best of the 3 of 25 architectures" in table_note(bench)
    assert references(bench, 10**7)[0]["method"] == "best architecture of 3 of 25 (k5-k5)"
    assert Judge(bench).best == bench.query("k5-k5").score
    add(tmp_path, get_task(SINGLE_SEED), every(ALL, 0))
    whole = load(SINGLE_SEED, tables=tmp_path)
    assert whole.optimum(split).score == max(whole.query(arch, split=split).score for arch in ALL)
    assert "of 25" not in table_note(whole)
    assert references(whole, 10**7)[0]["method"] == f"best architecture ({whole.optimum().arch})"


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / table_io.table_name(get_task(SINGLE_SEED))).read_bytes()).hexdigest()


def test_runs_name_the_table_that_was_read_though_a_build_commits_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_made_table(tmp_path, SINGLE_SEED, 1)
    read, method_of = sha(tmp_path), experiment.get_method

    def committing(name: str, **given: Any) -> Any:
        write_made_table(tmp_path, SINGLE_SEED, 2)
        return method_of(name, **given)

    monkeypatch.setattr(experiment, "get_method", committing)
    search = Search(SINGLE_SEED, "random_search", 10**6, tables=str(tmp_path))
    assert set(run_search(search, range(2))["table"]) == {read[:12]} != {sha(tmp_path)[:12]}
    assert set(run_search(search, range(2))["table"]) == {sha(tmp_path)[:12]}


def test_a_table_of_a_fold_that_was_killed_before_the_manifest_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    write_made_table(tmp_path, SINGLE_SEED, 1)
    manifest, old = tmp_path / MANIFEST, sha(tmp_path)
    listed = json.loads(manifest.read_text())
    write_made_table(tmp_path, SINGLE_SEED, 2)
    listed["tables"][table_io.table_name(get_task(SINGLE_SEED))]["next_sha256"] = sha(tmp_path)
    manifest.write_text(json.dumps(listed))
    bench = load(SINGLE_SEED, tables=tmp_path)
    assert bench.digest == sha(tmp_path)[:12] != old[:12] and bench.query("k1-k1").seeds == (1,)
    assert present_sha256(tmp_path, table_io.table_name(bench.task)) == sha(tmp_path)
