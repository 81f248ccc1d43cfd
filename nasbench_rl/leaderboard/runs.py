"""Files of runs: read, checked against each other and against the tables, merged."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.errors import InvalidValueError, NasbenchError, TableError
from nasbench_rl.leaderboard.judge import Judge
from nasbench_rl.leaderboard.runs_schema import ADDED_LATER, COLUMNS, RUN, read_runs
from nasbench_rl.leaderboard.summary import Tables
from nasbench_rl.task import Task, get_task

RUNS = "runs.parquet"
MANY = 8
"""More methods than this are not named in a message."""
_RUN = list(RUN)
_SAME = [name for name in COLUMNS if name not in ("search_seconds", "code_version", "machine", *ADDED_LATER)]
"""What two copies of a run must agree in: all but where it was made and how long the search happened to take."""


def runs_file(path: Path) -> Path:
    """Find the file of runs in a folder of results, or take the file itself.

    Raises:
        TableError: there is none.
    """
    if path.is_dir():
        path = path / RUNS
    if not path.is_file():
        if path.suffix and path.name != RUNS:
            raise TableError(
                f"{path} is absent; name a folder that compare wrote, or the {RUNS} in it; to make one: "
                "python -m nasbench_rl.compare --out DIR"
            )
        folder = path.parent if path.name == RUNS else path
        raise TableError(f"{path} is absent; make it: python -m nasbench_rl.compare --out {shlex.quote(str(folder))}")
    return path


def read_all(paths: Sequence[Path], tables: Tables) -> pd.DataFrame:
    """Read all runs, each once, checked against each other and against the tables that judge them.

    Args:
        paths: files of runs.
        tables: that judge.

    Returns:
        ``runs_schema.COLUMNS`` by task, method, search seed and step. Methods of one name but several configurations or
        versions get different names.

    Raises:
        NasbenchError: a file is unreadable, of another table or budget than the others, or two differ about a run.
    """
    frames = [read_runs(path) for path in paths]
    first: dict[str, tuple[Path, int, str]] = {}
    for path, frame in zip(paths, frames, strict=True):
        check_runs(path, frame, tables, first)
    merged = _merge(paths, frames)
    return _tell_apart(merged).sort_values(["task", "method", "seed", "step"], ignore_index=True)


def check_runs(path: Path, runs: pd.DataFrame, tables: Tables, first: dict[str, tuple[Path, int, str]]) -> None:
    """Refuse runs of another table or budget, or with other scores than the table's.

    Args:
        path: their file, for the message.
        runs: rows of ``runs_schema.COLUMNS``.
        tables: that judge.
        first: by task, the first file that has it with its budget and table; filled.

    Raises:
        NasbenchError: they are refused.
    """
    for name, of_task in runs.groupby("task", sort=False):
        try:
            task = get_task(str(name))
        except NasbenchError as error:
            raise InvalidValueError(f"{path}: {error}") from error
        bench = tables.judge(task.id, of_task["mode"])
        _check_table(path, task, of_task, bench, first)
        _check_budget(path, task, of_task, first)
        if bench is not None:
            _check_scores(path, of_task, bench)


def _again(task: Task, rows: pd.DataFrame, budget: int) -> str:
    """Return the command that makes the rows again: with all their methods, or every installed one if they are many."""
    methods = [shlex.quote(name) for name in rows["method"].unique()]
    named = f"--methods {' '.join(methods)} " if len(methods) <= MANY else ""
    return f"run it again: python -m nasbench_rl.compare --tasks {task.id} {named}--budget {budget} --out DIR"


def _check_table(
    path: Path, task: Task, rows: pd.DataFrame, bench: Benchmark | None, first: dict[str, tuple[Path, int, str]]
) -> None:
    start = rows.iloc[0]
    known = first.setdefault(task.id, (path, int(start["budget"]), str(start["table"])))
    where, digest = (f"{bench.folder}", bench.digest) if bench is not None else (f"{known[0]}", known[2])
    other = rows[rows["table"] != digest]
    if len(other):
        found = other["table"].iloc[0] or "none"
        raise TableError(
            f"{path}: {task.id} was searched on table {found}, but {where} has {digest or 'none'}; "
            f"{_again(task, other, known[1])}, or name the folder of that table with --tables"
        )


def _check_budget(path: Path, task: Task, rows: pd.DataFrame, first: dict[str, tuple[Path, int, str]]) -> None:
    where, budget, _ = first[task.id]
    other = rows[rows["budget"] != budget]
    if len(other):
        unit = task.fidelity_unit.replace("_", " ")
        raise InvalidValueError(
            f"{path}: {task.id} was searched with a budget of {other['budget'].iloc[0]:,} {unit}, in {where} with "
            f"{budget:,}; {_again(task, other, budget)}"
        )


def _check_scores(path: Path, rows: pd.DataFrame, bench: Benchmark) -> None:
    """Refuse scores, test scores and regrets that are not the table's."""
    judge = Judge(bench)
    try:
        true = rows["incumbent"].map({arch: judge.test_score(arch)[0] for arch in rows["incumbent"].unique()})
        seen = rows[rows["mode"] != "live"]
        scores = _validation_scores(seen, bench)
    except NasbenchError as error:
        raise InvalidValueError(f"{path}: {error}") from error
    for name, of, wanted in (
        ("test_score", rows, true), ("regret", rows, judge.best - true), ("score", seen, scores)
    ):  # fmt: skip
        wrong = ~np.isclose(of[name], wanted, rtol=1e-9, atol=1e-9, equal_nan=True)
        if wrong.any():
            row = of[wrong].iloc[0]
            arch = row["arch"] if name == "score" else row["incumbent"]
            raise InvalidValueError(
                f"{path}: row {of.index[wrong][0]}, column {name!r}: {row['method']} on {bench.task.id}, search seed "
                f"{row['seed']}, says {name} {row[name]:g} of {arch}, the table {wanted[wrong].iloc[0]:g}; "
                f"{_again(bench.task, of[wrong], int(row['budget']))}"
            )


