"""Why a method may be no better than random search here, though its paper says it is: what it had there, and has here.

What a method had there is what the head of its file says, which names the source or says that none confirms it.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        "it chooses by scores of a quarter of a training and pays whole ones for the last three alone: more "
        "architectures when the budget is small, a worse choice among them when it is not",
    ),
    "dqn": ("19,000 steps of design", "ten trainings are 20 steps, most of them with a high ε"),
    "meta_a2c": ("22,000 steps of design over three tasks", "ten trainings are 20 steps of an untrained policy"),
    "a2c": ("no paper of its own here: the twin of meta_a2c", "ten trainings are 20 steps of an untrained policy"),
    "mcts": ("architectures of many more choices", "ten trainings open one layer of the tree and hardly a second"),
    "eas": (
        "hundreds of children, each with its parent's weights",
        "in tabular mode a child's score is that of a short training from scratch: inheriting, its point, takes "
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
        "ten trainings buy about one round of three",
    ),
    "local_search": (
        "NAS-Bench-101 and 201: 423,624 and 15,625",
        "a neighbourhood takes up to eight of ten trainings",
    ),
    "spos": (
        "10 M env steps of fitting",
        "a tenth of the steps, shared by 25 paths; how little its proxies say is in the next section",
    ),
    "enas": ("10 M env steps of fitting", "nine updates of a controller, and the proxies of the next section"),
    "darts": ("50 epochs of search", "a search is the price of one training, and gives one architecture"),
}
"""Method → what it had in its paper, what it has on these spaces."""


def reasons_section(found: Answers) -> list[str]:
    """A table of the methods that did not beat random search at any budget of the page; nothing when all did."""
    open_methods = _not_better(found.main)
    rows = [f"| {name} | {REASONS[name][0]} | {REASONS[name][1]} |" for name in open_methods if name in REASONS]
    if not rows:
        return []
    return [
        "### Why these are no better",
        "",
        f"Of the methods {len(open_methods)} beat random search at no budget above. That says nothing against their "
        "papers, most of whose spaces or budgets are far larger. How much there is to gain here the line above each "
        "table says, with random search's expected regret beside that of a search that has seen everything. What each "
        "had there, by the head of its file in `baselines/nasbench_rl_baselines/`, and has here:",
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
