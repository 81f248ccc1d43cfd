"""One exception tree. Every message names the bad value, what is allowed, the nearest match and the way on."""

from __future__ import annotations

import difflib
import math
import numbers
import os
import sys
from collections.abc import Iterable


class NasbenchError(Exception):
    """Root of everything this package raises on purpose; the command line turns it into one line and exit code 2."""


class UnknownNameError(NasbenchError, LookupError):
    """A name that is in no registry: a task, method, space, metric, data set or preset."""


class InvalidArchitectureError(NasbenchError, ValueError):
    """An architecture that is not a point of the search space."""


class IndexOutsideError(InvalidArchitectureError, IndexError):
    """A position that a search space has not."""


class NotEnumerableError(NasbenchError, TypeError):
    """A search space whose architectures are not counted or indexed."""


class InvalidValueError(NasbenchError, ValueError):
    """A fidelity, split, seed, budget or option outside what is allowed."""


class UnsuitedSpaceError(InvalidValueError):
    """A search space that a method cannot search; a comparison leaves the method out there."""


class SmallBudgetError(InvalidValueError):
    """A budget that does not reach a method's first evaluation."""


class MissingCellError(NasbenchError, LookupError):
    """A cell that no table holds. It is never imputed."""


class TableError(NasbenchError):
    """A table that is absent, truncated, of another schema, or whose checksum is wrong."""


class LostWorkerError(NasbenchError):
    """Worker processes that were killed, or could not be started, so that work is missing; do it again."""


class DatasetError(NasbenchError):
    """A data set that is absent, damaged, or not the one whose checksum is known."""


class RecipeMismatchError(TableError):
    """Rows trained by another recipe than the task's."""


class MissingExtraError(NasbenchError, ImportError):
    """An optional dependency that is not installed; the message names the extra to install."""


class BudgetExhausted(NasbenchError):  # noqa: N818  (a signal that ends a search, as StopIteration is)
    """A search asked for more than its budget holds. Nothing was charged."""


class UncopiedError(NasbenchError, TypeError):
    """A run, which is neither copied nor pickled: its copy would search for free."""


class TestDataError(NasbenchError):
    """A search asked for the test split, which reports alone may read."""

    __test__ = False  # the name is no pytest class


def nearest(value: object, allowed: Iterable[object]) -> str | None:
    """Return the allowed name closest in spelling to ``value``, or None when nothing is close."""
    by_lower = {str(name).lower(): str(name) for name in allowed}
    close = difflib.get_close_matches(str(value).lower(), list(by_lower), n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def describe_unknown(kind: str, value: object, allowed: Iterable[object], hint: str = "") -> str:
    """Return one line: ``unknown task 'x'; did you mean 'y'? allowed: …. hint``."""
    names = [str(name) for name in allowed]
    close = nearest(value, names)
    parts = [f"unknown {kind} {value!r};" + (f" did you mean {close!r}?" if close is not None else "")]
    shown = ", ".join(names[:30]) + (f", … ({len(names)} in all)" if len(names) > 30 else "")
    parts.append(f"allowed: {shown or '(none installed)'}.")
    if hint:
        parts.append(hint)
    return " ".join(parts)


def unknown(kind: str, value: object, allowed: Iterable[object], hint: str = "") -> UnknownNameError:
    """Return the exception for an unknown name, ready to raise."""
    return UnknownNameError(describe_unknown(kind, value, allowed, hint))


def check_number(what: str, value: object, allowed: str, whole: bool = False) -> None:
    """Raise InvalidValueError unless ``value`` is a finite number, an integer if ``whole``; ``allowed`` says which."""
    if not isinstance(value, numbers.Integral if whole else numbers.Real) or isinstance(value, bool):
        raise InvalidValueError(f"{what} {value!r} is not a{' whole' if whole else ''} number; allowed: {allowed}")
    if value != value or value in (math.inf, -math.inf):
        raise InvalidValueError(f"{what} {value!r} is not finite; allowed: {allowed}")


MOST = 2**63 - 1
"""The largest whole number that a file of results holds."""


def check_whole(what: str, value: int, least: int = 0) -> None:
    """Raise InvalidValueError unless ``least`` <= ``value`` <= ``MOST``: seeds, budgets."""
    if value < least:
        raise InvalidValueError(
            f"{what} {value} is {'negative' if value < 0 else 'too small'}; allowed: {least}, {least + 1}, …, {MOST}"
        )
    if value > MOST:
        raise InvalidValueError(f"{what} {value} is too large; allowed: {least}, {least + 1}, …, {MOST}")


def tables_option(folder: str | os.PathLike[str] | None) -> str:
    """Return the option that a command in a message needs for the folder of tables that the user named, if any."""
    if folder is None:
        return ""
    import shlex  # late: `import nasbench_rl` brings this module along, and nothing else does that one

    return f" --tables {shlex.quote(str(folder))}"


def missing_extra(module: str, extra: str, purpose: str) -> MissingExtraError:
    """Return the exception for an absent optional dependency, ready to raise.

    Where the ImportError that is being handled says that it is there and does not load, so does this one.
    """
    failed = sys.exc_info()[1]
    if isinstance(failed, ImportError) and not isinstance(failed, ModuleNotFoundError):
        reason = " ".join(str(failed).split()) or type(failed).__name__
        return MissingExtraError(
            f"{purpose} needs what is installed and cannot be loaded ({reason}); allow it more memory where that is "
            f"limited (ulimit -v), or install it anew: pip install --force-reinstall 'nasbench-rl[{extra}]'"
        )
    return MissingExtraError(
        f"{purpose} needs {module!r}, which is not installed; run: pip install 'nasbench-rl[{extra}]'"
    )
