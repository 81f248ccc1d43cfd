"""``python -m nasbench_rl.build``: train what a table lacks, take in shards from elsewhere, show coverage."""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_rl.build.merging import merge_command
from nasbench_rl.build.status import status_command
from nasbench_rl.build.surrogate_report import surrogate_command
from nasbench_rl.build.train import train_command
from nasbench_rl.errors import InvalidValueError


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    if not arguments:
        raise InvalidValueError(
            "name at least one task, or 'status', 'merge' or 'surrogate'; see python -m nasbench_rl.build --help"
        )
    command = {"status": status_command, "merge": merge_command, "surrogate": surrogate_command}.get(arguments[0])
    return train_command(arguments) if command is None else command(arguments[1:])
