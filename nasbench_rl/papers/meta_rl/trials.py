"""Trials of the meta-RL paper: an agent interacts with the environment of one data set for t_max steps.

Rewards are validation accuracies at the end of the training, measured where the table has the network and guessed
where it has not (``mode="surrogate"``); each step says which.
"""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import Progress

from nasbench_rl._utils import cli, files, processes
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.load import load
from nasbench_rl.benchmark.method import get_method
from nasbench_rl.compare import unfinished
from nasbench_rl.envs.design_mdp import Action, actions_of
from nasbench_rl.errors import LostWorkerError, NasbenchError, TableError, tables_option
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.task import get_task

WINDOW = 50
"""Episodes a point of a curve stands for (Figures 9, 12, 14 and 15)."""
KEY = ("task", "method", "seed")


@dataclass(frozen=True)
class Trial:
    """One interaction.

    Attributes:
        task: id of an NSC task.
        method: a method whose hyperparameters include ``t_max``.
        t_max: environment steps.
        label: its name in results.
        hyperparameters: the method's others.
        env: options of the environment (sigma, tau).
        trace_entropy: whether the method writes its policy's entropy where ``trace`` says.
    """

    task: str
    method: str
    t_max: int
    label: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    trace_entropy: bool = False


def play(trial: Trial, seed: int, bench: Benchmark) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Run a trial.

    Returns:
        Its steps (``TracedRun.frame`` with ``KEY`` and entropy, NaN where none is traced) and one row of facts.
    """
    from nasbench_rl.papers.meta_rl.trace import TracedRun

    ample = (trial.t_max + 1) * bench.task.max_fidelity  # t_max ends the trial, as in Algorithm 1, and no budget
    run = TracedRun(bench, ample, seed, f"{trial.task} {trial.label}", **trial.env)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        more = {"trace": str(trace)} if trial.trace_entropy else {}
        get_method(trial.method, t_max=trial.t_max, **trial.hyperparameters, **more)(run)
        wall = time.perf_counter() - start
        steps = run.frame()
        steps["entropy"] = _read_entropy(trace) if trial.trace_entropy else math.nan
    for name, value in zip(KEY, (trial.task, trial.label, seed), strict=True):
        steps[name] = value
    return steps, {**dict(zip(KEY, (trial.task, trial.label, seed), strict=True)), **_facts(steps, bench), "wall": wall}


def _read_entropy(path: Path) -> np.ndarray[Any, Any]:
    from safetensors.numpy import load_file

    entropy: np.ndarray[Any, Any] = load_file(path)["entropy"]
    return entropy


def _facts(steps: pd.DataFrame, bench: Benchmark) -> dict[str, Any]:
    """Count what a trial asked for and found; ``cpu_hours`` are of the trainings of its measured networks."""
    asked = steps[steps["source"] != ""].drop_duplicates("arch")
    count = asked["source"].value_counts()
    accuracy = steps[steps["arch"] != ""].groupby("arch")["reward"].max()
    best = str(accuracy.idxmax()) if len(accuracy) else ""
    cost = [
        bench.query(arch, split="validation").cost.cpu_seconds for arch in asked[asked["source"] == "table"]["arch"]
    ]
    answered = steps[steps["source"].isin(["table", "surrogate"])]
    return {
        "steps": len(steps),
        "episodes": int(steps["ended"].sum()),
        "networks": len(asked),
        "measured": int(count.get("table", 0)),
        "guessed": int(count.get("surrogate", 0)),
        "invalid": int(count.get("invalid", 0)),
        "guessed_rewards": float((answered["source"] == "surrogate").mean()) if len(answered) else math.nan,
        "best": best,
        "best_reward": float(accuracy.max()) if best else math.nan,
        "best_source": str(asked.set_index("arch")["source"].get(best, "")),
        "cpu_hours": math.fsum(cost) / 3600,
    }


Chain = tuple[tuple[Trial, ...], int]
"""Trials that hand a policy on, and a search seed."""


def _play_in_turn(
    job: Chain, report: Callable[[Any], None], tables: str | None, out: Path | None, scratch: Path | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return, in a worker, all steps and a row of facts for each trial, and keep them in ``out``."""
    trials, seed = job
    before = unfinished.trials_key(trials, seed, tables, scratch)
    played = [play(trial, seed, load(trial.task, mode="surrogate", tables=tables)) for trial in trials]
    steps, facts = pd.concat([steps for steps, _ in played], ignore_index=True), pd.DataFrame([f for _, f in played])
    with suppress(TableError):  # the results are there all the same
        if out is not None and before == unfinished.trials_key(trials, seed, tables, scratch):
            for name, frame in zip(_names(job, tables, scratch), (steps, facts), strict=True):
                unfinished.save(out, name, frame)
    return steps, facts


