"""Inference times: measured on one thread, stored with a checksum, read by benchmarks, runs and methods."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tables import TWO_BY_SEED, write_made_accuracies, write_made_latencies, write_made_table

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.build.command import main as build_main
from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    MissingCellError,
    TableError,
    UnknownNameError,
)
from nasbench_rl.tables import manifest, table_io
from nasbench_rl.tables.locate import MANIFEST
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.merge import find_cells
from nasbench_rl.task import get_task

NSC = "nsc-chain/digits@lite"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("latency")
    write_made_table(folder, TWO_BY_SEED, 2)
    write_made_accuracies(folder, NSC, ["conv3", "maxpool2 conv1"], 1)
    write_made_latencies(folder, TWO_BY_SEED)
    return folder


@pytest.fixture
def bench(tables: Path) -> Benchmark:
    return load(TWO_BY_SEED, tables=tables)


def test_a_benchmark_tells_the_median_in_seconds(bench: Benchmark) -> None:
    flops = bench.task.size((3, 4)).flops
    assert bench.latency((3, 4)) == bench.latency("k3-k4", batch=1) == pytest.approx(1e-9 * flops)
    assert bench.latency((3, 4), batch=32) == pytest.approx(32e-9 * flops)


def test_a_run_tells_every_resource_and_charges_nothing(bench: Benchmark) -> None:
    run = bench.start(bench.task.max_fidelity, 0)
    size = bench.task.size((2, 5))
    assert (run.resource((2, 5), "params"), run.resource((2, 5), "flops")) == (size.params, size.flops)
    assert run.resource((2, 5), "latency") == bench.latency((2, 5))
    assert run.spent == 0 and not run.points
    with pytest.raises(UnknownNameError, match="did you mean 'latency'"):
        run.resource((2, 5), "latancy")  # type: ignore[arg-type]


def test_what_was_not_measured_raises_and_names_the_command(tables: Path, bench: Benchmark) -> None:
    with pytest.raises(InvalidValueError, match="batch 8; allowed: 1, 32"):
        bench.latency((3, 4), batch=8)
    nsc = load(NSC, tables=tables)
    with pytest.raises(MissingCellError, match=f"build {NSC} --latency"):
        nsc.latency("conv3")
    with pytest.raises(InvalidArchitectureError, match="vanish"):
        nsc.latency("maxpool3 maxpool3 maxpool3")


def test_a_table_of_latencies_has_a_checksum_and_a_recipe(tables: Path, tmp_path: Path) -> None:
    task = get_task(TWO_BY_SEED)
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    write_made_latencies(tmp_path, TWO_BY_SEED)
    name = table_io.table_name(task.latency)
    entry = read_manifest(tmp_path)[name]
    assert (entry.rows, entry.architectures, entry.train_seeds, entry.cells) == (50, 25, (), 0)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(TableError, match="wrong checksum"):
        load(TWO_BY_SEED, tables=tmp_path).latency((3, 4))
    assert load(TWO_BY_SEED, tables=tmp_path).query((3, 4)).score > 0, "scores do not depend on it"


def test_measuring_again_replaces_the_table_whatever_step_a_kill_falls_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_made_table(tmp_path, TWO_BY_SEED, 2)
    write_made_latencies(tmp_path, TWO_BY_SEED)
    steps = 0
    while True:
        fresh = load(TWO_BY_SEED, tables=tmp_path)
        before, left = fresh.latency((3, 4)), [steps]

        def until_killed(path: Path, content: bytes, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            path.write_bytes(content)

        with monkeypatch.context() as patch:
            patch.setattr(manifest, "replace_file", until_killed)
            patch.setattr(table_io, "replace_file", until_killed)
            try:
                write_made_latencies(tmp_path, TWO_BY_SEED, factor=float(steps + 2))
            except KeyboardInterrupt:
                killed = True
            else:
                killed = False
        after = load(TWO_BY_SEED, tables=tmp_path).latency((3, 4))
        new = 1e-9 * (steps + 2) * task.size((3, 4)).flops
        assert after == pytest.approx(before if steps < 2 else new)
        steps += 1
        if not killed:
            break
    assert steps == 4  # the manifest announces, the file is replaced, the manifest settles: three writes


def test_latencies_are_left_aside_by_merge(tables: Path) -> None:
    found, aside = find_cells(tables)
    assert [path.parent.name for path in aside] == ["latency"]
    assert {one.task.id for one in found} == {TWO_BY_SEED, NSC}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("torch")
    write_made_accuracies(tmp_path, NSC, ["conv3", "maxpool2 conv1"], 1)
    return tmp_path


def test_the_command_measures_every_network_and_status_shows_it(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [TWO_BY_SEED, NSC, "--latency", "--repeats", "1", "--tables", str(measured)]
    assert cli.run(build_main, arguments) == 0
    assert "25 networks at batch 32" in capsys.readouterr().out
    for id_, networks in ((TWO_BY_SEED, 25), (NSC, 2)):
        task = get_task(id_)
        rows = table_io.read_table(measured, task.latency).to_pylist()
        assert len(rows) == 2 * networks and {row["batch"] for row in rows} == {1, 32}
        for row in rows:
            assert 0 < row["latency_p10"] <= row["latency_median"] <= row["latency_p90"] < 5
            assert row["repeats"] >= 1 and row["machine"] and row["code_version"]
            size = task.size(row["arch"])
            assert (row["params"], row["flops"]) == (size.params, size.flops)
    assert load(NSC, tables=measured).latency("conv3") > 0
    assert cli.run(build_main, ["status", "--tables", str(measured)]) == 0
    assert f"latencies of {NSC}" in capsys.readouterr().out


def test_bad_requests_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    (tmp_path / MANIFEST).write_text(json.dumps({"schema_version": 1, "tables": {}}))
    command = ["--latency", "--tables", str(tmp_path)]
    for arguments, words in (
        ([TWO_BY_SEED, *command, "--archs", "k1-k1"], "leave --archs out"),
        ([TWO_BY_SEED, *command, "--device", "cuda"], "leave --device out"),
        ([NSC, *command], "train one first"),
        ([TWO_BY_SEED, *command, "--supernet"], "not allowed with"),
    ):
        assert cli.run(build_main, arguments) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("error") == 1
    assert not (tmp_path / "latency").exists()
