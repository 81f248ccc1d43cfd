"""Writes the current ranking, by score and against cost, into ``baselines/README.md``.

From the leaderboard that ``make leaderboard`` keeps there:

python tools/baselines_readme.py
"""

from __future__ import annotations

import csv
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASELINES = ROOT / "baselines"
BEGIN, END = "<!-- ranking: made by tools/baselines_readme.py -->", "<!-- end of ranking -->"
COST_BEGIN, COST_END = "<!-- against cost: made by tools/baselines_readme.py -->", "<!-- end of against cost -->"
ALL_TASKS = "all tasks"
RANDOM, WEIGHING = "random_search", ("mnas", "monas", "rena")
"""The reference, and the methods whose reward weighs a cost."""
LEFT_OUT, NONE, MOST = "left out", "–", 0.5
"""A column of fronts, an empty cell, and the share of guesses above which a front is of too few networks to judge."""


def ranking(markdown: str, rows: list[dict[str, str]]) -> str:
    """The leaderboard's answers, and a table a task family: rank, chance to beat random search, regret, runs."""
    answers = [line for line in markdown.partition("\n## ")[2].splitlines() if line.startswith("- **")]
    lines = [
        "Mean regret is divided by that of a draw at random: 0 is the best architecture, 1 no better than a draw.",
        "",
    ]
    lines += [*answers[: len({row["family"] for row in rows})]]
    for family in dict.fromkeys(row["family"] for row in rows):
        lines += ["", f"**{family}**", "", "| method | rank | beats random search [95 %] | mean regret | runs |"]
        lines.append("|---|---|---|---|---|")
        own = [row for row in rows if row["family"] == family and row["task"] == ALL_TASKS]
        for row in (row for row in own if row["runs"] != "0"):
            interval = f" [{row['improvement_low']}, {row['improvement_high']}]" if row["improvement_low"] else ""
            chance = row["improvement"] + interval or "–"  # the exact line is what the others are compared with
            cells = [f"`{row['method']}`", row["rank"], chance, row["regret_mean"], row["runs"]]
            lines.append("| " + " | ".join(cell or "–" for cell in cells) + " |")
        approximate = {row["method"]: row["approximation"] for row in own if row["approximation"]}
        if approximate:
            lines += ["", "Approximate: " + "; ".join(f"`{name}` ({what})" for name, what in approximate.items()) + "."]
    return "\n".join(lines)


def against_cost(markdown: str) -> str:
    """Hypervolume of score against FLOPs: the methods that weigh a cost beside random search, a row a task.

    And in a sentence where a method's interval lies wholly on one side of random search's.
    """
    section = markdown.partition("\n## Score against cost\n")[2].partition("\n## ")[0]
    found: dict[str, dict[str, str]] = {}
    guesses: dict[str, dict[str, str]] = {}
    for part in section.split("\n### ")[1:]:
        task, rows = part.splitlines()[0], [line for line in part.splitlines() if line.startswith("| ")]
        column = next(at for at, name in enumerate(cells_of(rows[0])) if name.startswith("hypervolume, flops"))
        head = cells_of(rows[0])
        at = head.index(LEFT_OUT) if LEFT_OUT in head else None
        found[task] = {cells[0]: cells[column] for cells in map(cells_of, rows[2:])}
        guesses[task] = {cells[0]: cells[at] for cells in map(cells_of, rows[2:]) if at is not None}
    lines = ["| task | " + " | ".join(f"`{name}`" for name in (RANDOM, *WEIGHING)) + " |"]
    lines.append("|---|" + "---|" * (1 + len(WEIGHING)))
    untold: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {name: [] for name in WEIGHING}
    below: dict[str, list[str]] = {name: [] for name in WEIGHING}
    for task, values in found.items():
        shown = []
        for name in (RANDOM, *WEIGHING):
            share = guesses[task].get(name, NONE)
            shown.append(values.get(name, NONE) + f", {share} {LEFT_OUT}" * (share != NONE))
        lines.append(f"| `{task}` | " + " | ".join(shown) + " |")
        low, high = bounds_of(values.get(RANDOM, ""))
        for name in WEIGHING:
            if any(share_of(guesses[task].get(one, NONE)) > MOST for one in (RANDOM, name)):
                untold.setdefault(name, []).append(f"`{task}`")
                continue
            own_low, own_high = bounds_of(values.get(name, ""))
            if own_low > high:
                above[name].append(f"`{task}`")
            if own_high < low:
                below[name].append(f"`{task}`")
    told = [
        f"`{name}`: {'; '.join(parts)}"
        for name in WEIGHING
        if (
            parts := [
                f"{side} on {', '.join(tasks)}"
                for side, tasks in (("above", above[name]), ("below", below[name]))
                if tasks
            ]
        )
    ]
    unsaid = "; ".join(f"`{name}` on {', '.join(tasks)}" for name, tasks in untold.items())
    answer = "; ".join(told) if told else "of none of them on any task"
    return "\n".join(
        [
            "Interval, not corrected for the number of comparisons, wholly above or below random search's: "
            f"{answer}. Elsewhere they are not told apart from it."
            + " Nothing is said where most of the networks that it or random search looked at were never trained: "
            f"{unsaid}." * bool(untold),
            "",
            *lines,
        ]
    )


def share_of(cell: str) -> float:
    """Of ``68 %``; 0 where there is none."""
    number = cell.removesuffix("%").strip()
    return float(number) / 100 if number.replace(".", "").isdigit() else 0.0


def cells_of(row: str) -> list[str]:
    """Of a row of a Markdown table."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def bounds_of(cell: str) -> tuple[float, float]:
    """Of ``0.8 [0.7, 0.9]``; NaN where there are none."""
    bounds = re.search(r"\[(.*), (.*)\]", cell)
    return (float(bounds[1]), float(bounds[2])) if bounds else (math.nan, math.nan)


def replace_block(page: Path, begin: str, end: str, filled: str) -> None:
    """Replace what stands between two marks of a page."""
    before, rest = page.read_text().split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n{filled}\n{end}{after}")


def main() -> int:
    """Replace the ranking."""
    with (BASELINES / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    filled = ranking((BASELINES / "leaderboard.md").read_text(), rows)
    replace_block(BASELINES / "README.md", BEGIN, END, filled)
    costs = against_cost((BASELINES / "leaderboard.md").read_text())
    replace_block(BASELINES / "README.md", COST_BEGIN, COST_END, costs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
