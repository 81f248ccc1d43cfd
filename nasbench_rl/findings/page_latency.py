"""The page's words on what networks take to run."""

from __future__ import annotations

from nasbench_rl.findings.answers import Answers
from nasbench_rl.findings.latency import LatencyFinding, ratio
from nasbench_rl.leaderboard.columns import show

TITLE = "Do FLOPs stand for the time that a network takes?"
HEAD = ("task", "networks", "batch", "τ, params", "τ, FLOPs", "FLOPs, most over least", "time, most over least",
        "fastest (ms)", "slowest (ms)")  # fmt: skip


def latency_section(found: Answers, image: str) -> list[str]:
    """The answer, the figure and a row for each task and batch; nothing where no latency is stored."""
    if not found.latencies:
        return []
    machines = "; ".join(sorted({one.machine for one in found.latencies}))
    return [
        f"## {TITLE}",
        "",
        f"**{latency_answer(found.latencies)}**",
        "",
        image,
        "",
        "Multi-objective methods weigh a score against a resource. FLOPs and parameters are counted, of one "
        "observation; time was measured: the median of up to 300 forward passes on one core, networks in changing "
        "order, as they run when they play or are validated. τ is Kendall's, of the resource with the time; 1 means "
        "that it orders the networks as the time does.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
        *("| " + " | ".join(_cells(one)) + " |" for one in found.latencies),
        "",
        "What to be careful about:",
        "",
        f"- All networks of a task were measured on one processor, with one framework ({machines}); a GPU or an "
        "inference engine would order them otherwise, and times of two tasks need not compare.",
        "- Of the NSC spaces these are the networks that were trained. A high τ is easily had where networks differ by "
        "many times in FLOPs; the table says by how many.",
        "",
    ]


def latency_answer(findings: tuple[LatencyFinding, ...]) -> str:
    """In a sentence for each batch."""
    said = []
    for batch in sorted({one.batch for one in findings}):
        of_batch = [one for one in findings if one.batch == batch]
        least = min(of_batch, key=lambda one: ratio(one.seconds))
        flops, params = (_span([getattr(one, name) for one in of_batch]) for name in ("tau_flops", "tau_params"))
        work, time = show(ratio(least.flops)), show(ratio(least.seconds))
        said.append(
            f"At batch {batch} they order the networks of a task with τ {flops} (parameters: {params}); on "
            f"`{least.task}` {work} times the FLOPs take {time} times as long."
        )
    return " ".join(said)


def _span(values: list[float]) -> str:
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} to {high}"


def _cells(one: LatencyFinding) -> list[str]:
    times = [show(1e3 * float(value)) for value in (one.seconds.min(), one.seconds.max())]
    taus = [show(one.tau_params), show(one.tau_flops)]
    return [f"`{one.task}`", f"{len(one.seconds)}", f"{one.batch}", *taus, f"{show(ratio(one.flops))} ×",
            f"{show(ratio(one.seconds))} ×", *times]  # fmt: skip
