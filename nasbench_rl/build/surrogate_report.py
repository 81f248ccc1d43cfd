"""``python -m nasbench_rl.build surrogate``: fit surrogates, print how good they are, draw it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasbench_rl._utils import cli
from nasbench_rl._utils.text import fixed
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate, check_enough, image_task
from nasbench_rl.build.surrogate_quality import GROUPINGS, ONE_SIGMA, TWO_SIGMA, HeldOut, hold_out, quality, scores
from nasbench_rl.leaderboard import plots
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import add_tables_option, check_kept, folder_to_fill
from nasbench_rl.tables.results import Split
from nasbench_rl.task import Task, get_task
from nasbench_rl.task.splits import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(held_out: HeldOut, split: Split = "test") -> Figure:
    """Guessed over measured accuracy at max fidelity, and the calibration of the spread."""
    figure, axes = plots.new_figure(9.6, 4.6)
    figure.clear()
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.plot([0, 1], [0, 1], color=plots.REFERENCE, linewidth=1, linestyle=(0, (6, 3)))
        axes.set_aspect("equal")
    _draw_guesses(left, held_out, split)
    _draw_calibration(right, held_out, split)
    how = f"{len(held_out.archs)} architectures held out by {held_out.grouping}"
    figure.suptitle(f"{held_out.task.id}: surrogate, {how}", fontsize=10)
    return figure


def _draw_guesses(axes: Axes, held_out: HeldOut, split: Split) -> None:
    mean, true = held_out.mean[split][:, -1], held_out.true[split][:, -1]
    spread = held_out.deviation[split][:, -1] * held_out.factors(split)[-1]
    axes.errorbar(true, mean, yerr=spread, fmt="o", markersize=3, color="#0072B2", ecolor="#0072B240", elinewidth=0.8)
    r2, tau, sparse = scores(mean, true)
    axes.set_title(f"R² {r2:.3f}, Kendall's τ {tau:.3f}, sparse τ {sparse:.3f}", fontsize=9)
    axes.set_xlabel(f"measured {split} accuracy (share), {held_out.task.max_fidelity} epochs")
    axes.set_ylabel("guessed accuracy (share), bars: one spread")


def _draw_calibration(axes: Axes, held_out: HeldOut, split: Split) -> None:
    ratios = held_out.calibrated(split)
    within = np.linspace(0.01, 3.5, 200)
    expected = [math.erf(width / math.sqrt(2)) for width in within]
    axes.plot(expected, [float(np.mean(ratios <= width)) for width in within], color="#D55E00", linewidth=2)
    for width, nominal in ((1, ONE_SIGMA), (2, TWO_SIGMA)):
        axes.plot(nominal, np.mean(ratios <= width), "o", color="#D55E00", markersize=5)
    axes.set_title(f"within 1 spread: {np.mean(ratios <= 1):.0%}, within 2: {np.mean(ratios <= 2):.0%}", fontsize=9)
    axes.set_xlabel("share expected within ± a multiple of the spread (normal)")
    axes.set_ylabel("share observed (dashed: calibrated)")


def build(
    task: Task, folder: Path, seed: int, folds: int, out: Path | None, named: str | None = None
) -> tuple[Surrogate, pd.DataFrame]:
    """Measure a task's surrogate on held-out architectures, draw that, then fit it on the whole table.

    Args:
        task: an NSC task.
        folder: of tables.
        seed: fixes every draw.
        folds: of the cross-validation.
        out: where the pictures go, by grouping; None draws nothing.
        named: the folder as the user named it, for messages.
    """
    task = image_task(task)
    stored, sha256 = table_io.read_with_digest(folder, task)
    rows = stored.to_pandas(use_threads=False)
    check_enough(task, rows, named)
    rng = np.random.default_rng(seed)
    found = [hold_out(task, rows, rng, grouping=grouping, folds=folds) for grouping in GROUPINGS]
    table = quality(found, rows, rng)
    by_layers = found[GROUPINGS.index("layers")]
    kept = table.astype(object).where(table.notna(), None).to_dict("records")
    surrogate = Surrogate.fit(
        task, rows, rng, quality=kept, table_sha256=sha256,
        spread_factors={split: by_layers.factors(split).tolist() for split in SPLITS},
    )  # fmt: skip
    if out is not None:
        for one in found:
            plots.save(draw(one), out / f"surrogate.{Path(table_io.table_name(task)).stem}.{one.grouping}")
    return surrogate, table


def surrogate_command(arguments: Sequence[str]) -> int:
    """``build surrogate TASK…``."""
    parser = cli.Parser(
        "python -m nasbench_rl.build surrogate",
        "Fit the surrogate of NSC tasks on their tables and keep it next to them. It is measured first, by "
        "cross-validation on architectures held out in groups: those of the same layers, those of the same start, and "
        "at random for comparison. The ceiling is what a perfect guess would score against noisy trainings.",
        [
            "python -m nasbench_rl.build surrogate nsc-chain/font-letters@lite",
            "python -m nasbench_rl.build surrogate nsc-chain/emoji@lite --tables /tmp/mine --out /tmp/pictures",
        ],
    )
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="NSC task ids, <space>/<data set>@<recipe>")
    add_tables_option(parser)
    parser.add_argument(
        "--out", type=cli.path, metavar="DIR", help="write quality.csv and a picture a task and grouping (PNG, SVG)"
    )
    parser.add_argument("--folds", type=cli.positive, default=5, metavar="N", help="for cross-validation (default 5)")
    parser.add_argument("--seed", type=cli.seed, default=0, metavar="S", help="fixes folds and fits (default 0)")
    options = parser.parse_args(arguments)
    folder = folder_to_fill(options.tables)
    check_kept(folder)
    out: Path | None = options.out
    tables = []
    for task in [image_task(get_task(name)) for name in dict.fromkeys(options.tasks)]:
        surrogate, table = build(task, folder, options.seed, options.folds, out, options.tables)
        cli.console.print(_shown(table))
        where = surrogate.save(folder)
        cli.console.print(f"{task.id}: fitted on {surrogate.info.architectures} architectures, {where}",
                          markup=False, highlight=False, soft_wrap=True)  # fmt: skip
        tables.append(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        pd.concat(tables).to_csv(out / "quality.csv", index=False)
    return 0


def _shown(table: pd.DataFrame) -> cli.Table:
    shown = cli.Table(title=f"{table['task'].iloc[0]}: {table['architectures'].iloc[0]} held-out architectures")
    columns = [name for name in table.columns if name not in ("task", "architectures")]
    for name in columns:
        shown.add_column(name, justify="left" if name in ("grouping", "split") else "right")
    for row in table[columns].itertuples(index=False):
        shown.add_row(*(value if isinstance(value, str) else fixed(value) for value in row))
    return shown
