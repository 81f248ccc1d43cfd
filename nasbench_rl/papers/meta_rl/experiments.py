"""``compare --preset meta-rl-paper --experiment 1|2|3``: the meta-RL paper's experiments on stand-in data sets.

Sections 6 and 7 of the paper, at its numbers of steps. Rewards are looked up where the tables have the network and else
guessed; the number of guesses is printed. The paper's figures stand next to ours:

1. a policy is carried over three environments; DeepQN and random search start afresh in each (Figures 9-11, Table 4);
2. that policy, fixed, in two environments it has not seen (Figures 12 and 13, Table 5, the Wilcoxon test
   and one that can find a difference), and an intensified training of the two best networks against a two-block VGG-19
   (Table 6);
3. multi-branch networks (Figures 14-16, Table 7).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from nasbench_rl._utils import cli, files
from nasbench_rl.compare import unfinished
from nasbench_rl.leaderboard import plots
from nasbench_rl.papers.meta_rl import figures as draw
from nasbench_rl.papers.meta_rl import intensified, strategies
from nasbench_rl.papers.meta_rl import tables as meta_rl_tables
from nasbench_rl.papers.meta_rl.trials import (
    KEY,
    Trial,
    action_shares,
    actions_of_task,
    check_ready,
    episodes_of,
    existing,
    is_multi_branch,
    play_all,
)
from nasbench_rl.tables.locate import check_kept, folder_to_fill
from nasbench_rl.tables.parquet import write_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT_RUNS = 3
"""Search seeds; the paper has one of each trial."""
STANDS_FOR = {
    "nsc-chain/fashion-mnist@lite": "omniglot",
    "nsc-chain/font-letters@lite": "vgg_flower",
    "nsc-chain/emoji@lite": "dtd",
    "nsc-chain/animals@lite": "aircraft",
    "nsc-chain/wesnoth@lite": "cu_birds",
    "nsc-multibranch/font-letters@lite": "omniglot",
}
"""The paper's data set in whose place each task stands; letters are the nearest to Omniglot's for multi-branch."""
TRAINED_ON, HELD_OUT, MULTI_BRANCH = tuple(STANDS_FOR)[:3], tuple(STANDS_FOR)[3:5], tuple(STANDS_FOR)[5]
TABLE_SIX_ROWS = ("Deep meta-RL (1st)", "Deep meta-RL (2nd)")
TOP = len(TABLE_SIX_ROWS)
"""Networks of each held-out data set that are trained intensively."""
Train = Literal["no", "estimate", "yes"]


@dataclass(frozen=True)
class Protocol:
    """Environment steps of the trials, t_max (section 6).

    Attributes:
        meta: of meta-A2C in the three environments it learns from.
        baselines: of DeepQN and random search there.
        evaluation: of the fixed policy in each held-out environment.
        multi_branch: of each trial of Experiment 3.
    """

    meta: tuple[int, int, int] = (8000, 7000, 7000)
    baselines: tuple[int, int, int] = (6500, 5500, 7000)
    evaluation: int = 2000
    multi_branch: int = 20_000


PAPER = Protocol()
DQN_STARTS, DQN_COPIES = 1000, 100
"""Steps before the first update and between copies of the target network, of OpenAI Baselines and the authors' script.

``dqn`` takes both as shares of t_max.
"""


def meta_trials(protocol: Protocol, policies: Path) -> list[Trial]:
    """Let Meta-A2C learn in the three environments in turn; the policy learned in one is where the next begins."""
    file, trials = str(policies / "policy-{seed}.safetensors"), []
    for at, (task, t_max) in enumerate(zip(TRAINED_ON, protocol.meta, strict=True)):
        start = {"policy": file} if at else {}
        trials.append(Trial(task, "meta_a2c", t_max, "meta_a2c", {**start, "save": file}, trace_entropy=True))
    return trials


def baseline_trials(protocol: Protocol) -> list[Trial]:
    """Let DeepQN and random actions play; first update and copies of the target network keep the paper's shares."""
    trials = []
    for task, t_max, paper in zip(TRAINED_ON, protocol.baselines, PAPER.baselines, strict=True):
        shares = {"learning_starts": DQN_STARTS / paper, "target_every": DQN_COPIES / paper}
        trials.append(Trial(task, "dqn", t_max, "dqn", shares))
        trials.append(Trial(task, "random_search", t_max, "random_search"))
    return trials


