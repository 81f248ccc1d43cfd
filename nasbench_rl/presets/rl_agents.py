"""``compare --preset rl-agents-paper``: the RL-agents paper's protocol, and its Table 1 with the published figures.

Section 5.3 and 5.4: ENAS and SPOS search with 4 seeds and train their top 3 from scratch; random search trains 3
architectures from scratch and is repeated 1000 times; Nature-CNN is trained as it is. What is returned is the best of
the three by the *true performance*, which is the *reward mean* (``return_all``) or the *total reward*
(``return_last100``): each has a choice, and a row of Table 1, of its own. Figure 4 and Tables 6 to 9 go by reward mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table as RichTable

from nasbench_rl import cli, files, plots, proxy_quality, store
from nasbench_rl.benchmark import TabularBenchmark, load
from nasbench_rl.errors import NasbenchError, TableError
from nasbench_rl.experiment import Search
from nasbench_rl.method import method_names
from nasbench_rl.pool import run_all
from nasbench_rl.published import published
from nasbench_rl.spaces import NATURE_CNN
from nasbench_rl.summary import task_note
from nasbench_rl.task import GameTask

METRICS = {"reward mean": "return_all", "total reward": "return_last100"}
RANDOM, NATURE = "random_search:samples=3", "nature_cnn"
PUBLISHED_ROWS = {RANDOM: "Random Search", NATURE: "Nature-CNN, reproduced", "enas": "ENAS", "spos": "SPOS"}
RANDOM_REPEATS, SEARCH_SEEDS, TOP_K = 1000, 4, 3
ONE_SHOT = ("enas", "spos")


def searches_for(task: str, methods: Sequence[str], tables: str | None) -> list[Search]:
    """ENAS and SPOS get a supernet of one whole training and three trainings; random search three trainings."""
    whole = load(task, tables=tables).task.max_fidelity
    supernets = [Search(task, m, (1 + TOP_K) * whole, tables=tables) for m in ONE_SHOT if m in methods]
    return [*supernets, Search(task, "random_search", TOP_K * whole, hyperparameters={"samples": 3}, tables=tables)]


def run_protocol(
    tasks: Sequence[str], tables: str | None, seed: int, jobs: int
) -> tuple[pd.DataFrame, list[NasbenchError]]:
    """All runs (``experiment.COLUMNS``), and one error for each search that could not be done."""
    methods = method_names()
    every = [search for task in tasks for search in searches_for(task, methods, tables)]
    few = [search for search in every if search.method != "random_search"]
    many = [search for search in every if search.method == "random_search"]
    frame, failures = run_all(many, seed, RANDOM_REPEATS, jobs)
    if few:
        try:
            more, failed = run_all(few, seed, SEARCH_SEEDS, jobs)
            frame, failures = pd.concat([frame, more], ignore_index=True), failures + failed
        except NasbenchError as error:
            failures.append(error)
    return frame, failures


def chosen(runs: pd.DataFrame, bench: TabularBenchmark, metric: str) -> dict[str, list[str]]:
    """What each run on a task would return: of those it trained wholly, the best by a metric of these very trainings.

    Args:
        runs: ``experiment.COLUMNS``, of any tasks.
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
    """Long form of Table 1: task, method, metric, mean, std, runs, published, published_spread.

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


def _pm(mean: float, spread: float) -> str:
    if math.isnan(mean):
        return "–"
    return f"{mean:.1f}" + ("" if math.isnan(spread) else f" ± {spread:.1f}")


def print_table_one(table: pd.DataFrame, tables: str | None) -> None:
    """The paper's layout: columns of what was found here and of what was published, a task after the other."""
    shown = RichTable(
        title="Table 1: reward mean and total reward of the architectures that each method chooses",
        title_justify="left",
    )
    shown.add_column("method")
    shown.add_column("score")
    tasks = list(dict.fromkeys(table["task"]))
    here = [task for task in tasks if "@" in task]
    for task in tasks:
        if task in here:
            shown.add_column(f"{task}\nhere", justify="right")
        if table[table["task"] == task]["published"].notna().any():
            shown.add_column(("" if task in here else task) + "\npublished", justify="right")
    for method, name in PUBLISHED_ROWS.items():
        for metric in METRICS:
            cells = []
            for task in tasks:
                of_task = table[table["task"] == task]
                row = of_task[(of_task["method"] == method) & (of_task["metric"] == metric)].iloc[0]
                if task in here:
                    cells.append(_pm(row["mean"], row["std"]))
                if of_task["published"].notna().any():
                    cells.append(_pm(row["published"], row["published_spread"]))
            shown.add_row(name if metric == "reward mean" else "", metric, *cells, end_section=metric == "total reward")
    cli.console.print(shown)
    for line in notes(here, tables):
        cli.console.print(line, highlight=False, soft_wrap=True)


