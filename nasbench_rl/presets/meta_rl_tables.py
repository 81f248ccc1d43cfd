"""What the presets of the meta-RL paper print: tables beside the published ones, and where rewards come from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from nasbench_rl import cli
from nasbench_rl.loading import load
from nasbench_rl.presets.meta_rl_trials import WINDOW
from nasbench_rl.published import published

_PUBLISHED_COLUMN = {"meta_a2c": "Deep meta-RL", "dqn": "DQN"}


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> cli.Table:
    table = cli.Table(title=title, title_justify="left")
    for column in left:
        table.add_column(column)
    for column in right:
        table.add_column(column, justify="right")
    return table


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def print_found(facts: pd.DataFrame, episodes: pd.DataFrame, tables: str | None, title: str) -> None:
    """Accuracies that an agent met, means over search seeds, and how much of it was guessed."""
    shown = _table(
        f"{title}: best reward of the episodes, best network, where rewards come from; means over search seeds",
        ("task", "agent"),
        (f"first {WINDOW}", f"last {WINDOW}", "best", "its test", "the best guessed", "networks", "guessed",
         "rewards guessed"),
    )  # fmt: skip
    for (task, method), rows in facts.groupby(["task", "method"], sort=False):
        bench = load(str(task), mode="surrogate", tables=tables)
        mine = episodes[(episodes["task"] == task) & (episodes["method"] == method)]
        by_seed = [one["best_reward"] for _, one in mine.groupby("seed")]
        first, last = ([seed.iloc[part].mean() for seed in by_seed] for part in (slice(WINDOW), slice(-WINDOW, None)))
        test = [bench.query(arch).score for arch in rows["best"] if arch]
        answered = rows["measured"] + rows["guessed"]
        shown.add_row(
            str(task), str(method), _number(_mean(first)), _number(_mean(last)),
            _number(rows["best_reward"].mean()), _number(_mean(test)),
            f"{(rows['best_source'] == 'surrogate').sum()} of {len(rows)}", f"{answered.mean():,.0f}",
            f"{rows['guessed'].sum() / max(1, answered.sum()):.0%}", f"{rows['guessed_rewards'].mean():.0%}",
        )  # fmt: skip
    cli.console.print(shown)
    total, guessed = (facts["measured"] + facts["guessed"]).sum(), facts["guessed"].sum()
    cli.console.print(
        f"guesses: {guessed:,} of the {total:,} accuracies asked for ({guessed / max(1, total):.1%}) come from a "
        f"surrogate, the others from a table; {facts['invalid'].sum():,} networks do not exist and score 0",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def print_times(facts: pd.DataFrame, tables: str | None, stands_for: Mapping[str, str], table: str) -> None:
    """Tables 4, 5 and 7: running times. Ours are of the replay; the trainings behind it are counted apart."""
    printed = published(tables)
    printed = printed[(printed["paper"] == "meta-rl") & (printed["table"] == table)]
    shown = _table(
        f"Table {table}: running times, means over search seeds",
        ("task", "in place of", "agent"),
        ("replayed, s", "steps", "networks measured", "CPU hours of these trainings", "paper, hours on a K40m"),
    )
    for (task, method), rows in facts.groupby(["task", "method"], sort=False):
        data = stands_for[str(task)]
        shown.add_row(
            str(task), data, str(method), _number(rows["wall"].mean(), 1), f"{rows['steps'].mean():,.0f}",
            f"{rows['measured'].mean():,.0f}", _number(rows["cpu_hours"].mean(), 2),
            _number(_hours(printed, table, data, str(method)), 0),
        )  # fmt: skip
    # Table 7 prints one total for its two agents, the others one an agent.
    agents = [("all", facts)] if table == "7" else list(facts.groupby("method", sort=False))
    for agent, rows in agents:
        total = rows.groupby(["task", "method"])[["wall", "steps", "measured", "cpu_hours"]].mean().sum()
        column = _PUBLISHED_COLUMN.get(str(agent), "") if table == "4" else "Runtime"
        theirs = printed[(printed["row"] == "Total") & (printed["column"] == column)]["value"]
        shown.add_row(
            "total", "", str(agent), _number(total["wall"], 1), f"{total['steps']:,.0f}", f"{total['measured']:,.0f}",
            _number(total["cpu_hours"], 2), _number(float(theirs.iloc[0]) if len(theirs) else math.nan, 0),
        )  # fmt: skip
    cli.console.print(shown)


def _hours(printed: pd.DataFrame, table: str, data: str, method: str) -> float:
    if table == "7":
        mine = printed[printed["row"] == method.replace("meta_a2c ", "").replace("=", " = ")]
    else:
        column = "Runtime" if table == "5" else _PUBLISHED_COLUMN.get(method, "")
        mine = printed[(printed["row"] == data) & (printed["column"] == column)]
    return float(mine["value"].iloc[0]) if len(mine) else math.nan


def print_table_six(table: pd.DataFrame, tables: str | None) -> None:
    """Table 6: test accuracy after the intensified training, beside the published one."""
    printed = published(tables)
    printed = printed[(printed["paper"] == "meta-rl") & (printed["table"] == "6")]
    shown = _table(
        "Table 6: test accuracy in % after the intensified training, mean ± 2 standard deviations",
        ("task", "network", "architecture"),
        ("params", "trainings", "here", "in place of", "published"),
    )
    for row in table.to_dict("records"):
        theirs = printed[(printed["row"] == row["stands_for"]) & (printed["column"] == row["row"])]
        shown.add_row(
            row["task"], row["row"], "" if row["network"] == row["row"] else row["network"],
            "–" if math.isnan(row["params"]) else f"{row['params'] / 1e6:.1f} M", str(row["trainings"]),
            _plus_minus(row["mean"], row["two_std"]), row["stands_for"],
            _plus_minus(float(theirs["value"].iloc[0]), float(theirs["spread"].iloc[0])) if len(theirs) else "–",
        )  # fmt: skip
    cli.console.print(shown)


def _plus_minus(mean: float, spread: float) -> str:
    return _number(mean, 2) + ("" if math.isnan(spread) else f" ± {spread:.2f}")
