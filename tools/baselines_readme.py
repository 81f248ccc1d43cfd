"""Writes the current ranking into ``baselines/README.md``, from the leaderboard that ``make leaderboard`` keeps there.

python tools/baselines_readme.py
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASELINES = ROOT / "baselines"
BEGIN, END = "<!-- ranking: made by tools/baselines_readme.py -->", "<!-- end of ranking -->"
ALL_TASKS = "all tasks"


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
            chance = f"{row['improvement']} [{row['improvement_low']}, {row['improvement_high']}]"
            chance = chance if row["improvement"] else "–"  # the exact line is what the others are compared with
            cells = [f"`{row['method']}`", row["rank"], chance, row["regret_mean"], row["runs"]]
            lines.append("| " + " | ".join(cell or "–" for cell in cells) + " |")
        approximate = {row["method"]: row["approximation"] for row in own if row["approximation"]}
        if approximate:
            lines += ["", "Approximate: " + "; ".join(f"`{name}` ({what})" for name, what in approximate.items()) + "."]
    return "\n".join(lines)


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
    return 0


if __name__ == "__main__":
    sys.exit(main())
