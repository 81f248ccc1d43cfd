"""``python -m nasbench_rl.build``: train what a table lacks, take in shards from elsewhere, show coverage."""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_rl.build.kernels import kernels_command
from nasbench_rl.build.merging import merge_command
from nasbench_rl.build.status import status_command
from nasbench_rl.build.surrogate_report import surrogate_command
from nasbench_rl.build.train import train_command
from nasbench_rl.errors import InvalidValueError, nearest, unknown
from nasbench_rl.task import task_ids

COMMANDS = {
    "status": status_command,
    "merge": merge_command,
    "surrogate": surrogate_command,
    "kernels": kernels_command,
}


def main(arguments: Sequence[str]) -> int:
    """Return the command line."""
    if not arguments:
        raise InvalidValueError(
            "name at least one task, or 'status', 'merge', 'surrogate' or 'kernels'; "
            "see python -m nasbench_rl.build --help"
        )
    first = arguments[0]
    if first in COMMANDS:
        return COMMANDS[first](arguments[1:])
    if not first.startswith("-") and nearest(first, [*COMMANDS, *task_ids()]) in COMMANDS:
        raise unknown("task or command", first, [*COMMANDS, *task_ids()])
    return train_command(arguments)
