"""Write what the leaderboard says, by score and against cost, into ``baselines/README.md``.

From the files that ``make leaderboard`` leaves in ``results/``:

python tools/baselines_readme.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_rl._utils.text import NONE, estimate, fixed, markdown_table, percent, pvalue, show

ROOT = Path(__file__).resolve().parents[1]
BASELINES, RESULTS = ROOT / "baselines", ROOT / "results"
BEGIN, END = "<!-- ranking: made by tools/baselines_readme.py -->", "<!-- end of ranking -->"
COST_BEGIN, COST_END = "<!-- against cost: made by tools/baselines_readme.py -->", "<!-- end of against cost -->"
RANDOM = "random_search"
MOST = 0.5
"""Share of networks left out above which a front has too few networks to be judged."""


def ranking(board: pd.DataFrame) -> str:
    """Return a table of the methods that beat random search, and of each family's best by mean regret."""
    rows = board[(board["task"] == "all tasks") & (board["mode"] != "reference")]
    best = rows.groupby("family", sort=False).head(1).index
    kept = rows[(rows["verdict"] == "better") | rows.index.isin(best) | (rows["method"] == RANDOM)]
    cells = [
        (row.family, f"`{row.method}`" + " (approximate)" * (not pd.isna(row.approximation)),
         NONE if pd.isna(row.verdict) else row.verdict, pvalue(row.p),
         estimate(row.improvement, row.improvement_low, row.improvement_high), show(row.regret_mean), f"{row.runs:.0f}")
        for row in kept.itertuples()
    ]  # fmt: skip
    header = ("tasks", "method", "verdict", "p", "beats random search [95 %]", "mean regret", "runs")
    return markdown_table(header, cells)


def against_cost(fronts: pd.DataFrame) -> str:
    """Return hypervolumes of score against each cost that a method weighs, with random search's, and who differs."""
    searches = fronts[fronts["mode"] != "reference"].assign(judged=lambda rows: ~(rows["left_out"] > MOST))
    parts: list[str] = []
    apart: list[str] = []
    for resource, weighing in searches[searches["objective"] == searches["resource"]].groupby("resource"):
        methods = sorted(set(weighing["method"]))
        rows = []
        for task, of in searches[searches["resource"] == resource].groupby("task"):
            by_method = of.set_index("method")
            rows.append([f"`{task}`", *(_cell(by_method, name) for name in (RANDOM, *methods)), _highest(of)])
            apart += [f"`{name}` {side} on `{task}`" for name in methods if (side := _side(by_method, name))]
        header = ["task", *(f"`{name}`" for name in (RANDOM, *methods)), "highest of all methods"]
        parts += [f"Score against {resource}, weighed by {', '.join(methods)}:", markdown_table(header, rows)]
    lines = "Interval (not corrected for the number of comparisons) entirely above or below random search's: "
    return "\n\n".join([lines + ("; ".join(apart) or "none") + ".", *parts])


def _cell(by_method: pd.DataFrame, name: str) -> str:
    """Show a hypervolume, with the share of networks left out; a dash where most are."""
    if name not in by_method.index:
        return NONE
    row = by_method.loc[name]
    left = "" if pd.isna(row["left_out"]) else f", {percent(row['left_out'])} left out"
    return (_estimate(row) if row["judged"] else NONE) + left


def _estimate(row: Any) -> str:
    return fixed(row["hypervolume"]) + ("" if pd.isna(row["low"]) else f" [{fixed(row['low'])}, {fixed(row['high'])}]")


def _highest(of: pd.DataFrame) -> str:
    """Show the best method that ran often enough for an interval and was not mostly left out."""
    judged = of[of["judged"] & of["low"].notna()]
    if judged.empty:
        return NONE
    best = judged.loc[judged["hypervolume"].idxmax()]
    return f"`{best['method']}` {_estimate(best)}"


def _side(by_method: pd.DataFrame, name: str) -> str:
    """Return on which side of random search's interval a method's lies, if entirely."""
    if not {name, RANDOM} <= set(by_method.index[by_method["judged"]]):
        return ""
    own, other = by_method.loc[name], by_method.loc[RANDOM]
    return "above" if own["low"] > other["high"] else "below" if own["high"] < other["low"] else ""


def replace_block(page: Path, begin: str, end: str, filled: str) -> None:
    """Replace what stands between two marks of a page."""
    before, rest = page.read_text().split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n{filled}\n{end}{after}")


def main(folder: Path = RESULTS, page: Path = BASELINES / "README.md") -> int:
    """Replace both blocks."""
    replace_block(page, BEGIN, END, ranking(pd.read_csv(folder / "leaderboard.csv")))
    replace_block(page, COST_BEGIN, COST_END, against_cost(pd.read_csv(folder / "hypervolume.csv")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
