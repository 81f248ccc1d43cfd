"""The page's words on methods and random search."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasbench_rl.findings.against_random import Against, Comparison
from nasbench_rl.findings.answers import Answers
from nasbench_rl.improvement import FEWEST_TRAIN_SEEDS
from nasbench_rl.leaderboard.columns import show
from nasbench_rl.leaderboard.report import ALL

MULTI_OBJECTIVE = ("mnas", "monas", "rena")
CHOOSING_BY_QUARTERS = ("blockqnn", "eas")
WORDS = {"better": "**beats it**", "worse": "loses to it", "open": "not told apart",
         "mixed": "differs in the mean, not in most runs"}  # fmt: skip


def random_answer(found: Answers) -> str:
    """One sentence a budget."""
    if not found.main:
        return "No answer yet: no table is complete over its space, so the exact line of random search is not known."
    better = [one for one in found.main if one.of("better")]
    several = len(found.main) > 1
    yes = "Yes" if len(better) == len(found.main) else "At some budgets" if several and better else "No"
    where = f"over {found.main[0].tasks} tasks" if found.overall else f"on `{found.main[0].task}`"
    noise = ""
    if min(one.train_seeds for one in found.main) < FEWEST_TRAIN_SEEDS:
        tables = "these tables" if found.overall else "this table"
        noise = f" That is so on {tables}: whether it would be with agents trained from other seeds is not known yet."
    return (
        f"{yes}, {where}, beside random search that spends what each method does: "
        + "; ".join(_count(one) for one in found.main)
        + f".{noise}"
    )


def _count(one: Comparison) -> str:
    methods = [row for row in one.rows if not row.is_control]
    better, worse, mixed = one.of("better"), one.of("worse"), one.of("mixed")
    text = f"with a budget of {one.trainings:g} whole trainings {len(better)} of {len(methods)} methods beat it"
    if better:
        best = better[0]
        text += f" (the most: {best.method}, mean regret {show(best.regret)} against {_at_its_cost(best)})"
        if one.train_seeds >= FEWEST_TRAIN_SEEDS:
            text += (
                f", {sum(row.table_interval[1] < 0 for row in better)} of them counting the noise of train seeds too"
            )
    text += f", {len(worse)} lose to it"
    if worse:
        text += f" (the most: {worse[0].method}, {show(worse[0].regret)} against {_at_its_cost(worse[0])})"
    others = len(methods) - len(better) - len(worse) - len(mixed)
    differ = f", {len(mixed)} differ from it in the mean and not in most runs" if mixed else ""
    return f"{text}{differ} and {others} cannot be told apart from it"


def _at_its_cost(row: Against) -> str:
    """Random search's expected regret."""
    return show(row.regret - row.difference)


def random_section(comparisons: Sequence[Comparison], image: str) -> list[str]:
    """Figure and tables of one task, a budget each."""
    first = comparisons[0]
    title = f"All {first.tasks} tasks" if first.task == ALL else f"`{first.task}`"
    unit = "divided by the regret of a draw at random" if first.task == ALL else f"in the unit of `{first.unit}`"
    lines = [f"### {title}", "", image, ""]
    for one in comparisons:
        lines += [
            f"Budget of {one.trainings:g} whole trainings; random search's expected regret is {show(one.exact)}, that "
            f"of a draw at random {show(one.gap)}, and that of the best validation score of all, where a search ends "
            f"that has seen everything, {show(one.floor)}; regrets are {unit}.",
            "",
            *_table(one),
            "",
        ]
    return lines


