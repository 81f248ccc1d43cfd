"""What the options of a comparison mean: tasks, methods with hyperparameters, budgets."""

from __future__ import annotations

import json
from typing import Any

from nasbench_rl.errors import MOST, InvalidValueError
from nasbench_rl.leaderboard.summary import Tables
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.task import Task, get_task, task_ids


def shipped_tasks(tables: Tables | str | None = None) -> list[str]:
    """Return the ids of the tasks of whose space every architecture has a validation and a test score.

    Args:
        tables: loaded ones, or their folder.
    """
    tables = Tables.of(tables)
    manifest = read_manifest(find_tables(tables.folder))
    ready = []
    for id_ in task_ids():
        task = get_task(id_)
        entry = manifest.get(table_io.table_name(task))
        if entry is not None and task.exhaustive and entry.architectures == len(task.space):
            if tables.load(id_).table.whole:
                ready.append(id_)
    return ready


def parse_budget(text: str, task: Task) -> int:
    """Parse ``"10x"`` whole trainings, or a number in the task's unit.

    Raises:
        InvalidValueError: neither, or nothing at all.
    """
    number = text[:-1] if text.endswith("x") else text
    try:
        value = float(number.replace(",", "").replace("_", ""))
    except ValueError:
        value = float("nan")
    amount = value * task.max_fidelity if text.endswith("x") else value
    if not 1 <= amount <= MOST:
        wrong = "is no number" if value != value else "buys nothing" if amount < 1 else "is more than a run can count"
        raise InvalidValueError(
            f"budget {text!r} {wrong}; allowed: whole trainings as '10x' or {task.fidelity_unit} as "
            f"'{10 * task.max_fidelity}', below {MOST + 1:.3g}"
        )
    if amount < task.fidelities[0]:
        raise InvalidValueError(
            f"budget {text!r} is below the shortest training of {task.id}, {task.fidelities[0]:,} "
            f"{task.fidelity_unit}; give a larger --budget"
        )
    return int(amount)


def parse_method(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``"random_search:samples=3"`` into name and hyperparameters; values are JSON, or otherwise text.

    Raises:
        InvalidValueError: something after a colon is not ``key=value``.
    """
    name, *pairs = text.split(":")
    hyperparameters: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidValueError(f"{pair!r} in method {text!r} is not key=value, as in 'random_search:samples=3'")
        try:
            hyperparameters[key] = json.loads(value)
        except (ValueError, RecursionError):
            hyperparameters[key] = value
    return name, hyperparameters


def refuse_fixed(options: Any, *names: str) -> None:
    """Raise InvalidValueError for options that a preset fixes and the user gave."""
    values = {name: getattr(options, name[2:].replace("-", "_")) for name in names}
    if ignored := [name for name, value in values.items() if value and (name, value) != ("--mode", "tabular")]:
        raise InvalidValueError(f"--preset {options.preset} fixes what {', '.join(ignored)} would change; leave it out")
