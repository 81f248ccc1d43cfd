"""What a surrogate says of itself: how it was fitted, on what, how good it is, and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.tables.results import Split
from nasbench_rl.task.splits import SPLITS

FORMAT = 1
"""Raised when the files of a surrogate change their meaning."""
METADATA = "surrogate.json"


@dataclass(frozen=True, slots=True)
class SurrogateOptions:
    """How the members are fitted. Leaves, learning rate and features: ``tests/benchmarks/surrogate_options.py``.

    Attributes:
        members: of each split's ensemble, two or more; each is fitted without another equal part of the architectures.
        trees: boosting rounds of a member.
        leaves: of a tree.
        learning_rate: shrinkage of each tree.
        feature_fraction: share of the features that a tree may look at.
        fewest_rows: a leaf holds at least so many rows, each an epoch of one training.
    """

    members: int = 10
    trees: int = 300
    leaves: int = 12
    learning_rate: float = 0.1
    feature_fraction: float = 0.3
    fewest_rows: int = 10

    def __post_init__(self) -> None:
        """Raise InvalidValueError for an ensemble of one: it would be fitted on nothing."""
        if self.members < 2:
            raise InvalidValueError(f"members {self.members!r}: each is fitted without another part; allowed: 2, 3, …")


@dataclass(frozen=True)
class SurrogateInfo:
    """What ``surrogate.json`` holds.

    Attributes:
        task: the task's id.
        task_digest: of all that fixes a training of the task.
        features: names of the members' inputs, in order.
        options: how the members were fitted.
        spread_factors: per split, what the members' standard deviation is multiplied by at each fidelity, so that 68 %
            of held-out architectures lie within one spread.
        table_sha256: of the table that it was fitted on.
        rows: rows of that table.
        architectures: different architectures in it.
        quality: rows of ``surrogate_quality.quality``; empty when it was not measured.
        models: SHA-256 of each member's file.
        lightgbm: version that fitted it.
        code_version: of this package.
        machine: that fitted it.
        format: see ``FORMAT``.
    """

    task: str
    task_digest: str
    features: tuple[str, ...]
    options: SurrogateOptions
    spread_factors: Mapping[Split, tuple[float, ...]]
    table_sha256: str
    rows: int
    architectures: int
    quality: tuple[Mapping[str, Any], ...]
    models: Mapping[str, str]
    lightgbm: str
    code_version: str
    machine: str
    format: int = field(default=FORMAT)

    def to_json(self) -> bytes:
        """Return the content of ``surrogate.json``."""
        return (json.dumps(asdict(self), indent=1, allow_nan=False) + "\n").encode()


def read_info(content: bytes, path: Path, remedy: str) -> SurrogateInfo:
    """Return the metadata in a file's content.

    Raises:
        TableError: it is none, or of another format; the message ends with ``remedy``.
    """
    try:
        raw = json.loads(content)
        if raw["format"] != FORMAT:
            raise TableError(f"{path} has format {raw['format']!r}; this nasbench-rl reads {FORMAT}; {remedy}")
        factors = {split: tuple(raw["spread_factors"][split]) for split in SPLITS}
        changed = {
            "features": tuple(raw["features"]), "options": SurrogateOptions(**raw["options"]),
            "spread_factors": factors, "quality": tuple(raw["quality"]),
        }  # fmt: skip
        return SurrogateInfo(**{**raw, **changed})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TableError(f"{path} does not describe a surrogate ({error}); {remedy}") from error


def read_model(path: Path, sha256: str, remedy: str) -> str:
    """Return the text of a member's file.

    Raises:
        TableError: absent or changed; the message ends with ``remedy``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot read {path} ({error.strerror}); {remedy}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TableError(f"{path} is not the file that {METADATA} names: it was changed or cut short; {remedy}")
    return content.decode()