def _table(one: Comparison) -> list[str]:
    """A row a method; the column over train seeds only where they tell something."""
    told = one.train_seeds >= FEWEST_TRAIN_SEEDS
    title = (
        "method", "trainings spent", "regret, mean", "minus random search's at that cost [95 %]",
        *(["… over train seeds too"] * told), "probability of improvement [95 %]", "p (Holm)", "verdict", "runs",
    )  # fmt: skip
    rows = [
        (
            row.method,
            show(row.spent),
            show(row.regret),
            signed(row.difference) + between(row.interval, signed),
            *([between(row.table_interval, signed).strip() or "unknown"] * told),
            show(row.improvement) + between(row.improvement_interval),
            "control" if row.is_control else pvalue(row.adjusted),
            "–" if row.is_control else _verdict(row),
            str(row.runs),
        )
        for row in one.rows
    ]
    return [
        "| " + " | ".join(title) + " |",
        "|" + "---|" * len(title),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _verdict(row: Against) -> str:
    low, high = row.table_interval
    turned = row.verdict != "open" and low <= 0 <= high
    return WORDS[row.verdict] + (" here; other train seeds could turn it" if turned else "")


def signed(value: float) -> str:
    """A number with its sign."""
    return show(value) if not value > 0 else "+" + show(value)


def between(interval: tuple[float, float], text: object = show) -> str:
    """`` [low, high]``, or nothing when unknown."""
    if math.isnan(interval[0]):
        return ""
    assert callable(text)
    return f" [{text(interval[0])}, {text(interval[1])}]"


def pvalue(value: float) -> str:
    """Two digits; very small ones as a bound."""
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def random_cautions(found: Answers) -> list[str]:
    """What to be careful about."""
    lines = []
    few = [(task, parts[0].train_seeds) for task, parts in found.against.items()]
    few = [(task, seeds) for task, seeds in few if seeds < FEWEST_TRAIN_SEEDS]
    if few:
        told = _plain([f"`{task}` ({seeds})" for task, seeds in few])
        lines.append(
            f"Few train seeds are behind the test scores of {told}. The intervals say how sure a statement is about "
            f"*these tables*; how far other train seeds would turn it is not told below {FEWEST_TRAIN_SEEDS} of the "
            "test split: a bootstrap of so few is far too sure of itself."
        )
    same = [one.task for one in found.fidelities if one.task in found.against and one.same_trainings]
    if same:
        lines.append(
            f"On {_named(same)} there is one train seed at all: test scores are of fresh games of the very agents "
            "whose validation scores a search sees, so that the luck of a seed is on both sides and regrets are small."
        )
    by_chance = [one.task for one in found.fidelities if one.task in found.against and not one.short.ranks]
    if by_chance:
        lines.append(
            f"{_named(by_chance)} is left out of what is said over all tasks: the rankings by whole trainings of some "
            "train seeds and of the others agree no more than by luck there, so that who wins may be luck too."
        )
    sizes = {task: fact for fact in found.facts for task in found.against if fact.task == task}
    if sizes:
        counts = sorted({one.covered.shape[1] for one in sizes.values()})
        lines.append(
            f"The spaces have {' or '.join(map(str, counts))} architectures. With a budget near their size every "
            "search has seen everything, so differences show at small budgets. With very small ones the methods that "
            "start from random architectures have not done anything else yet: they *are* random search there, and with "
            "the same search seeds they are the same one."
        )
    ran = {row.method for parts in found.against.values() for one in parts for row in one.rows}
    quarters = [name for name in CHOOSING_BY_QUARTERS if name in ran]
    if quarters and sizes:
        lines.append(
            f"{_plain(quarters)} pay a quarter of a training for each architecture, so that ten trainings show them "
            "most of a small space, whatever their controllers do. What they win or lose there is what a quarter of a "
            "training tells of a whole one, and no proof of their learning."
        )
    trading = [name for name in MULTI_OBJECTIVE if name in ran]
    if trading:
        lines.append(
            f"{_plain(trading)} trade the score against size, and are judged by score alone here; by "
            "hypervolume in `baselines/README.md`."
        )
    approximate = {one.method: one.approximation for one in found.searches.searches if one.approximation}
    lines += [f"{name} ran on an approximation: {text}." for name, text in sorted(approximate.items())]
    if found.overall:
        partial = sorted(ran - {row.method for one in found.overall for row in one.rows})
        if partial:
            lines.append(f"{_plain(partial)} did not run on every task, and are not in the tables over all of them.")
    without = [one.task for one in found.facts if one.task not in found.against]
    if without:
        lines.append(
            f"There is no exact line for {_named(without)}: not every architecture of the space is trained. How "
            "methods do on NSC tasks beside random search as it was run is in `baselines/README.md`."
        )
    return ["What to be careful about:", "", *(f"- {line}" for line in lines), ""] if lines else []


def _named(tasks: Sequence[str]) -> str:
    return _plain([f"`{task}`" for task in tasks])


def _plain(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
