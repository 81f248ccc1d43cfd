"""Image-classification tasks of the NSC spaces, as frozen data: the data sets and the recipes that train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from nasbench_rl.errors import (
    unknown,
)
from nasbench_rl.spaces.base import ArchLike, Size
from nasbench_rl.spaces.nsc.morphism import find_morphism
from nasbench_rl.spaces.nsc.size import Shape
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.task.base import Task
from nasbench_rl.task.recipes import (
    digest,
)
from nasbench_rl.task.splits import ByColumn

CLASSIFIER_PROTOCOL = 1
"""Raised whenever the classifier's arithmetic changes: it is part of every recipe digest, so old rows do not mix in."""


@dataclass(frozen=True, slots=True)
class ClassifierRecipe:
    """All that fixes the training of a classifier (meta-RL paper, sections 4.1.2 and 6.1).

    Attributes:
        name: the part of a task id behind the ``@``.
        image_size: height and width of the images it trains on, in pixels; None takes them as the data set stores them.
        train_images: train on so many, evenly over the classes and always the same ones; None takes all.
        held_out_images: likewise for validation and for test, each.
        dense: units of the prediction module's hidden layer.
        autocast: ``"bf16"`` runs convolutions and dense layers in bfloat16 where that was measured to win.
        epochs: passes over the training images; the maximal fidelity.
        batch: images a gradient step.
        learning_rate: Adam's at the start.
        decay: factor on the learning rate …
        decay_every: … after so many epochs.
        filters: filters of the first convolution.
        filter_growth: factor by which each later convolution has more.
        dropout: share of the hidden layer's units that are dropped in training.
        adam_betas: Adam's β1 and β2.
        adam_eps: Adam's ε; the paper's ``10e-8``.
    """

    name: str
    image_size: int | None = None
    train_images: int | None = None
    held_out_images: int | None = None
    dense: int = 1024
    autocast: Literal["bf16"] | None = None
    epochs: int = 12
    batch: int = 128
    learning_rate: float = 1e-3
    decay: float = 0.2
    decay_every: int = 5
    filters: int = 32
    filter_growth: int = 1
    dropout: float = 0.4
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_eps: float = 1e-7

    @property
    def fidelities(self) -> tuple[int, ...]:
        """Epochs at which the learning curve is stored: every one."""
        return tuple(range(1, self.epochs + 1))

    def learning_rate_at(self, epoch: int, step: int) -> float:
        """Learning rate of a gradient step: of epoch 1, 2, …, after ``step`` steps since the training began."""
        return float(self.learning_rate * self.decay ** ((epoch - 1) // self.decay_every))


@dataclass(frozen=True, slots=True)
class StepDecayRecipe(ClassifierRecipe):
    """A classifier's training whose learning rate falls with every gradient step.

    A class of its own, so that the digests of the recipes that know epochs alone stay as they are.

    Attributes:
        decay_unit: what ``decay_every`` counts.
    """

    decay_unit: Literal["step"] = "step"

    def learning_rate_at(self, epoch: int, step: int) -> float:
        """See ``ClassifierRecipe``; continuous, as TensorFlow's ``exponential_decay`` is."""
        return float(self.learning_rate * self.decay ** (step / self.decay_every))


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
    """Return the data set of this name.

    Raises:
        UnknownNameError: there is none; the message lists those that exist.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name]


PAPER = ClassifierRecipe("paper", image_size=84)
"""Experiment 1 (section 6.1)."""

PAPER_MULTIBRANCH = ClassifierRecipe("paper", image_size=84, batch=64)
"""Experiment 3 (section 6.2): concatenation can make networks too large for batches of 128."""

INTENSE = ClassifierRecipe("intense", image_size=84, dense=4096, epochs=100, decay=0.95, decay_every=1, filter_growth=2)
"""The *intensified* training of Experiment 2: filters 2^(4+i), 4 096 dense units, exponential decay, 100 epochs.

The first convolution has 32 filters, as in the paper's example, "32 → 64 → 128". The paper does not print the decay's
factor: 0.95 an epoch is this project's choice; the rate ends at 6e-6 whatever the number of images. ``INTENSE_AUTHORS``
has what the authors' code has instead.
"""

INTENSE_AUTHORS = StepDecayRecipe(
    "intense-authors", image_size=84, dense=4096, epochs=100, decay=0.9, decay_every=100, filters=16, filter_growth=2
)
"""INTENSE as the authors' code reads it (https://github.com/gomerudo/nas-env, ``nasgym/net_ops/net_eval.py``).

i counts convolutions from 0, so that the first has 16 filters and each has half of INTENSE's. The learning rate is
TensorFlow's ``exponential_decay`` by 0.90 over 100 gradient steps: it falls the further the more images there are, to
2e-4 on 2 000 images and to 4e-6 on 6 700.
"""

LITE = ClassifierRecipe("lite", dense=256, train_images=2000, held_out_images=1000, autocast="bf16")
"""The recipe that two cores can run for a thousand architectures: at most 2 000 images, 28x28, native channels.

Chosen by a pilot on ten chains of depth 3 or less, one from each tenth of all valid ones by FLOPs, so that
their mean estimates the mean over all. Train seed 0, torch 2.13, one thread of an AMD Zen 4 with other work beside it,
hence CPU seconds; the means of ten trainings, and the correlation (Kendall's τ-b) of the ten validation accuracies,
rounded to three digits, with those of the recipe that was chosen:

    dense  autocast   font-letters                       emoji
                      CPU s   validation  test   τ       CPU s   validation  test   τ
    1024   no          15.8     .529      .526   .94
    1024   bf16         9.3     .531      .524   .94       8.5     .532      .547   .81
    256    no           8.2     .512      .507   .90       7.6     .515      .530   .93
    256    bf16         4.8     .511      .508   1         4.4     .515      .528   1      chosen

The paper's 1 024 units gain two points of accuracy at twice the time. On font-letters they reorder the ten chains less
than bf16 does, on emoji more; with one seed and ten chains that is all one can say. The dearest of the ten takes 22 CPU
seconds, the cheapest 1.

The splits of emoji were mended since.

Two cores train 1 170 to 1 520 chains an hour on an EPYC and 601 to 801 on a Xeon without bfloat16 instructions, by the
mean CPU seconds of each ``machine`` in ``tables/nsc/nsc-chain.*.lite.parquet`` that trained 60 or more (4.7 to 6.1, and
9.0 to 12). Networks that are no chains are dearer, as their leaves are concatenated at full size: those of
``nsc-multibranch.font-letters.lite.parquet`` took 14.1 CPU seconds in the mean on the faster EPYC, about 510 an hour,
and the dearest 91. What more would cost: ``python -m nasbench_rl.build TASK --depth D --drawn N --dry-run``.
"""


STAND_IN_INTENSE = replace(
    INTENSE,
    image_size=None,
    train_images=LITE.train_images,
    held_out_images=LITE.held_out_images,
    autocast=LITE.autocast,
)
"""INTENSE on the stand-ins, whose images, like those of LITE, are small and few."""
STAND_IN_INTENSE_AUTHORS = replace(
    INTENSE_AUTHORS,
    image_size=None,
    train_images=LITE.train_images,
    held_out_images=LITE.held_out_images,
    autocast=LITE.autocast,
)
"""INTENSE_AUTHORS on them."""


def nsc_recipes(space: str) -> Mapping[str, ClassifierRecipe]:
    """Recipes of ``nsc-chain`` or ``nsc-multibranch``, and of a space of one's own, by name."""
    paper = PAPER_MULTIBRANCH if space == "nsc-multibranch" else PAPER
    return MappingProxyType({recipe.name: recipe for recipe in (LITE, paper, INTENSE, INTENSE_AUTHORS)})


@dataclass(frozen=True)
class ImageTask(Task):
    """A network of an NSC space learns to classify a data set (meta-RL paper, section 4.1.2)."""

    space: NscSpace
    environment: DatasetInfo
    recipe: ClassifierRecipe
    metric = "accuracy"
    metrics = ("accuracy",)
    fidelity_unit = "epochs"
    family = "nsc"
    splits = ByColumn()
    exhaustive = False

    @cached_property
    def digest(self) -> str:
        """See ``Task.digest``; which images the data set holds is told by its rows' ``data``."""
        data = {"name": self.environment.name, "image": self.image, "classes": self.environment.classes}
        definition = self.space.definition
        return digest(recipe=self.recipe, data=data, definition=definition, protocol=CLASSIFIER_PROTOCOL)

    @property
    def built_by(self) -> str:
        """Networks so shallow that all are trained, and deeper ones as an agent would draw them."""
        return f"{self.id} --depth {2 if self.space.definition.chain else 1} --drawn 300"

    @property
    def image(self) -> Shape:
        """(height, width, channels) of the images that the network sees."""
        height, width, channels = self.environment.image
        side = self.recipe.image_size
        return (height, width, channels) if side is None else (side, side, channels)

    def is_valid(self, arch: ArchLike) -> bool:
        """Whether no map of the network vanishes on this data set's images."""
        return self.space.is_valid(arch, *self.image[:2])

    def keeps_function(self, parent: ArchLike, child: ArchLike) -> bool:
        """See ``Task.keeps_function``: whether a network morphism is known."""
        old, new = (self.space.parse(arch).choices for arch in (parent, child))
        recipe, definition = self.recipe, self.space.definition
        found = find_morphism(old, new, definition, self.image, recipe.filters, recipe.filter_growth)
        return found is not None

    def size(self, arch: ArchLike) -> Size:
        """See ``Task.size``.

        Raises:
            InvalidArchitectureError: a map vanishes.
        """
        recipe = self.recipe
        return self.space.size(
            arch, self.image, self.environment.classes, filters=recipe.filters, growth=recipe.filter_growth,
            dense=recipe.dense,
        )  # fmt: skip
