"""Write the table of tasks and their coverage into docs/tables.md: ``python tools/readme_coverage.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from baselines_readme import ROOT

from nasbench_rl._utils.text import markdown_table
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.task import get_task, task_ids

BEGIN, END = "<!-- coverage: made by tools/readme_coverage.py -->", "<!-- end of coverage -->"


def coverage_table(folder: Path) -> str:
    """Return Markdown: one row for each task that has a table."""
    manifest = read_manifest(folder)
    rows = []
    for id_ in task_ids():
        task, entry = get_task(id_), manifest.get(table_io.table_name(get_task(id_)))
        if entry is None or not entry.cells:
            continue
        seeds = ", ".join(map(str, entry.train_seeds))
        length = f"{task.max_fidelity:,} {task.fidelity_unit.replace('_', ' ')}"
        cells, archs = f"{entry.cells}", f"{entry.architectures}"
        if task.exhaustive:
            whole = len(task.space) * len(entry.train_seeds)
            cells += "" if entry.cells == whole else f" of {whole}: still training"
            archs += f" of {len(task.space)}"
        rows.append((f"`{id_}`", archs, seeds, cells, length, f"`{task.metric}`"))
    return markdown_table(("task", "architectures", "train seeds", "cells", "training", "score"), rows)


def main() -> int:
    """Replace what stands between the marks."""
    readme = ROOT / "docs" / "tables.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{coverage_table(ROOT / 'tables')}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
