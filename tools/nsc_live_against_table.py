"""Trains NSC networks live with one further train seed and sets the scores beside those that the table has.

python tools/nsc_live_against_table.py                                   # trains, prints
python tools/nsc_live_against_table.py --write                           # … and writes baselines/README.md
python tools/nsc_live_against_table.py nsc-chain/emoji@lite "conv1" …    # other networks, printed alone

The trainings go into a temporary folder: no table is read or changed by them. The data set has to be prepared
(python -m nasbench_rl.data prepare NAME).
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from baselines_readme import BASELINES, ROOT, replace_block

from nasbench_rl import cli, load, provenance
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.records import Evaluation, Split
from nasbench_rl.splits import SPLITS

TASK = "nsc-chain/font-letters@lite"
ARCHS = ("maxpool2 avgpool2", "avgpool2 conv5 avgpool3 avgpool2", "conv5 conv5 avgpool3 maxpool2 conv1")
"""Of the task's networks with several train seeds: three whose scores lie far apart and that train in seconds."""
FEWEST_SEEDS = 3
BEGIN, END = (
    "<!-- live NSC trainings: made by tools/nsc_live_against_table.py -->",
    "<!-- end of live NSC trainings -->",
)
HEADER = ("network", "split", "live", "table", "least and greatest", "mean ± 2 standard deviations", "live lies in")
Train = Callable[[str, int], tuple[Evaluation, Evaluation]]
"""A network and a train seed to its validation and test evaluation."""


@dataclass(frozen=True)
class Compared:
    """One network on one split.

    Attributes:
        arch: its canonical string.
        split: of the scores.
        live: accuracy of the live training.
        stored: accuracies of the table, one a train seed.
    """

    arch: str
    split: Split
    live: float
    stored: tuple[float, ...]

    @property
    def reach(self) -> tuple[float, float]:
        """Least and greatest stored accuracy."""
        return min(self.stored), max(self.stored)

    @property
    def band(self) -> tuple[float, float]:
        """Mean of the stored accuracies ± 2 sample standard deviations."""
        mean, spread = statistics.fmean(self.stored), statistics.stdev(self.stored)
        return mean - 2 * spread, mean + 2 * spread

    @property
    def verdict(self) -> str:
        """Where the live accuracy lies."""
        held = [_holds(bounds, self.live) for bounds in (self.reach, self.band)]
        return {(True, True): "both", (True, False): "the first", (False, True): "the second"}.get(
            (held[0], held[1]), "neither"
        )


def _holds(bounds: tuple[float, float], value: float) -> bool:
    return bounds[0] <= value <= bounds[1]


def seeds_of(bench: Benchmark, arch: str) -> tuple[int, ...]:
    """Train seeds of a network in the table.

    Raises:
        InvalidArchitectureError: no network of the space.
        InvalidValueError: fewer than ``FEWEST_SEEDS``, of which no spread can be told; names networks that have them.
    """
    table = bench.table
    row = table.row_of.get(bench.space.parse(arch).name)
    seeds = () if row is None else tuple(int(seed) for seed in table.seeds[table.complete[row]])
    if len(seeds) < FEWEST_SEEDS:
        with_more = [table.names[at] for at in np.flatnonzero(table.complete.sum(axis=1) >= FEWEST_SEEDS)]
        raise InvalidValueError(
            f"{arch!r} has {len(seeds)} train seeds in the table of {bench.task.id}; a spread needs {FEWEST_SEEDS}. "
            f"Networks that have them: {'; '.join(with_more) or 'none'}"
        )
    return seeds


def compare(bench: Benchmark, archs: Sequence[str], train: Train) -> list[Compared]:
    """Train each network with the first seed that the table has of none, and look up what it has.

    Raises:
        InvalidArchitectureError, InvalidValueError: see ``seeds_of``; before anything is trained.
    """
    known = {bench.space.parse(arch).name: seeds_of(bench, arch) for arch in archs}
    found = []
    for arch, seeds in known.items():
        for split, live in zip(SPLITS, train(arch, next_seed(bench)), strict=True):
            stored = tuple(bench.query(arch, seed=seed, split=split).score for seed in seeds)
            found.append(Compared(arch, split, live.score, stored))
    return found


