"""What a build would cost: a probe stays short, whatever it is asked about."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from nasbench_rl.build import estimate  # noqa: E402
from nasbench_rl.errors import InvalidValueError  # noqa: E402
from nasbench_rl.spaces.base import Architecture  # noqa: E402
from nasbench_rl.task import Task, get_task  # noqa: E402
from nasbench_rl.training import cells, process  # noqa: E402
from nasbench_rl.training.workers import Cell  # noqa: E402

TASK = "nsc-chain/font-letters@intense"
SMALL, LARGE = "conv1 maxpool2", "conv5 conv5 conv5 conv5 conv5 conv5"


def test_a_network_too_large_for_a_probe_is_extrapolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probed = []

    def train_rows(task: Task, arch: Architecture, seed: int, device: str, progress: cells.Progress) -> cells.Rows:
        probed.append(arch.name)
        sum(range(200_000))  # so that some CPU time passes
        assert progress is not None
        progress(1)
        return []

    monkeypatch.setattr("nasbench_rl.training.cells.train_rows", train_rows)
    monkeypatch.setattr("nasbench_rl.training.workers.check_ready", lambda tasks, device: None)
    task = get_task(TASK)
    ratio = task.size(LARGE).flops / task.size(SMALL).flops
    assert ratio > 20
    alone, source = estimate.core_hours([Cell(TASK, SMALL, 0)], tmp_path)
    both, _ = estimate.core_hours([Cell(TASK, SMALL, 0), Cell(TASK, LARGE, 0)], tmp_path)
    assert probed == [SMALL, SMALL] and "probe" in source
    assert 0.1 * ratio < both / alone < 10 * 2 * ratio  # CPU times of milliseconds vary


def test_a_network_larger_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    process.check_memory(1_000_000, "cpu")
    with pytest.raises(InvalidValueError, match=r"GB to train, and cpu has"):
        process.check_memory(10**13, "cpu")
    task = get_task("nsc-chain/digits@lite")
    monkeypatch.setattr(process, "BYTES_A_PARAMETER", 10**13)
    with pytest.raises(InvalidValueError, match="larger machine"):
        cells.train_rows(task, task.space.parse("conv1"), 0, "cpu", None)
