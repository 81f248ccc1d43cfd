"""A leaderboard as Markdown and LaTeX: the same rows, the same digits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nasbench_rl import provenance
from nasbench_rl.fronts.front_report import write_section
from nasbench_rl.leaderboard.checklist import Item
from nasbench_rl.leaderboard.columns import UNKNOWN, columns_of, show, table_cells
from nasbench_rl.leaderboard.facts import TableFacts
from nasbench_rl.leaderboard.judged import RANKS_BY_LUCK, JudgedTask, counted_tasks
from nasbench_rl.leaderboard.report import ALL, Ranking, Report
from nasbench_rl.leaderboard.verdict import Verdict
from nasbench_rl.stats import ALPHA
from nasbench_rl.summary import approximate_note


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Everything that is written.

    Attributes:
        report: the numbers.
        verdicts: the answers, one a family.
        facts: of every table.
        checklist: what Lindauer and Hutter ask for.
        fronts: rows of ``multi_objective.judge_fronts``.
    """

    report: Report
    verdicts: Sequence[Verdict]
    facts: Sequence[TableFacts]
    checklist: Sequence[Item]
    fronts: pd.DataFrame


def markdown(board: Leaderboard) -> str:
    """The page without its figures."""
    parts = ["# Leaderboard", "", "## Which method should I use on my space, and how sure is that?", ""]
    parts += [f"- **{verdict.family}**: {verdict.sentence}" for verdict in board.verdicts]
    parts += [
        "",
        *(f"- {column.title}: {column.meaning}" for column in columns_of(ALL, board.report.frame)[1:]),
    ]
    for family, tasks in board.report.families.items():
        parts += ["", f"## {family}"]
        for task in (ALL, *(judged.task.id for judged in tasks)):
            rows = board.report.rows(family, task)
            columns = columns_of(task, rows)
            body = [[cell.text for cell in row] for row in table_cells(rows, task)]
            parts += ["", f"### {task}", "", *_table([column.title for column in columns], body)]
            parts += ["", luck] if task == ALL and (luck := luck_note(tasks)) else []
            parts += ["", note] if (note := approximate_note(rows)) else []
    if len(board.fronts):
        parts += [write_section(board.fronts).rstrip("\n")]
    parts += ["", "## All tasks together", "", ranking_note(board.report.ranking)]
    parts += ["", "## Tables", "", *_table(FACTS, [fact_cells(fact) for fact in board.facts])]
    parts += ["", "## Reporting checklist", "", CHECKLIST, ""]
    parts += _table(("question", "answer", "evidence"), [[i.question, i.answer, i.evidence] for i in board.checklist])
    parts += ["", footer(board.report)]
    return "\n".join(parts) + "\n"


CHECKLIST = (
    "Lindauer and Hutter, Best Practices for Scientific Research on Neural Architecture Search, JMLR 21(243), 2020; "
    "questions shortened, answers from the provenance of the runs and tables."
)
FACTS = (
    "table",
    "cells (architectures x train seeds)",
    "agreement of two halves of the train seeds, Kendall τ",
    "CPU hours",
    "checksum",
)


def fact_cells(fact: TableFacts) -> list[str]:
    """One table's row."""
    seeds, architectures = fact.covered.shape
    cells = f"{fact.cells} of {architectures} x {seeds}"
    return [fact.task, cells, agreement(fact), show(fact.cpu_hours), fact.digest]


def agreement(fact: TableFacts) -> str:
    """How well two halves of a table's train seeds agree, in words."""
    tau, seeds, architectures = fact.halves
    if tau.splits == 0:
        few = {0: "no complete train seed", 1: "one train seed"}
        return f"{UNKNOWN} with {few.get(seeds, f'{architectures} architectures that have several')}"
    spread = "" if math.isnan(tau.std) else f" ± {show(tau.std)}"
    of = f" of {architectures} architectures" * (architectures < fact.covered.shape[1])
    return f"{show(tau.tau)}{spread} over {tau.splits} split{'s' * (tau.splits != 1)}{of}"


def luck_note(tasks: Sequence[JudgedTask]) -> str:
    """Which tasks of a family do not count in what is said over all of them; empty if all do."""
    counted = counted_tasks(tasks)
    return _by_luck([judged.task.id for judged in tasks if judged not in counted])


def _by_luck(tasks: Sequence[str]) -> str:
    if not tasks:
        return ""
    return f"Left out here: {', '.join(tasks)}, {RANKS_BY_LUCK}."


def ranking_note(ranking: Ranking) -> str:
    """What the tests over all tasks find, and what they could find."""
    if len(ranking.ranks) < 2:
        return "Ranks need two methods with a result on every task."
    methods = len(ranking.ranks)
    listed = ", ".join(f"{name} {show(rank)}" for name, rank in ranking.ranks.items())
    text = f"Average rank over {ranking.tasks} task{'s' * (ranking.tasks != 1)}: {listed}."
    if math.isnan(ranking.friedman):
        text += " Friedman's test needs three methods and two tasks."
    else:
        differ = "the methods differ" if ranking.friedman < ALPHA else "no difference is found"
        text += f" Friedman's test: p = {show(ranking.friedman)}, {differ}."
    if ranking.smallest >= ALPHA:
        text += (
            f" With {ranking.tasks} tasks and {methods} methods no pair can be told apart: the smallest p-value that "
            f"Wilcoxon's test with Holm's correction can give is {show(ranking.smallest)}."
        )
    elif ranking.groups:
        joined = "; ".join(" = ".join(group) for group in ranking.groups)
        text += f" Not told apart by Wilcoxon's test with Holm's correction: {joined}."
    if ranking.by_luck:
        text += f" {_by_luck(ranking.by_luck)}"
    if ranking.left_out:
        text += f" Left out, without a result on every task: {', '.join(ranking.left_out)}."
    return text


def footer(report: Report) -> str:
    """Where the page comes from."""
    left = f" Left out, as no table tells their regret: {', '.join(report.left_out)}." if report.left_out else ""
    return f"Made by python -m nasbench_rl.leaderboard, nasbench-rl {provenance.code_version()}.{left}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(header), "|" + " --- |" * len(header), *map(line, rows)]


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "…": r"\dots{}", "τ": r"$\tau$", "±": r"$\pm$",
}  # fmt: skip


def tex(text: str) -> str:
    """Text with LaTeX's own characters escaped."""
    return re.sub("|".join(map(re.escape, _TEX)), lambda found: _TEX[found.group()], text)


def latex(board: Leaderboard) -> str:
    r"""One ``table`` a family and task, for ``\input``; needs the package booktabs."""
    parts = [f"% {footer(board.report)}"]
    for family, tasks in board.report.families.items():
        for task in (ALL, *(judged.task.id for judged in tasks)):
            rows = board.report.rows(family, task)
            columns = columns_of(task, rows)
            name = family if task == ALL else task
            notes = [f"{family}, {task}.", luck_note(tasks) if task == ALL else "", approximate_note(rows)]
            parts += [
                r"\begin{table}", r"  \centering",
                rf"  \caption{{{tex(' '.join(filter(None, notes)))}}}",
                rf"  \label{{tab:{re.sub('[^a-z0-9]+', '-', name)}}}",
                rf"  \begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", r"    \toprule",
                "    " + " & ".join(tex(column.title) for column in columns) + r" \\", r"    \midrule",
            ]  # fmt: skip
            parts += ["    " + " & ".join(tex(cell.text) for cell in row) + r" \\" for row in table_cells(rows, task)]
            parts += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""]
    return "\n".join(parts)
