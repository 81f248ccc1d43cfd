"""The page's words on fidelities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_rl.findings.answers import Answers
from nasbench_rl.findings.fidelity import HOLDS, TOP, FidelityFinding, shown
from nasbench_rl.findings.page_spread import percent
from nasbench_rl.leaderboard.columns import show
from nasbench_rl.ranking_noise import FEWEST


def fidelity_answer(found: Answers) -> list[str]:
    """From what share of a training on rankings hold: in a sentence, and then task by task where there are several."""
    if not found.fidelities:
        return [f"No answer yet: no table has {FEWEST} architectures to rank."]
    each = [_answer(one) for one in found.fidelities]
    if len(each) == 1:
        return each
    starts = [(one.short.holds_from(), one) for one in found.fidelities]
    shares = sorted(one.fidelities[at] / one.fidelities[-1] for at, one in starts if at is not None)
    text = f"On {len(shares)} of {len(each)} tasks rankings hold from some fidelity on"
    if shares:
        text += f": from {percent(shares[0])} to {percent(shares[-1])} of a training"
    same = sum(one.same_trainings for one in found.fidelities)
    return [f"{text}; on {same} of them cheap and final scores are of the same trainings.", *each]


def _answer(one: FidelityFinding) -> str:
    start, short = one.short.holds_from(), one.short
    if start is None:
        return f"On `{one.task}` not even whole trainings rank the architectures as their test scores do."
    even = short.even_from()
    where = "there" if even == start else "" if even is None else _named(one, even)
    surely = f", and from {where} on it is nowhere surely below that" if where else ""
    luck = " All of this compares trainings with themselves: the luck of a seed is on both sides." * one.same_trainings
    return (
        f"On `{one.task}` rankings hold from {_named(one, start)} on: from there τ with the final ranking stays "
        f"above {percent(HOLDS)} of the {show(float(short.tau[-1]))} that whole trainings reach{surely}. "
        f"At {_at(one, 0.1)} of a training τ is {show(_tau_at(one, 0.1))}, at {_at(one, 0.5)} "
        f"{show(_tau_at(one, 0.5))}.{_proxies(one)}{luck}"
    )


def _named(one: FidelityFinding, at: int) -> str:
    return f"{one.fidelities[at]:,} {one.unit} ({percent(one.fidelities[at] / one.fidelities[-1])} of a training)"


def _proxies(one: FidelityFinding) -> str:
    if not one.supernets:
        return ""
    taus = [float(ranking.tau[-1]) for ranking in one.supernets]
    count = f"{len(taus)} supernets" if len(taus) > 1 else "1 supernet"
    return f" One-shot proxies of {count}, each fitted as long as a whole training, reach {show(float(np.mean(taus)))}."


def _position(one: FidelityFinding, share: float) -> int:
    return int(np.abs(np.array(one.fidelities) / one.fidelities[-1] - share).argmin())


def _at(one: FidelityFinding, share: float) -> str:
    return f"{percent(one.fidelities[_position(one, share)] / one.fidelities[-1])}"


def _tau_at(one: FidelityFinding, share: float) -> float:
    return float(one.short.tau[_position(one, share)])


def fidelity_section(one: FidelityFinding, image: str) -> list[str]:
    """Figure and table of one task."""
    start = one.short.holds_from()
    marked = [at for at in (start, one.short.even_from()) if at is not None]
    rows = sorted({*shown(len(one.fidelities)), *marked})
    head = [f"fidelity ({one.unit})", "τ, short training [95 %]", f"top {TOP} found", "regret of its first"]
    if one.supernets:
        head += ["τ, one-shot proxy [lowest, highest supernet]", f"top {TOP} found", "regret of its first"]
    lines = [f"### `{one.task}`", "", image, ""]
    lines += [
        f"{one.architectures} architectures. Three drawn at random would have {show(TOP / one.architectures)} of the "
        f"top {TOP}, and the regret of a draw at random is {show(one.gap)}. Intervals are a bootstrap over the "
        "architectures.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(_cells(one, at)) + " |" for at in rows),
        "",
        _noise(one),
        "",
    ]
    return lines


def _cells(one: FidelityFinding, at: int) -> list[str]:
    short = one.short
    share = one.fidelities[at] / one.fidelities[-1]
    interval = "" if math.isnan(short.low[at]) else f" [{show(float(short.low[at]))}, {show(float(short.high[at]))}]"
    cells = [
        f"{one.fidelities[at]:,} ({percent(share)})",
        show(float(short.tau[at])) + interval,
        show(float(short.top[at])),
        show(float(short.regret[at])),
    ]
    if one.supernets:
        taus = np.array([ranking.tau[at] for ranking in one.supernets])
        known = not np.isnan(taus).any()
        cells += [
            f"{show(float(taus.mean()))} [{show(float(taus.min()))}, {show(float(taus.max()))}]" if known else "–",
            show(float(np.mean([ranking.top[at] for ranking in one.supernets]))),
            show(float(np.mean([ranking.regret[at] for ranking in one.supernets]))),
        ]
    return cells


def _noise(one: FidelityFinding) -> str:
    validation, test = map(_train_seeds, one.seeds)
    if math.isnan(one.halves.agreement.tau):
        ceiling = (
            f"How well the rankings by two halves of the train seeds agree is not known yet: {_missing_ceiling(one)}."
        )
    else:
        some = f" that {one.halves.architectures} architectures have"
        ceiling = (
            f"Noise: the rankings by two halves of the {one.halves.seeds} train seeds"
            f"{some * (one.halves.architectures < one.architectures)} agree with τ = "
            f"{show(one.halves.agreement.tau)}. A score without noise of its own would agree with either half better "
            "than that."
        )
    if one.same_trainings:
        return (
            f"{ceiling} Short and final scores come from the same trainings ({validation}; final score "
            f"`{one.column}`), so these τ say how early the ranking of *these trainings* settles; part of what they "
            "agree about is the luck of the seed, which τ with other trainings would not have."
        )
    return f"{ceiling} Short trainings are of {validation}, the final ranking of {test}."


def _train_seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"train seed {seeds[0]}"
    return f"train seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"


def _missing_ceiling(one: FidelityFinding) -> str:
    if one.halves.seeds < 2:
        return f"{one.halves.seeds} train seed{'s are' if one.halves.seeds != 1 else ' is'} complete and it takes two"
    count = one.halves.architectures
    if count < FEWEST:
        have = "1 architecture has" if count == 1 else f"{count or 'no'} architectures have"
        return f"{have} all {one.halves.seeds} train seeds, and it takes {FEWEST}"
    return "all scores of a half are the same, and rank nothing"


def fidelity_cautions(found: Answers) -> list[str]:
    """What to be careful about."""
    lines = []
    if any(one.unit == "env steps" for one in found.fidelities):
        lines.append(
            "The learning rate is annealed over the whole of a training, so a training *planned* to be short would "
            "end higher than a long one looked at early, and may rank otherwise."
        )
    if any(one.unit == "epochs" for one in found.fidelities):
        lines.append(
            "The NSC tables hold what was chosen to be trained: all shallow networks, and deeper ones of which half "
            "are mutations of the best. τ over another sample of architectures would differ."
        )
    return ["What to be careful about:", "", *(f"- {line}" for line in lines), ""] if lines else []
