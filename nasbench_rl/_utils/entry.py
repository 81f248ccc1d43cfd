"""Where every ``python -m`` command begins: loads the rest of the package so that Ctrl-C ends it in one line."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from nasbench_rl._utils import streams


def run(module: str, interrupted: str = "nothing was written") -> int:
    """Load a command's module and run its ``main``; returns the exit code, see ``cli.run``.

    Args:
        module: has ``main(arguments)``.
        interrupted: what becomes of the work done when Ctrl-C ends it.
    """
    # While modules load, the exception of Ctrl-C may be caught by one of them, or be lost in a callback of the import
    # system. There is nothing to clean up yet, so that the process can end on the spot.

    def leave(number: int, frame: Any) -> None:
        os.write(2, f"interrupted; {interrupted}\n".encode())
        os._exit(130)

    def main(arguments: Sequence[str]) -> int:
        command = import_module(module).main
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with interrupts.requests_heeded():
            return int(command(arguments))

    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored, as behind nohup
    if heeded:
        signal.signal(signal.SIGINT, leave)
    streams.prepare()
    from nasbench_rl._utils import cli, interrupts

    code = cli.run(main, interrupted=interrupted)
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # once more, while workers end: at once
    return code
