"""Experiments of the original nasgym (github.com/gomerudo/nas-env), read from the CSV file that it keeps.

One row a network and data set: ``dataset-nethash`` (the data set's name and the MD5 of the state), ``netstring`` (the
state as NumPy prints it), ``accuracy`` from 0 to 1, ``density``, ``flops``, ``timestamp``, ``running_time`` in seconds,
``is_valid``, and ``reward`` from 0 to 100: the accuracy in percent less the penalties that nasgym was told to take off
it, rho x log(density) + mu x log(FLOPs), and 0 where that is negative. They are other trainings than this project's, on
other images and by other code, so they never enter its tables: they become a file of their own, under this project's
names of the networks.

    python -m nasbench_rl.data.nasgym db_experiments.csv --out experiments.parquet
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nasbench_rl._utils import cli
from nasbench_rl.errors import InvalidArchitectureError, TableError, nearest
from nasbench_rl.spaces.nsc.space import NscSpace, load_space, nsc_space
from nasbench_rl.tables.parquet import write_frame

NASGYM_COLUMNS = (
    "dataset-nethash", "netstring", "reward", "accuracy", "density", "flops", "timestamp", "running_time", "is_valid",
)  # fmt: skip
COLUMNS = ("data", "arch", "accuracy", "reward", "density", "flops", "is_valid", "running_seconds", "timestamp", "hash")
"""Of what ``read_experiments`` gives; accuracy and reward are shares, 0 … 1, the reward less its penalties."""


def read_experiments(path: Path, space: NscSpace) -> tuple[pd.DataFrame, list[str]]:
    """Read nasgym's file.

    Args:
        path: the CSV file, any number of data sets in it.
        space: whose networks these are; ``nsc-multibranch`` reads chains too.

    Returns:
        ``COLUMNS``, one row an experiment in the file's order, and one line for each row that is no network of the
        space (the empty state among them), which is left out. Isomorphic networks have the same ``arch``.

    Raises:
        TableError: unreadable, a column is missing, a number is none, an accuracy is no share, or it is not said
            whether a network is valid.
    """
    try:
        frame = pd.read_csv(path, index_col=False)
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is no readable CSV file ({str(error).splitlines()[0]})") from error
    missing = [name for name in NASGYM_COLUMNS if name not in frame.columns]
    if missing:
        close = nearest(missing[0], [str(name) for name in frame.columns])
        hint = f" (has {close!r})" if close else ""
        raise TableError(
            f"{path} is no nasgym file: column {missing[0]!r} is missing{hint}; expected {', '.join(NASGYM_COLUMNS)}"
        )
    try:
        numbers = frame[["reward", "accuracy", "density", "flops", "running_time", "is_valid"]].astype("float64")
    except ValueError as error:
        raise TableError(f"{path}: a figure is no number ({error})") from error
    _check(path, numbers)
    keys = frame["dataset-nethash"].astype(str).str.rpartition("-")
    rows, faults = [], []
    for line, text in enumerate(frame["netstring"].astype(str)):
        try:
            if not keys[0][line]:
                raise InvalidArchitectureError(f"{frame['dataset-nethash'][line]!r} names no data set before a hyphen")
            arch = space.parse(text).name
        except InvalidArchitectureError as error:
            faults.append(f"row {line + 1}: {error}")
            continue
        own = numbers.iloc[line]
        rows.append(
            (keys[0][line], arch, own["accuracy"], own["reward"] / 100, own["density"], own["flops"],
             bool(own["is_valid"]), own["running_time"], str(frame["timestamp"][line]), keys[2][line])
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)), faults


def _check(path: Path, numbers: pd.DataFrame) -> None:
    """Refuse figures that would be taken for something else: an accuracy in percent, an empty ``is_valid`` for True."""
    for column, sound, allowed in (
        ("accuracy", numbers["accuracy"].between(0.0, 1.0), "0 … 1 (nasgym has the reward alone in percent)"),
        ("is_valid", numbers["is_valid"].isin((0.0, 1.0)), "True or False"),
    ):
        wrong = numbers.index[~sound]
        if len(wrong):
            found = numbers[column].iloc[wrong[0]]
            given = "empty" if found != found else f"{found:g}"
            raise TableError(f"{path}: {column} in row {wrong[0] + 1} is {given}; allowed: {allowed}. Correct the file")


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = cli.Parser(
        "python -m nasbench_rl.data.nasgym",
        "Read the experiments that the original nasgym kept in a CSV file, name their networks as this project does, "
        "and write them as Parquet. They stay apart from this project's tables: they are other trainings.",
        [
            "python -m nasbench_rl.data.nasgym workspace/db_experiments.csv --out experiments.parquet",
            "python -m nasbench_rl.data.nasgym db_experiments.csv --space nasenv.yml --out experiments.parquet",
        ],
    )
    parser.add_argument("file", type=cli.path, metavar="CSV", help="nasgym's db_experiments.csv")
    parser.add_argument("--out", type=cli.path, required=True, metavar="PARQUET", help="the file to write")
    parser.add_argument(
        "--space", default="nsc-multibranch",
        help="nsc-multibranch (default, holds chains), nsc-chain, or the file of another, such as nasgym's nasenv.yml",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    own = Path(options.space).suffix in (".toml", ".yml", ".yaml")
    experiments, faults = read_experiments(options.file, load_space(options.space) if own else nsc_space(options.space))
    for fault in faults:
        cli.errors.print(f"left out: {fault}", style="yellow", markup=False, highlight=False)
    if experiments.empty and faults:
        hint = "" if own else ". A space with other layers: --space FILE, such as nasgym's nasenv.yml"
        raise TableError(
            f"no row of {options.file} could be read as a network of {options.space}, for the reasons above; "
            f"{options.out} was not written{hint}"
        )
    write_frame(experiments, options.out)
    counts = ", ".join(f"{name} {count}" for name, count in experiments["data"].value_counts(sort=False).items())
    cli.console.print(
        f"{len(experiments)} experiments on {experiments['arch'].nunique()} networks ({counts}), {len(faults)} rows "
        f"left out, written to {options.out}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
