"""Numbers that come in become Python's own or int64, once, and arrays that go out cannot change what was kept.

In: whole numbers of every integer type are the same number, and True, 1.0 and "1" are none of any. Small types would
wrap around where they are added and multiplied.

Out: an array or frame that a call returns is the caller's own, to edit at will; one that is an attribute is read-only.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from nasbench_rl.errors import InvalidValueError

Integers = np.ndarray[Any, np.dtype[np.int64]]
AnyArray = TypeVar("AnyArray", bound="np.ndarray[Any, Any]")

_INT64 = np.iinfo(np.int64)
EXACT = frozenset({type(None), str, int, *(np.dtype(code).type for code in np.typecodes["AllInteger"])})
"""Types whose values equal nothing of another meaning: True and 1.0 equal 1."""


def as_int(value: object) -> int | None:
    """Return a whole number of any type as Python's own; None for everything else, True and 1.0 among it."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__") or getattr(value, "shape", None):
        return None
    if "bool" in str(getattr(value, "dtype", "")):  # a truth value of a library whose own has an index
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array of floats
        return None


def whole_number(what: str, value: object, allowed: str, least: int | None = None) -> int:
    """Return ``value`` as a Python int.

    Args:
        what: what the number is called in the error message.
        value: anything.
        allowed: which numbers are, for the error message.
        least: the smallest that is allowed; None leaves bounds to the caller.

    Raises:
        InvalidValueError: no whole number, or one below ``least``.
    """
    number = as_int(value)
    if number is None:
        if isinstance(value, (float, np.floating)) and not np.isfinite(value):
            raise InvalidValueError(f"{what} {value!r} is not finite; allowed: {allowed}")
        near = f" write {int(value)};" if isinstance(value, (float, np.floating)) and value == int(value) else ""
        raise InvalidValueError(f"{what} {value!r} is not a whole number;{near} allowed: {allowed}")
    if least is not None and number < least:
        raise InvalidValueError(f"{what} {number} is below {least}; allowed: {allowed}")
    return number


def as_integers(given: object) -> Integers | None:
    """Return an int64 array of what holds whole numbers alone, of any type and shape; None for everything else.

    Takes arrays and what turns into one (series and frames of pandas and polars, tensors), and flat sequences.
    """
    if not hasattr(given, "__array__"):
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            return None
        return _from_items(list(given), None)
    array = np.asarray(given)
    if array.dtype.kind == "O":  # pandas' own integers, where one may be missing
        return _from_items(array.ravel().tolist(), array.shape)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.size and int(array.max()) > _INT64.max):
        return None
    return array.astype(np.int64, copy=False)


def _from_items(items: list[Any], shape: tuple[int, ...] | None) -> Integers | None:
    numbers = [as_int(item) for item in items]
    if not all(number is not None and _INT64.min <= number <= _INT64.max for number in numbers):
        return None
    array = np.array(numbers, dtype=np.int64)
    return array if shape is None else array.reshape(shape)


def whole_column(name: str, one: str, given: object, count: int) -> int | Integers | None:
    """Return one number for all of ``count`` rows as a Python int, or one for each as (count,) int64; None for None.

    ``name`` is what the column is called in the error message, and ``one`` one of its numbers.

    Raises:
        InvalidValueError: neither.
    """
    single = as_int(given)
    if given is None or (single is not None and _INT64.min <= single <= _INT64.max):
        return single
    values = as_integers(given)
    if values is None or values.shape != (count,):
        shape = np.shape(given) if hasattr(given, "__array__") else ()
        shown = repr(given) if len(shape) == 0 else f"of type {getattr(given, 'dtype', '?')} and shape {shape}"
        raise InvalidValueError(
            f"{name}={shown} does not fit: a {one} is a whole number; give one for all, or {count:,} for as many rows"
        )
    return values


def read_only(array: AnyArray) -> AnyArray:
    """Return the array itself, which can no longer be written to."""
    array.setflags(write=False)
    return array
