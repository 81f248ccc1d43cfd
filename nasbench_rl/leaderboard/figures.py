"""The figures of a leaderboard: drawn once for the page, where its colour key names the lines, and once for paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench_rl._utils.typing import Floats
from nasbench_rl.leaderboard import plots
from nasbench_rl.leaderboard.evaluated_task import JudgedTask, counted_tasks
from nasbench_rl.leaderboard.pareto import declared, objectives
from nasbench_rl.leaderboard.pareto_page import front_figure, hypervolume_figure
from nasbench_rl.leaderboard.ranking import ALL, Report, is_random_search, methods_of
from nasbench_rl.leaderboard.stats.bootstrap import LEVEL, RESAMPLES, percentile_interval, resampling_rng
from nasbench_rl.leaderboard.stats.random_search import FEWEST_TRAIN_SEEDS, drawn_shares
from nasbench_rl.leaderboard.summary import exact_random_search
from nasbench_rl.tables.results import Resource

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURED = 5
"""Methods of a family that are drawn in colour: the best by rank, and random search. More would look alike."""
ON_PAGE = plots.Look(5.0, 3.5, legend=False)
"""Text of this size stays legible at the width of a phone; the page has its own key."""
GRID_POINTS = 101


@dataclass(frozen=True, eq=False)
class PageFigure:
    """One figure.

    Attributes:
        name: of its files, and prefix of its ids on the page.
        place: the family or task it belongs to; ``all tasks`` for all of them.
        caption: what is seen.
        draw: makes it.
    """

    name: str
    place: str
    caption: str
    draw: Callable[[plots.Look], Figure]


def page_figures(report: Report, resource: Resource = "flops") -> list[PageFigure]:
    """Return all figures of a leaderboard in the order of the page; ``resource``: the cost of those of fronts."""
    found: list[PageFigure] = []
    for family, tasks in report.families.items():
        found += [*_improvement(report, family), *_profiles(report, family, tasks)]
        found += _of_tasks(report, family, resource)
    return [*found, *_ranks(report)]


def task_figures(report: Report, resource: Resource = "flops") -> list[PageFigure]:
    """Return the figures of each task only: regret over budget, and of its fronts."""
    return [figure for family in report.families for figure in _of_tasks(report, family, resource)]


def _of_tasks(report: Report, family: str, resource: Resource) -> list[PageFigure]:
    tasks = report.families[family]
    found = [_regret(judged, coloured_methods(report, family)) for judged in tasks]
    return found + [figure for judged in tasks for figure in _fronts(judged, resource)]


def page_styles(report: Report) -> plots.Styles:
    """Hand out styles by rank, so that the methods drawn in colour differ as far as possible; random search first."""
    coloured = [name for family in report.families for name in coloured_methods(report, family)]
    searches = report.frame[report.frame["mode"] != "reference"]["method"]
    return plots.Styles([*filter(is_random_search, coloured), *coloured, *searches])


def save_figures(report: Report, figures: Sequence[PageFigure], folder: Path) -> None:
    """Write every figure as PNG and SVG."""
    look = plots.Look(styles=page_styles(report))
    for figure in figures:
        plots.save(figure.draw(look), folder / figure.name)


def coloured_methods(report: Report, family: str) -> list[str]:
    """List the methods drawn in colour in a family's figures, by rank."""
    rows = report.rows(family)
    names = [str(name) for name in rows[rows["mode"] != "reference"]["method"]]
    return [*names[:COLOURED], *(name for name in names[COLOURED:] if is_random_search(name))]


def _improvement(report: Report, family: str) -> list[PageFigure]:
    rows = report.rows(family)
    rows = rows[rows["improvement"].notna()]
    if rows.empty:
        return []
    methods = {
        str(row["method"]): (
            (row["improvement"], row["improvement_low"], row["improvement_high"]),
            (row["improvement"], row["improvement_table_low"], row["improvement_table_high"]),
        )
        for _, row in rows.iterrows()
    }
    count = len(methods_of(report.families[family]))
    caption = (
        "Probability that a run ends with a better architecture than random search with the same budget. Intervals of "
        f"{100 * LEVEL:g} %, corrected for {count} methods. Thick: over search seeds, given these tables. Thin: "
        f"over train seeds too, where every task has {FEWEST_TRAIN_SEEDS} of the test split."
    )

    draw = partial(plots.improvement_over_random, methods=methods, title=family)
    return [PageFigure(plots.file_name("improvement", family), family, caption, draw)]


