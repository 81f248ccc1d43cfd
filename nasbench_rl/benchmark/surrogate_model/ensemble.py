"""Guesses where no table reaches: an ensemble of LightGBM regressors on structural features, with its spread.

Ten members a split, each fitted without another tenth of the table's architectures: an ensemble, as NAS-Bench-301 has
(Siems et al. 2020, section 4). The epoch is a feature, so one member answers every fidelity; a row weighs as much as
its epoch, because most is asked of the whole training. The members of ``validation`` never see a test accuracy: a
search that asks them learns nothing of the test images. A surrogate lies beside the tables:

    surrogate/<space>.<data set>.<recipe>/surrogate.json      what it was fitted on, its quality, checksums
    surrogate/<space>.<data set>.<recipe>/validation-0.txt    LightGBM's own text format, one file a member

Fit one: ``python -m nasbench_rl.build surrogate TASK``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl._utils import provenance
from nasbench_rl._utils.files import replace_file
from nasbench_rl.benchmark.surrogate_model.boosters import booster_text, import_lightgbm, read_booster
from nasbench_rl.benchmark.surrogate_model.features import NscFeatures
from nasbench_rl.benchmark.surrogate_model.info import METADATA, SurrogateInfo, SurrogateOptions, read_info, read_model
from nasbench_rl.errors import InvalidValueError, RecipeMismatchError, TableError
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.spaces.nsc import isomorphism
from nasbench_rl.tables import table_io
from nasbench_rl.tables.advice import how_to_make, how_to_train
from nasbench_rl.tables.manifest import read_checked, register
from nasbench_rl.tables.results import Split
from nasbench_rl.tables.schemas import KEY
from nasbench_rl.task import ImageTask, Task
from nasbench_rl.task.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]

FEWEST_ARCHITECTURES = 20


class Surrogate:
    """A fitted ensemble of one task; make one with ``fit`` or ``load``.

    Attributes:
        task: the task it answers for.
        info: where it comes from and how good it is.
        sha256: of the description that ``load`` read, which names every model's checksum; empty when just fitted.
    """

    sha256 = ""

    def __init__(self, task: ImageTask, members: Mapping[Split, Sequence[Any]], info: SurrogateInfo) -> None:
        """``members``: per split, LightGBM boosters."""
        self.task = task
        self.info = info
        self._members = members
        self._features = features_of(task)

    def __getstate__(self) -> dict[str, Any]:
        """Keep the members as text in a pickle or copy, since LightGBM's own pickle begins threads."""
        texts = {split: [*map(booster_text, members)] for split, members in self._members.items()}
        return {**self.__dict__, "_members": texts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the members of their texts again."""
        members = {split: [*map(read_booster, texts)] for split, texts in state["_members"].items()}
        self.__dict__.update(state, _members=members)

    @classmethod
    def fit(
        cls,
        task: Task,
        rows: pd.DataFrame,
        rng: np.random.Generator,
        *,
        options: SurrogateOptions | None = None,
        spread_factors: Mapping[Split, Sequence[float]] | None = None,
        quality: Sequence[Mapping[str, Any]] = (),
        table_sha256: str = "",
    ) -> Surrogate:
        """Fit both ensembles.

        Args:
            task: an NSC task.
            rows: its table: columns arch, seed, fidelity, validation_accuracy and test_accuracy.
            rng: source of every draw; the order of the rows does not matter.
            options: how to fit.
            spread_factors: per split and fidelity, from held-out architectures, of spaces with branches from those
                that are no chains; 1 when not given.
            quality: measured on held-out architectures, kept with the surrogate.
            table_sha256: of the table's file.

        Raises:
            InvalidValueError: a task without image networks.
            MissingExtraError: LightGBM is not installed.
        """
        lightgbm, task, options = import_lightgbm(), image_task(task), options or SurrogateOptions()
        rows = rows.sort_values(list(KEY), ignore_index=True)
        archs, arch_of = np.unique(rows["arch"].to_numpy(dtype=str), return_inverse=True)
        features = features_of(task)
        inputs = np.column_stack([features(archs.tolist())[arch_of], rows["fidelity"].to_numpy(dtype=np.float64)])
        names = (*features.names, "epoch")
        members: dict[Split, list[Any]] = {}
        for split in SPLITS:
            scores = rows[f"{split}_accuracy"].to_numpy(dtype=np.float64)
            part = rng.permutation(len(archs)) % options.members
            members[split] = [
                _fit_member(lightgbm, inputs, scores, names, part[arch_of] != number, rng, options)
                for number in range(options.members)
            ]
        factors = spread_factors or {split: (1.0,) * len(task.fidelities) for split in SPLITS}
        info = SurrogateInfo(
            task=task.id, task_digest=task.digest, features=names, options=options,
            spread_factors={split: tuple(map(float, factors[split])) for split in SPLITS},
            table_sha256=table_sha256, rows=len(rows), architectures=len(archs), quality=tuple(quality), models={},
            lightgbm=lightgbm.__version__, code_version=provenance.code_version(), machine=provenance.machine(),
        )  # fmt: skip
        return cls(task, members, info)

    def predict(
        self, archs: Sequence[ArchLike], fidelity: int | None = None, split: Split = "test"
    ) -> tuple[Floats, Floats]:
        """Guess accuracies.

        Args:
            archs: (n,) anything the task's space parses.
            fidelity: epochs; None for the whole training.
            split: ``"validation"`` or ``"test"``.

        Returns:
            (n,) mean of the members, a share from 0 to 1, and (n,) spread: one standard deviation of what a training
            is expected to measure, calibrated on held-out architectures, in a space with branches on those that are
            no chains. Both are 0 where the network's maps vanish.

        Raises:
            InvalidArchitectureError: one is not in the space.
            InvalidValueError: no such fidelity or split.
        """
        wanted = self.task.fidelities[self.task.fidelity_at(fidelity)]
        mean, spread = self._guess(archs, split, (wanted,))
        return mean[:, 0], spread[:, 0]

    def curves(self, archs: Sequence[ArchLike], split: Split = "test") -> tuple[Floats, Floats]:
        """Guess whole learning curves: mean and spread as ``predict`` has them, each (n, fidelities)."""
        return self._guess(archs, split, self.task.fidelities)

    def _guess(self, archs: Sequence[ArchLike], split: Split, fidelities: Sequence[int]) -> tuple[Floats, Floats]:
        if split not in self._members:
            raise InvalidValueError(f"unknown split {split!r}; allowed: {', '.join(map(repr, SPLITS))}")
        parsed = [self.task.space.parse(arch) for arch in archs]
        valid = np.array([self.task.is_valid(arch) for arch in parsed], dtype=np.bool_)
        mean, spread = (np.zeros((len(parsed), len(fidelities))) for _ in range(2))
        if valid.any():
            features = self._features([arch for arch, keep in zip(parsed, valid, strict=True) if keep])
            inputs = np.empty((len(features) * len(fidelities), features.shape[1] + 1))
            inputs[:, :-1] = np.repeat(features, len(fidelities), axis=0)
            inputs[:, -1] = np.tile(fidelities, len(features))
            members = self._members[split]
            guesses = np.stack([member.predict(inputs, num_threads=1) for member in members])
            guesses = guesses.reshape(len(members), len(features), len(fidelities))
            at = [self.task.fidelities.index(fidelity) for fidelity in fidelities]
            mean[valid] = guesses.mean(axis=0)
            spread[valid] = guesses.std(axis=0, ddof=1) * np.array(self.info.spread_factors[split])[at]
        return mean, spread

    def save(self, folder: Path) -> Path:
        """Write the surrogate into a folder of tables and put it into the manifest; returns its own folder.

        The metadata, which holds the checksums of the members, goes last: a killed save leaves an old surrogate that
        ``load`` refuses, never a mixed one.

        Raises:
            TableError: the folder cannot be written.
        """
        own, models = surrogate_folder(folder, self.task), {}
        for split, members in self._members.items():
            for number, member in enumerate(members):
                content = booster_text(member).encode()
                models[f"{split}-{number}.txt"] = hashlib.sha256(content).hexdigest()
                replace_file(own / f"{split}-{number}.txt", content)
        self.info = replace(self.info, models=models)
        replace_file(own / METADATA, self.info.to_json())
        for stale in own.glob("*.txt"):  # members of a larger ensemble that stood here before
            if stale.name not in models:
                stale.unlink()
        register(folder, surrogate_name(self.task), self.info.rows)
        return own

    @classmethod
    def load(cls, folder: Path, task: Task, named: str | os.PathLike[str] | None = None) -> Surrogate:
        """Read a task's surrogate from a folder of tables.

        Args:
            folder: where it lies.
            task: an NSC task.
            named: the folder as the user named it, if so: messages that say how to fit one name it too.

        Raises:
            InvalidValueError: a task without image networks.
            TableError: the folder has none, a file is absent or was changed, or it has other features than this
                package computes; the message says how to fit a new one.
            RecipeMismatchError: it was fitted on trainings of another recipe.
            MissingExtraError: LightGBM is not installed.
        """
        import_lightgbm()
        task = image_task(task)
        own, remedy = surrogate_folder(folder, task), f"fit it: {_how_to_fit(folder, task, named)}"
        content = read_checked(folder, (own / METADATA).relative_to(folder).as_posix())
        if content is None:
            raise TableError(f"{folder} has no surrogate of {task.id}; {remedy}")
        info = read_info(content, own / METADATA, remedy)
        if info.task_digest != task.digest:
            raise RecipeMismatchError(
                f"{own} was fitted on recipe {info.task_digest}; {task.id} is {task.digest}. {remedy}"
            )
        names = (*features_of(task).names, "epoch")
        if info.features != names:
            odd = sorted(set(info.features) ^ set(names)) or ["their order"]
            raise TableError(f"{own} has other features than this nasbench-rl computes ({odd[0]}); {remedy}")
        members: dict[Split, list[Any]] = {split: [] for split in SPLITS}
        for split in SPLITS:
            for number in range(info.options.members):
                path = own / f"{split}-{number}.txt"
                text = read_model(path, info.models.get(path.name, ""), remedy)
                members[split].append(read_booster(text))
        found = cls(task, members, info)
        found.sha256 = hashlib.sha256(content).hexdigest()
        return found


def surrogate_folder(folder: Path, task: Task) -> Path:
    """Return where a task's surrogate lies in a folder of tables."""
    return folder / "surrogate" / Path(table_io.table_name(task)).stem


def surrogate_name(task: Task) -> str:
    """Return the name under which the manifest lists a task's surrogate."""
    return f"surrogate/{Path(table_io.table_name(task)).stem}/{METADATA}"


def features_of(task: ImageTask) -> NscFeatures:
    """Return the features of a task's networks."""
    return NscFeatures(task.space, task.image, task.environment.classes, task.recipe)


def image_task(task: Task) -> ImageTask:
    """Return the task itself, if it is one that a surrogate can learn.

    Raises:
        InvalidValueError: it is not.
    """
    if not isinstance(task, ImageTask):
        raise InvalidValueError(
            f"{task.id} has no surrogate: its space is small enough for a whole table; surrogates answer NSC tasks, "
            "such as 'nsc-chain/font-letters@lite'"
        )
    return task


def not_chains(task: Task, archs: Iterable[str]) -> list[str]:
    """Return the architectures that are not chains; all of them where the space has nothing else."""
    space = image_task(task).space
    if space.definition.chain:
        return list(archs)
    return [arch for arch in archs if not isomorphism.is_chain(space.parse(arch).choices, space.definition)]


def _how_to_fit(folder: Path, task: Task, named: str | os.PathLike[str] | None) -> str:
    """Return the command, after the one that trains a table where there is none to fit on."""
    return how_to_make(task, f"surrogate {task.id}", named, train=not (folder / table_io.table_name(task)).exists())


def check_enough(task: Task, rows: pd.DataFrame, named: str | os.PathLike[str] | None = None) -> None:
    """Raise InvalidValueError when a table has too few architectures to learn from.

    In a space with branches those that are no chains count: chains alone teach nothing of branches. ``named`` is the
    folder of tables as the user named it.
    """
    count = len(not_chains(task, rows["arch"].unique()))
    if count < FEWEST_ARCHITECTURES:
        kind = "" if image_task(task).space.definition.chain else " that are no chains"
        raise InvalidValueError(
            f"{task.id} has {count} trained architectures{kind}; a surrogate needs at least {FEWEST_ARCHITECTURES}. "
            f"Train more: {how_to_train(task, tables=named)}"
        )


def _fit_member(
    lightgbm: Any,
    inputs: Floats,
    scores: Floats,
    names: Sequence[str],
    kept: np.ndarray[Any, np.dtype[np.bool_]],
    rng: np.random.Generator,
    options: SurrogateOptions,
) -> Any:
    """Fit one booster on the rows ``kept``; the last column of ``inputs`` is the epoch, and the rows' weight."""
    parameters = {
        "objective": "cross_entropy",  # for targets from 0 to 1, so near 1 small differences count
        "num_leaves": options.leaves,
        "learning_rate": options.learning_rate,
        "feature_fraction": options.feature_fraction,
        "min_data_in_leaf": options.fewest_rows,
        "seed": int(rng.integers(2**31)),
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    data = lightgbm.Dataset(
        inputs[kept], scores[kept], weight=inputs[kept, -1], feature_name=list(names), params={"verbose": -1}
    )
    return lightgbm.train(parameters, data, options.trees)
