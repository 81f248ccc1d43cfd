"""Why a method may be no better than random search here, though its paper says it is: what it had there, and has here.

What a method had there is what the head of its file says, which names the source or says that none confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nasbench_rl.findings.against_random import Comparison
from nasbench_rl.findings.answers import Answers

_CONTROLLER = "the controller begins uniform and learns from scores alone, and there are ten"
REASONS = {
    "reinforce": ("12,800 networks in batches of 800", _CONTROLLER),
    "ppo": ("20,000 networks in batches of 20", _CONTROLLER),
    "mnas": ("8,000 networks", _CONTROLLER + "; its reward weighs cost, and this page does not"),
    "monas": ("a reward of score and cost", _CONTROLLER + "; its reward weighs cost, and this page does not"),
    "rena": (
        "a reward of score and cost",
        "its policy hardly leaves uniform; its reward weighs cost, this page does not",
    ),
    "q_learning": (
        "2,700 networks, the first 1,500 at random",
        "more than half of a run is random, as there",
    ),
    "blockqnn": (
        "one short training for each of thousands of blocks",
        "it chooses by scores of a quarter of a training and pays whole ones for the last few alone",
    ),
    "dqn": (
        "19,000 steps of design",
        "a training is one step a layer, so that ten are a few dozen steps, most of them with a high ε",
    ),
    "meta_a2c": (
        "22,000 steps of design over three tasks",
        "a training is one step a layer, so that ten are a few dozen steps of an untrained policy",
    ),
    "a2c": (
        "no paper of its own here: the twin of meta_a2c",
        "a training is one step a layer, so that ten are a few dozen steps of an untrained policy",
    ),
    "mcts": ("architectures of many more choices", "ten trainings open one layer of the tree and hardly a second"),
    "eas": (
        "hundreds of children, each with its parent's weights",
        "in tabular mode a child's score is that of a short training from scratch: inheriting, its point, takes "
        "live mode",
    ),
    "treecell": (
        "children that branch, each with its parent's weights, ten an update",
        "it grows `nsc-multibranch` networks, for which no exact line of random search is known, and inheriting takes "
        "live mode",
    ),
    "regularized_evolution": ("20,000 networks", "a population of ten has just been born when ten are trained"),
    "predictor": ("150 networks of 423,624", "three to ten scores are little to predict from"),
    "optuna": ("ten trials at random before its model", "a run has ten trainings in all; the first four are random"),
    "learning_curve": (
        "accuracies, which flatten out",
        "returns often rise to the end of a training, and its power law then stops what would have won",
    ),
    "hyperband": (
        "R = 81 units of training, five brackets a round",
        "ten trainings buy about one round of three, whose first bracket chooses by the shortest trainings",
    ),
    "successive_halving": (
        "η = 3",
        "it chooses by the shortest trainings first, and drops for good what rises late",
    ),
    "local_search": (
        "NAS-Bench-101 and 201: 423,624 and 15,625",
        "a neighbourhood alone takes most of ten trainings",
    ),
    "spos": (
        "10 M env steps of fitting",
        "as many steps as one training, shared by all paths; how little its proxies say is in the next section",
    ),
    "enas": (
        "10 M env steps of fitting",
        "a fit as long as one training, with time for 32 updates of the controller on MinAtar: how much of what it "
        "trains its initial weights chose is [counted](rl_agents/index.md); and the proxies of the next section",
    ),
    "darts": ("50 epochs of search", "a search is the price of one training, and gives one architecture"),
}
"""Method → what it had in its paper, what it has on these spaces."""


def reasons_section(found: Answers) -> list[str]:
    """A table of the methods that did not beat random search at any budget of the page; nothing when all did.

    Those that could not be compared, because they did not run on every task, have a row too, which says why, and so do
    those that beat it over all tasks and lose to it on one.
    """
    open_methods, absent, losing = _not_better(found.main), _not_compared(found), _losing(found)
    mixed = {name: text for name, text in losing.items() if name not in open_methods and name not in absent}
    rows = []
    for name in sorted({*open_methods, *absent, *mixed}):
        there, here = REASONS.get(name, ("", ""))
        first = absent.get(name) or mixed.get(name) or _few_runs(found.main, name)
        here = "; ".join(part for part in (first, here) if part)
        if name in REASONS or name in absent:
            rows.append(f"| {name} | {there or '–'} | {here} |")
    if not rows:
        return []
    beside, together = "", "Over all tasks together " if found.overall else ""
    if absent:
        plural = len(absent) > 1
        beside = f", and {len(absent)} more {'were' if plural else 'was'} not compared, for want of what the table says"
    if mixed:
        beside += f"; {len(mixed)} beat it together and {'lose' if len(mixed) > 1 else 'loses'} to it on a task"
    return [
        "### Why these are no better" + (", or are not compared" if absent else ""),
        "",
        f"{together}{len(open_methods)} methods beat random search at no budget above{beside}. That is nothing against "
        "their papers, most of whose spaces or budgets are far larger. How much there is to gain here the line above "
        "each table says, with random search's expected regret beside that of a search that has seen everything. What "
        "each had there, by the head of its file in `baselines/nasbench_rl_baselines/`, and has here:",
        "",
        "| method | in its paper | here |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _not_better(comparisons: Sequence[Comparison]) -> list[str]:
    names = dict.fromkeys(row.method for one in comparisons for row in one.rows if not row.is_control)
    better = {row.method for one in comparisons for row in one.of("better")}
    return sorted(name for name in names if name not in better)


def _not_compared(found: Answers) -> dict[str, str]:
    """Method → what kept it out of the tables that the answer rests on, and how often it ran elsewhere."""
    compared = {row.method for one in found.main for row in one.rows}
    reasons: dict[str, list[str]] = {}
    for text in found.searches.left_out:
        name, _, why = text.partition(": ")
        reasons.setdefault(name, []).append(why.replace("|", "\\|"))  # branches are written with it
    ran: dict[str, dict[str, int]] = {}
    for one in found.searches.searches:
        most = ran.setdefault(one.method, {})
        most[one.task] = max(one.runs, most.get(one.task, 0))
    if not found.main:
        return {}
    absent = {}
    for name in {*reasons, *ran} - compared:
        runs = ", ".join(f"{_count(count)} on `{task}`" for task, count in sorted(ran.get(name, {}).items()))
        parts = [f"not compared: {runs or 'no run'}", *reasons.get(name, [])]
        few = max(ran.get(name, {}).values(), default=2) < 2
        absent[name] = "; ".join([*parts, "one run tells nothing of the next"] if few else parts)
    return absent


def _losing(found: Answers) -> dict[str, str]:
    """Method → on which tasks it loses to random search, with which budgets; nothing where all is of one task."""
    where: dict[str, list[str]] = {}
    by_luck = {one.task for one in found.fidelities if not one.short.ranks}
    for task, comparisons in found.against.items() if found.overall else ():
        for one in comparisons if task not in by_luck else ():
            for row in one.of("worse"):
                where.setdefault(row.method, []).append(f"`{task}` with {one.trainings:g} trainings")
    return {name: "loses on " + ", ".join(places) for name, places in where.items()}


def _few_runs(comparisons: Sequence[Comparison], name: str) -> str:
    """How many runs a method had, where others had more."""

    def runs(names: Iterable[str]) -> int:
        wanted = set(names)
        return max((row.runs for one in comparisons for row in one.rows if row.method in wanted), default=0)

    own, most = runs([name]), runs(row.method for one in comparisons for row in one.rows)
    return f"{_count(own)}, where others have {most}: little can be told apart" if own < most else ""


def _count(runs: int) -> str:
    return "a single run" if runs == 1 else f"{runs} runs"
