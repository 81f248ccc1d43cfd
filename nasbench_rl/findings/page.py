"""The findings page as Markdown: the answer, the figure, the table, what to be careful about; question by question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nasbench_rl.findings import drawing
from nasbench_rl.findings.answers import Answers
from nasbench_rl.findings.fidelity import TOP
from nasbench_rl.findings.page_fidelity import fidelity_answer, fidelity_cautions, fidelity_section
from nasbench_rl.findings.page_latency import latency_section
from nasbench_rl.findings.page_random import random_answer, random_cautions, random_section
from nasbench_rl.findings.page_reasons import reasons_section
from nasbench_rl.findings.page_sources import sources_section
from nasbench_rl.findings.page_spread import spread_answer, spread_cautions, spread_section
from nasbench_rl.findings.page_surrogates import surrogates_section
from nasbench_rl.leaderboard.report import ALL
from nasbench_rl.stats import ALPHA, LEVEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "What the tables say"
QUESTIONS = (
    "Does any method beat random search at equal cost?",
    "From what fidelity on do rankings hold?",
    "How much of the spread is architecture, and how much is seed?",
)


def figures(found: Answers) -> Iterator[tuple[str, Figure]]:
    """Name and figure, in the order of the page."""
    if found.overall:
        yield figure_name("random", ALL), drawing.against_random(found.overall)
    for task, comparisons in found.against.items():
        yield figure_name("random", task), drawing.against_random(comparisons)
    for ranking in found.fidelities:
        yield figure_name("fidelity", ranking.task), drawing.rankings(ranking)
    for spread in found.spreads:
        figure = drawing.shares(spread)
        if figure is not None:
            yield figure_name("spread", spread.task), figure
    if found.latencies:
        yield figure_name("latency", ALL), drawing.latencies(found.latencies)


def figure_name(question: str, task: str) -> str:
    """Of a file, without its ending."""
    return f"{question}.{task.replace('/', '.').replace('@', '.').replace(' ', '-')}"


def headlines(found: Answers) -> list[list[str]]:
    """The three answers: each first in a sentence or two, then task by task where there are several."""
    return [[random_answer(found)], fidelity_answer(found), spread_answer(found)]


def _answered(question: str, answer: list[str]) -> list[str]:
    first, *each = answer
    return [f"## {question}", "", f"**{first}**", "", *(f"- {text}" for text in each), *([""] if each else [])]


def markdown(found: Answers, folder: str) -> str:
    """The page; ``folder`` of its figures, relative to it."""

    def image(question: str, task: str, text: str) -> str:
        return f"![{text}]({folder}/{figure_name(question, task)}.png)"

    first, second, third = headlines(found)
    parts = [f"# {TITLE}", "", *_introduction(found)]
    parts += [*_answered(QUESTIONS[0], first), _how_random(), ""]
    if found.overall:
        parts += random_section(found.overall, image("random", ALL, "all tasks"))
    for task, comparisons in found.against.items():
        parts += random_section(comparisons, image("random", task, f"Difference from random search on {task}"))
    parts += reasons_section(found)
    parts += random_cautions(found)
    parts += [*_answered(QUESTIONS[1], second), _how_fidelity(), ""]
    for ranking in found.fidelities:
        parts += fidelity_section(ranking, image("fidelity", ranking.task, f"τ over fidelity on {ranking.task}"))
    parts += fidelity_cautions(found)
    parts += _answered(QUESTIONS[2], third)
    for spread in found.spreads:
        drawn = image("spread", spread.task, f"Share of architecture on {spread.task}")
        parts += spread_section(spread, drawn if spread.trainings or spread.supernets else "")
    parts += spread_cautions(found)
    parts += surrogates_section(found)
    parts += latency_section(found, image("latency", ALL, "Time of a forward pass over FLOPs"))
    return "\n".join([*parts, *sources_section(found)]) + "\n"


def _introduction(found: Answers) -> list[str]:
    tasks = ", ".join(f"`{one.task}`" for one in found.facts)
    return [
        "<!-- Made by python -m nasbench_rl.findings (make findings); do not edit, make it again. -->",
        "",
        f"Three questions of the field, answered from every table that is there: {tasks}. Each number below was worked "
        "out from those tables by `make findings`, and none was typed but those cited from papers and settings of the "
        "methods; where the tables do "
        "not say, this page says so.",
        "",
    ]


def _how_random() -> str:
    return (
        "Every method may spend the same budget; the architecture that it would choose is looked up and its regret "
        "taken, the best test score in the table minus that of the choice. Random search is not run but computed: its "
        "expected regret, drawing without replacement, is exact. At equal cost means that it spends as many whole "
        "trainings as the run did, one that was begun counted whole: many methods end before their budget does. A "
        "difference below 0 is better. "
        f"Intervals are of {100 * LEVEL:g} %, a bootstrap over search seeds. The test is Student's t of the runs "
        "and one more of random search, so that a few runs that happen to agree are not taken for certain; it is "
        "two-sided, p is after Holm's "
        f"correction over the methods of a table, and below {ALPHA:g} a method is said to beat random search, or to "
        "lose to it, if most of its runs do too: the interval of the probability of improvement lies on the same side "
        "of 0.5. The probability of improvement is that of a run ending with a better architecture than random "
        "search, ties counting half; 0.5 is as good. Random search as it was run stands in the last row as a control, "
        "which should come out at 0."
    )


def _how_fidelity() -> str:
    return (
        "A cheap score ranks the architectures, and so do whole trainings by their test score; τ is Kendall's, 1 for "
        "the same ranking and 0 for an unrelated one. A low fidelity is the same training looked at earlier. A "
        "one-shot proxy is what an architecture scores with the shared weights of a supernet that was fitted so long; "
        "a whole fit costs a search as much as one whole training. The last columns ask what a search asks: which "
        f"share of the {TOP} best architectures is among the cheap ranking's own {TOP}, and what the regret of taking "
        "its first is."
    )