def evaluation_trials(protocol: Protocol, policies: Path) -> list[Trial]:
    """Let the fixed policy play where it has not been, each time with a fresh state of the LSTM."""
    fixed = {"policy": str(policies / "policy-{seed}.safetensors"), "learn": False}
    return [
        Trial(task, "meta_a2c", protocol.evaluation, "meta_a2c", fixed, trace_entropy=True) for task in HELD_OUT
    ]  # fmt: skip


def multi_branch_trials(protocol: Protocol) -> list[Trial]:
    """Let Meta-A2C begin from scratch, j = 10, with and without a reward for shifts of the pointers."""
    return [
        Trial(MULTI_BRANCH, "meta_a2c", protocol.multi_branch, f"meta_a2c σ={sigma}", {"horizon": 10},
              {"sigma": sigma}, trace_entropy=True)
        for sigma in (0.0, 0.1)
    ]  # fmt: skip


def run(
    experiment: int, out: Path, tables: str | None, seed: int, runs: int, jobs: int, train: Train = "no",
    device: str = "cpu", protocol: Protocol = PAPER,
) -> int:  # fmt: skip
    """Run one experiment with search seeds ``seed`` … ``seed + runs − 1``; print its tables and write all to ``out``.

    Raises:
        TableError: a table or surrogate is absent; the message says how to make it.
    """
    seeds, out = range(seed, seed + runs), out / f"experiment-{experiment}"
    if experiment == 1:
        code = _first(out, tables, seeds, jobs, protocol)
    elif experiment == 2:
        code = _second(out, tables, seeds, jobs, protocol, train, device)
    else:
        code = _third(out, tables, seeds, jobs, protocol)
    unfinished.clear(out)
    return code


def _finish(
    out: Path, steps: pd.DataFrame, facts: pd.DataFrame, figures: Mapping[str, Figure], tables: str | None, title: str,
    table: str,
) -> None:  # fmt: skip
    """Write everything to ``out`` and print what was found, and ``table`` of running times."""
    episodes, written = episodes_of(steps), [out / name for name in ("steps.parquet", "episodes.parquet", "trials.csv")]
    write_frame(steps, written[0])
    write_frame(episodes, written[1])
    files.replace_file(written[2], facts.to_csv(index=False).encode())
    for name, figure in figures.items():
        written += plots.save(figure, out / name)
    meta_rl_tables.print_found(facts, episodes, tables, title)
    meta_rl_tables.print_times(facts, tables, STANDS_FOR, table)
    cli.say("written: " + ", ".join(map(str, written)))


def _names(task: str) -> list[str]:
    """Return the names of a task's actions."""
    return [action.label for action in actions_of_task(task)]


def _first(out: Path, tables: str | None, seeds: Sequence[int], jobs: int, protocol: Protocol) -> int:
    check_ready(TRAINED_ON, tables)
    files.check_writable(out)
    chains = [meta_trials(protocol, out / "policies"), *([trial] for trial in baseline_trials(protocol))]
    steps, facts = play_all(chains, seeds, tables, jobs, out)
    meta, names = steps[steps["method"] == "meta_a2c"], _names(TRAINED_ON[0])
    figures = {
        "figure-09": draw.evolution(episodes_of(steps), "Experiment 1: evolution of the training episodes"),
        "figure-10": draw.entropy_through_tasks(meta, len(names)),
        "figure-11": draw.shares(
            action_shares(meta), TRAINED_ON, names, "Experiment 1: actions of meta_a2c in each environment"
        ),
    }
    _finish(out, steps, facts, figures, tables, "Experiment 1: what each agent found", "4")
    return 0


def _second(
    out: Path, tables: str | None, seeds: Sequence[int], jobs: int, protocol: Protocol, train: Train, device: str
) -> int:
    check_ready([*TRAINED_ON, *HELD_OUT], tables)
    if train == "yes":
        check_kept(folder_to_fill(tables))
    files.check_writable(out)
    with tempfile.TemporaryDirectory() as folder:  # learned again: a policy on disk may be of other tables
        policies = Path(folder)
        chain = [*meta_trials(protocol, policies), *evaluation_trials(protocol, policies)]
        steps, facts = play_all([chain], seeds, tables, jobs, out, policies)
    steps, facts = (frame[frame["task"].isin(HELD_OUT)].reset_index(drop=True) for frame in (steps, facts))
    figures = {
        "figure-12": draw.evolution(episodes_of(steps), "Experiment 2: evolution of the evaluation episodes"),
        "figure-13": draw.shares(
            action_shares(steps), HELD_OUT, _names(HELD_OUT[0]), "Experiment 2: actions of the fixed policy"
        ),
    }
    _finish(out, steps, facts, figures, tables, "Experiment 2: what the fixed policy found", "5")
    tests = strategies.strategies_differ(steps)
    files.replace_file(out / "strategies.csv", tests.to_csv(index=False).encode())
    strategies.print_strategies(tests)
    failed = _intensify(best_networks(steps, seeds[0]), out, tables, jobs, train, device)
    cli.say(f"written: {out / 'strategies.csv'}, {out / 'table6.csv'}")
    return 1 if failed else 0


