"""``compare --preset rl-agents-paper``: the RL-agents paper's protocol, and its Table 1 with the published figures.

Section 5.3 and 5.4: ENAS and SPOS search with 4 seeds and train their top 3 from scratch; random search trains 3
architectures from scratch and is repeated 1000 times; Nature-CNN is trained as it is. What is reported is the chosen
architecture's *reward mean* (``return_all``) and *total reward* (``return_last100``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from nasbench_rl.summary import final_rows, task_note
from nasbench_rl.task import GameTask

METRICS = {"reward mean": "return_all", "total reward": "return_last100"}
RANDOM, NATURE = "random_search:samples=3", "nature_cnn"
PUBLISHED_ROWS = {RANDOM: "Random Search", NATURE: "Nature-CNN, reproduced", "enas": "ENAS", "spos": "SPOS"}
RANDOM_REPEATS, SEARCH_SEEDS, TOP_K = 1000, 4, 3


def searches_for(task: str, methods: Sequence[str], tables: str | None) -> list[Search]:
    """ENAS and SPOS get a supernet of one whole training and three trainings; random search three trainings."""
    whole = load(task, tables=tables).task.max_fidelity
    supernets = [Search(task, m, (1 + TOP_K) * whole, tables=tables) for m in ("enas", "spos") if m in methods]
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


def table_one(runs: pd.DataFrame, tasks: Sequence[str], tables: str | None) -> pd.DataFrame:
    """Long form of Table 1: task, method, metric, mean, std, runs, published, published_spread.

    ``published`` is the paper's figure for the same space and game; NaN for games and spaces that it does not have. The
    paper's own columns that no task here stands beside come last, as ``<space>/<game>`` with nothing but ``published``.
    """
    printed, rows = published(tables), []
    printed = printed[(printed["paper"] == "rl-agents") & (printed["table"] == "1")]
    final = final_rows(runs)
    theirs_alone = [name for name in printed["task"].unique() if name not in {task.split("@")[0] for task in tasks}]
    for task in [*tasks, *theirs_alone]:
        chosen: dict[str, list[str]] = {}
        if task in tasks:
            bench = load(task, tables=tables)
            chosen = {str(m): g["incumbent"].tolist() for m, g in final[final["task"] == task].groupby("method")}
            if NATURE_CNN in bench.space:
                chosen[NATURE] = [bench.space.parse(NATURE_CNN).name]
        for method, row_name in PUBLISHED_ROWS.items():
            for label, metric in METRICS.items():
                same = (printed["task"] == task.split("@")[0]) & (printed["row"] == row_name)
                theirs = printed[same & (printed["metric"] == label)]
                scores = [bench.query(arch, metric=metric).score for arch in chosen.get(method, [])]
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
        "Searches choose by total reward on the validation seeds; both rows show the chosen architecture on the test "
        f"split. ± is the standard deviation over {SEARCH_SEEDS} search seeds (ENAS, SPOS) or {RANDOM_REPEATS} repeats "
        "(random search, K = 3). Tabular ENAS feeds its controller from stored SPOS proxies: an approximation.",
        *(f"{task}: {task_note(task, tables)}." for task in tasks),
    ]


def best_architectures(runs: pd.DataFrame, tasks: Sequence[str], tables: str | None) -> pd.DataFrame:
    """As Tables 6 to 9: the layers of what each one-shot search chose most often, and of the table's best."""
    rows, final = [], final_rows(runs)
    for task in tasks:
        bench = load(task, tables=tables)
        found = final[(final["task"] == task) & final["method"].isin(["enas", "spos"])]
        named = {"best in the table": bench.optimum().arch}
        for method, group in found.groupby("method"):
            named[f"chosen most often by {str(method).upper()}"] = group["incumbent"].mode().iloc[0]
        for how, arch in named.items():
            assert isinstance(bench.task, GameTask)
            network = bench.task.network(arch)
            layers = [network.stem, *network.choices]
            for i, conv in enumerate(layers, 1):
                shape = {"input": conv.inputs, "output": conv.outputs, "kernel": conv.kernel, "stride": conv.stride}
                rows.append({"task": task, "which": how, "arch": arch, "layer": f"Conv-{i}", **shape})
            linear = {"input": network.linear_in, "output": network.linear_out, "kernel": None, "stride": None}
            rows.append({"task": task, "which": how, "arch": arch, "layer": "Linear", **linear})
    return pd.DataFrame(rows)


def print_best(best: pd.DataFrame) -> None:
    """A table a task, a column an architecture; in the paper each column is a table of its own (6 to 9)."""
    for task, of_task in best.groupby("task", sort=False):
        shown = RichTable(title=f"Best architectures on {task}, as Tables 6 to 9", title_justify="left")
        shown.add_column("layer")
        for which, of_arch in of_task.groupby("which", sort=False):
            shown.add_column(f"{which}\n{of_arch['arch'].iloc[0]}")
        for layer, rows in of_task.groupby("layer", sort=False):
            shown.add_row(str(layer), *(_layer(row) for _, row in rows.iterrows()))
        cli.console.print(shown)


def _layer(row: pd.Series) -> str:
    """``16 → 16, kernel 3, stride 1``."""
    text = f"{row['input']} → {row['output']}"
    return text if pd.isna(row["kernel"]) else f"{text}, kernel {row['kernel']:.0f}, stride {row['stride']:.0f}"


def draw_histograms(runs: pd.DataFrame, task: str, bench: TabularBenchmark, out: Path) -> list[Path]:
    """As Figure 4: reward means of all architectures, with those that each method found marked."""
    final = final_rows(runs)
    marks = {}
    for method in ("enas", "spos"):
        chosen = final[(final["task"] == task) & (final["method"] == method)]["incumbent"]
        if len(chosen):
            arch = chosen.mode().iloc[0]
            marks[f"{method.upper()}: {arch}"] = bench.query(arch, metric="return_all").score
    if NATURE_CNN in bench.space:
        marks["Nature-CNN"] = bench.query(NATURE_CNN, metric="return_all").score
    figure = plots.histogram(
        bench.table.view("test", "return_all").mean[:, -1], marks, f"{task}: all {len(bench.space)} architectures",
        "reward mean (return_all, test)", "architectures",
    )  # fmt: skip
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
    print_best(best)
    print_taus(taus)
    cli.console.print("written: " + ", ".join(map(str, written)), highlight=False, soft_wrap=True)
    return 1 if failures else 0