def notes(tasks: Sequence[str], tables: str | None) -> list[str]:
    """How this differs from the paper, and what each table rests on."""
    return [
        "Recipes differ: the paper trains full-width networks for 10 M env steps (recipe 'paper', sticky actions "
        "0.25); the tables here are of recipe 'lite' (ALE: a quarter of the width, 500 k env steps, no sticky actions; "
        "MinAtar: 1 M env steps), so figures are set beside each other, not compared.",
        f"Each row has a choice of its own, as in the paper: of the {TOP_K} architectures that a run trains from "
        "scratch it takes the one with the best reward mean, or the best total reward, in the trainings of the "
        "validation seeds, and shows that score of it on the test split. ± is the standard deviation over the search "
        f"seeds ({SEARCH_SEEDS} of ENAS and SPOS) or {RANDOM_REPEATS} repeats (random search, K = {TOP_K}). Tabular "
        "ENAS feeds its controller from stored SPOS proxies: an approximation.",
        *(f"{task}: {task_note(task, tables)}{_single_seed_note(task, tables)}." for task in tasks),
    ]


def _single_seed_note(task: str, tables: str | None) -> str:
    """What the split of a task with one train seed means for the two rows; nothing elsewhere."""
    if not load(task, tables=tables).table.single_seed:
        return ""
    return (
        ". Here the total reward is that of fresh games of the final policy (return_eval), and no training is left to "
        "test a reward mean: it is that of the very trainings which the choice was made by, and so flatters the choice"
    )


@dataclass(frozen=True)
class Found:
    """What the searches of one method chose by reward mean, and what that is worth.

    Attributes:
        scores: reward mean (test split) of each architecture found, the best first.
        searches: how many searches chose it.
    """

    scores: dict[str, float]
    searches: dict[str, int]

    @property
    def best(self) -> str:
        """The architecture with the best reward mean."""
        return next(iter(self.scores))

    def __str__(self) -> str:
        """``k1-k5 8.29 (2 searches), k1-k1 5.3``."""
        times = {arch: f" ({count} searches)" if count > 1 else "" for arch, count in self.searches.items()}
        return ", ".join(f"{arch} {score:.3g}{times[arch]}" for arch, score in self.scores.items())


def found_by(runs: pd.DataFrame, bench: TabularBenchmark) -> dict[str, Found]:
    """What ENAS and SPOS found on a task, as far as they ran there."""
    by_method = chosen(runs, bench, "return_all")
    found = {}
    for method in ONE_SHOT:
        if archs := by_method.get(method):
            scores = {arch: bench.query(arch, metric="return_all").score for arch in archs}
            scores = dict(sorted(scores.items(), key=lambda item: -item[1]))
            found[method] = Found(scores, {arch: archs.count(arch) for arch in scores})
    return found


def best_architectures(runs: pd.DataFrame, tasks: Sequence[str], tables: str | None) -> pd.DataFrame:
    """As Tables 6 to 9: the layers of the best architecture by reward mean in the table and of each one-shot method.

    Columns: task, which, arch, reward_mean (test split), layer, input, output, kernel, stride.
    """
    rows = []
    for task in tasks:
        bench = load(task, tables=tables)
        named = {"best in the table": bench.optimum(metric="return_all").arch}
        for method, found in found_by(runs, bench).items():
            named[f"best of {sum(found.searches.values())} found by {method.upper()}"] = found.best
        for how, arch in named.items():
            assert isinstance(bench.task, GameTask)
            network = bench.task.network(arch)
            same = {
                "task": task, "which": how, "arch": arch, "reward_mean": bench.query(arch, metric="return_all").score
            }  # fmt: skip
            layers = [network.stem, *network.choices]
            for i, conv in enumerate(layers, 1):
                shape = {"input": conv.inputs, "output": conv.outputs, "kernel": conv.kernel, "stride": conv.stride}
                rows.append({**same, "layer": f"Conv-{i}", **shape})
            linear = {"input": network.linear_in, "output": network.linear_out, "kernel": None, "stride": None}
            rows.append({**same, "layer": "Linear", **linear})
    return pd.DataFrame(rows)


