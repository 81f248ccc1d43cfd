"""The page's words on its sources: which tables, made by what, and the searches on them."""

from __future__ import annotations

from nasbench_rl import store
from nasbench_rl.findings.answers import Answers
from nasbench_rl.leaderboard.columns import NONE, show
from nasbench_rl.surrogate import surrogate_name
from nasbench_rl.task import get_task

UNITS = {"supernet": ("supernet", "supernets"), "darts": ("differentiable search", "differentiable searches")}


def sources_section(found: Answers) -> list[str]:
    """Every table that the page read, with its digest, and how the searches were made."""
    searches = found.searches
    lines = [
        "## Where the numbers come from",
        "",
        "| table | sha-256, first digits | holds | CPU hours | trained by | on |",
        "|---|---|---|---|---|---|",
    ]
    described = _described(found)
    for name, digest in searches.tables.items():
        lines.append("| " + " | ".join([f"`{name}`", digest, *described.get(name, [NONE] * 4)]) + " |")
    runs = sorted({one.runs for one in searches.searches})
    counted = " to ".join(str(n) for n in (runs[:1] + runs[-1:] if len(runs) > 1 else runs)) or "no"
    lines += [
        "",
        f"Searches: {counted} search seeds for each method, task and budget, on the tables above; what each of them "
        f"chose is in `searches.json` beside the figures. Made by nasbench-rl {searches.code} on {searches.machine}.",
    ]
    if searches.left_out:
        lines += ["", "Left out, for want of what they need:", "", *(f"- {text}" for text in searches.left_out)]
    return lines


def _described(found: Answers) -> dict[str, list[str]]:
    """The last four columns, by the table's name in the manifest."""
    rows = {}
    for one in found.facts:
        holds = (
            f"{one.cells} cells (train seeds {', '.join(map(str, one.train_seeds))}; complete: {one.complete_seeds})"
        )
        by, on = ", ".join(one.code_versions), "; ".join(one.machines)
        rows[store.table_name(get_task(one.task))] = [holds, show(one.cpu_hours), by, on]
    for shot in found.one_shots:
        holds = f"{shot.seeds} {UNITS[shot.family][shot.seeds != 1]}"
        rows[shot.name] = [holds, show(shot.cpu_hours), ", ".join(shot.code_versions), "; ".join(shot.machines)]
    for info in found.surrogates:
        holds = f"{len(info.models)} models fitted on {info.architectures} networks"
        rows[surrogate_name(get_task(info.task))] = [holds, NONE, info.code_version, info.machine]
    for timed in found.latencies:
        holds = f"times of {len(timed.seconds)} networks"
        rows[timed.table] = [holds, NONE, ", ".join(timed.code_versions), timed.machine]
    return rows