def _profiles(report: Report, family: str, tasks: Sequence[JudgedTask]) -> list[PageFigure]:
    rows, coloured = report.rows(family), coloured_methods(report, family)
    judged_rows = rows[(rows["mode"] != "reference") & rows["regret_mean"].notna()]
    of_configuration = {str(row["method"]): str(row["configuration"]) for _, row in judged_rows.iterrows()}
    counted = counted_tasks(tasks)
    regrets = {name: [judged.regrets(name) / judged.gap for judged in counted] for name in of_configuration}
    if not regrets:
        return []
    highest = max(float(np.quantile(np.concatenate(one), 0.98)) for one in regrets.values())
    thresholds = np.linspace(0, max(highest, 0.05), GRID_POINTS)
    shares = {}
    for name, one in regrets.items():
        rngs = [resampling_rng(judged.task.id, name, of_configuration[name], "profile") for judged in counted]
        shares[name] = _profile(one, thresholds, rngs if name in coloured else None)
    caption = (
        "Performance profile: how often a run ends at or below a regret, every task that counts counting the same. "
        "Higher is better; at 0 it is the share of runs that found the best architecture. Bands: 95 % over search "
        "seeds."
    )

    draw = partial(plots.profiles, shares=shares, thresholds=thresholds, title=family, highlight=coloured)
    return [PageFigure(plots.file_name("profile", family), family, caption, draw)]


def _profile(regrets: Sequence[Floats], thresholds: Floats, rngs: Sequence[np.random.Generator] | None) -> Floats:
    """Return (3, points): share, lower and upper bound; no bounds without generators or with a single run."""
    parts = [(one[:, np.newaxis] <= thresholds).mean(axis=0) for one in regrets]
    bounds = np.full((2, len(thresholds)), np.nan)
    if rngs is not None and all(len(one) > 1 for one in regrets):
        draws = [
            drawn_shares(np.ones(len(one)), len(one), rng, RESAMPLES) @ (one[:, np.newaxis] <= thresholds)
            for one, rng in zip(regrets, rngs, strict=True)
        ]
        bounds = percentile_interval(np.mean(draws, axis=0))
    return np.vstack([np.mean(parts, axis=0), bounds])


def _regret(judged: JudgedTask, coloured: Sequence[str]) -> PageFigure:
    task = judged.task
    grid = np.linspace(0, judged.budget, GRID_POINTS)
    order = [*coloured, *(name for name in judged.methods if name not in coloured)]
    rows = dict(iter(judged.runs.groupby("method", sort=False)))
    curves = {name: plots.curve_grid(rows[name], grid) for name in reversed(order) if name in rows}
    fixed = {str(row["method"]): float(row["regret_mean"]) for row in judged.references}
    lines = {name: regret for name, regret in fixed.items() if name.startswith(("Nature", "mean"))}
    exact, score = exact_random_search(judged.bench, judged.budget), judged.bench.table.view("test").column
    caption = (
        "Regret of the architecture that a search would choose, against what it has spent. Lower is better. Lines: "
        "mean over runs, from where every run has chosen one; bands: its 95 % interval over search seeds."
    )

    draw = partial(
        plots.regret_over_budget, curves=curves, grid=grid / task.max_fidelity,
        exact_random=exact if len(exact[0]) else None, references=lines, task=task.id, metric=score, highlight=coloured,
    )  # fmt: skip
    return PageFigure(plots.file_name("regret", task.id), task.id, caption, draw)


def front_place(task: str) -> str:
    """Return where the figures of a task's fronts belong."""
    return f"{task}: score against cost"


def _fronts(judged: JudgedTask, resource: Resource) -> list[PageFigure]:
    of = objectives(judged.bench, resource) if declared(judged.runs) else None
    if of is None:
        return []
    shown, whole = "Every architecture", "the true front"
    if not judged.task.exhaustive:
        shown, whole = "Every network trained", "the front of the networks trained"
    captions = (
        f"{shown} (dots), {whole} by test scores (black), what all validation scores together would choose (rings), "
        "and the best test score at a cost or below that runs offer at the end, their mean (colours).",
        "Hypervolume of the architectures that a search would choose, as a share of that of "
        f"{whole}, against what it has spent. Lines: mean over runs; bands: its 95 % interval over search seeds.",
    )
    draws = (front_figure(judged.runs, of), hypervolume_figure(judged.runs, of, GRID_POINTS))
    names = [plots.file_name(kind, resource, judged.task.id) for kind in ("front", "hypervolume")]
    return [
        PageFigure(name, front_place(judged.task.id), caption, draw)
        for name, caption, draw in zip(names, captions, draws, strict=True)
    ]


def _ranks(report: Report) -> list[PageFigure]:
    ranking = report.ranking
    if len(ranking.ranks) < 2:
        return []
    title = f"{len(ranking.ranks)} methods on {ranking.tasks} tasks"
    caption = "Average rank by mean regret over all tasks that count."

    draw = partial(plots.average_ranks, ranks=ranking.ranks, title=title)
    return [PageFigure("average-ranks", ALL, caption, draw)]