def print_best(best: pd.DataFrame, runs: pd.DataFrame, tables: str | None) -> None:
    """A table a task, a column an architecture; in the paper each column is a table of its own (6 to 9)."""
    for task, of_task in best.groupby("task", sort=False):
        shown = RichTable(title=f"Best architectures on {task} by reward mean, as Tables 6 to 9", title_justify="left")
        shown.add_column("layer")
        for which, of_arch in of_task.groupby("which", sort=False):
            arch, reward_mean = of_arch[["arch", "reward_mean"]].iloc[0]
            shown.add_column(f"{which}\n{arch}, reward mean {reward_mean:.3g}")
        for layer, rows in of_task.groupby("layer", sort=False):
            shown.add_row(str(layer), *(_layer(row) for _, row in rows.iterrows()))
        cli.console.print(shown)
        for method, found in found_by(runs, load(str(task), tables=tables)).items():
            cli.console.print(f"found by {method.upper()}, with reward mean: {found}", highlight=False, soft_wrap=True)


def _layer(row: pd.Series) -> str:
    """``16 → 16, kernel 3, stride 1``."""
    text = f"{row['input']} → {row['output']}"
    return text if pd.isna(row["kernel"]) else f"{text}, kernel {row['kernel']:.0f}, stride {row['stride']:.0f}"


def draw_histograms(runs: pd.DataFrame, task: str, bench: TabularBenchmark, out: Path) -> list[Path]:
    """As Figure 4: reward means of all architectures, with all that each method found marked, the best by a line."""
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
            label=f"{method.upper()}, best of {count} searches\n({found.best}): {found.scores[found.best]:.3g}",
        )  # fmt: skip
        height = (1.14 - 0.07 * row) * bars
        axes.plot(
            list(found.scores.values()), [height] * len(found.scores), "|", color=colour, markersize=13,
            markeredgewidth=1.6, linestyle="none", label=f"{method.upper()}, found by any of them",
        )  # fmt: skip
    plots.legend_beside(figure)
    return plots.save(figure, out / f"histogram.{task.replace('/', '.').replace('@', '.')}")


def print_taus(taus: pd.DataFrame) -> None:
    """Kendall's τ with the true ranking at a quarter, a half and the whole of the fidelity, mean over seeds."""
    shown = RichTable(
        title="How good is a cheap score? Kendall's τ with the true ranking (test, whole trainings)",
        title_justify="left",
    )
    for column in ("task", "score", "seeds", "τ at 1/4", "τ at 1/2", "τ at the end"):
        shown.add_column(column)
    for (task, what), rows in taus.groupby(["task", "what"], sort=False):
        mean = rows.groupby("fidelity")["tau"].mean().to_numpy()
        cells = [f"{mean[len(mean) * quarter // 4 - 1]:.2f}" for quarter in (1, 2, 4)]
        shown.add_row(str(task), str(what), str(rows["seed"].nunique()), *cells)
    cli.console.print(shown)


def run(tasks: Sequence[str], out: Path, tables: str | None, seed: int, jobs: int) -> int:
    """The whole preset; prints Table 1 and writes everything to ``out``."""
    if not tasks:
        raise TableError("no kernel-choice task has a complete table; train one: python -m nasbench_rl.build --help")
    runs, failures = run_protocol(tasks, tables, seed, jobs)
    for failure in failures:
        cli.errors.print(f"error: {failure}", style="red", markup=False, highlight=False)
    table, best = table_one(runs, tasks, tables), best_architectures(runs, tasks, tables)
    store.write_frame(runs, out / "runs.parquet")
    files.replace_file(out / "table1.csv", table.to_csv(index=False).encode())
    files.replace_file(out / "best_architectures.csv", best.to_csv(index=False).encode())
    written = [out / "runs.parquet", out / "table1.csv", out / "best_architectures.csv"]
    for task in tasks:
        written += draw_histograms(runs, task, load(task, tables=tables), out)
    taus, figures = proxy_quality.write([load(task, tables=tables) for task in tasks], out)
    files.replace_file(out / "proxy_tau.csv", taus.to_csv(index=False).encode())
    written += [out / "proxy_tau.csv", *figures]
    print_table_one(table, tables)
    print_best(best, runs, tables)
    print_taus(taus)
    cli.console.print("written: " + ", ".join(map(str, written)), highlight=False, soft_wrap=True)
    return 1 if failures else 0
