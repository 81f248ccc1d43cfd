"""Image-classification tasks of the NSC spaces, as frozen data: the data sets and the recipes that train on them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from nasbench_rl.errors import unknown
from nasbench_rl.spaces.nsc_cost import Shape

CLASSIFIER_PROTOCOL = 1
"""Raised whenever the classifier's arithmetic changes: it is part of every recipe digest, so old rows do not mix in."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One image data set, known without loading it.

    Attributes:
        name: the environment part of a task id.
        image: (height, width, channels) as stored.
        classes: number of classes.
        images: number of images in all splits.
        source: ``"packages"`` (fetched), ``"library"`` (comes with scikit-learn) or ``"folder"`` (the user has it).
        about: what it is, where it comes from, its licence; one line.
    """

    name: str
    image: Shape
    classes: int
    images: int
    source: Literal["packages", "library", "folder"]
    about: str


def _by_name(*infos: DatasetInfo) -> MappingProxyType[str, DatasetInfo]:
    return MappingProxyType({info.name: info for info in infos})


STAND_INS = _by_name(
    DatasetInfo(
        "fashion-mnist",
        (28, 28, 1),
        10,
        70_000,
        "packages",
        "clothes; Debian package dataset-fashion-mnist, MIT",
    ),
    DatasetInfo(
        "font-letters",
        (28, 28, 1),
        26,
        12_064,
        "packages",
        "letters A-Z of 464 fonts, split by font family; Debian package fonts-aenigma",
    ),
    DatasetInfo(
        "emoji",
        (28, 28, 3),
        9,
        3_812,
        "packages",
        "emoji of two vendors by category, split by code point; npm emoji-datasource-google and -twitter",
    ),
    DatasetInfo(
        "animals",
        (28, 28, 1),
        10,
        9_716,
        "packages",
        "animal pictures without duplicates; PyPI animal-mnist, MIT",
    ),
    DatasetInfo(
        "wesnoth",
        (28, 28, 3),
        12,
        3_786,
        "packages",
        "unit sprites by race, split by unit; Debian package wesnoth-1.16-data, GPL",
    ),
    DatasetInfo("digits", (8, 8, 1), 10, 1_797, "library", "handwritten digits of scikit-learn, for smoke tests"),
)
"""What the ``lite`` recipe trains on: real images that stand in for the paper's data sets."""

PAPER_DATASETS = _by_name(
    DatasetInfo("omniglot", (84, 84, 3), 1623, 32_460, "folder", "Omniglot, train 1 of the meta-RL paper"),
    DatasetInfo("vgg_flower", (84, 84, 3), 102, 8_189, "folder", "VGG Flower, train 2"),
    DatasetInfo("dtd", (84, 84, 3), 47, 5_640, "folder", "Describable Textures, train 3"),
    DatasetInfo("aircraft", (84, 84, 3), 100, 10_000, "folder", "FGVC-Aircraft, held out"),
    DatasetInfo("cu_birds", (84, 84, 3), 200, 11_788, "folder", "CUB-200-2011, held out"),
)
"""Table 3 of the paper: from folders that the user has, resized to 84x84x3."""

DATASETS = MappingProxyType({**STAND_INS, **PAPER_DATASETS})


def get_dataset_info(name: str) -> DatasetInfo:
    """The data set of this name.

    Raises:
        UnknownNameError: there is none; the message lists those that exist.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name]
