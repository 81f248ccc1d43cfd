"""The leaderboard as one HTML file that needs no server and no network: styles, script and figures are in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from nasbench_rl import plots
from nasbench_rl.errors import missing_extra
from nasbench_rl.fronts.front_report import EXPLAINED, FRONT_MEANINGS, coloured, shown_cells
from nasbench_rl.leaderboard.columns import Cell, columns_of, show, table_cells
from nasbench_rl.leaderboard.facts import TableFacts
from nasbench_rl.leaderboard.figures import PageFigure, coloured_methods, front_place
from nasbench_rl.leaderboard.judged import JudgedTask
from nasbench_rl.leaderboard.render import CHECKLIST, FACTS, Leaderboard, fact_cells, footer, luck_note, ranking_note
from nasbench_rl.leaderboard.report import ALL, NORMALISED, Report
from nasbench_rl.leaderboard.verdict import Verdict
from nasbench_rl.summary import EXACT, approximate_note, table_note

TEMPLATES = "templates"
ANSWERS = {
    "better": "beats random search",
    "here": "beats it on these tables",
    "none": "nothing surely beats it",
    "unknown": "no answer yet",
}


def html(board: Leaderboard, figures: Sequence[PageFigure]) -> str:
    """The page.

    Raises:
        MissingExtraError: Jinja2 or matplotlib is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise missing_extra("jinja2", "report", "writing the leaderboard's page") from error
    folder = resources.files("nasbench_rl.leaderboard") / TEMPLATES
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    report = board.report
    drawn = _drawn(figures)
    return environment.get_template("leaderboard.html.jinja").render(
        summary=_summary(report),
        verdicts=[_card(verdict) for verdict in board.verdicts],
        columns=columns_of(ALL, board.report.frame)[1:],
        families=[_family(board, family, drawn) for family in report.families],
        ranking=ranking_note(report.ranking),
        ranking_figures=drawn.get(ALL, []),
        facts_header=FACTS,
        facts=[_fact(fact) for fact in board.facts],
        checklist_note=CHECKLIST,
        checklist=board.checklist,
        footer=footer(report),
        fronts_note=EXPLAINED,
        palette=plots.PALETTE,
    )


def _drawn(figures: Sequence[PageFigure]) -> dict[str, list[dict[str, str]]]:
    """Figures as SVG elements by their place."""
    found: dict[str, list[dict[str, str]]] = {}
    for figure in figures:
        svg = plots.inline_svg(figure.draw(True), figure.name, f"{figure.place}: {figure.caption}")
        found.setdefault(figure.place, []).append({"svg": svg, "caption": figure.caption})
    return found


def _summary(report: Report) -> str:
    searches = report.frame[(report.frame["task"] != ALL) & (report.frame["mode"] != "reference")]
    methods, tasks, runs = searches["method"].nunique(), len(report.tasks), int(searches["runs"].sum())
    return f"{methods} methods, {tasks} task{'s' * (tasks != 1)}, {runs:,} runs"


def _card(verdict: Verdict) -> dict[str, Any]:
    """A verdict, with its interval as a bar between 0 and 1."""
    point, low, high = verdict.seeds
    return {
        "verdict": verdict,
        "answer": ANSWERS[verdict.level],
        "point": None if math.isnan(point) else f"{100 * point:.4g}",
        "thick": None if math.isnan(low) else (f"{100 * low:.4g}", f"{100 * high:.4g}"),
        "thin": None if math.isnan(verdict.tables[0]) else tuple(f"{100 * bound:.4g}" for bound in verdict.tables),
        "shown": show(point),
    }


def _family(board: Leaderboard, family: str, drawn: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    report = board.report
    tasks = report.families[family]
    coloured = coloured_methods(report, family)
    names = set(report.rows(family)["method"])
    return {
        "name": family,
        "key": [{"method": name, **plots.css_style(name)} for name in coloured],
        "others": bool(names - {*coloured, EXACT}),
        "table": _table(report, family, ALL),
        "figures": drawn.get(family, []),
        "fronts": [front for judged in tasks if (front := _front(board, judged.task.id, drawn))],
        "front_key": [{"method": name, **plots.css_style(name)} for name in _front_methods(tasks)],
        "curves": [figure for judged in tasks for figure in drawn.get(judged.task.id, [])],
        "tasks": [
            {
                "id": judged.task.id,
                "budget": f"{judged.trainings:g} whole trainings ({judged.budget:,} "
                f"{judged.task.fidelity_unit.replace('_', ' ')})",
                "note": table_note(judged.bench),
                "table": _table(report, family, judged.task.id),
            }
            for judged in tasks
        ],
    }


def _table(report: Report, family: str, task: str) -> dict[str, Any]:
    rows = report.rows(family, task)
    records = [
        {"cells": cells, "reference": mode == "reference", **plots.css_style(str(method))}
        for cells, mode, method in zip(table_cells(rows, task), rows["mode"], rows["method"], strict=True)
    ]
    unit = NORMALISED if task == ALL else str(rows["unit"].iloc[0])
    notes = [luck_note(report.families[family]) if task == ALL else "", approximate_note(rows)]
    caption = f"{family if task == ALL else task} ({unit} regret)"
    return {
        "caption": caption,
        "columns": columns_of(task, rows),
        "rows": records,
        "note": " ".join(note for note in notes if note),
    }


def _front(board: Leaderboard, task: str, drawn: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """A task's table of hypervolumes with its figures; empty where no front was judged."""
    judged = board.fronts[board.fronts["task"] == task]
    if judged.empty:
        return {}
    header, cells = shown_cells(judged)
    references = set(judged[judged["mode"] == "reference"]["method"])
    rows = [{"cells": row, "reference": row[0].key in references, **plots.css_style(row[0].text)} for row in cells]
    columns = [{"title": title, "meaning": FRONT_MEANINGS.get(title, EXPLAINED)} for title in header]
    table = {"caption": f"{task} (score against cost)", "columns": columns, "rows": rows, "note": ""}
    return {"id": task, "table": table, "figures": drawn.get(front_place(task), [])}


def _front_methods(tasks: Sequence[JudgedTask]) -> list[str]:
    return list(dict.fromkeys(name for judged in tasks for name in coloured(judged.runs)))


def _fact(fact: TableFacts) -> dict[str, Any]:
    """A table's row: its cells for sorting, and its coverage as a path of unit squares."""
    keys: list[float | str] = [fact.task, float(fact.cells), fact.halves.agreement.tau, fact.cpu_hours, fact.digest]
    cells = [Cell(text, key) for text, key in zip(fact_cells(fact), keys, strict=True)]
    seeds, architectures = fact.covered.shape
    across = "".join(f"M0 {y}h{architectures}" for y in range(1, seeds))
    down = "".join(f"M{x} 0v{seeds}" for x in range(1, architectures))
    return {"cells": cells, "path": _squares(fact.covered), "lines": across + down, "width": architectures,
            "height": seeds, "seeds": ", ".join(map(str, fact.train_seeds))}  # fmt: skip


def _squares(covered: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
    """SVG path of the covered cells of (rows, columns), one rectangle a stretch."""
    parts = []
    for y, row in enumerate(covered):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
        parts += [f"M{start} {y}h{end - start}v1h-{end - start}z" for start, end in edges.reshape(-1, 2)]
    return "".join(parts)
