"""The page's words on surrogates: how well they guess networks that they were not fitted on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nasbench_rl import store
from nasbench_rl.build.surrogate_quality import NEIGHBOURS, ONE_SIGMA, TWO_SIGMA
from nasbench_rl.findings.answers import Answers
from nasbench_rl.leaderboard.columns import show
from nasbench_rl.surrogate_info import SurrogateInfo
from nasbench_rl.task import ImageTask, get_task

TITLE = "How good are the surrogates' guesses?"
COUNTS, SPLIT = "layers", "test"
"""The grouping and the split that the first sentence is about."""
SCORES = {"r2": "R²", "tau": "τ", "sparse_tau": "sparse τ"}
PUBLISHED = {"r2": 0.89, "sparse_tau": 0.82}
"""What NAS-Bench-301 reports."""
SHALLOW, DEEP = 3, 7
"""Layers."""
SPREADS = (("one spread", ONE_SIGMA), ("two", TWO_SIGMA))
HEAVY = 0.92
"""A share of errors within two spreads below this is said to be too small."""
RANDOM = "random"
HELD_OUT = {
    COUNTS: "networks of the same layers",
    "prefix": "networks of the same first two layers",
    RANDOM: "single networks at random",
}


def surrogates_section(found: Answers) -> list[str]:
    """Quality on held-out networks, task by task; nothing where no surrogate is stored."""
    measured = [info for info in found.surrogates if _rows(info)]
    unmeasured = [f"`{info.task}`" for info in found.surrogates if not _rows(info)]
    lines = [f"## {TITLE}", ""] if found.surrogates else []
    if measured:
        head = ["task", "trained networks", "held out together", *SCORES.values()]
        head += [f"within {name} ({expected:.2f} expected)" for name, expected in SPREADS]
        head += [f"{name}, ceiling" for name in SCORES.values()]
        lines += [f"**{_answer(measured)}**", "", _how(), "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(_cells(info, row)) + " |" for info in measured for row in _rows(info)]
        lines.append("")
        cautions = _cautions(found, measured)
        lines += ["What to be careful about:", "", *(f"- {text}" for text in cautions), ""] if cautions else []
    if unmeasured:
        lines += [f"The surrogates of {', '.join(unmeasured)} were stored without a measurement of their quality.", ""]
    return lines


def _rows(info: SurrogateInfo) -> list[Mapping[str, Any]]:
    return [row for row in info.quality if row.get("split") == SPLIT]


def _number(row: Mapping[str, Any], column: str) -> float:
    """NaN where it was not measured: JSON has null for it."""
    value = row.get(column)
    return math.nan if value is None else float(value)


def _answer(measured: list[SurrogateInfo]) -> str:
    of_task = {info.task: row for info in measured for row in _rows(info) if row.get("grouping") == COUNTS}
    reached = []
    for column, name in SCORES.items():
        values = [value for row in of_task.values() if not math.isnan(value := _number(row, column))]
        if values:
            spans = show(min(values)) if len(values) == 1 else f"{show(min(values))} to {show(max(values))}"
            reached.append(f"{name} {spans}")
    if not reached:
        return f"No answer yet: no surrogate was measured with {HELD_OUT[COUNTS]} held out together."
    tasks = f"over {len(of_task)} tasks" if len(of_task) > 1 else f"on `{next(iter(of_task))}`"
    return f"With {HELD_OUT[COUNTS]} held out together, guesses of a whole training's test accuracy reach " + (
        f"{', '.join(reached)}, {tasks}."
    )


def _below(measured: list[SurrogateInfo]) -> list[str]:
    """Tasks whose guesses stay below NAS-Bench-301's though noise would allow more, held out in groups."""
    said = []
    for grouping, held_out in HELD_OUT.items():
        for column, least in PUBLISHED.items() if grouping != RANDOM else ():
            tasks = [
                f"`{info.task}` ({show(_number(row, column))}, ceiling {show(_number(row, f'{column}_ceiling'))})"
                for info in measured
                for row in _rows(info)
                if row.get("grouping") == grouping and _number(row, column) < least <= _number(row, f"{column}_ceiling")
            ]
            if tasks:
                said.append(
                    f"Below NAS-Bench-301's {SCORES[column]}, though the ceiling allows it, with {held_out} held out: "
                    f"{', '.join(tasks)}."
                )
    return said


