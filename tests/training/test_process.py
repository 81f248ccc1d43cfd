"""What a process that trains is set up for: the memory of its machine, and no denormal numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")

from nasbench_rl._utils import cli
from nasbench_rl.build import train
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.task import ImageTask, get_task
from nasbench_rl.training import memory, process, train_cell
from nasbench_rl.training.cell import Cell

LITE = "nsc-chain/digits@lite"


def task_of(id_: str) -> ImageTask:
    task = get_task(id_)
    assert isinstance(task, ImageTask)
    return task


def test_parameters_and_maps_are_counted() -> None:
    task = task_of(LITE)
    params = task.size("conv1 conv3").params
    maps = 8 * 8 * 1 + 8 * 8 * 32 + 6 * 6 * 32 + 6 * 6 * 32  # the image, two layers, and what is read of them
    assert memory.needed(task, "conv1 conv3") == 26 * params + 500 * 2 * 2 * maps
    paper = task_of("nsc-chain/omniglot@paper")
    assert paper.recipe.autocast is None and memory.needed(paper, "conv1") > 16 * paper.size("conv1").params


def test_a_network_larger_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(LITE)
    memory.check(task, "conv1", "cpu")
    need = memory.needed(task, "conv1")
    monkeypatch.setattr(memory, "usable", lambda device: need)
    memory.check(task, "conv1", "cpu")
    monkeypatch.setattr(memory, "usable", lambda device: need - 1)
    with pytest.raises(InvalidValueError, match=r"parameters take .* GB to train, and cpu has .* larger machine"):
        train_cell.train_rows(task, task.space.parse("conv1"), 0, "cpu", None)


def test_jobs_are_as_many_as_fit_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    need = memory.needed(task_of(LITE), "conv1")
    large, small = Cell(LITE, "conv1", 0), Cell(LITE, "conv3 conv3", 0)  # whose last map is smaller
    vanishing, agent = Cell(LITE, "conv5 conv5 conv5 conv5", 0), Cell("minatar-ss1/breakout@lite", "k3-k3", 0)
    everything = [small, large, vanishing, agent]
    for has, at_once in ((10 * need, 4), (2.5 * need, 2), (1.5 * need, 1), (math.inf, 4)):
        monkeypatch.setattr(memory, "usable", lambda device, has=has: has)
        assert memory.side_by_side(everything, 4, "cpu") == at_once
    monkeypatch.setattr(memory, "usable", lambda device: need - 1)  # it is refused alone and holds up nothing
    assert memory.side_by_side(everything, 2, "cpu") == 2
    assert memory.side_by_side([agent], 2, "cpu") == 2


def test_a_build_says_that_it_uses_fewer_jobs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def no_training(given: object, folder: Path, jobs: int, device: str) -> object:
        asked.append(jobs)
        yield from ()

    monkeypatch.setattr(train.workers, "train", no_training)
    monkeypatch.setattr(memory, "usable", lambda device: 1.5 * memory.needed(task_of(LITE), "conv1"))
    wanted = [Cell(LITE, "conv1", seed) for seed in range(3)]
    with cli.console.capture() as said:
        assert train.train_missing(wanted, tmp_path, 2) == 3
    assert asked == [1] and "1 at once instead of 2" in said.get() + capsys.readouterr().out


def test_memory_goes_back_after_a_training() -> None:
    import numpy as np

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc to read")
    process.tune_process()
    kept = [np.ones(5_000_000) for _ in range(8)]
    del kept
    before = resident()
    process.trim_memory()
    assert resident() < before - 150_000_000


def test_denormal_numbers_count_as_none_while_training() -> None:
    """They make a step of Adam many times as long."""
    import torch

    small = torch.tensor([1e-37])
    torch.set_flush_denormal(False)
    try:
        assert float(small * 0.01) > 0
        process.tune_process()
        assert float(small * 0.01) == 0
    finally:
        torch.set_flush_denormal(False)
