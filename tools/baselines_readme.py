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
    """The leaderboard's answers, and a table a task family: rank, chance to beat random search, regret."""
    answers = [line for line in markdown.partition("\n## ")[2].splitlines() if line.startswith("- **")]
    lines = [
        "Mean regret is divided by that of a draw at random: 0 is the best architecture, 1 no better than a draw.",
        "",
    ]
    lines += [*answers[: len({row["family"] for row in rows})]]
    for family in dict.fromkeys(row["family"] for row in rows):
        lines += ["", f"**{family}**", "", "| method | rank | beats random search [95 %] | mean regret |"]
        lines.append("|---|---|---|---|")
        own = [row for row in rows if row["family"] == family and row["task"] == ALL_TASKS]
        for row in (row for row in own if row["runs"] != "0"):
            chance = f"{row['improvement']} [{row['improvement_low']}, {row['improvement_high']}]"
            chance = chance if row["improvement"] else "–"  # the exact line is what the others are compared with
            lines.append(f"| `{row['method']}` | {row['rank'] or '–'} | {chance} | {row['regret_mean']} |")
    return "\n".join(lines)


def main() -> int:
    """Replace what stands between the marks."""
    with (BASELINES / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    readme = BASELINES / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    filled = ranking((BASELINES / "leaderboard.md").read_text(), rows)
    readme.write_text(f"{before}{BEGIN}\n{filled}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
