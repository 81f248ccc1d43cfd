"""``compare --preset rl-agents-paper``: the RL-agents paper's protocol, and its Table 1 with the published figures.

Section 5.3 and 5.4: ENAS and SPOS search with 4 seeds and train their top 3 from scratch; random search trains 3
architectures from scratch and is repeated 1000 times; Nature-CNN is trained as it is. What is returned is the best of
the three by the *true performance*, which is the *reward mean* (``return_all``) or the *total reward*
(``return_last100``): each has a choice, and a row of Table 1, of its own. Figure 4 and Tables 6 to 9 go by reward mean.
That a reward mean is over all games so far is how the authors' code has it; the caption of Table 1 says that each score
is the mean of the last 100 episodes, and section 5.1 does not tell the two scores apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_rl._utils import cli, files
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.load import load
from nasbench_rl.benchmark.method import method_names
from nasbench_rl.compare import unfinished
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.pool import is_incomplete, run_all
from nasbench_rl.errors import NasbenchError, TableError
from nasbench_rl.leaderboard import plots
from nasbench_rl.papers.rl_agents import page, proxy_figures
from nasbench_rl.papers.rl_agents.page import Found
from nasbench_rl.papers.rl_agents.protocol import (
    METRICS,
    NATURE,
    ONE_SHOT,
    PUBLISHED_ROWS,
    RANDOM_REPEATS,
    SEARCH_SEEDS,
    TOP_K,
)
from nasbench_rl.spaces import NATURE_CNN
from nasbench_rl.tables.parquet import write_frame
from nasbench_rl.tables.published import published
from nasbench_rl.task import GameTask


def searches_for(task: str, methods: Sequence[str], tables: str | None) -> list[Search]:
    """Give ENAS and SPOS a supernet of one whole training and three trainings; random search three trainings.

    An ENAS that learns nothing (``UNTRAINED``) runs too; no row of Table 1 shows it.
    """
    whole = load(task, tables=tables).task.max_fidelity
    supernets = [Search(task, m, (1 + TOP_K) * whole, tables=tables) for m in ONE_SHOT if m in methods]
    if "enas" in methods:
        supernets.append(_untrained(task, (1 + TOP_K) * whole, tables))
    return [*supernets, Search(task, "random_search", TOP_K * whole, hyperparameters={"samples": 3}, tables=tables)]


UNTRAINED = {"learning_rate": 0.0}
"""Of an ENAS whose controller stays as it was drawn: the same seeds, initial weights and supernets, and no learning."""


def run_protocol(
    tasks: Sequence[str], tables: str | None, seed: int, jobs: int, out: Path | None = None
) -> tuple[pd.DataFrame, list[NasbenchError]]:
    """Return all runs (``runs_schema.COLUMNS``) and an error for each search that failed; ``out`` as in ``run_all``."""
    methods = method_names()
    every = [search for task in tasks for search in searches_for(task, methods, tables)]
    few = [search for search in every if search.method != "random_search"]
    many = [search for search in every if search.method == "random_search"]
    frame, failures = run_all(many, seed, RANDOM_REPEATS, jobs, out)
    if few:
        try:
            more, failed = run_all(few, seed, SEARCH_SEEDS, jobs, out)
            frame, failures = pd.concat([frame, more], ignore_index=True), failures + failed
        except NasbenchError as error:
            failures.append(error)
    return frame, failures


def _untrained(task: str, budget: int, tables: str | None) -> Search:
    return Search(task, "enas", budget, hyperparameters=UNTRAINED, tables=tables)


def unmoved_finalists(runs: pd.DataFrame) -> dict[str, float]:
    """Return, by task, the share of the architectures ENAS trains that the same ENAS trains without learning.

    Args:
        runs: of ``run_protocol``; tasks where ENAS could not run are left out.
    """
    shares = {}
    for task, of_task in runs.groupby("task", sort=False):
        still = of_task[of_task["method"] == _untrained(str(task), 1, None).label]
        learned = of_task[of_task["method"] == "enas"]
        kept = [
            len(set(trained["arch"]) & set(still[still["seed"] == seed]["arch"])) / trained["arch"].nunique()
            for seed, trained in learned.groupby("seed")
            if seed in set(still["seed"])
        ]
        if kept:
            shares[str(task)] = float(np.mean(kept))
    return shares


def chosen(runs: pd.DataFrame, bench: Benchmark, metric: str) -> dict[str, list[str]]:
    """Return what each run on a task would: of those it trained wholly, the best by a metric of these trainings.

    Args:
        runs: ``runs_schema.COLUMNS``, of any tasks.
        bench: of the task.
        metric: of the validation split; the first of equal ones is taken.

    Returns:
        Per method an architecture a run, by search seed.
    """
    whole = runs[(runs["task"] == bench.task.id) & (runs["fidelity"] == bench.task.max_fidelity)]
    whole = whole.sort_values("step", kind="stable")
    found: dict[str, dict[int, dict[str, dict[int, float]]]] = {}
    for method, seed, arch, train_seed in whole[["method", "seed", "arch", "train_seed"]].itertuples(index=False):
        score = bench.query(arch, seed=train_seed, split="validation", metric=metric).score
        finalists = found.setdefault(str(method), {}).setdefault(seed, {})
        finalists.setdefault(arch, {})[train_seed] = -math.inf if math.isnan(score) else score

    def best(finalists: dict[str, dict[int, float]]) -> str:
        return max(finalists, key=lambda arch: math.fsum(finalists[arch].values()) / len(finalists[arch]))

    return {method: [best(by_seed[seed]) for seed in sorted(by_seed)] for method, by_seed in found.items()}


def table_one(runs: pd.DataFrame, tasks: Sequence[str], tables: str | None) -> pd.DataFrame:
    """Return Table 1 in long form: task, method, metric, mean, std, runs, published, published_spread.

    A row of a metric is of what each run chooses by that metric on the validation split, measured on the test split.
    ``published`` is the paper's figure for the same space and game; NaN for games and spaces that it does not have. The
    paper's own columns that no task here stands beside come last, as ``<space>/<game>`` with nothing but ``published``.
    """
    printed, rows = published(tables), []
    printed = printed[(printed["paper"] == "rl-agents") & (printed["table"] == "1")]
    theirs_alone = [name for name in printed["task"].unique() if name not in {task.split("@")[0] for task in tasks}]
    for task in [*tasks, *theirs_alone]:
        ours: dict[str, dict[str, list[str]]] = {metric: {} for metric in METRICS.values()}
        if task in tasks:
            bench = load(task, tables=tables)
            ours = {metric: chosen(runs, bench, metric) for metric in ours}
            if NATURE_CNN in bench.space:
                for by_method in ours.values():
                    by_method[NATURE] = [bench.space.parse(NATURE_CNN).name]
        for method, row_name in PUBLISHED_ROWS.items():
            for label, metric in METRICS.items():
                same = (printed["task"] == task.split("@")[0]) & (printed["row"] == row_name)
                theirs = printed[same & (printed["metric"] == label)]
                scores = [bench.query(arch, metric=metric).score for arch in ours[metric].get(method, [])]
                rows.append(
                    {
                        "task": task,
                        "method": method,
                        "metric": label,
                        "mean": float(np.mean(scores)) if scores else math.nan,
                        "std": float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan,
                        "runs": len(scores),
                        "published": float(theirs["value"].iloc[0]) if len(theirs) else math.nan,
                        "published_spread": float(theirs["spread"].iloc[0]) if len(theirs) else math.nan,
                    }  # fmt: skip
                )
    return pd.DataFrame(rows)


def found_by(runs: pd.DataFrame, bench: Benchmark) -> dict[str, Found]:
    """Return what ENAS and SPOS found on a task, as far as they ran there."""
    by_method = chosen(runs, bench, "return_all")
    found = {}
    for method in ONE_SHOT:
        if archs := by_method.get(method):
            scores = {arch: bench.query(arch, metric="return_all").score for arch in archs}
            scores = dict(sorted(scores.items(), key=lambda item: -item[1]))
            found[method] = Found(scores, {arch: archs.count(arch) for arch in scores})
    return found


def best_architectures(runs: pd.DataFrame, tasks: Sequence[str], tables: str | None) -> pd.DataFrame:
    """Return, as Tables 6 to 9, the layers of the best architecture by reward mean in the table and by each method.

    Also the one that the paper prints for the same space and game, as wide as the task's networks are.

    Columns: task, which, arch, reward_mean (test split), layer, input, output, kernel, stride. Input and output are
    channels of convolutions and features of the others.
    """
    printed, rows = published(tables), []
    printed = printed[(printed["paper"] == "rl-agents") & (printed["metric"] == "best architecture")]
    for task in tasks:
        bench = load(task, tables=tables)
        named = {"best in the table": bench.optimum(metric="return_all", partial=True).arch}
        for method, found in found_by(runs, bench).items():
            named[f"best of {sum(found.searches.values())} found by {method.upper()}"] = found.best
        for theirs in printed[printed["task"] == task.split("@")[0]].itertuples():
            named[f"the paper's (Table {theirs.table})"] = str(theirs.text)
        assert isinstance(bench.task, GameTask)
        for how, arch in named.items():
            network = bench.task.network(arch)
            convolutions = [network.stem, *network.choices]
            layers: list[tuple[Any, ...]] = [
                (f"Conv-{i}", conv.inputs, conv.outputs, conv.kernel, conv.stride)
                for i, conv in enumerate(convolutions, 1)
            ]
            if bench.task.environment.suite == "atari":  # maps of MinAtar keep their size and are not padded
                features = convolutions[-1].outputs * convolutions[-1].size_out ** 2
                layers.append(("Padding", features, network.linear_in, None, None))
            layers.append(("Linear", network.linear_in, network.linear_out, None, None))
            score = bench.query(arch, metric="return_all").score
            rows += [(task, how, arch, score, *layer) for layer in layers]
    columns = ["task", "which", "arch", "reward_mean", "layer", "input", "output", "kernel", "stride"]
    return pd.DataFrame(rows, columns=columns)


def draw_histograms(runs: pd.DataFrame, task: str, bench: Benchmark, out: Path) -> list[Path]:
    """Draw Figure 4: reward means of all architectures, with all that each method found marked, the best by a line."""
    figure = plots.histogram(
        bench.table.view("test", "return_all").mean[:, -1], {},
        f"{task}: all {len(bench.space)} architectures",
        f"reward mean (return_all, {'the one train seed' if bench.table.single_seed else 'test'})", "architectures",
    )  # fmt: skip
    axes = figure.axes[0]
    bars = axes.get_ylim()[1]
    axes.set_ylim(top=1.2 * bars)  # room for a row of marks a method
    axes.locator_params(axis="y", integer=True)
    if NATURE_CNN in bench.space:
        nature = bench.query(NATURE_CNN, metric="return_all")
        axes.axvline(
            nature.score, color=plots.REFERENCE, linestyle=":", linewidth=1.8,
            label=f"Nature-CNN ({nature.arch}): {nature.score:.3g}",
        )  # fmt: skip
    for row, (method, found) in enumerate(found_by(runs, bench).items()):
        colour, count = plots.method_style(method)["color"], sum(found.searches.values())
        axes.axvline(
            found.scores[found.best], color=colour, linewidth=2, linestyle=((0, (4, 2)), "-")[row % 2 == 0],
            label=f"{method.upper()}, best of {count} search{'es' * (count > 1)}\n"
            f"({found.best}): {found.scores[found.best]:.3g}",
        )  # fmt: skip
        height = (1.14 - 0.07 * row) * bars
        axes.plot(
            list(found.scores.values()), [height] * len(found.scores), "v", color=colour, markersize=8,
            markeredgecolor="black", linestyle="none", label=f"{method.upper()}, found by any of them",
        )  # fmt: skip
    plots.legend_beside(figure)
    return plots.save(figure, out / f"histogram.{task.replace('/', '.').replace('@', '.')}")


def run(tasks: Sequence[str], out: Path, tables: str | None, seed: int, jobs: int) -> int:
    """Run the whole preset; print its tables and write everything to ``out``."""
    if not tasks:
        raise TableError("no kernel-choice task has a complete table; train one: python -m nasbench_rl.build --help")
    files.check_writable(out)
    runs, failures = run_protocol(tasks, tables, seed, jobs, out)
    for failure in failures:
        cli.errors.print(f"error: {failure}", style="red", markup=False, highlight=False)
    benches = [load(task, tables=tables) for task in tasks]
    table, best = table_one(runs, tasks, tables), best_architectures(runs, tasks, tables)
    histograms = [path for bench in benches for path in draw_histograms(runs, bench.task.id, bench, out)]
    taus, curves = proxy_figures.write(benches, out)
    write_frame(runs, out / "runs.parquet")
    frames = {"table1.csv": table, "best_architectures.csv": best, "proxy_tau.csv": taus}
    for name, frame in frames.items():
        files.replace_file(out / name, frame.to_csv(index=False).encode())
    found = {bench.task.id: found_by(runs, bench) for bench in benches}
    shown = page.all_tables(table, best, taus)
    for one in shown:
        cli.print_table(one.title, one.header, one.rows, one.left)
    images = [path for path in (*histograms, *curves) if path.suffix == ".png"]
    report = page.page(shown, found, table, taus, unmoved_finalists(runs), benches, images, runs)
    files.replace_file(out / "report.md", report.encode())
    written = [out / name for name in ("report.md", "runs.parquet", *frames)]
    cli.say("written: " + ", ".join(map(str, [*written, *histograms, *curves])))
    cli.say(f"How to read these tables, and what they rest on: {out / 'report.md'}")
    if not is_incomplete(failures):
        unfinished.clear(out)
    return 1 if failures else 0
