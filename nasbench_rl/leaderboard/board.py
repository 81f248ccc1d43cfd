"""Everything a leaderboard shows, and its Markdown and LaTeX: the same rows, the same digits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from nasbench_rl._utils import provenance
from nasbench_rl._utils.text import NONE, markdown_table, pvalue, show
from nasbench_rl.leaderboard.answers import Answer, answers
from nasbench_rl.leaderboard.checklist import SOURCE, Item, checklist
from nasbench_rl.leaderboard.columns import Shown, details, main_columns, shown
from nasbench_rl.leaderboard.evaluated_task import RANKS_BY_LUCK, JudgedTask, counted_tasks
from nasbench_rl.leaderboard.pareto import judge_fronts
from nasbench_rl.leaderboard.pareto_page import fronts_markdown
from nasbench_rl.leaderboard.ranking import ALL, Ranking, Report, build_report
from nasbench_rl.leaderboard.summary import Tables, approximate_note, table_note
from nasbench_rl.leaderboard.table_stats import TableFacts, agreement, facts_of

QUESTION = "Which method should I use on my space, and how sure is that?"
FACTS = ("table", "cells (architectures x train seeds)", "agreement of two halves of the train seeds, Kendall τ",
         "CPU hours", "checksum")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Everything that is written.

    Attributes:
        report: the numbers.
        answers: one for each family.
        facts: of the tables that judged.
        checklist: what Lindauer and Hutter ask for.
        fronts: rows of ``multi_objective.judge_fronts``.
    """

    report: Report
    answers: Sequence[Answer]
    facts: Sequence[TableFacts]
    checklist: Sequence[Item]
    fronts: pd.DataFrame


@dataclass(frozen=True)
class Section:
    """The rows of a family, or of one task in it, as they are shown.

    Attributes:
        family: its name.
        task: its id, or ``report.ALL``.
        budget: of a task.
        main: the table.
        details: further columns, folded away.
        notes: what a reader has to know about them.
    """

    family: str
    task: str
    budget: str
    main: Shown
    details: Shown
    notes: tuple[str, ...]

    @property
    def caption(self) -> str:
        """What the table shows."""
        return f"{self.family} (normalised regret)" if self.task == ALL else self.task


def build_board(runs: pd.DataFrame, tables: Tables) -> Leaderboard:
    """Compute everything that a leaderboard shows.

    Raises:
        TableError: no table judges any of the tasks.
    """
    report = build_report(runs, tables)
    facts = [facts_of(judged.bench) for judged in report.tasks.values()]
    return Leaderboard(report, answers(report), facts, checklist(report, runs, facts), judge_fronts(runs, tables))


def sections(report: Report, family: str) -> Iterator[Section]:
    """Yield the tables of a family: over all of its tasks, and of each."""
    members = report.families[family]
    notes = (luck_note(members), approximate_note(report.rows(family)))
    yield _section(report, family, ALL, "", notes)
    for judged in members:
        unit = judged.task.fidelity_unit.replace("_", " ")
        budget = f"Budget {judged.trainings:g} whole trainings ({judged.budget:,} {unit}). {table_note(judged.bench)}."
        yield _section(report, family, judged.task.id, budget, ())


def _section(report: Report, family: str, task: str, budget: str, notes: tuple[str, ...]) -> Section:
    rows = report.rows(family, task)
    main = shown(rows, main_columns(task))
    return Section(family, task, budget, main, details(rows, task), tuple(filter(None, notes)))


def luck_note(tasks: Sequence[JudgedTask]) -> str:
    """Say which tasks of a family do not count in its table; empty if all do."""
    counted = counted_tasks(tasks)
    left = [judged.task.id for judged in tasks if judged not in counted]
    return f"Left out here: {', '.join(left)}, {RANKS_BY_LUCK}." if left else ""