def _names(job: Chain, tables: str | None, scratch: Path | None) -> tuple[str, str]:
    """Name the kept steps and facts. Learned policies decide too, unless they are deleted with ``scratch``."""
    trials, seed = job
    saved = {str(path).format(seed=seed) for trial in trials if (path := trial.hyperparameters.get("save"))}
    digests = [hashlib.sha256(files.read_file(Path(path))).hexdigest() for path in sorted(saved) if scratch is None]
    everything = unfinished.trials_key(trials, seed, tables, scratch)
    return unfinished.key(everything, digests, "steps"), unfinished.key(everything, digests, "facts")


def _take_over(
    work: Sequence[Chain], tables: str | None, out: Path, scratch: Path | None
) -> dict[int, tuple[pd.DataFrame, pd.DataFrame]]:
    """Return what an earlier call has played, and print a line on it."""
    names: dict[int, tuple[str, str]] = {}
    for number, job in enumerate(work):
        with suppress(TableError):  # its policy is not there
            names[number] = _names(job, tables, scratch)
    kept = unfinished.kept(out, [name for both in names.values() for name in both])
    found = {n: (kept[steps], kept[facts]) for n, (steps, facts) in names.items() if {steps, facts} <= set(kept)}
    if found:
        there, all_ = sum(len(facts) for _, facts in found.values()), sum(len(trials) for trials, _ in work)
        cli.say(f"taken over: {there:,} of {all_:,} trials, which an earlier call had finished")
    return found


