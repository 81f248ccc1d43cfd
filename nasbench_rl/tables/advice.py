"""What to run for what a table lacks: every message that names such a command takes it from here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from nasbench_rl.errors import UnknownNameError, tables_option
from nasbench_rl.task import Task, get_task

Folder = str | os.PathLike[str] | None
"""A folder of tables as its user named it; None where queries look."""


def how_to_train(task: Task, options: str = "", tables: Folder = None) -> str:
    """Return the command that trains cells, supernets or differentiable searches of a task.

    Args:
        task: whose they are.
        options: of ``build``; empty for a first table.
        tables: where they lack.
    """
    if is_registered(task):
        return _commands([f"{task.id} {options}" if options else task.built_by], tables)
    named = "" if tables is None else f", tables={os.fspath(tables)!r}"
    why = "is registered with another recipe" if _is_known(task) else "is not registered"
    return f"ask load(task, mode='live'{named}) for it (the build command does not know this task: {task.id} {why})"


def how_to_make(task: Task, arguments: str, tables: Folder = None, train: bool = False) -> str:
    """Return the command that measures latencies (``TASK --latency``) or fits a surrogate (``surrogate TASK``).

    Args:
        task: whose they are.
        arguments: of ``build``, the task among them.
        tables: where they lack.
        train: a table has to be trained before.
    """
    if is_registered(task):
        return _commands([task.built_by, arguments] if train else [arguments], tables)
    given = shlex.split(arguments + tables_option(tables))
    last = f"nasbench_rl.task.register(task), then nasbench_rl.build.command.main({given!r}) in the same process"
    return f"{how_to_train(task, tables=tables)}; then {last}" if train else last


def is_registered(task: Task) -> bool:
    """Whether another process finds this very task by its id."""
    return _is_known(task) and get_task(task.id).digest == task.digest


def _is_known(task: Task) -> bool:
    try:
        get_task(task.id)
    except UnknownNameError:
        return False
    return True


def _commands(every: Sequence[str], tables: Folder) -> str:
    """``python -m nasbench_rl.build …``; on a copy where queries look into the installed package, which keeps none."""
    from nasbench_rl.tables.locate import MANIFEST, is_packaged, table_folders

    found = [folder for folder in table_folders(tables) if (folder / MANIFEST).is_file()]
    if found and is_packaged(found[0]):
        copy = f"cp -r {shlex.quote(str(found[0]))} my-tables"
        chain = " && ".join([copy, *(f"python -m nasbench_rl.build {one} --tables my-tables" for one in every)])
        return f"{chain} (and read the tables there)"
    return " && ".join(f"python -m nasbench_rl.build {one}{tables_option(tables)}" for one in every)