def _tails(measured: list[SurrogateInfo]) -> list[str]:
    """Tasks whose spreads are too small for the largest errors."""
    tasks = [
        f"`{info.task}` ({show(_number(row, 'within_2'))})"
        for info in measured
        for row in _rows(info)
        if row.get("grouping") == COUNTS and _number(row, "within_2") < HEAVY
    ]
    if not tasks:
        return []
    return [
        f"Errors have heavier tails than their spreads say: within two spreads, where {TWO_SIGMA:.2f} should lie, are "
        f"fewer on {', '.join(tasks)}, with {HELD_OUT[COUNTS]} held out."
    ]


def _shallow(found: Answers, measured: list[SurrogateInfo]) -> list[str]:
    """How deep the networks are on which all this was measured."""
    counts = [found.depths[info.task] for info in measured if info.task in found.depths]
    if not counts:
        return []
    total = sum(map(len, counts))
    deep, deepest = (sum(sum(depth > at for depth in one) for one in counts) for at in (SHALLOW, DEEP))
    tasks = [get_task(info.task) for info in measured]
    most = max(task.space.definition.depth for task in tasks if isinstance(task, ImageTask))
    return [
        f"{show(100 * (1 - deep / total))} % of these networks have at most {SHALLOW} layers and {deepest} of "
        f"{total:,} more than {DEEP}, while agents go to {most}: of deep networks guesses are hardly measured."
    ]


def _how() -> str:
    return (
        'Where a table has no row, `load(task, mode="surrogate")` guesses: means of LightGBM models fitted on the '
        "table, and every such answer says that it is a guess. Before a surrogate was stored it was measured by "
        "cross-validation, each network guessed by models that had seen neither it nor those held out with it; at "
        "random is shown for comparison, and may flatter, for near twins of a network were then fitted on. The guesses "
        "are compared with the measured test accuracies of whole trainings: R², Kendall's τ, and sparse τ with the "
        "guesses rounded to 0.1 % accuracy. Within one spread, and two, is the share of the measured accuracies that "
        "lie no further from the guess than once, and twice, the standard deviation that comes with it: that over the "
        "models, times a factor that the other folds gave. In a space with branches all of it is of the networks that "
        "are no chains. A ceiling is what a perfect guess would reach against trainings that noise moves. For scale, "
        "NAS-Bench-301 (Siems et al., 2020) reports R² of about 0.89 and a sparse τ of about 0.82 for its surrogate: "
        "their figures, on another space, from some 60,000 trainings."
    )


def _cells(info: SurrogateInfo, row: Mapping[str, Any]) -> list[str]:
    grouping = str(row.get("grouping"))
    columns = [*SCORES, "within_1", "within_2", *(f"{name}_ceiling" for name in SCORES)]
    values = [show(_number(row, column)) for column in columns]
    return [f"`{info.task}`", f"{info.architectures}", HELD_OUT.get(grouping, grouping), *values]


def _cautions(found: Answers, measured: list[SurrogateInfo]) -> list[str]:
    lines = [*_below(measured), *_tails(measured), *_shallow(found, measured)]
    without = [
        f"`{info.task}`"
        for info in measured
        if any(math.isnan(_number(row, f"{name}_ceiling")) for row in _rows(info) for name in SCORES)
    ]
    if without:
        lines.append(
            f"There is no ceiling for {', '.join(without)}: the noise is measured on networks that were trained with "
            f"several seeds, and when these surrogates were fitted fewer than {NEIGHBOURS} were."
        )
    tables = found.searches.tables
    older = [
        f"`{info.task}`"
        for info in measured
        if info.table_sha256[:12] != tables.get(store.table_name(get_task(info.task)))
    ]
    if older:
        lines.append(
            f"For {', '.join(older)} the table has changed since the surrogate was fitted: what it says here is of the "
            "table as it was."
        )
    return lines