def ranking_lines(ranking: Ranking) -> list[str]:
    """Say what the ranking over all tasks rests on."""
    if len(ranking.ranks) < 2:
        return ["Ranks need two methods with a result on every task."]
    friedman = "" if math.isnan(ranking.friedman) else f" Friedman's test: p {pvalue(ranking.friedman)}."
    left = f" Left out, without a result on every task: {', '.join(ranking.left_out)}." if ranking.left_out else ""
    return [f"Average rank by mean regret; tasks: {ranking.tasks}.{friedman}{left}"]


def fact_cells(fact: TableFacts) -> list[str]:
    """Return one table's row under ``FACTS``."""
    seeds, architectures = fact.covered.shape
    cells = f"{fact.cells} of {architectures} x {seeds}"
    return [fact.task, cells, agreement(fact.halves, architectures), show(fact.cpu_hours), fact.digest]


def footer(report: Report) -> str:
    """Say where the page comes from."""
    left = f" Left out, as no table judges them: {', '.join(report.left_out)}." if report.left_out else ""
    return f"Made by python -m nasbench_rl.leaderboard, nasbench-rl {provenance.code_version()}.{left}"


def meanings(report: Report) -> dict[str, str]:
    """Return the meaning of every column shown, by title."""
    found: dict[str, str] = {}
    for family in report.families:
        for section in sections(report, family):
            found |= dict(section.main.header) | dict(section.details.header)
    return found


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def markdown(board: Leaderboard) -> str:
    """Write the page without its figures."""
    report = board.report
    parts = ["# Leaderboard", f"## {QUESTION}"]
    parts.append("\n".join(f"- **{answer.family}**: {answer.text}" for answer in board.answers))
    parts.append(_folded("What the columns mean", "\n".join(f"- {a}: {b}" for a, b in meanings(report).items())))
    for family in report.families:
        parts.append(f"## {family}")
        for one in sections(report, family):
            parts += [f"### {one.task}", *filter(None, [one.budget]), one.main.markdown]
            parts += [_folded("Details", one.details.markdown), *one.notes]
    parts += fronts_markdown(board.fronts)
    parts += ["## All tasks together", *ranking_lines(report.ranking)]
    if len(report.ranking.ranks) > 1:
        parts.append(
            markdown_table(("method", "average rank"), [(n, show(r)) for n, r in report.ranking.ranks.items()])
        )
    parts += ["## Tables", markdown_table(FACTS, map(fact_cells, board.facts))]
    parts += [
        "## Reporting checklist",
        SOURCE,
        "\n".join(f"- {one.question} **{one.answer}**: {one.evidence}" for one in board.checklist),
    ]
    parts.append(footer(report))
    return "\n\n".join(parts) + "\n"


def latex(board: Leaderboard) -> str:
    r"""Write one ``table`` for each family and task, for ``\input``; needs the package booktabs."""
    parts = [f"% {footer(board.report)}\n"]
    for family in board.report.families:
        for one in sections(board.report, family):
            caption = _escaped(" ".join([f"{family}, {one.task}.", *one.notes]))
            label = "tab:" + re.sub("[^a-z0-9]+", "-", family if one.task == ALL else one.task)
            more = one.details.frame.set_index("method").reindex(one.main.frame["method"]).reset_index(drop=True)
            frame = pd.concat([one.main.frame, more.fillna(NONE)], axis=1)
            frame.columns = pd.Index([_escaped(name) for name in frame.columns])
            parts.append(frame.map(_escaped).to_latex(index=False, escape=False, caption=caption, label=label))
    return "\n".join(parts)


_TEX = {**{mark: f"\\{mark}" for mark in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}", "–": "--", "τ": r"$\tau$", "±": r"$\pm$", "<": "$<$"}  # fmt: skip


def _escaped(text: str) -> str:
    """Escape LaTeX's special characters; pandas leaves captions as they are, and all that is not ASCII."""
    return "".join(_TEX.get(letter, letter) for letter in text)
