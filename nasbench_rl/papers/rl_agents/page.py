"""The page of the RL-agents paper: Table 1, the best architectures and τ of proxies in ``templates``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from nasbench_rl._utils.provenance import code_version, machine
from nasbench_rl._utils.templates import render
from nasbench_rl._utils.text import NONE, fixed, plus_minus
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.leaderboard.stats.proxy_correlation import PROXY, games_of, mean_proxy, mean_taus
from nasbench_rl.leaderboard.stats.rank_agreement import splits_agreement
from nasbench_rl.leaderboard.summary import table_note
from nasbench_rl.papers.rl_agents import protocol as protocol
from nasbench_rl.papers.rl_agents.protocol import METRICS, PUBLISHED_ROWS
from nasbench_rl.task import GameTask, Task

FEWEST = 3
"""Values; of fewer no interval is given: Student's t of two is wider than all that τ can be."""

WIDE = ("games a score", "reliability at 1/2, at the end", "τ at 1/4", "lowest, highest")
"""Columns of the proxies' table that the page leaves to a terminal and to proxy_tau.csv."""


@dataclass(frozen=True)
class Table:
    """A table as it is shown, on a terminal and on the page."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def select(self, wanted: Callable[[str], bool]) -> Table:
        """Return the columns whose names are wanted, so that the table fits a page."""
        at = [number for number, name in enumerate(self.header) if wanted(name)]
        rows = [[row[number] for number in at] for row in self.rows]
        return Table(self.title, [self.header[number] for number in at], rows, self.left)


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
        """Return ``k1-k5 8.29 (2 searches), k1-k1 5.3``."""
        times = {arch: f" ({count} searches)" if count > 1 else "" for arch, count in self.searches.items()}
        return ", ".join(f"{arch} {score:.3g}{times[arch]}" for arch, score in self.scores.items())


def page(
    tables: Sequence[Table], found: Mapping[str, Mapping[str, Found]], table: pd.DataFrame, taus: pd.DataFrame,
    unmoved: Mapping[str, float], benches: Sequence[Benchmark], images: Sequence[Path], runs: pd.DataFrame,
) -> str:  # fmt: skip
    """Return the page.

    Args:
        tables: of ``all_tables``.
        found: by task and method.
        table: of ``rl_agents.table_one``.
        taus: of ``proxy_quality``.
        unmoved: of ``rl_agents.unmoved_finalists``.
        benches: of the tasks.
        images: figures in the page's own folder.
        runs: ``runs_schema.COLUMNS``; the page names their tables.
    """
    first, *best, last = tables
    few = table[table["method"].isin(protocol.ONE_SHOT) & table["runs"].between(1, protocol.SEARCH_SEEDS - 1)]
    fewer = few.drop_duplicates(["task", "method"]).groupby(["task", "runs"], sort=False)["method"]
    return render(
        __package__, "report.md.jinja", protocol=protocol, here=first.select(lambda name: "published" not in name),
        published=first.select(lambda name: "here" not in name), taus=last.select(lambda name: name not in WIDE),
        best=list(zip(best, found.values(), strict=True)),
        fewer=[(task, count, [PUBLISHED_ROWS[one] for one in methods]) for (task, count), methods in fewer],
        proxy_steps=[(one.task.id, int(one.supernets().final_env_steps.mean())) for one in benches
                     if one.supernets().seeds],
        unmoved=[(one.task.id, unmoved[one.task.id] * protocol.TOP_K, controller_updates(one.task)) for one in benches
                 if one.task.id in unmoved],
        tasks=[{"id": one.task.id, "note": table_note(one), "single_seed": one.table.single_seed,
                "agreement": splits_agreement(one)} for one in benches],
        proxies=[proxy_numbers(one, taus) for one in benches if one.supernets().seeds],
        images=images, digests=runs.groupby("task", sort=False)["table"].first().to_dict(), fewest=FEWEST,
        version=code_version(), machine=machine(),
    )  # fmt: skip


def all_tables(table: pd.DataFrame, best: pd.DataFrame, taus: pd.DataFrame) -> list[Table]:
    """Return Table 1, the best architectures of each task, and the quality of the proxies.

    Args:
        table: of ``rl_agents.table_one``.
        best: of ``rl_agents.best_architectures``.
        taus: of ``proxy_quality``.
    """
    return [
        _table_one(table),
        *(_best(str(task), rows) for task, rows in best.groupby("task", sort=False)),
        _taus(taus),
    ]


def _table_one(table: pd.DataFrame) -> Table:
    """Take the paper's layout: what was found here and what was published, task by task."""
    header, columns = ["method", "score"], []
    for task, rows in table.groupby("task", sort=False):
        cells = rows.set_index(["method", "metric"])
        if "@" in str(task):
            header.append(f"{task}\nhere")
            columns.append(cells[["mean", "std"]])
        if cells["published"].notna().any():
            header.append(f"{str(task).split('@')[0]}\npublished")
            columns.append(cells[["published", "published_spread"]])
    rows = [
        (name if metric == next(iter(METRICS)) else "", metric,
         *(plus_minus(*column.loc[(method, metric)]) for column in columns))
        for method, name in PUBLISHED_ROWS.items() for metric in METRICS
    ]  # fmt: skip
    return Table("Table 1: reward mean and total reward of the architectures that each method chooses", header, rows, 2)


