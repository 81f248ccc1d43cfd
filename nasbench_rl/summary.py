"""What a comparison says: one row a task and method, reference rows beside them, as table, Markdown and figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console

from nasbench_rl import cli, provenance, stats
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import TableError
from nasbench_rl.improvement import random_search_choice
from nasbench_rl.loading import load
from nasbench_rl.spaces import NATURE_CNN
from nasbench_rl.stats import resampling_rng
from nasbench_rl.table import SPLITS
from nasbench_rl.task import get_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = (
    "task", "method", "mode", "runs", "budget", "regret_mean", "regret_iqm", "regret_low", "regret_high",
    "test_score", "rank", "test_low", "test_high", "spent", "approximation",
)  # fmt: skip
"""Of ``summary.csv``. ``regret_low`` and ``regret_high`` are the 95 % bootstrap interval of ``regret_iqm`` over search
seeds; ``rank`` is by ``regret_mean`` within the task; reference rows have mode ``reference`` and no rank;
``approximation`` is ``Run.approximation``."""
EXACT = "random search, exact"
GRID_POINTS = 201


def final_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """The last evaluation of every run, by search seed."""
    return runs.sort_values(["seed", "step"]).groupby(["task", "method", "seed"], sort=False).tail(1)


def summarise(runs: pd.DataFrame, tables: str | None = None) -> pd.DataFrame:
    """``COLUMNS``, one row a task and method in the order of rank, then the task's reference rows.

    Args:
        runs: rows of ``experiment.COLUMNS``.
        tables: folder of the tables that judge.
    """
    rows = []
    for task, of_task in final_rows(runs).groupby("task", sort=False):
        found = [_method_row(group, str(method)) for method, group in of_task.groupby("method", sort=False)]
        regrets = pd.Series([row["regret_mean"] for row in found])
        for row, rank in zip(found, regrets.rank(method="average"), strict=True):
            row["rank"] = rank
        rows += sorted(found, key=lambda row: (math.isnan(row["rank"]), row["rank"]))
        bench = judge_table(str(task), tables, of_task["mode"])
        if bench is not None:
            budget = int(of_task["budget"].max())
            rows += [
                {"task": task, "mode": "reference", "runs": 0, "budget": budget, **r} for r in references(bench, budget)
            ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def judge_table(task: str, tables: str | None, modes: Iterable[str] = ()) -> Benchmark | None:
    """The table whose test scores judge a task, or None where there is none (a live run of an untrained task).

    Runs of mode ``surrogate`` chose among guesses, so the surrogate stands in for what the table lacks.
    """
    try:
        return load(task, "surrogate" if "surrogate" in set(modes) else "tabular", tables)
    except TableError:
        return None


def _method_row(final: pd.DataFrame, method: str) -> dict[str, Any]:
    first = final.iloc[0]
    rng = partial(resampling_rng, first["task"], method, distinct(final["configuration"]))
    regret, score = final["regret"].to_numpy()[:, None], final["test_score"].to_numpy()[:, None]
    known = not np.isnan(regret).any()
    low = high = test_low = test_high = math.nan
    if known:
        low, high = stats.bootstrap_interval(regret, stats.interquartile_mean, rng("regret"), vectorised=True)
        test_low, test_high = stats.bootstrap_interval(score, np.mean, rng("test score"), vectorised=True)
    return {
        "task": first["task"], "method": method, "mode": first["mode"], "runs": len(final),
        "budget": int(first["budget"]), "regret_mean": float(regret.mean()),
        "regret_iqm": stats.interquartile_mean(regret), "regret_low": float(low), "regret_high": float(high),
        "test_score": float(score.mean()), "test_low": float(test_low), "test_high": float(test_high),
        "spent": float(final["spent"].mean()), "approximation": distinct(final["approximation"]),
    }  # fmt: skip


def distinct(texts: Iterable[str]) -> str:
    """Those that are not empty, each once."""
    return ", ".join(sorted({text for text in texts if text}))


def approximate_note(rows: pd.DataFrame) -> str:
    """Which methods of a table (columns ``method`` and ``approximation``) ran on an approximation, and on which."""
    known = rows[rows["approximation"].notna() & (rows["approximation"] != "")]
    named = {text: ", ".join(same["method"]) for text, same in known.groupby("approximation", sort=False)}
    return "Approximate: " + "; ".join(f"{who} ({text})" for text, who in named.items()) + "." if named else ""


def references(bench: Benchmark, budget: int) -> list[dict[str, Any]]:
    """Best and mean architecture, Nature-CNN where the space has it, and the exact expectation of random search."""
    best, scores = bench.optimum(partial=True), bench.table.view("test").mean[:, -1]
    covered = _covered(bench)
    of = f" of {covered}" if covered else ""
    named = {f"best architecture{of} ({best.arch})": best.score, f"mean architecture{of}": float(np.nanmean(scores))}
    if NATURE_CNN in bench.space and not math.isnan(nature := scores[bench.space.index(NATURE_CNN)]):
        named[f"Nature-CNN ({bench.space.parse(NATURE_CNN)})"] = nature
    _, expected = exact_random_search(bench, budget)
    if len(expected):
        named[EXACT] = best.score - expected[-1]
    return [
        {"method": name, "test_score": score, "regret_mean": best.score - score, "spent": float("nan")}
        for name, score in named.items()
    ]


def random_search_chances(bench: Benchmark, budget: int) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """(whole trainings, architectures) exact chance that random search ends with each, after each training it can pay.

    None for a table that is not complete over its space.
    """
    search, report = bench.table.view("validation"), bench.table.view("test").mean[:, -1]
    if not bench.task.exhaustive:
        return None
    count = min(budget // bench.task.max_fidelity, len(bench.space))
    values = np.where(search.used, search.values[:, :, -1], np.nan)
    if count < 1 or np.isnan(report).any() or np.isnan(values).all(axis=1).any():
        return None
    return random_search_choice(values, count)


def exact_random_search(
    bench: Benchmark, budget: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """(whole trainings, expected regret) of random search after each, up to the budget; no simulation.

    Empty for a table that is not complete over its space.
    """
    chances = random_search_chances(bench, budget)
    if chances is None:
        return np.empty(0), np.empty(0)
    report = bench.table.view("test").mean[:, -1]
    return np.arange(1.0, len(chances) + 1), report.max() - chances @ report


def curves_figure(runs: pd.DataFrame, bench: Benchmark | None) -> Figure | None:
    """Regret over budget of every method on one task; None where no table judges."""
    if bench is None:
        return None
    from nasbench_rl import plots

    budget, whole = int(runs["budget"].max()), bench.task.max_fidelity
    grid = np.linspace(0, budget, GRID_POINTS)
    curves = {str(m): plots.curve_grid(one, grid) for m, one in runs.groupby("method", sort=False)}
    named = {str(r["method"]): float(r["regret_mean"]) for r in references(bench, budget)}
    lines = {name: regret for name, regret in named.items() if name.startswith(("Nature", "mean"))}
    exact = exact_random_search(bench, budget)
    return plots.regret_over_budget(
        curves, grid / whole, exact if len(exact[0]) else None, lines, bench.task.id, bench.table.view("test").column
    )


def _cells(row: pd.Series) -> list[str]:
    def number(value: float, digits: int = 3) -> str:
        return "–" if math.isnan(value) else f"{value:.{digits}g}"

    def interval(low: float, high: float) -> str:
        return "" if math.isnan(low) else f" [{number(low)}, {number(high)}]"

    whole = get_task(row["task"]).max_fidelity
    return [
        row["method"],
        number(row["rank"]),
        number(row["regret_mean"]),
        number(row["regret_iqm"]) + interval(row["regret_low"], row["regret_high"]),
        number(row["test_score"], 4) + interval(row["test_low"], row["test_high"]),
        "–" if math.isnan(row["spent"]) else f"{row['spent'] / whole:.3g}",
        f"{row['runs']}" if row["runs"] else "–",
    ]


HEADER = ("method", "rank", "regret, mean", "regret, IQM [95 %]", "test score [95 %]", "trainings spent", "runs")


def task_note(task: str, tables: str | None = None, modes: Iterable[str] = ()) -> str:
    """``table_note`` of what judges a task's runs of these modes."""
    bench = judge_table(task, tables, modes)
    return "no table: regret is unknown" if bench is None else table_note(bench)


