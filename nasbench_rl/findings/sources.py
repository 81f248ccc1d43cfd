"""Which tables were read: what each holds and who made it; and what surrogates say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_rl._utils import provenance
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.surrogate_model.ensemble import surrogate_name
from nasbench_rl.benchmark.surrogate_model.info import SurrogateInfo, read_info
from nasbench_rl.errors import RecipeMismatchError
from nasbench_rl.findings.searches import Searches
from nasbench_rl.tables import table_io
from nasbench_rl.tables.advice import how_to_make
from nasbench_rl.tables.manifest import read_checked, read_manifest
from nasbench_rl.tables.one_shot_scores import OneShot, OneShotScores
from nasbench_rl.task import GameTask, ImageTask, get_task, task_ids

SHALLOW, DEEP = 3, 7
"""Layers: networks of up to ``SHALLOW``, and of more than ``DEEP``, are counted."""
SPLIT = "test"
QUALITY = (
    "task", "held_out", "networks", "r2", "tau", "sparse_tau", "within_1", "within_2", "r2_ceiling", "tau_ceiling",
    "sparse_tau_ceiling", "shallow", "deep", "deepest_of_space", "table_changed",
)  # fmt: skip
TABLES = ("table", "sha256", "holds", "train_seeds", "complete_seeds", "cpu_hours", "code_versions", "machines")


def surrogate_infos(folder: Path) -> list[SurrogateInfo]:
    """Read what the stored surrogates say of themselves, in the registry's order of tasks; their models are not read.

    Raises:
        TableError: a description is absent though listed, changed, or of another format.
        RecipeMismatchError: a surrogate was fitted on trainings of another recipe.
    """
    found = []
    for task in map(get_task, task_ids()):
        content = read_checked(folder, surrogate_name(task)) if isinstance(task, ImageTask) else None
        if content is None:
            continue
        path, remedy = folder / surrogate_name(task), f"fit it: {how_to_make(task, f'surrogate {task.id}')}"
        info = read_info(content, path, remedy)
        if info.task_digest != task.digest:
            raise RecipeMismatchError(f"{path} is of recipe {info.task_digest}; {task.id} is {task.digest}: {remedy}")
        found.append(info)
    return found


def surrogate_quality(
    infos: Iterable[SurrogateInfo], benches: Mapping[str, Benchmark], tables: Mapping[str, str]
) -> pd.DataFrame:
    """Return ``QUALITY``: how well each surrogate guesses the test accuracy of networks that were held out.

    ``held_out`` is one of ``surrogate_quality.GROUPINGS``; ``table_changed`` whether the table is another one now.
    """
    rows: list[dict[str, Any]] = []
    for info in infos:
        task, bench = get_task(info.task), benches.get(info.task)
        names = bench.table.names if bench else ()
        layers = [len(task.space.parse(name).choices) for name in names]
        same = {
            "networks": info.architectures,
            "shallow": sum(count <= SHALLOW for count in layers),
            "deep": sum(count > DEEP for count in layers),
            "deepest_of_space": task.space.definition.depth if isinstance(task, ImageTask) else 0,
            "table_changed": info.table_sha256[:12] != tables.get(table_io.table_name(task)),
        }
        measured = [row for row in info.quality if row.get("split") == SPLIT]
        for row in measured:
            known = {name: value for name, value in row.items() if value is not None}  # null is NaN in JSON
            rows.append({**known, **same, "task": info.task, "held_out": row.get("grouping")})
    return pd.DataFrame(rows).reindex(columns=list(QUALITY))


def tables_read(
    folder: Path, searches: Searches, benches: Mapping[str, Benchmark], infos: Iterable[SurrogateInfo]
) -> pd.DataFrame:
    """Return ``TABLES``: a row for every table that was read, and one for the searches that were run on them."""
    rows = [_of_task(folder, bench) for bench in benches.values()] + _side_tables(folder)
    for info in infos:
        holds = f"models: {len(info.models)}, fitted on networks: {info.architectures}"
        made = {"code_versions": info.code_version, "machines": info.machine}
        rows.append({"table": surrogate_name(get_task(info.task)), "holds": holds, **made})
    count = sum(one.runs for one in searches.searches)
    made = {"code_versions": provenance.code_version(), "machines": provenance.machine()}
    by_name = {str(row["table"]): row for row in rows}
    listed = [{**by_name.get(name, {"table": name}), "sha256": digest} for name, digest in searches.tables.items()]
    return pd.DataFrame([*listed, {"table": "searches", "holds": f"searches: {count}", **made}], columns=list(TABLES))


def _of_task(folder: Path, bench: Benchmark) -> dict[str, Any]:
    table = bench.table
    return {
        **_made(folder, bench.task),
        "holds": f"cells: {int(table.complete.sum())}",
        "train_seeds": " ".join(map(str, table.seeds.tolist())),
        "complete_seeds": int(table.complete.all(axis=0).sum()),
        "cpu_hours": float(table.columns["cpu_seconds"][:, :, -1][table.complete].sum()) / 3600,
    }


def _side_tables(folder: Path) -> list[dict[str, Any]]:
    """Supernets, differentiable searches and latencies of every task, whether or not it has a table of its own yet."""
    listed, found = read_manifest(folder), []
    for task in map(get_task, task_ids()):
        if table_io.table_name(task.latency) in listed:
            timed = table_io.read_table(folder, task.latency)["arch"].unique()
            found.append({**_made(folder, task.latency), "holds": f"networks timed: {len(timed)}"})
        if not isinstance(task, GameTask):
            continue
        one_shot: tuple[tuple[Any, OneShot, str], ...] = (
            (task.supernet, "supernet", "supernets"), (task.darts, "darts", "differentiable searches")
        )  # fmt: skip
        for table, family, unit in one_shot:
            if table_io.table_name(table) in listed:
                scores = OneShotScores(task, table_io.read_table(folder, table), family)
                made = {"holds": f"{unit}: {len(scores.seeds)}", "cpu_hours": float(scores.cpu_seconds.sum()) / 3600}
                found.append({**_made(folder, table), **made})
    return found


def _made(folder: Path, table: Any) -> dict[str, Any]:
    """Say by which versions of this package, and on which machines, a table was made."""
    rows = table_io.read_table(folder, table)
    versions, machines = (
        "; ".join(sorted(text for text in rows[name].unique().to_pylist() if text))
        for name in ("code_version", "machine")
    )
    return {"table": table_io.table_name(table), "code_versions": versions, "machines": machines}
