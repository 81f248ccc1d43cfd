"""The findings page: ``templates/findings.md.jinja`` with numbers and one small table a question."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nasbench_rl._utils.templates import render
from nasbench_rl._utils.text import NONE, estimate, percent, show
from nasbench_rl.findings import fidelity, spread
from nasbench_rl.findings.results import Results, ranked_by_chance
from nasbench_rl.leaderboard.ranking import ALL
from nasbench_rl.task import GameTask, get_task

HELD_OUT = "layers"
"""The grouping of held-out networks that the page shows: all networks of the same layers together."""
EARLY = (0.1, 0.5)
"""Shares of a training that the table of fidelities shows; the nearest fidelities are taken."""
MANY = 100
"""Repeats; no table says how many more."""


def page(results: Results, folder: str) -> str:
    """Return the page; ``folder`` of its figures and CSV files, relative to it."""
    return render(
        __package__, "findings.md.jinja", folder=folder, results=results, random_search=_random_search(results),
        fidelity=_fidelity(results.fidelity), spread=_spread(results.spread), surrogates=_surrogates(results),
        latency=_latency(results.latency),
    )  # fmt: skip


def _random_search(results: Results) -> dict[str, Any]:
    """Count by budget, over all tasks or on the only one, and a row for each task and budget."""
    rows, budgets = results.random_search, []
    table = []
    for (task, trainings), of_budget in rows.groupby(["task", "trainings"], sort=False):
        methods = {name: list(one["method"]) for name, one in of_budget.groupby("verdict", sort=False)}
        better, worse = methods.get("better", []), methods.get("worse", [])
        first = of_budget.iloc[0]
        if task == rows["task"].iloc[0]:
            tested = len(of_budget) - len(methods.get("control", []))
            budgets.append({"trainings": trainings, "better": better, "worse": worse, "tested": tested})
        table.append(
            (task, f"{trainings:g}", show(first["random_search_full_budget"]), show(first["regret_at_random"]),
             ", ".join(better) or NONE, ", ".join(worse) or NONE)
        )  # fmt: skip
    tasks = rows[rows["task"] != ALL].drop_duplicates("task")
    overall = rows[rows["task"] == ALL]
    return {
        "budgets": budgets,
        "table": table,
        "tasks": int(overall["tasks"].iloc[0]) if len(overall) else len(tasks),
        "train_seeds": dict(zip(tasks["task"], tasks["train_seeds"], strict=True)),
        "by_chance": [task for task in ranked_by_chance(results.fidelity) if task in set(tasks["task"])],
        "partial": sorted(set(rows["method"]) - set(overall["method"])) if len(overall) else [],
        "no_line": [task for task in results.fidelity["task"].unique() if task not in set(tasks["task"])],
        "approximations": rows[rows["approximation"].notna()].drop_duplicates("method"),
    }


def _fidelity(rows: pd.DataFrame) -> dict[str, Any]:
    table, starts, same = [], [], 0
    for task, of_task in rows.groupby("task", sort=False):
        short = of_task[of_task["score"] == fidelity.SHORT]
        proxies, end = of_task[of_task["score"] == fidelity.PROXY], short.iloc[-1]
        early = [short.loc[(short["share"] - share).abs().idxmin(), "tau"] for share in EARLY]
        start = short[short["holds"]]["share"].min()
        same += bool(end["same_trainings"])
        starts += [start] if short["holds"].any() else []
        proxy = estimate(*proxies.iloc[-1][["tau", "low", "high"]]) if len(proxies) else NONE
        whole = estimate(*end[["tau", "low", "high"]])
        table.append((task, *map(show, early), whole, percent(start), proxy))
    return {"table": table, "starts": sorted(starts), "same": same}


def _spread(rows: pd.DataFrame) -> dict[str, Any]:
    """Shares at the end of a training, of agents and of image classifiers."""
    last = rows[rows["score"] == spread.TRAINING].groupby("task", sort=False).tail(1)
    table, shares = [], {"agents": [], "images": []}  # type: ignore[var-annotated]
    for row in last.itertuples():
        kind = "agents" if isinstance(get_task(str(row.task)), GameTask) else "images"
        known = not pd.isna(row.share)
        shares[kind] += [row.share] if known else []
        share = f"{percent(row.share)} [{percent(row.low)}, {percent(row.high)}]" if known else NONE
        repeats = NONE if not known else f"{row.repeats:.1f}" if row.repeats < MANY else f"> {MANY}"
        table.append((row.task, row.metric, share, show(row.sd_architecture), show(row.sd_rest), repeats))
    return {"table": table, **shares, "unknown": list(last[last["share"].isna()]["task"])}


def _surrogates(results: Results) -> dict[str, Any]:
    rows = results.surrogates[results.surrogates["held_out"] == HELD_OUT]
    table = [
        (row["task"], row["networks"], *(f"{show(row[one])} ({show(row[f'{one}_ceiling'])})" for one in
         ("r2", "tau", "sparse_tau")), show(row["within_2"]))
        for row in rows.to_dict("records")
    ]  # fmt: skip
    ends = {one: (rows[one].min(), rows[one].max()) for one in ("r2", "tau", "sparse_tau", "within_2")}
    counts = {one: int(rows[one].sum()) for one in ("networks", "shallow", "deep")}
    return {"table": table, **ends, **counts, "changed": list(rows[rows["table_changed"].astype(bool)]["task"])}


def _latency(rows: pd.DataFrame) -> dict[str, Any]:
    """List the tasks, and at each batch the span of τ, and the task whose times differ least."""
    table, batches = [], []
    for batch, of_batch in rows.groupby("batch"):
        spans = {name: (of_batch[name].min(), of_batch[name].max()) for name in ("tau_flops", "tau_params")}
        batches.append({"batch": batch, **spans, "least": of_batch.loc[of_batch["time_ratio"].idxmin()]})
    for task, of_task in rows.groupby("task", sort=False):
        each = of_task.set_index("batch").reindex([one["batch"] for one in batches])
        flops = show(of_task["flops_ratio"].iloc[0])
        table.append(
            (task, *map(show, each["tau_flops"]), f"{flops} ×", *(f"{show(one)} ×" for one in each["time_ratio"]))
        )
    names = [f"batch {one['batch']}" for one in batches]
    heads = {"tau": [f"τ, {name}" for name in names], "time": [f"time, {name}" for name in names]}
    return {"table": table, "batches": batches, "heads": heads}
