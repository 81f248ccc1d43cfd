"""From a package or a folder to a prepared data set: collect, split by group, check, save."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nasbench_rl.data import image_folders, substitute_datasets
from nasbench_rl.data.images import (
    SPLITS,
    Collected,
    DataSplit,
    ImageData,
    Images,
    Labels,
    check_dataset,
    make_dataset,
    save_dataset,
)
from nasbench_rl.data.package_sources import PACKAGES, obtain
from nasbench_rl.errors import DatasetError, InvalidValueError
from nasbench_rl.task.images import DatasetInfo, get_dataset_info

STAND_IN_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
PAPER_SHARES = {"train": 2 / 3, "validation": 1 / 6, "test": 1 / 6}
"""The paper holds out one third (section 4.2.3) and lets the search see it; here half of that third is for reports."""


def prepare(name: str, files: Sequence[Path] = (), folder: Path | None = None) -> Path:
    """Collect, split and save one data set; returns the file in the cache.

    Args:
        name: which.
        files: package files that the user already has; what is not among them is fetched.
        folder: for the paper's data sets, the folder with one sub-folder per class.

    Raises:
        DatasetError: a package or the folder is absent or damaged.
        InvalidValueError: package files or a folder for a data set that takes none.
    """
    info = get_dataset_info(name)
    if files and info.source != "packages":
        raise InvalidValueError(f"{name!r} comes from no package, so --package-file has no use; see its `list` entry")
    if folder is not None and info.source != "folder":
        raise InvalidValueError(f"{name!r} is not read from a folder; run: python -m nasbench_rl.data prepare {name}")
    data = assemble(info, _collect(info, files, folder))
    check_dataset(data, info)
    total = sum(len(data.labels[split]) for split in SPLITS)
    if info.source == "packages" and total != info.images:
        raise DatasetError(f"{name!r} came out with {total} images, expected {info.images}; is Pillow very old?")
    return save_dataset(data)


def _collect(info: DatasetInfo, files: Sequence[Path], folder: Path | None) -> Collected:
    if info.source == "library":
        return substitute_datasets.digits()
    if info.source == "folder":
        return image_folders.collect(info, folder)
    with tempfile.TemporaryDirectory(prefix="nasbench-rl-") as temporary:
        paths = [obtain(package, files, Path(temporary)) for package in PACKAGES[info.name]]
        return substitute_datasets.COLLECTORS[info.name](paths)


def assemble(info: DatasetInfo, collected: Collected) -> ImageData:
    """Split, order and label. The same input gives the same output on every machine."""
    if not len(collected.images):
        raise DatasetError(f"{info.name!r}: no images found")
    shares = PAPER_SHARES if info.source == "folder" else STAND_IN_SHARES
    splits = collected.splits or split_by_group(collected.labels, collected.groups, shares)
    classes = tuple(sorted(set(collected.labels)))
    numbers = {label: number for number, label in enumerate(classes)}
    order = sorted(range(len(splits)), key=lambda at: _hash(f"{info.name}|{collected.keys[at]}"))
    chosen = {split: [at for at in order if splits[at] == split] for split in SPLITS}
    images: dict[str, Images] = {split: collected.images[rows] for split, rows in chosen.items()}
    labels: dict[str, Labels] = {
        split: np.array([numbers[collected.labels[at]] for at in rows], dtype=np.int64)
        for split, rows in chosen.items()
    }
    return make_dataset(info.name, classes, images, labels)


def split_by_group(labels: Sequence[str], groups: Sequence[str], shares: dict[str, float]) -> list[DataSplit]:
    """Return the split of each image, such that no group lies in two.

    Groups of one class alone are shared out within that class, the others over all classes. The largest group is
    placed first, each where most images are still wanted; groups of equal size come in an order that a hash of their
    name fixes.
    """
    classes: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        classes.setdefault(group, set()).add(label)
    sizes = Counter(groups)
    strata: dict[str | None, list[str]] = {}
    for group, within in classes.items():
        strata.setdefault(next(iter(within)) if len(within) == 1 else None, []).append(group)
    place: dict[str, DataSplit] = {}
    for members in strata.values():
        total = sum(sizes[group] for group in members)
        wanted = {split: shares[split] * total for split in SPLITS}
        for group in sorted(members, key=lambda name: (-sizes[name], _hash(name))):
            split = max(SPLITS, key=lambda name: wanted[name])  # the first of equals
            place[group] = split
            wanted[split] -= sizes[group]
    return [place[group] for group in groups]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