def best_networks(steps: pd.DataFrame, seed: int) -> dict[str, list[str]]:
    """Return the ``TOP`` networks of each task by reward, of one search seed, as in the paper; on a tie the earlier."""
    mine = steps[(steps["seed"] == seed) & (steps["arch"] != "")].drop_duplicates(["task", "arch"])
    return {
        str(task): one.sort_values("reward", ascending=False, kind="stable")["arch"].head(TOP).tolist()
        for task, one in mine.groupby("task", sort=False)
    }


def _intensify(best: dict[str, list[str]], out: Path, tables: str | None, jobs: int, train: Train, device: str) -> int:
    """Make Table 6: train what is asked for, print what there is and what is missing; return how many failed."""
    folder, failed, parts, hours = folder_to_fill(tables), 0, [], 0.0
    open_ones = False
    for id_, archs in best.items():
        task = intensified.intense_task(id_.split("/")[1].split("@")[0])
        trainable, too_large = intensified.within_memory(task, archs, device)
        if train == "yes":
            failed += intensified.train(folder, task, trainable, jobs, device)
        found = intensified.results(folder, task, archs)
        found.insert(0, "task", task.id)
        found.insert(1, "row", [*TABLE_SIX_ROWS[: len(archs)], intensified.VGG])
        found.insert(2, "stands_for", STANDS_FOR[id_])
        parts.append(found)
        cells, vgg_seeds = intensified.missing(folder, task, trainable)
        untrained = set(found.loc[found["trainings"] == 0, "network"])
        for arch, reason in too_large.items():
            if arch in untrained:
                cli.say(f"passed over on {task.id}: {arch}: {reason}")
        open_ones |= bool(cells or vgg_seeds)
        if cells or vgg_seeds:
            cli.say(f"not trained: {len(cells)} of {len(trainable) * intensified.SEEDS} trainings of {task.id} "
                 f"and {len(vgg_seeds)} of {intensified.SEEDS} of {intensified.VGG}")  # fmt: skip
        if cells:
            cli.say(f"  the former alone: {intensified.command(task, trainable, tables)} [--dry-run]")
        if train == "estimate":
            hours += intensified.core_hours(folder, task, cells, vgg_seeds)
    table = pd.concat(parts, ignore_index=True)
    if train == "estimate":
        cli.say(f"Table 6 needs about {hours:.2g} more core-hours")
    elif open_ones:
        cli.say(
            "the same command with --mode live trains all that memory holds (--dry-run says how long that takes); "
            "Ctrl-C keeps what is finished"
        )
    files.replace_file(out / "table6.csv", table.to_csv(index=False).encode())
    meta_rl_tables.print_table_six(table, tables)
    return failed


def _third(out: Path, tables: str | None, seeds: Sequence[int], jobs: int, protocol: Protocol) -> int:
    check_ready([MULTI_BRANCH], tables)
    files.check_writable(out)
    steps, facts = play_all([[trial] for trial in multi_branch_trials(protocol)], seeds, tables, jobs, out)
    episodes, names, table = episodes_of(steps), _names(MULTI_BRANCH), action_shares(steps)
    figures = {
        "figure-14": draw.evolution(episodes, "Experiment 3: evolution of the multi-branch episodes"),
        "figure-15": draw.exploration(steps, episodes, len(names)),
        "figure-16": draw.shares(
            table, [method for _, method in table.index], names, f"Experiment 3: actions on {MULTI_BRANCH}"
        ),
    }
    _finish(out, steps, facts, figures, tables, "Experiment 3: what each agent found", "7")
    met = existing(steps).drop_duplicates([*KEY, "arch"])
    branched = met["arch"].map(is_multi_branch)
    doubled = ~branched & met["arch"].str.contains("(", regex=False)
    cli.say(
        f"different networks of each trial, summed over the trials: {branched.sum():,} multi-branch, "
        f"{(~branched & ~doubled).sum():,} chains and {doubled.sum():,} chains with a layer joined with itself, as in "
        "add(2,2) (the paper, section 7: 1:10 multi-branch to chains, and not of what)"
    )
    return 0