def _validation_scores(rows: pd.DataFrame, bench: Benchmark) -> pd.Series:
    """Return what the table says of each evaluation; 0 for a network that does not exist."""
    asked = ["arch", "fidelity", "train_seed"]
    once = rows.loc[rows["source"] != "invalid", asked].drop_duplicates()
    if once.empty:
        return pd.Series(0.0, index=rows.index)
    columns = [once[name].tolist() for name in asked]
    found = bench.query_many(columns[0], fidelities=columns[1], seeds=columns[2], split="validation")
    known = pd.Series(found["score"], index=pd.MultiIndex.from_frame(once))
    scores = pd.Series(known.reindex(pd.MultiIndex.from_frame(rows[asked])).to_numpy(), index=rows.index)
    return scores.where(rows["source"] != "invalid", 0.0)


def _merge(paths: Sequence[Path], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return all rows, a run that is in several files once."""
    every = pd.concat([frame.assign(file=at) for at, frame in enumerate(frames)], ignore_index=True)
    every = every.drop_duplicates([*_SAME, "file"])
    once = every.drop_duplicates(_SAME)
    twice = once[once.duplicated([*_RUN, "step"], keep=False)]
    if twice.empty:  # or one of two copies ends before the other
        lengths = every.groupby([*_RUN, "file"], sort=False).size()
        longest = lengths.groupby(level=_RUN, sort=False).transform("max")
        shorter = lengths[lengths < longest]
        if shorter.empty:
            return once.drop(columns="file")
        key = dict(zip(_RUN, shorter.index[0][: len(_RUN)], strict=True))
        twice = every[(every[_RUN] == pd.Series(key)).all(axis=1)]
    row = twice.iloc[0]
    where = sorted(set(every[(every[_RUN] == row[_RUN]).all(axis=1)]["file"]))
    raise InvalidValueError(
        f"{' and '.join(str(paths[at]) for at in where)}: {row['method']} on {row['task']}, search seed {row['seed']}, "
        "is there twice with different results; keep one of them, or give the changed method another name, or its "
        "package another version"
    )


def _tell_apart(runs: pd.DataFrame) -> pd.DataFrame:
    """Give each (name, version, configuration) a different name."""
    kinds = runs[["method", "method_version", "configuration"]].drop_duplicates()
    several = kinds.groupby("method").nunique()
    versions = runs["method"].map(several["method_version"] > 1)
    configurations = runs["method"].map(several["configuration"] > 1)
    name = runs["method"].where(~versions, runs["method"] + " " + runs["method_version"])
    return runs.assign(method=name.where(~configurations, name + " " + runs["configuration"]))