def table_note(bench: Benchmark) -> str:
    """What a reader has to know of a task's table: seeds, metric, and how validation and test are held apart."""
    known, table = bench.task, bench.table
    validation, test = (", ".join(map(str, bench.train_seeds(split))) for split in SPLITS)
    if known.splits.same_trainings:
        held = f"validation and test images are apart, train seeds {validation}"
        held += "; what the table lacks is guessed by a surrogate" if bench.mode == "surrogate" else ""
    elif table.single_seed:
        seeds = validation or "0"
        held = f"single train seed ({seeds}): searches see {known.metric}, reports {table.view('test').column}"
    else:
        held = f"validation train seeds {validation}; test train seeds {test}"
    covered = _covered(bench)
    covered = f"; regret is to the best of the {covered} architectures that have a test score" if covered else ""
    return f"{known.metric} at {known.max_fidelity:,} {known.fidelity_unit.replace('_', ' ')}; {held}{covered}"


def _covered(bench: Benchmark) -> str:
    """``7 of 25`` architectures with a test score; empty where all have one, or no table can hold them all."""
    known, every = bench.table.scored("test"), len(bench.table.names)
    return f"{known} of {every}" if bench.task.exhaustive and known < every else ""


def print_summary(summary: pd.DataFrame, tables: str | None, console: Console) -> None:
    """One table a task."""
    for task, rows in summary.groupby("task", sort=False):
        budget = rows["budget"].iloc[0] / get_task(str(task)).max_fidelity
        table = cli.Table(
            title=f"{task}: budget {budget:g} whole trainings", title_justify="left",
            caption="\n".join(filter(None, (task_note(str(task), tables, rows["mode"]), approximate_note(rows)))),
            caption_justify="left",
        )  # fmt: skip
        for i, name in enumerate(HEADER):
            table.add_column(name, justify="left" if i == 0 else "right")
        for _, row in rows.iterrows():
            table.add_row(*_cells(row), style="dim" if row["mode"] == "reference" else None)
        console.print(table)


