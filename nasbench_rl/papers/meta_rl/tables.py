"""What the experiments of the meta-RL paper print: tables beside the published ones, and where rewards come from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from nasbench_rl._utils import cli
from nasbench_rl._utils.text import NONE, fixed, plus_minus
from nasbench_rl.benchmark.load import load
from nasbench_rl.papers.meta_rl.trials import WINDOW
from nasbench_rl.tables.published import published

_PUBLISHED_COLUMN = {"meta_a2c": "Deep meta-RL", "dqn": "DQN"}


def print_found(facts: pd.DataFrame, episodes: pd.DataFrame, tables: str | None, title: str) -> None:
    """Print the accuracies that an agent met, means over search seeds, and how much of it was guessed."""
    rows = []
    for (task, method), of_agent in facts.groupby(["task", "method"], sort=False):
        bench = load(str(task), mode="surrogate", tables=tables)
        mine = episodes[(episodes["task"] == task) & (episodes["method"] == method)].groupby("seed")["best_reward"]
        ends = ([one.iloc[part].mean() for _, one in mine] for part in (slice(WINDOW), slice(-WINDOW, None)))
        test = pd.Series([bench.query(arch).score for arch in of_agent["best"] if arch], dtype=float)
        answered = of_agent["measured"] + of_agent["guessed"]
        rows.append(
            (task, method, *(fixed(pd.Series(end, dtype=float).mean()) for end in ends),
             fixed(of_agent["best_reward"].mean()), fixed(test.mean()),
             f"{(of_agent['best_source'] == 'surrogate').sum()} of {len(of_agent)}", f"{answered.mean():,.0f}",
             f"{of_agent['guessed'].sum() / max(1, answered.sum()):.0%}", f"{of_agent['guessed_rewards'].mean():.0%}")
        )  # fmt: skip
    cli.print_table(
        f"{title}: best reward of the episodes, best network, where rewards come from; means over search seeds",
        ("task", "agent", f"first {WINDOW}", f"last {WINDOW}", "best", "its test", "the best guessed", "networks",
         "guessed", "rewards guessed"), rows, left=2,
    )  # fmt: skip
    total, guessed = (facts["measured"] + facts["guessed"]).sum(), facts["guessed"].sum()
    cli.say(
        f"guesses: {guessed:,} of the {total:,} accuracies asked for ({guessed / max(1, total):.1%}) come from a "
        f"surrogate, the others from a table; {facts['invalid'].sum():,} networks do not exist and score 0"
    )


def print_times(facts: pd.DataFrame, tables: str | None, stands_for: Mapping[str, str], table: str) -> None:
    """Print Tables 4, 5 and 7: running times. Ours are of the replay; the trainings it read are counted apart."""
    printed = published(tables)
    printed = printed[(printed["paper"] == "meta-rl") & (printed["table"] == table)]
    means = facts.groupby(["task", "method"], sort=False)[["wall", "steps", "measured", "cpu_hours"]].mean()
    rows = []
    for (task, method), mean in means.iterrows():
        data = stands_for[str(task)]
        rows.append((task, data, method, *_times(mean), _hours(printed, table, data, str(method))))
    # Table 7 prints one total for its two agents, the others one for each agent.
    totals = [("all", means.sum())] if table == "7" else list(means.groupby("method", sort=False).sum().iterrows())
    for agent, total in totals:
        column = _PUBLISHED_COLUMN.get(str(agent), "") if table == "4" else "Runtime"
        theirs = printed[(printed["row"] == "Total") & (printed["column"] == column)]["value"]
        rows.append(("total", "", agent, *_times(total), _first(theirs)))
    cli.print_table(
        f"Table {table}: running times, means over search seeds",
        ("task", "in place of", "agent", "replayed, s", "steps", "networks measured", "CPU hours of these trainings",
         "paper, hours on a K40m"), rows, left=3,
    )  # fmt: skip


def _times(row: pd.Series) -> tuple[str, ...]:
    return fixed(row["wall"], 1), fixed(row["steps"], 0), fixed(row["measured"], 0), fixed(row["cpu_hours"], 2)


def _first(values: pd.Series) -> str:
    return fixed(float(values.iloc[0]) if len(values) else math.nan, 0)


def _hours(printed: pd.DataFrame, table: str, data: str, method: str) -> str:
    if table == "7":
        return _first(printed[printed["row"] == method.replace("meta_a2c ", "").replace("=", " = ")]["value"])
    column = "Runtime" if table == "5" else _PUBLISHED_COLUMN.get(method, "")
    return _first(printed[(printed["row"] == data) & (printed["column"] == column)]["value"])


def print_table_six(table: pd.DataFrame, tables: str | None) -> None:
    """Print Table 6: test accuracy after the intensified training, beside the published one."""
    printed = published(tables)
    printed = printed[(printed["paper"] == "meta-rl") & (printed["table"] == "6")]
    rows = []
    for row in table.to_dict("records"):
        theirs = printed[(printed["row"] == row["stands_for"]) & (printed["column"] == row["row"])]
        params = NONE if math.isnan(row["params"]) else f"{row['params'] / 1e6:.1f} M"
        rows.append(
            (row["task"], row["row"], "" if row["network"] == row["row"] else row["network"], params, row["trainings"],
             plus_minus(row["mean"], row["two_std"], 2), row["stands_for"],
             plus_minus(theirs["value"].iloc[0], theirs["spread"].iloc[0], 2) if len(theirs) else NONE)
        )  # fmt: skip
    cli.print_table(
        "Table 6: test accuracy in % after the intensified training, mean ± 2 standard deviations",
        ("task", "network", "architecture", "params", "trainings", "here", "in place of", "published"), rows, left=3,
    )  # fmt: skip
