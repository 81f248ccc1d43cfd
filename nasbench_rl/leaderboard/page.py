"""The leaderboard as one HTML file that needs no server and no network: styles, script and figures are in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np

from nasbench_rl._utils.text import show
from nasbench_rl._utils.typing import Bools
from nasbench_rl.errors import missing_extra
from nasbench_rl.leaderboard import plots
from nasbench_rl.leaderboard.answers import Answer, Level
from nasbench_rl.leaderboard.board import (
    FACTS,
    QUESTION,
    Leaderboard,
    fact_cells,
    footer,
    meanings,
    ranking_lines,
    sections,
)
from nasbench_rl.leaderboard.checklist import SOURCE
from nasbench_rl.leaderboard.columns import Cell, Shown
from nasbench_rl.leaderboard.figures import ON_PAGE, PageFigure, coloured_methods, front_place, page_styles
from nasbench_rl.leaderboard.pareto_page import EXPLAINED, coloured, shown_fronts
from nasbench_rl.leaderboard.ranking import ALL, Report
from nasbench_rl.leaderboard.summary import EXACT
from nasbench_rl.leaderboard.table_stats import TableFacts

TEMPLATES = "templates"
BADGES: dict[Level, str] = {
    "better": "beats random search",
    "here": "beats it on these tables",
    "none": "nothing surely beats it",
    "unknown": "no answer yet",
}


def html(board: Leaderboard, figures: Sequence[PageFigure]) -> str:
    """Render the page.

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
    report, styles = board.report, page_styles(board.report)
    look, drawn = replace(ON_PAGE, styles=styles), dict[str, list[dict[str, str]]]()
    for figure in figures:
        svg = plots.inline_svg(figure.draw(look), figure.name, f"{figure.place}: {figure.caption}")
        drawn.setdefault(figure.place, []).append({"svg": svg, "caption": figure.caption})
    return environment.get_template("leaderboard.html.jinja").render(
        question=QUESTION,
        summary=_summary(report),
        answers=[_card(answer) for answer in board.answers],
        meanings=meanings(report),
        families=[_family(board, family, drawn, styles) for family in report.families],
        ranking=ranking_lines(report.ranking),
        ranking_figures=drawn.get(ALL, []),
        facts_header=FACTS,
        facts=[_fact(fact) for fact in board.facts],
        checklist_note=SOURCE,
        checklist=board.checklist,
        footer=footer(report),
        fronts_note=EXPLAINED,
        palette=plots.PALETTE,
    )


def _summary(report: Report) -> str:
    searches = report.frame[(report.frame["task"] != ALL) & (report.frame["mode"] != "reference")]
    methods, tasks, runs = searches["method"].nunique(), len(report.tasks), int(searches["runs"].sum())
    return f"{methods} methods, {tasks} task{'s' * (tasks != 1)}, {runs:,} runs"


def _card(answer: Answer) -> dict[str, Any]:
    """Lay out an answer, with its interval as a bar between 0 and 1."""
    point, low, high = answer.seeds
    return {
        "answer": answer,
        "badge": BADGES[answer.level],
        "point": None if math.isnan(point) else f"{100 * point:.4g}",
        "thick": None if math.isnan(low) else (f"{100 * low:.4g}", f"{100 * high:.4g}"),
        "thin": None if math.isnan(answer.tables[0]) else tuple(f"{100 * bound:.4g}" for bound in answer.tables),
        "shown": show(point),
    }


def _family(
    board: Leaderboard, family: str, drawn: dict[str, list[dict[str, str]]], styles: plots.Styles
) -> dict[str, Any]:
    report, tasks = board.report, board.report.families[family]
    named, names = coloured_methods(report, family), set(report.rows(family)["method"])
    front_methods = dict.fromkeys(name for judged in tasks for name in coloured(judged.runs))
    front_styles = plots.Styles(front_methods)
    parts = [
        {
            "id": one.task, "budget": one.budget, "notes": one.notes,
            "main": _table(one.main, one.caption, styles), "details": _table(one.details, one.caption, styles),
        }
        for one in sections(report, family)
    ]  # fmt: skip
    return {
        "name": family,
        "key": [{"method": name, **styles.css(name)} for name in named],
        "others": bool(names - {*named, EXACT}),
        "overall": parts[0],
        "tasks": parts[1:],
        "figures": drawn.get(family, []),
        "fronts": [front for judged in tasks if (front := _front(board, judged.task.id, drawn, front_styles))],
        "front_key": [{"method": name, **front_styles.css(name)} for name in front_methods],
        "curves": [figure for judged in tasks for figure in drawn.get(judged.task.id, [])],
    }


def _table(table: Shown, caption: str, styles: plots.Styles) -> dict[str, Any]:
    rows = [
        {"cells": cells, "reference": reference, **styles.css(cells[0].text)}
        for cells, reference in zip(table.rows, table.references, strict=True)
    ]
    return {"caption": caption, "header": table.header, "rows": rows}


def _front(
    board: Leaderboard, task: str, drawn: dict[str, list[dict[str, str]]], styles: plots.Styles
) -> dict[str, Any]:
    """Lay out a task's table of hypervolumes with its figures; empty where no front was judged."""
    judged = board.fronts[board.fronts["task"] == task]
    if judged.empty:
        return {}
    table = _table(shown_fronts(judged), f"{task} (score against cost)", styles)
    return {"id": task, "table": table, "figures": drawn.get(front_place(task), [])}


def _fact(fact: TableFacts) -> dict[str, Any]:
    """Lay out a table's row: its cells for sorting, and its coverage as a path of unit squares."""
    keys: list[float | str] = [fact.task, float(fact.cells), fact.halves.agreement.tau, fact.cpu_hours, fact.digest]
    cells = [Cell(text, key) for text, key in zip(fact_cells(fact), keys, strict=True)]
    seeds, architectures = fact.covered.shape
    across = "".join(f"M0 {y}h{architectures}" for y in range(1, seeds))
    down = "".join(f"M{x} 0v{seeds}" for x in range(1, architectures))
    return {"cells": cells, "path": _squares(fact.covered), "lines": across + down, "width": architectures,
            "height": seeds, "seeds": ", ".join(map(str, fact.train_seeds))}  # fmt: skip


def _squares(covered: Bools) -> str:
    """Return the SVG path of the covered cells of (rows, columns), one rectangle for each stretch."""
    parts = []
    for y, row in enumerate(covered):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
        parts += [f"M{start} {y}h{end - start}v1h-{end - start}z" for start, end in edges.reshape(-1, 2)]
    return "".join(parts)