def next_seed(bench: Benchmark) -> int:
    """The first train seed after those of the table."""
    return int(bench.table.seeds.max()) + 1


def train_live(task: str, folder: Path) -> Train:
    """Trains into ``folder``."""
    bench = load(task, mode="live", tables=folder, jobs=1)

    def train(arch: str, seed: int) -> tuple[Evaluation, Evaluation]:
        validation = bench.query(arch, seed=seed, split="validation")
        assert validation.source == "live", "an empty folder answers nothing"
        return validation, bench.query(arch, seed=seed, split="test")

    return train


def block(bench: Benchmark, found: Sequence[Compared]) -> str:
    """Markdown: a table, what to expect of it, and where the numbers come from."""
    rows = [f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER)]
    for one in found:
        stored = ", ".join(f"{score:.3f}" for score in one.stored)
        bounds = [f"[{low:.3f}, {high:.3f}]" for low, high in (one.reach, one.band)]
        rows.append(
            f"| `{one.arch}` | {one.split} | {one.live:.3f} | {stored} | {' | '.join(bounds)} | {one.verdict} |"
        )
    held = [sum(_holds(bounds, one.live) for one, bounds in pairs) for pairs in (
        [(one, one.reach) for one in found], [(one, one.band) for one in found])]  # fmt: skip
    expected = (
        sum(chance_in_reach(len(one.stored)) for one in found),
        sum(chance_in_band(len(one.stored)) for one in found),
    )
    return "\n".join(
        [
            f"**{bench.task.id}**, validation and test accuracy of a training with train seed {next_seed(bench)}, "
            "which the table has of no network, beside those of its other seeds:",
            "",
            *rows,
            "",
            f"{held[0]} of {len(found)} live accuracies lie between the least and the greatest of the table, "
            f"{held[1]} within two standard deviations of their mean. Of as many further draws from one normal "
            f"distribution {expected[0]:.1f} and {expected[1]:.1f} would on average: few seeds show less than the "
            "whole spread.",
            "",
            f"Live: code {provenance.code_version()}, on {provenance.machine()}. Table {bench.digest}.",
        ]
    )


def chance_in_reach(seeds: int) -> float:
    """That a further draw lies between the least and greatest of ``seeds`` draws from one continuous distribution."""
    return (seeds - 1) / (seeds + 1)


def chance_in_band(seeds: int) -> float:
    """That a further draw lies within 2 sample standard deviations of the mean of ``seeds`` normal ones."""
    from scipy import stats

    return float(1 - 2 * stats.t.sf(2 / math.sqrt(1 + 1 / seeds), seeds - 1))


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = cli.Parser(
        "python tools/nsc_live_against_table.py",
        "Train NSC networks live with one further train seed and compare the scores with the table's.",
        ["python tools/nsc_live_against_table.py --write", "python tools/nsc_live_against_table.py TASK ARCH ARCH"],
    )
    parser.add_argument("task", nargs="?", default=TASK, help=f"id of an NSC task (default {TASK})")
    parser.add_argument("archs", nargs="*", metavar="ARCH", help="networks with several train seeds in its table")
    parser.add_argument("--write", action="store_true", help="write baselines/README.md too")
    options = parser.parse_args(arguments)
    if options.task != TASK and not options.archs:
        parser.error(f"name the networks of {options.task} to train")
    bench = load(options.task, tables=ROOT / "tables")
    with tempfile.TemporaryDirectory() as folder:
        text = block(bench, compare(bench, options.archs or ARCHS, train_live(options.task, Path(folder))))
    cli.say(text)
    if options.write:
        replace_block(BASELINES / "README.md", BEGIN, END, text)
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