def _best(task: str, best: pd.DataFrame) -> Table:
    """Show a column for each architecture; in the paper each is a table of its own (6 to 9)."""
    firsts = best.drop_duplicates("which")
    header = [f"{row.which}\n{row.arch}, reward mean {row.reward_mean:.3g}" for row in firsts.itertuples()]
    rows = [(str(layer), *map(_layer, of_layer.itertuples())) for layer, of_layer in best.groupby("layer", sort=False)]
    return Table(f"Best architectures on {task} by reward mean, as Tables 6 to 9", ["layer", *header], rows, 9)


def _layer(row: Any) -> str:
    """``16 → 16, kernel 3, stride 1``."""
    text = f"{row.input} → {row.output}"
    return text if pd.isna(row.kernel) else f"{text}, kernel {row.kernel:.0f}, stride {row.stride:.0f}"


def _taus(taus: pd.DataFrame) -> Table:
    """Show Kendall's τ with the true ranking at a quarter, a half and the whole of the fidelity, mean over seeds."""
    header = ("task", "score", "seeds", "games a score", "reliability at 1/2, at the end", "τ at 1/4", "τ at 1/2",
              "τ at the end", "lowest, highest", "95 % of mean")  # fmt: skip
    shown = []
    for (task, what), rows in taus.groupby(["task", "what"], sort=False):
        mean = mean_taus(rows).to_numpy()
        end = rows[rows["fidelity"] == rows["fidelity"].max()]["tau"]
        low, high = interval(end)
        games, reliability = NONE, NONE
        if what == PROXY:
            median = rows.groupby("fidelity")["reliability"].median().to_numpy()
            games, reliability = games_of(rows), f"{fixed(median[len(median) // 2 - 1], 2)}, {fixed(median[-1], 2)}"
        shown.append(
            (str(task), str(what), str(len(end)), games, reliability,
             *(fixed(mean[len(mean) * quarter // 4 - 1], 2) for quarter in (1, 2, 4)),
             f"{end.min():.2f}, {end.max():.2f}" if len(end) > 1 else NONE,
             NONE if math.isnan(low) else f"[{low:.2f}, {high:.2f}]")
        )  # fmt: skip
    title = "How good is a cheap score? Kendall's τ with the true ranking (test, whole trainings)"
    return Table(title, header, shown, len(header))


def interval(values: pd.Series) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by Student's t, within what τ can be.

    NaN for fewer than ``FEWEST`` values, or with a NaN.
    """
    if len(values) < FEWEST or values.isna().any():
        return math.nan, math.nan
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return max(-1.0, float(low)), min(1.0, float(high))


def proxy_numbers(bench: Benchmark, taus: pd.DataFrame) -> dict[str, Any]:
    """Say whether the proxies of whole fits rank at all, and how well whole trainings of other seeds do."""
    rows = taus[(taus["task"] == bench.task.id) & (taus["what"] == PROXY)]
    end = rows[rows["fidelity"] == rows["fidelity"].max()]["tau"]
    low, high = interval(end)
    return {
        "task": bench.task.id, "supernets": len(end), "mean": end.mean(), "known": not math.isnan(low), "low": low,
        "high": high, "together": mean_proxy(bench) if len(end) > 1 else None, "fidelities": rows["fidelity"].nunique(),
        "flat": rows[rows["tau"].isna()].groupby("seed").size().to_dict(), "agreement": splits_agreement(bench),
    }  # fmt: skip


def controller_updates(task: Task) -> int:
    """Count the updates of tabular ENAS's controller: children that end before the first proxy do not count."""
    assert isinstance(task, GameTask)
    steps = task.recipe.num_envs * task.recipe.rollout
    unheard = (math.ceil(task.fidelities[0] / steps) - 1) // protocol.CHILD_UPDATES
    return (task.recipe.updates // protocol.CHILD_UPDATES - unheard) // protocol.CHILDREN
