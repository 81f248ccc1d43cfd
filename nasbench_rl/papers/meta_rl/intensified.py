"""The intensified trainings of the meta-RL paper's Experiment 2, and the two-block VGG-19 that they are compared with.

The architectures are trained as any other cell of ``nsc-chain/<data set>@intense``. The VGG network is no point of that
space: its learning curves lie beside the tables, in ``vgg/<data set>.intense.parquet``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import Progress

from nasbench_rl._utils import cli, files, provenance
from nasbench_rl.build import estimate
from nasbench_rl.build.todo import missing_cells
from nasbench_rl.build.train import train_missing
from nasbench_rl.errors import InvalidValueError, RecipeMismatchError
from nasbench_rl.tables import table_io
from nasbench_rl.tables.advice import how_to_train
from nasbench_rl.tables.manifest import read_checked, write_listed
from nasbench_rl.task import ImageTask, get_task
from nasbench_rl.training import memory, workers
from nasbench_rl.training.cell import Cell

SEEDS = 5
"""Independent trainings of each network (Table 6)."""
VGG = "VGG19-like"
"""Its name in Table 6."""


def intense_task(dataset: str) -> ImageTask:
    """Return the task of the intensified training on a data set."""
    task = get_task(f"nsc-chain/{dataset}@intense")
    assert isinstance(task, ImageTask)
    return task


def vgg_file(task: ImageTask) -> str:
    """Return the name of the VGG network's learning curves in a folder of tables."""
    return f"vgg/{task.environment.name}.{task.recipe.name}.parquet"


def read_vgg(folder: Path, task: ImageTask) -> pd.DataFrame:
    """Read the learning curves of the VGG network: seed, fidelity (epochs), accuracies, origin; empty if none is there.

    Raises:
        TableError: the file is absent or was changed.
        RecipeMismatchError: it was trained by another recipe.
    """
    content = read_checked(folder, vgg_file(task))
    if content is None and files.is_file(folder / vgg_file(task)):  # a kill came before the manifest named it
        content = files.read_file(folder / vgg_file(task))
    if content is None:
        return pd.DataFrame({"seed": pd.Series(dtype=int), "fidelity": pd.Series(dtype=int)})
    frame = pd.read_parquet(io.BytesIO(content), use_threads=False)
    others = set(frame["recipe"]) - {task.digest}
    if others:
        name = folder / vgg_file(task)
        raise RecipeMismatchError(
            f"{name} holds rows of recipe {', '.join(sorted(others))}; {task.id} is {task.digest}"
        )
    return frame


def missing(folder: Path, task: ImageTask, archs: Sequence[str], seeds: int = SEEDS) -> tuple[list[Cell], list[int]]:
    """Return what is not trained yet: cells of the architectures, and train seeds of the VGG network."""
    done = set(read_vgg(folder, task)["seed"].unique())
    cells = missing_cells(folder, [task], seeds, archs) if archs else []
    return cells, [seed for seed in range(seeds) if seed not in done]


def within_memory(task: ImageTask, archs: Sequence[str], device: str = "cpu") -> tuple[list[str], dict[str, str]]:
    """Return the architectures that ``device`` has the memory to train, and why it cannot train the others.

    Filters double with every convolution, so that a chain which is small in ``lite`` may have billions of weights here.
    """
    fitting, reasons = list[str](), dict[str, str]()
    for arch in archs:
        try:
            memory.check(task, arch, device)
            fitting.append(arch)
        except InvalidValueError as error:
            reasons[arch] = str(error)
    return fitting, reasons


def core_hours(folder: Path, task: ImageTask, cells: Sequence[Cell], vgg_seeds: Sequence[int]) -> float:
    """Estimate the hours that one core needs, by rows measured before or by an epoch of each kind on this machine."""
    hours = estimate.core_hours(cells, folder)[0] if cells else 0.0
    if vgg_seeds:
        known = read_vgg(folder, task)
        known = known[known["fidelity"] == task.max_fidelity]
        if len(known):
            seconds = float(known["cpu_seconds"].mean())
        else:
            from nasbench_rl.data.load import load_dataset
            from nasbench_rl.training import classifier

            data = load_dataset(task.environment.name)
            epoch = classifier.train_vgg(data, replace(task.recipe, epochs=1), vgg_seeds[0])[-1]
            seconds = epoch.cpu_seconds * task.recipe.epochs
        hours += seconds * len(vgg_seeds) / 3600
    return hours


