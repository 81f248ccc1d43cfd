"""The page's words on architecture and seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasbench_rl.findings.answers import Answers
from nasbench_rl.findings.fidelity import shown
from nasbench_rl.findings.spread import RELIABLE, SpreadFinding
from nasbench_rl.leaderboard.columns import show
from nasbench_rl.ranking_noise import FEWEST
from nasbench_rl.task import GameTask, get_task
from nasbench_rl.variance import Components

MANY = 100
"""Repeats; no table says how many more."""


def spread_answer(found: Answers) -> list[str]:
    """Shares of architecture and train seed at the end: in a sentence, then task by task where there are several."""
    if not found.spreads:
        return [f"No answer yet: no table has {FEWEST} architectures trained."]
    each = [_answer(one) for one in found.spreads]
    if len(each) == 1:
        return each
    agents = [one for one in found.spreads if isinstance(get_task(one.task), GameTask)]
    others = [one for one in found.spreads if one not in agents]
    kinds = [_shares("agents", agents), _shares("image classifiers", others)]
    known = [text for text in kinds if text]
    if not known:
        return [f"Not known yet on any task: it takes a second train seed of {FEWEST} architectures.", *each]
    text = f"Of the variance of a whole training's score, architecture is {', and '.join(known)}, where"
    return [f"{text} {FEWEST} architectures or more have a second train seed.", *each]


def _shares(kind: str, spreads: Sequence[SpreadFinding]) -> str:
    """``between 0 % and 42 % on agents (2 of 3 tasks)``; nothing where no task of the kind can tell."""
    lasts = [last.share for one in spreads if one.trainings and (last := one.trainings[-1])]
    if not lasts:
        return ""
    shares = f"between {percent(min(lasts))} and {percent(max(lasts))}" if len(lasts) > 1 else percent(lasts[0])
    return f"{shares} on {kind} ({len(lasts)} of {len(spreads)} task{'s' * (len(spreads) > 1)})"


def _answer(one: SpreadFinding) -> str:
    last = one.trainings[-1] if one.trainings else None
    if last is None:
        return (
            f"On `{one.task}` this is not known yet: {_missing(one)}. Together they spread by {show(one.spread)} "
            f"(standard deviation of `{one.score}` over the architectures)."
        )
    return (
        f"On `{one.task}` {percent(last.share)} of the variance of a whole training's score is architecture (95 % "
        f"interval {percent(last.low)} to {percent(last.high)}) and {percent(1 - last.share)} is train seed: standard "
        f"deviations of {show(last.sd_architecture)} and {show(last.sd_rest)} `{one.score}`."
    )


def _missing(one: SpreadFinding) -> str:
    if not one.repeated:
        why = "every architecture has one train seed to compare"
        return f"{why}, and one training cannot tell its architecture from its luck"
    have = "1 architecture has" if one.repeated == 1 else f"{one.repeated} architectures have"
    return f"{have} several train seeds, and it takes {FEWEST}"


def percent(share: float) -> str:
    """A share as text."""
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def spread_section(one: SpreadFinding, image: str) -> list[str]:
    """Figure and tables of one task; nothing where there is nothing to show."""
    if not image:
        return []
    lines = [f"### `{one.task}`", "", image, ""]
    if one.trainings:
        last = one.trainings[-1]
        assert last is not None  # a complete cell has a score at its end
        lines += [
            f"Single trainings: {last.architectures} architectures, {last.trainings} trainings, `{one.score}`. One-way "
            "random effects: a training's score is its architecture's plus what the train seed makes of it.",
            "",
            *_table(one, one.trainings, "train seed", False),
        ]
    if one.supernets:
        lines += [
            f"One-shot proxies of {one.supernet_seeds} supernets. Two-way random effects: what one supernet does to "
            "all architectures alike (its own column) changes no ranking and is kept out of the share.",
            "",
            *_table(one, one.supernets, "architecture in one supernet", True),
        ]
    return lines


def _table(one: SpreadFinding, components: Sequence[Components | None], rest: str, shared: bool) -> list[str]:
    head = [f"fidelity ({one.unit})", "share of architecture [95 %]", "sd, architecture", f"sd, {rest}"]
    head += ["sd, all of a supernet"] if shared else []
    head += [f"repeats for {RELIABLE:g}"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for at in shown(len(one.fidelities)):
        part = components[at]
        share = one.fidelities[at] / one.fidelities[-1]
        cells = [f"{one.fidelities[at]:,} ({percent(share)})"]
        if part is None:
            cells += ["–"] * (len(head) - 1)
        else:
            between = "" if math.isnan(part.low) else f" [{show(part.low)}, {show(part.high)}]"
            cells += [show(part.share) + between, show(part.sd_architecture), show(part.sd_rest)]
            cells += [show(part.sd_seed)] if shared else []
            repeats = part.repeats(RELIABLE)
            cells += ["–" if math.isnan(repeats) else f"{repeats:.1f}" if repeats < MANY else f"> {MANY}"]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def spread_cautions(found: Answers) -> list[str]:
    """What to be careful about."""
    lines = []
    few = [f"`{one.task}`" for one in found.spreads if not one.trainings and one.repeated]
    if few:
        lines.append(f"For {', '.join(few)} several train seeds of {FEWEST} architectures are needed.")
    single = [f"`{one.task}`" for one in found.spreads if not one.trainings and not one.repeated]
    if single:
        lines.append(
            f"For {', '.join(single)} a second complete train seed is needed. A seed in the making is not used: it "
            "would be a comparison of those architectures that happened to be trained first."
        )
    if any(one.trainings or one.supernets for one in found.spreads):
        lines.append(
            f"The last column is how many trainings (or supernets) of each architecture a mean takes before "
            f"architecture is {percent(RELIABLE)} of its variance (Spearman-Brown)."
        )
        lines.append(
            "The intervals are those of the F distribution: exact if scores are normal and every architecture has as "
            "many seeds. One spread is assumed for all architectures; those that sometimes fail to learn have more."
        )
    return ["What to be careful about:", "", *(f"- {line}" for line in lines), ""] if lines else []