def play_all(
    chains: Sequence[Sequence[Trial]],
    seeds: Sequence[int],
    tables: str | None,
    jobs: int,
    out: Path | None = None,
    scratch: Path | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Play every chain of trials with every search seed, the trials of a chain in turn.

    Args:
        chains: of trials.
        seeds: search seeds.
        tables: folder.
        jobs: processes.
        out: where chains are kept that have ended, for a call after this one is killed; see ``unfinished``.
        scratch: folder of policies that nobody wants afterwards.

    Returns:
        (all steps, one row of facts a trial); neither depends on ``jobs``, wall seconds apart.

    Raises:
        NasbenchError: what a trial ended in.
    """
    work: list[Chain] = [(tuple(chain), seed) for seed in seeds for chain in chains]
    work.sort(key=lambda job: -sum(t.t_max * (t.method != "random_search") for t in job[0]))  # longest first
    played = _take_over(work, tables, out, scratch) if out is not None else {}
    todo = [number for number in range(len(work)) if number not in played]
    play_one = partial(_play_in_turn, tables=tables, out=out, scratch=scratch)
    with (
        Progress(console=cli.console, disable=not cli.console.is_terminal) as bar,
        processes.Pool(play_one, [work[number] for number in todo], jobs) as pool,
    ):
        row = bar.add_task("trials", total=sum(len(chain) for chain, _ in work))
        bar.update(row, advance=sum(len(facts) for _, facts in played.values()))
        for message in pool.messages():
            if message.kind != "done":
                raise _failure(message)
            played[work.index(message.job)] = message.value
            bar.update(row, advance=len(message.value[1]))
    order = {label: at for at, label in enumerate(dict.fromkeys(t.label for chain in chains for t in chain))}
    tasks = {task: at for at, task in enumerate(dict.fromkeys(t.task for chain in chains for t in chain))}

    def rank(column: pd.Series[Any]) -> pd.Series[Any]:
        return column.map({"task": tasks, "method": order}[str(column.name)]) if column.name in KEY[:2] else column

    frames, facts = [steps for steps, _ in played.values()], [facts for _, facts in played.values()]
    together = pd.concat(frames, ignore_index=True).sort_values([*KEY, "step"], key=rank, ignore_index=True)
    return together, pd.concat(facts, ignore_index=True).sort_values(list(KEY), key=rank, ignore_index=True)


def _failure(message: processes.Message[Chain]) -> NasbenchError:
    if message.kind != "failed":
        return LostWorkerError(
            f"trials of {message.job[0][0].label} were lost, perhaps for want of memory: {message.value}; run the same "
            "command again, with fewer --jobs if memory was short"
        )
    failure: processes.Failure = message.value
    return failure.error or NasbenchError(f"trials of {message.job[0][0].label} failed: {failure.text}")


def episodes_of(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each finished episode: ``KEY``, episode, best_reward, length, accumulated_reward, multi_branch.

    ``multi_branch`` counts the episode's different networks with branches, without those that do not exist.
    """
    first = existing(steps).drop_duplicates([*KEY, "episode", "arch"])
    branched = first[first["arch"].map(is_multi_branch)].groupby([*KEY, "episode"], sort=False).size()
    groups = steps.groupby([*KEY, "episode"], sort=False)
    table = groups.agg(
        best_reward=("reward", "max"), length=("reward", "size"), accumulated_reward=("reward", "sum"),
        ended=("ended", "last"),
    )  # fmt: skip
    table["multi_branch"] = branched.reindex(table.index).fillna(0).astype(int)
    return table[table["ended"]].drop(columns="ended").reset_index()


def existing(steps: pd.DataFrame) -> pd.DataFrame:
    """Return the steps at which there was a network: one with a layer, whose maps do not vanish."""
    return steps[(steps["arch"] != "") & (steps["source"] != "invalid")]


def is_multi_branch(arch: str) -> bool:
    """Tell whether a network has branches: a layer reads two different layers, or another than the one before it.

    A layer joined with itself, ``add(2,2)`` after the second, is one edge drawn twice and no branch. It comes of every
    merge without a shift of a pointer before it.
    """
    for before, layer in enumerate(arch.split(" | ")):
        operands = re.search(r"\((\d+),(\d+)\)", layer)
        if "@" in layer or (operands and {int(operand) for operand in operands.groups()} != {before}):
            return True
    return False


def windows_of(episodes: pd.DataFrame, column: str, size: int = WINDOW) -> pd.DataFrame:
    """Return mean and standard deviation of a column over each ``size`` episodes of all seeds together.

    A last window with less than half of its episodes is left out. Columns: task, method, episode (the middle of the
    window), mean, std.
    """
    known = episodes.assign(window=episodes["episode"] // size)
    seeds = known.groupby(["task", "method"], sort=False)["seed"].nunique()
    table = known.groupby(["task", "method", "window"], sort=False)[column].agg(["mean", "std", "size"]).reset_index()
    whole = [seeds[task, method] * size for task, method in zip(table["task"], table["method"], strict=True)]
    table = table[table["size"] >= 0.5 * np.array(whole)]
    table["episode"] = (table["window"] + 0.5) * size
    return table[["task", "method", "episode", "mean", "std"]].fillna({"std": 0.0})


def actions_of_task(id_: str) -> tuple[Action, ...]:
    """Return the actions of a task's environment (Table 2)."""
    space = get_task(id_).space
    assert isinstance(space, NscSpace)
    return actions_of(space.definition)


def action_shares(steps: pd.DataFrame) -> pd.DataFrame:
    """Return how often each action was taken: rows (task, method), columns the actions of Table 2, sums of rows 1."""
    most = max(len(actions_of_task(str(task))) for task in steps["task"].unique())
    trials = steps.groupby(["task", "method"], sort=False)
    shares = trials["action"].value_counts(normalize=True).unstack(fill_value=0.0)
    return shares.reindex(index=list(trials.groups), columns=range(most), fill_value=0.0)


def check_ready(tasks: Sequence[str], tables: str | None) -> None:
    """Raise TableError, in one line, unless every task has a table and a surrogate."""
    faults = []
    for id_ in tasks:
        try:
            load(id_, mode="surrogate", tables=tables)
        except TableError as error:
            faults.append((id_, str(error)))
    if not faults:
        return
    grow, into = {id_: get_task(id_).built_by for id_, _ in faults}, tables_option(tables)
    commands = [
        f"python -m nasbench_rl.build {grow[id_]}{into} && python -m nasbench_rl.build surrogate {id_}{into}"
        for id_ in grow
    ]
    raise TableError(
        f"this experiment needs a table and a surrogate of each of {', '.join(tasks)}; {faults[0][1]}"
        + (f" (and likewise {', '.join(id_ for id_, _ in faults[1:])})" if len(faults) > 1 else "")
        + ". All of it: "
        + " ; ".join(commands)
    )
