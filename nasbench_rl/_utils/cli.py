"""What all command lines of the package share: help with examples, one console, one line for an error."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from nasbench_rl._utils import cores, files, interrupts, streams
from nasbench_rl._utils.paths import user_path
from nasbench_rl.errors import MOST, InvalidValueError, NasbenchError, check_whole, missing_extra

LARGEST = 10_000_000
"""Of what is counted one by one: seeds, processes, folds. More would fill the memory before anything is begun."""
MOST_DIGITS = 1000
"""Python reads numbers of some thousand digits at most."""
OUT_OF_MEMORY = (
    "out of memory; allow more where it is limited (ulimit -v, a container), or have fewer processes (--jobs)"
)
WIDTH_OF_A_FILE = 200
"""Columns of output that goes to no terminal: wide enough that no table is squeezed."""


class _Console(Console):
    """A console whose reader (head, less) may stop reading: that is a good end."""

    def on_broken_pipe(self) -> None:
        """End in exit code 0, not in Rich's 1."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what Python flushes at its end has to go somewhere
        raise SystemExit(0)


_on_terminal = sys.stdout is not None and sys.stdout.isatty()  # a worker's stdout may be closed
console = _Console(width=None if _on_terminal or "COLUMNS" in os.environ else WIDTH_OF_A_FILE)
errors = Console(stderr=True, soft_wrap=True)


class Table(RichTable):
    """A table that takes text as it stands and cuts none of it: where a column is narrow, words go on below."""

    def __init__(self, *headers: str, title: str = "", caption: str = "", **options: Any) -> None:
        """See ``rich.table.Table``."""
        super().__init__(
            *headers, title=Text(title, "table.title") if title else None,
            caption=Text(caption, "table.caption") if caption else None, **options,
        )  # fmt: skip

    def add_column(self, header: str = "", *args: Any, **options: Any) -> None:  # type: ignore[override]
        """See ``rich.table.Table.add_column``."""
        super().add_column(Text(header), *args, **{"overflow": "fold", **options})

    def add_row(self, *cells: str, **options: Any) -> None:  # type: ignore[override]
        """See ``rich.table.Table.add_row``."""
        super().add_row(*map(Text, cells), **options)


class Parser(argparse.ArgumentParser):
    """Keeps the line breaks of the examples and ends in exit code 2 with one line."""

    def __init__(self, prog: str, description: str, examples: Sequence[str]) -> None:
        """``prog``: as the user types it; ``examples``: whole command lines."""
        epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples)
        super().__init__(
            prog=prog, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise instead of printing the whole usage."""
        raise NasbenchError(f"{message}; see {self.prog} --help")


def run(
    main: Callable[[Sequence[str]], int],
    arguments: Sequence[str] | None = None,
    interrupted: str = "nothing was written",
) -> int:
    """Run ``main``; return its exit code, 2 for bad input or file trouble (one line on stderr), 130 if interrupted.

    Args:
        main: takes the command line's arguments.
        arguments: None is the process's.
        interrupted: what becomes of the work done when Ctrl-C ends it.
    """
    streams.prepare()
    try:
        if not files.has_working_directory():
            raise NasbenchError(files.GONE)
        return main(sys.argv[1:] if arguments is None else arguments)
    except NasbenchError as error:
        # An argument may contain line breaks, and a message is one line.
        errors.print("error: " + r"\n".join(str(error).splitlines()), style="bold red", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt as error:
        with suppress(OSError):  # the terminal may be what went away
            errors.print(f"interrupted; {interrupted}", style="yellow")
        return interrupts.exit_code(error)
    except OSError as error:  # a file that may not be read, a full disk: nothing that a traceback would explain
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 0
        text = " ".join(str(error).split())
        if error.errno in files.FULL:
            text += f"; {files.remedy(error)}"
        errors.print(f"error: {text}", style="bold red", markup=False, highlight=False)
        return 2
    except ModuleNotFoundError:
        raise  # of a package that is required, whose name says enough
    except ImportError as error:  # a library that is there and cannot be mapped into memory
        text = " ".join(str(error).split())
        errors.print(f"error: {text}; {OUT_OF_MEMORY}", style="bold red", markup=False, highlight=False)
        return 2
    except MemoryError:
        errors.print(f"error: {OUT_OF_MEMORY}", style="bold red", markup=False, highlight=False)
        return 2


def _reader_is_gone() -> bool:
    """Return whether nobody reads stdout any more (head, less), unlike a broken pipe to another process."""
    try:
        sys.stdout.flush()
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sys.stdout.fileno(), 0)
            return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except BrokenPipeError:
        return True
    except (OSError, ValueError, AttributeError):  # no file, or none at all
        pass
    return False


def check_report(*modules: str) -> None:
    """Raise MissingExtraError unless these modules are installed: before hours of searches, not when they are drawn."""
    for module in modules:
        if find_spec(module) is None:
            raise missing_extra(module, "report", "the report at the end")


def say(text: str) -> None:
    """Print a line as it stands: no markup, no colours for numbers, not wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Print a table whose first ``left`` columns are text and the others numbers."""
    table = Table(title=title, title_justify="left")
    for at, name in enumerate(header):
        table.add_column(name, justify="left" if at < left else "right")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def positive(text: str) -> int:
    """Parse for argparse: a whole number from 1 to ``LARGEST``."""
    value = int(text) if text.isascii() and text.lstrip("-").isdigit() and len(text) < MOST_DIGITS else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    if value > LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is too large; allowed: 1, 2, …, {LARGEST}")
    return value


def seed(text: str) -> int:
    """Parse for argparse: a seed, as ``errors.check_whole`` has it."""
    try:
        value = int(text) if len(text) < MOST_DIGITS else MOST + 1
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; allowed: 0, 1, …, {MOST}") from None
    with _own_words():
        check_whole("seed", value)
    return value


def check_seeds(first: int, runs: int) -> None:
    """Raise InvalidValueError unless ``first`` … ``first + runs − 1`` are search seeds."""
    check_whole(f"--seed {first} with {runs} runs ends in search seed", first + runs - 1)


def path(text: str) -> Path:
    """Parse for argparse: a path that is one, and not an empty variable of a shell; ``~`` is the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("it names nothing; give a path, or leave it out")
    with _own_words():
        return user_path(text)


@contextmanager
def _own_words() -> Iterator[None]:
    """Say in this package's words what is wrong with an argument: argparse has its own for a ValueError."""
    try:
        yield
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_jobs(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option ``--jobs`` of a command that works in several processes."""
    parser.add_argument("--jobs", type=positive, default=cores.usable(), metavar="J",
                        help=f"{what} (default: one for each CPU that may be used here)")  # fmt: skip


def names(values: Sequence[str] | None, option: str = "") -> list[str]:
    """Return names given apart (``a b``) or with commas (``a,b``), each once; none for None.

    Raises:
        InvalidValueError: an option was given, and names nothing, as an empty variable of a shell does.
    """
    found = list(dict.fromkeys(part for value in values or () for part in value.split(",") if part))
    if values and not found:
        raise InvalidValueError(f"{option or ' '.join(map(repr, values))} names nothing; give a name, or leave it out")
    return found