def train(
    folder: Path, task: ImageTask, archs: Sequence[str], jobs: int, device: str = "cpu", seeds: int = SEEDS
) -> int:
    """Train what is missing; each training is kept as soon as it ends. Return how many failed."""
    workers.check_ready([task], device)
    files.check_writable(folder)
    cells, vgg_seeds = missing(folder, task, archs, seeds)
    for seed in vgg_seeds:
        train_vgg(folder, task, seed, device)
    return train_missing(cells, folder, jobs, device) if cells else 0


def train_vgg(folder: Path, task: ImageTask, seed: int, device: str = "cpu") -> None:
    """Train the VGG network once and add its learning curve to the file; wait for another process that does so."""
    from nasbench_rl.data.load import load_dataset
    from nasbench_rl.training import classifier
    from nasbench_rl.training.process import trim_memory, tune_process
    from nasbench_rl.training.train_cell import check_images

    tune_process()
    data = load_dataset(task.environment.name)
    with files.lock(folder, f"vgg.{task.environment.name}.{task.recipe.name}"):
        before = read_vgg(folder, task)
        if seed in set(before["seed"]):
            return
        check_images(
            task, folder, sorted({*before.get("data", ()), *table_io.read_table(folder, task)["data"].to_pylist()})
        )
        origin = {"code_version": provenance.code_version(), "machine": provenance.machine(device)}
        with _progress(f"{VGG} on {task.id}, train seed {seed}", task.max_fidelity) as tell:
            curve = classifier.train_vgg(data, task.recipe, seed, device, tell)
        trim_memory()
        rows = [
            {
                "seed": seed, "fidelity": point.epoch, "validation_accuracy": point.validation_accuracy,
                "test_accuracy": point.test_accuracy, "train_loss": point.train_loss, "data": data.digest,
                "cpu_seconds": point.cpu_seconds, "wall_seconds": point.wall_seconds, "recipe": task.digest, **origin,
            }
            for point in curve
        ]  # fmt: skip
        new = pd.DataFrame(rows)
        together = pd.concat([before, new], ignore_index=True) if len(before) else new
        write_listed(together.sort_values(["seed", "fidelity"]), folder, vgg_file(task))
    last = curve[-1]
    cli.console.print(
        f"{VGG} on {task.id}, train seed {seed}: test accuracy {last.test_accuracy:.3f}, "
        f"{last.cpu_seconds:,.0f} CPU s", highlight=False, soft_wrap=True,
    )  # fmt: skip


@contextmanager
def _progress(text: str, total: int) -> Iterator[Any]:
    """Show a bar on a terminal; yield a function that takes the number of epochs done."""
    with Progress(console=cli.console, disable=not cli.console.is_terminal) as bar:
        row = bar.add_task(text, total=total)
        yield lambda done: bar.update(row, completed=done)


def results(folder: Path, task: ImageTask, archs: Sequence[str]) -> pd.DataFrame:
    """Return test accuracies at the end of the intensified training, in %.

    Columns: network, params (NaN for VGG), trainings, mean, two_std (NaN for one training). Rows: the architectures in
    the order given, then the VGG network; those never trained have 0 trainings.
    """
    rows = table_io.read_table(folder, task).to_pandas(use_threads=False)
    rows = rows[rows["fidelity"] == task.max_fidelity]
    vgg = read_vgg(folder, task)
    found = {arch: rows[rows["arch"] == arch] for arch in archs} | {VGG: vgg[vgg["fidelity"] == task.max_fidelity]}
    table = []
    for network, one in found.items():
        score = 100 * one["test_accuracy"] if len(one) else pd.Series(dtype=float)
        table.append(
            {"network": network, "params": math.nan if network == VGG else task.size(network).params,
             "trainings": len(score), "mean": score.mean(), "two_std": 2 * score.std(ddof=1)}
        )  # fmt: skip
    return pd.DataFrame(table)


def command(task: ImageTask, archs: Sequence[str], tables: str | None) -> str:
    """Return the command that trains the architectures only; ``tables`` as the user named the folder."""
    quoted = " ".join(f'"{arch}"' for arch in archs)
    return how_to_train(task, f"--archs {quoted} --seeds {SEEDS}", tables)
