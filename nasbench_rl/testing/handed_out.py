"""Whether what is handed out can be edited without changing the next answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np


def check_own(name: str, ask: Callable[[], Any]) -> int:
    """Fail unless ``ask()`` answers as before once its answer was edited in place; returns the number of arrays in it.

    What cannot be written to is left as it is. ``name`` is what was asked, for the error message.
    """
    answer = ask()
    before = _arrays(answer)
    kept = [array.copy() for array in before]
    for array in before:
        _spoil(array)
    again = _arrays(ask())
    assert len(again) == len(kept), f"{name} answered {len(kept)} arrays, and {len(again)} once they were edited"
    for old, new in zip(kept, again, strict=True):
        if old.dtype == object:  # by their text, in which a missing value equals itself
            same = repr(old.tolist()) == repr(new.tolist())
        else:
            same = np.array_equal(old, new, equal_nan=old.dtype.kind == "f")
        assert same, f"{name} answers otherwise once its answer was edited: {new!r}, and {old!r} before"
    return len(kept)


def _arrays(answer: Any) -> list[np.ndarray[Any, Any]]:
    """Yield every array in an answer: itself, a frame's columns and labels, and those in mappings, lists and tuples."""
    if isinstance(answer, np.ndarray):
        return [answer]
    if hasattr(answer, "columns") and hasattr(answer, "index"):  # a frame; pandas itself loads with the first of them
        columns = [answer.iloc[:, i] for i in range(answer.shape[1])]
        return [np.asarray(part) for part in (*columns, answer.index, answer.columns)]
    if isinstance(answer, Mapping):
        return [array for part in answer.values() for array in _arrays(part)]
    if isinstance(answer, (list, tuple)):
        return [array for part in answer for array in _arrays(part)]
    return []


def _spoil(array: np.ndarray[Any, Any]) -> None:
    """Turn the rows round and change every number, where the array can be written to."""
    with suppress(ValueError):  # it is read-only
        array[...] = np.logical_not(array) if array.dtype == bool else array[::-1].copy()
        if array.dtype.kind in "iuf":
            array[...] = array + 1
