"""What lies beside the tasks' own tables: supernets, differentiable searches, and what surrogates say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nasbench_rl import store
from nasbench_rl.advice import how_to_make
from nasbench_rl.errors import RecipeMismatchError
from nasbench_rl.supernet_table import OneShotScores
from nasbench_rl.surrogate import surrogate_name
from nasbench_rl.surrogate_info import SurrogateInfo, read_info
from nasbench_rl.task import ImageTask, get_task, task_ids
from nasbench_rl.task_tables import SideTable


@dataclass(frozen=True)
class OneShotSource:
    """The stored supernets of a task, or its differentiable searches.

    Attributes:
        name: of their table in the manifest.
        family: ``supernet`` or ``darts``.
        seeds: how many of them are complete.
        cpu_hours: of those.
        code_versions: by which versions of this package they were fitted.
        machines: where.
    """

    name: str
    family: str
    seeds: int
    cpu_hours: float
    code_versions: tuple[str, ...]
    machines: tuple[str, ...]


def one_shot_sources(folder: Path) -> tuple[OneShotSource, ...]:
    """Of every task, whether or not it has a table of its own yet."""
    manifest = store.read_manifest(folder)
    tables = [table for task in map(get_task, task_ids()) for table in task.one_shot.values()]
    return tuple(_one_shot(folder, table) for table in tables if store.table_name(table) in manifest)


def _one_shot(folder: Path, table: SideTable) -> OneShotSource:
    rows = store.read_table(folder, table)
    scores = OneShotScores(table, rows, table.family)
    versions, machines = (tuple(sorted(set(rows[name].to_pylist()))) for name in ("code_version", "machine"))
    hours = float(scores.cpu_seconds.sum()) / 3600
    return OneShotSource(store.table_name(table), table.family, len(scores.seeds), hours, versions, machines)


def surrogate_infos(folder: Path) -> tuple[SurrogateInfo, ...]:
    """What the stored surrogates say of themselves, in the registry's order of tasks; their models are not read.

    Raises:
        TableError: a description is absent though listed, changed, or of another format.
        RecipeMismatchError: a surrogate was fitted on trainings of another recipe.
    """
    found = []
    for task in map(get_task, task_ids()):
        content = store.read_checked(folder, surrogate_name(task)) if isinstance(task, ImageTask) else None
        if content is None:
            continue
        path, remedy = folder / surrogate_name(task), f"fit it: {how_to_make(task, f'surrogate {task.id}')}"
        info = read_info(content, path, remedy)
        if info.task_digest != task.digest:
            raise RecipeMismatchError(f"{path} is of recipe {info.task_digest}; {task.id} is {task.digest}: {remedy}")
        found.append(info)
    return tuple(found)
