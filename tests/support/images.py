"""Made-up tables of an NSC task: accuracies that depend on the layers, with noise of known size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_rl._utils.files import lock
from nasbench_rl.benchmark.surrogate_model.info import SurrogateOptions
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import FOLD_LOCK
from nasbench_rl.task import ImageTask, get_task

_TASK = get_task("nsc-chain/digits@lite")
assert isinstance(_TASK, ImageTask)
TASK = _TASK
QUICK = SurrogateOptions(members=4, trees=40, feature_fraction=0.5)  # of less, so few trees seldom see the epoch


def true_accuracy(arch: str, epoch: int) -> float:
    """Of test images, before noise: more convolutions help, early pools hurt, and accuracy grows with the epochs."""
    layers = arch.split()
    convs = sum("conv" in layer for layer in layers)
    best = 0.3 + 0.2 * convs - 0.15 * ("pool" in layers[0]) + 0.03 * ("conv5" in layers)
    return best * (1 - 0.5**epoch)


def made_rows(
    seed: int = 0, noise: float = 0.005, depth: int = 3, repeated: int = 0, validation: float = -0.02
) -> pd.DataFrame:
    """Every valid chain up to ``depth`` with train seed 0, the first ``repeated`` with seeds 1 and 2 too."""
    rng = np.random.default_rng(seed)
    archs = [arch.name for arch in TASK.space.up_to_depth(depth) if TASK.is_valid(arch)]
    cells = [(arch, 0) for arch in archs]
    cells += [(arch, more) for arch in rng.permutation(archs)[:repeated] for more in (1, 2)]
    rows = []
    for arch, train_seed in cells:
        size, error = TASK.size(arch), rng.normal(scale=noise, size=2)
        for epoch in TASK.fidelities:
            true = true_accuracy(str(arch), epoch)
            rows.append(
                {
                    "arch": str(arch), "seed": train_seed, "fidelity": epoch, "test_accuracy": true + error[0],
                    "validation_accuracy": true + validation + error[1], "train_loss": 1.0, "data": "made",
                    "density": TASK.space.density(arch), "cpu_seconds": 0.1 * epoch, "wall_seconds": 0.1 * epoch,
                    "params": size.params, "flops": size.flops, "code_version": "made", "machine": "made",
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def made_folder(folder: Path, rows: pd.DataFrame) -> Path:
    """A folder of tables that holds ``rows``."""
    with lock(folder, FOLD_LOCK):
        table_io.write_table(folder, TASK, [table_io.encode_rows(TASK, rows.to_dict("records"))])
    return folder
