"""NSC networks from and to text and rows of numbers.

Chains read ``conv3 maxpool2 conv1``. Multi-branch networks read ``conv3 | maxpool2@0 | add(1,2)``: layers are numbered
from 1 in the order written, 0 is the input, ``@n`` names the predecessor and is left out when that is the layer before.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nasbench_rl._utils.numeric import as_int
from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vector, Vectors, predecessors

_TOKEN = re.compile(r"^(?P<name>[a-z]+)(?P<kernel>\d{0,9})(?:@(?P<pred>\d{1,9}))?(?:\((?P<pair>\d{1,9},\d{1,9})\))?$")


def layer_name(kind: int, kernel: int, definition: NscDefinition) -> str:
    """Return ``conv3``, ``maxpool2``, ``add``."""
    return definition.operation(kind) + (str(kernel) if kernel else "")


def layer_names(definition: NscDefinition) -> list[str]:
    """Return every layer one can write, in definition order."""
    options = [option for arity in (1, 2) for option in definition.options(arity)]
    return [layer_name(kind, kernel, definition) for kind, kernel in options]


def to_text(vectors: Vectors, definition: NscDefinition) -> str:
    """Return the string of a network; ``from_text`` inverts it."""
    words = []
    for vector in vectors:
        name = layer_name(vector[1], vector[2], definition)
        sources = predecessors(vector, definition)
        if len(sources) == 2:
            words.append(f"{name}({sources[0]},{sources[1]})")
        else:
            words.append(name if sources == (vector[0] - 1,) else f"{name}@{sources[0]}")
    return (" " if definition.chain else " | ").join(words)


def from_text(text: str, definition: NscDefinition) -> Vectors:
    """Read ``to_text``'s form, or the rows of numbers that nasgym printed (``[[1 1 3 0 0] [2 2 2 1 0]]``).

    Raises:
        InvalidArchitectureError: naming the layer that is not understood.
    """
    if text.lstrip().startswith("["):
        return from_rows(_printed_rows(text), definition)
    tight = re.sub(r"\s*([(,@])\s*|\s+(?=\))", r"\1", text.strip())  # "add(1, 2)" is one word
    words = [word.strip() for word in tight.split("|")] if "|" in tight else tight.split()
    return from_rows([_vector(index, word, definition) for index, word in enumerate(words, start=1)], definition)


def from_rows(rows: Iterable[Sequence[Any]] | np.ndarray[Any, Any], definition: NscDefinition) -> Vectors:
    """Check rows of five numbers and return the network in the order of its indices.

    Empty rows (index 0 and type 0) are dropped, and so is a terminal layer at the end: neither changes the network.

    Raises:
        InvalidArchitectureError: naming the row and what is wrong with it.
    """
    vectors = sorted(_row(row) for row in rows)
    vectors = [vector for vector in vectors if vector != (0, 0, 0, 0, 0)]
    if vectors and definition.layer(vectors[-1][1]) is not None and definition.operation(vectors[-1][1]) == "terminal":
        _check_terminal(vectors.pop(), len(vectors) + 1)
    if not vectors:
        raise InvalidArchitectureError(
            f"an architecture needs at least one layer of: {', '.join(layer_names(definition))}"
        )
    if len(vectors) > definition.depth:
        raise InvalidArchitectureError(
            f"{len(vectors)} layers are too many for {definition.name!r}, whose depth is {definition.depth}"
        )
    return tuple(_check(vector, position, definition) for position, vector in enumerate(vectors, start=1))


def _row(row: Sequence[Any]) -> Vector:
    try:
        values = tuple(map(as_int, row))
    except TypeError:  # no row
        values = ()
    if len(values) != 5 or None in values:
        raise InvalidArchitectureError(
            f"{row!r} is no NSC vector; write five integers [index, type, kernel, predecessor 1, predecessor 2]"
        )
    return values  # type: ignore[return-value]


def _check_index(vector: Vector, position: int) -> None:
    if vector[0] != position:
        raise InvalidArchitectureError(
            f"layer {list(vector)} has index {vector[0]}; indices count 1, 2, … so {position}"
        )


def _check_terminal(vector: Vector, position: int) -> None:
    """Check the terminal row, which has neither size nor predecessors (Table 1); older files name predecessors."""
    _check_index(vector, position)
    if vector[2] != 0 or not all(0 <= source < position for source in vector[3:]):
        raise InvalidArchitectureError(f"layer {list(vector)}: a terminal layer is [{position}, {vector[1]}, 0, 0, 0]")


def _check(vector: Vector, position: int, definition: NscDefinition) -> Vector:
    index, kind, kernel, first, second = vector
    where = f"layer {index} {list(vector)}"
    _check_index(vector, position)
    layer = definition.layer(kind)
    if layer is None:
        known = ", ".join(f"{layer.type} {layer.name}" for layer in definition.layers)
        raise InvalidArchitectureError(f"{where}: unknown type {kind}; allowed: {known}")
    if layer.arity == 0:
        raise InvalidArchitectureError(f"{where}: {layer.name} may only be the last layer")
    if kernel not in (layer.kernels or (0,)):
        raise InvalidArchitectureError(
            f"{where}: {layer.name} cannot have size {kernel}; allowed: {list(layer.kernels or (0,))}"
        )
    if not all(0 <= source < index for source in (first, second)):
        raise InvalidArchitectureError(f"{where}: a predecessor must be 0 (the input) up to {index - 1}")
    if layer.arity == 1 and second != 0:
        raise InvalidArchitectureError(
            f"{where}: {layer.name} takes one predecessor; the second must be 0, not {second}"
        )
    if definition.chain and first != index - 1:
        raise InvalidArchitectureError(
            f"{where}: in a chain the predecessor is the layer before, {index - 1}, not {first}; "
            "branches are allowed in nsc-multibranch"
        )
    return vector


def _vector(index: int, word: str, definition: NscDefinition) -> Vector:
    match = _TOKEN.match(word)
    allowed = layer_names(definition)
    if match is None or match["name"] + match["kernel"] not in allowed:
        close = difflib.get_close_matches(word.lower(), allowed, n=1, cutoff=0.5)
        hint = f", did you mean {close[0]!r}?" if close else ";"
        raise InvalidArchitectureError(f"layer {index}: {word!r} is unknown{hint} allowed: {', '.join(allowed)}")
    layer = next(layer for layer in definition.layers if layer.name == match["name"])
    if (layer.arity == 2) != (match["pair"] is not None) or (layer.arity == 2 and match["pred"] is not None):
        form = f"{layer.name}(1,2)" if layer.arity == 2 else f"{match['name']}{match['kernel']}@1"
        raise InvalidArchitectureError(
            f"layer {index}: {word!r} names its predecessors wrongly; write it like {form!r}"
        )
    first, second = index - 1, 0
    if match["pair"]:
        first, second = (int(source) for source in match["pair"].split(","))
    elif match["pred"]:
        first = int(match["pred"])
    return (index, layer.type, int(match["kernel"] or 0), first, second)


def _printed_rows(text: str) -> list[list[int | float]]:
    """Return the rows of numbers in brackets, with or without brackets around all of them."""
    if re.search(r"[^\d\s,.\[\]-]", text):
        raise InvalidArchitectureError(f"{text!r} holds more than numbers and brackets")
    flat = text.strip()
    inner = flat[1:-1] if re.fullmatch(r"\[\s*\[.*\][\s,]*\]", flat, re.DOTALL) else flat
    if not re.fullmatch(r"\s*(\[[^][]*\][\s,]*)*", inner):
        raise InvalidArchitectureError(
            f"{text!r} is no list of rows; write each in brackets of its own: [[1 1 3 0 0] [2 2 2 1 0]]"
        )
    rows = [re.split(r"[\s,]+", row.strip(" \t\r\n,")) for row in re.findall(r"\[([^][]*)\]", inner)]
    try:
        return [[_number(word) for word in row] for row in rows if row != [""]]
    except ValueError:
        raise InvalidArchitectureError(f"{text!r} holds what is no number") from None


def _number(word: str) -> int | float:
    value = float(word)
    return int(value) if value.is_integer() else value
