"""Prepared image data sets in the user's cache: load, save, balanced subsets.

Images stay on this machine; tables hold accuracies alone. ``python -m nasbench_rl.data prepare NAME`` fills the cache.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from nasbench_rl._utils import files
from nasbench_rl._utils.files import replacing
from nasbench_rl._utils.paths import user_folder, user_path
from nasbench_rl.errors import DatasetError
from nasbench_rl.task.images import DatasetInfo, get_dataset_info

DataSplit: TypeAlias = Literal["train", "validation", "test"]
SPLITS: tuple[DataSplit, ...] = ("train", "validation", "test")
Images: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Labels: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

FORMAT = 2
"""Raised when the preparation of any data set changes: older files are refused."""


@dataclass(frozen=True)
class ImageData:
    """A prepared data set.

    Attributes:
        name: its name.
        classes: class names; a label is an index into them.
        images: split to uint8 (n, height, width, channels).
        labels: split to int64 (n,).
        digest: 16 hex digits over images and labels; equal digests mean equal data.
    """

    name: str
    classes: tuple[str, ...]
    images: Mapping[str, Images]
    labels: Mapping[str, Labels]
    digest: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        height, width, channels = self.images["train"].shape[1:]
        return height, width, channels

    def subset(self, split: DataSplit, limit: int | None = None) -> tuple[Images, Labels]:
        """Return at most ``limit`` images of a split, as many of each class as there are, always the same ones.

        Prepared splits lie in a fixed shuffled order. The first image of every class is taken, then the second of
        every class, and so on; a class that has run out leaves its place to the others. None: the whole split.
        """
        images, labels = self.images[split], self.labels[split]
        if limit is None or limit >= len(labels):
            return images, labels
        by_class = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[by_class], np.arange(len(self.classes)))
        turn = np.empty_like(labels)
        turn[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
        chosen = np.sort(np.lexsort((labels, turn))[:limit])
        return images[chosen], labels[chosen]


@dataclass(frozen=True)
class Collected:
    """Images before they are split.

    Attributes:
        images: uint8 (n, height, width, channels).
        labels: class name of each.
        groups: images of one group (a font family, a unit) stay in one split.
        keys: a distinct name of each; fixes the order.
        splits: the split of each where the data set brings its own, else None.
    """

    images: Images
    labels: Sequence[str]
    groups: Sequence[str]
    keys: Sequence[str]
    splits: Sequence[DataSplit] | None = None


def data_dir() -> Path:
    """``$NASBENCH_RL_DATA``, else ``data`` in the user's cache folder."""
    named = os.environ.get("NASBENCH_RL_DATA")
    if named:
        return user_path(named)
    return user_folder("cache", "set NASBENCH_RL_DATA to the folder where prepared data sets are to lie") / "data"


def dataset_path(name: str) -> Path:
    """Return where the prepared data set lies, or will lie."""
    return data_dir() / f"{get_dataset_info(name).name}.npz"


def check_dataset(data: ImageData, info: DatasetInfo) -> None:
    """Compare a data set with what is known about it.

    Raises:
        DatasetError: another number of classes or another size of image, or a class that a split lacks.
    """
    if data.shape != info.image or len(data.classes) != info.classes:
        raise DatasetError(
            f"data set {info.name!r} has {len(data.classes)} classes of {data.shape} images, "
            f"expected {info.classes} of {info.image}; {remedy(info.name)}"
        )
    for split in SPLITS:
        images, labels = data.images[split], data.labels[split]
        if len(images) != len(labels) or images.shape[1:] != info.image:
            raise DatasetError(f"data set {info.name!r}: images and labels of {split} do not fit; {remedy(info.name)}")
        absent = sorted(set(range(info.classes)) - set(labels.tolist()))
        if absent:
            raise DatasetError(f"data set {info.name!r}: no image of class {data.classes[absent[0]]!r} in {split}")


def make_dataset(
    name: str, classes: tuple[str, ...], images: Mapping[str, Images], labels: Mapping[str, Labels]
) -> ImageData:
    """Return an ImageData with its digest computed."""
    checksum = hashlib.sha256()
    for split in SPLITS:
        for array in (np.ascontiguousarray(images[split]), labels[split].astype("<i8")):
            checksum.update(str(array.shape).encode())
            checksum.update(array.tobytes())
    return ImageData(name, classes, dict(images), dict(labels), checksum.hexdigest()[:16])


def save_dataset(data: ImageData) -> Path:
    """Write a data set into the cache: to a temporary file first, then renamed.

    Raises:
        DatasetError: the cache cannot be written; says where it is and how to have another.
    """
    path = dataset_path(data.name)
    try:
        _write(data, path)
    except OSError as error:
        raise unusable(path, "written", error) from None
    return path


def _write(data: ImageData, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"format": np.array(FORMAT), "classes": np.array(data.classes)}
    arrays["digest"] = np.array(data.digest)
    for split in SPLITS:
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = data.images[split], data.labels[split]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


@lru_cache(maxsize=8)
def read_dataset(name: str, path: Path, modified: int) -> ImageData:
    """Read a data set; ``modified`` makes a file that was prepared again another entry of the cache."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unusable(path, "read", error) from None
    try:
        arrays = _unpack(raw)
        if int(arrays["format"]) != FORMAT:
            raise DatasetError(f"{path} was prepared by another version of this package; {remedy(name)}")
        images: dict[str, Images] = {split: arrays[f"{split}_images"] for split in SPLITS}
        labels: dict[str, Labels] = {split: arrays[f"{split}_labels"].astype(np.int64) for split in SPLITS}
        classes, digest = tuple(str(label) for label in arrays["classes"]), str(arrays["digest"])
        if any(images[split].ndim != 4 or labels[split].ndim != 1 for split in SPLITS):
            raise ValueError("no images")
        data = make_dataset(name, classes, images, labels)
        if any(images[split].dtype != np.uint8 for split in SPLITS) or data.digest != digest:
            raise ValueError("other images than were prepared")
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # what a damaged archive raises is in no list: NotImplementedError, RuntimeError, …
        raise DatasetError(f"{path} is damaged ({type(error).__name__}); {remedy(name)}") from None
    for split in SPLITS:  # every caller gets the same arrays
        images[split].flags.writeable = labels[split].flags.writeable = False
    check_dataset(data, get_dataset_info(name))
    return data


def _unpack(raw: bytes) -> dict[str, Any]:
    """Read the arrays of an ``.npz``, every member to its end: ``np.load`` stops short of a checksum at times."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {member.removesuffix(".npy"): archive.read(member) for member in archive.namelist()}
    return {member: np.lib.format.read_array(io.BytesIO(held), allow_pickle=False) for member, held in members.items()}


def unusable(path: Path, verb: str, error: OSError) -> DatasetError:
    """Return the error for a file of the cache that cannot be ``"read"`` or ``"written"``."""
    room = "make room there, or " if error.errno in files.FULL else ""
    return DatasetError(
        f"{path} cannot be {verb} ({files.reason(error)}); {room}set NASBENCH_RL_DATA to a folder that you may "
        "write, where prepared data sets are to lie"
    )


def remedy(name: str) -> str:
    """Return the command that prepares a data set, for messages."""
    return f"run: python -m nasbench_rl.data prepare {name}"
