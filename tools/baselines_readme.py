"""Writes the current ranking, by score and against cost, into ``baselines/README.md``.

From the leaderboard that ``make leaderboard`` keeps there:

python tools/baselines_readme.py
"""

from __future__ import annotations

import csv
import math
import re
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Fronts:
    """A task's table of hypervolumes.

    Attributes:
        columns: resource → method → hypervolume with its interval.
        guessed: method → share of its networks that were guessed and left out; empty where none are.
    """

    columns: dict[str, dict[str, str]]
    guessed: dict[str, str]

    @classmethod
    def read(cls, rows: list[str]) -> Fronts:
        """``rows``: of the Markdown table, its head first."""
        head, *body = [cells_of(row) for row in rows if not row.startswith("| ---")]
        columns = {
            name.split(",")[1].split("[")[0].strip(): {row[0]: row[at] for row in body}
            for at, name in enumerate(head)
            if name.startswith("hypervolume,")
        }
        at = head.index(LEFT_OUT) if LEFT_OUT in head else None
        return cls(columns, {row[0]: row[at] for row in body} if at is not None else {})

    def mostly_guessed(self, method: str) -> bool:
        """Whether a method's front is of too few networks to judge it."""
        return share_of(self.guessed.get(method, NONE)) > MOST

    def cell(self, method: str, resource: str) -> str:
        """The hypervolume, with the share left out; a dash where most are."""
        share = self.guessed.get(method, NONE)
        if share == NONE:
            return self.columns.get(resource, {}).get(method, NONE)
        shown = NONE if self.mostly_guessed(method) else self.columns.get(resource, {}).get(method, NONE)
        return f"{shown}, {share} {LEFT_OUT}"

    def highest(self, resource: str) -> str:
        """The best method that ran often enough for an interval, and was not guessed for the most part."""
        judged = {
            name: cell
            for name, cell in self.columns.get(resource, {}).items()
            if not math.isnan(bounds_of(cell)[0]) and not self.mostly_guessed(name)
        }
        best = max(judged, key=lambda name: float(judged[name].split()[0]), default=NONE)
        return NONE if best == NONE else f"`{best}` {judged[best]}"


def against_cost(markdown: str) -> str:
    """Hypervolume of score against the cost that a method weighs, beside random search's, a row a task and cost.

    And in a sentence where a method's interval lies wholly on one side of random search's.
    """
    section = markdown.partition("\n## Score against cost\n")[2].partition("\n## ")[0]
    found: dict[str, Fronts] = {}
    weighed: dict[str, list[str]] = {}
    for part in section.split("\n### ")[1:]:
        rows = [line for line in part.splitlines() if line.startswith("| ")]
        found[part.splitlines()[0]] = Fronts.read(rows)
        for cells in map(cells_of, rows):
            if cells[0] in WEIGHING and cells[0] not in weighed.setdefault(cells[1], []):
                weighed[cells[1]].append(cells[0])
    parts: list[str] = []
    told: list[str] = []
    for resource in sorted(weighed):
        methods = sorted(weighed[resource])
        head = ["task", f"`{RANDOM}`", *(f"`{name}`" for name in methods), "highest of all methods"]
        weigh = "weighs" if len(methods) == 1 else "weigh"
        parts += ["", f"Score against {resource}, which {' and '.join(head[2:-1])} {weigh}:", ""]
        parts += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for task, fronts in found.items():
            cells = [fronts.cell(name, resource) for name in (RANDOM, *methods)]
            parts.append(f"| `{task}` | " + " | ".join([*cells, fronts.highest(resource)]) + " |")
        for name in methods:
            told += [f"`{name}` {side} on {', '.join(tasks)}" for side, tasks in _apart(found, name, resource).items()]
    answer = "; ".join(told) if told else "of none of them on any task"
    return "\n".join(
        [
            "Interval, not corrected for the number of comparisons, wholly above or below random search's: "
            f"{answer}. Elsewhere they are not told apart from it. A dash and no word where most of the networks that "
            "a search looked at were never trained.",
            *parts,
        ]
    )


def _apart(found: dict[str, Fronts], method: str, resource: str) -> dict[str, list[str]]:
    """Tasks where a method's interval lies wholly ``"above"`` or ``"below"`` random search's."""
    apart: dict[str, list[str]] = {}
    for task, fronts in found.items():
        if fronts.mostly_guessed(method) or fronts.mostly_guessed(RANDOM):
            continue
        own, other = (bounds_of(fronts.columns.get(resource, {}).get(name, "")) for name in (method, RANDOM))
        if own[0] > other[1] or own[1] < other[0]:
            apart.setdefault("above" if own[0] > other[1] else "below", []).append(f"`{task}`")
    return apart


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