def print_choices(runs: pd.DataFrame, tables: str | None, console: Console) -> None:
    """What each run chose, with its validation score, on the tasks that no table judges."""
    for task, of_task in runs.groupby("task", sort=False):
        if judge_table(str(task), tables, of_task["mode"]) is not None:
            continue
        table = cli.Table(title=f"{task}: what was chosen, by validation score", title_justify="left")
        for name in ("method", "search seed", "chosen", "validation score"):
            table.add_column(name, justify="left" if name in ("method", "chosen") else "right")
        for _, row in final_rows(of_task).sort_values(["method", "seed"]).iterrows():
            of_run = (of_task["method"] == row["method"]) & (of_task["seed"] == row["seed"])
            scores = of_task.loc[of_run & (of_task["arch"] == row["incumbent"])].sort_values("step")["score"]
            score = f"{scores.iloc[-1]:.4g}" if len(scores) else "–"
            table.add_row(row["method"], str(row["seed"]), row["incumbent"] or "–", score)
        console.print(table)


def write_markdown(summary: pd.DataFrame, runs: pd.DataFrame, tables: str | None) -> str:
    """The same tables as Markdown, with where the numbers come from."""
    parts = ["# Comparison", ""]
    for task, rows in summary.groupby("task", sort=False):
        budget = rows["budget"].iloc[0] / get_task(str(task)).max_fidelity
        parts += [
            f"## {task}",
            "",
            f"Budget: {budget:g} whole trainings. {task_note(str(task), tables, rows['mode'])}.",
            "",
        ]
        parts += ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
        parts += ["| " + " | ".join(_cells(row)) + " |" for _, row in rows.iterrows()]
        parts += ["", *filter(None, [approximate_note(rows)]), ""]
    digests = ", ".join(f"{t} {d}" for t, d in runs.groupby("task", sort=False)["table"].first().items())
    versions = ", ".join(sorted(set(runs["method_version"])))
    parts += [
        "Regret: the best test score in the table minus the test score of the chosen architecture; lower is better. "
        "Rows without a rank are references, not searches.",
        "",
        f"Tables: {digests}. Methods: {versions}. Code: {provenance.code_version()}. Machine: {provenance.machine()}.",
    ]
    return "\n".join(parts) + "\n"
