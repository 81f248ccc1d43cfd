"""Writes into ``baselines/README.md`` how live searches and live trainings compare with the tables.

python tools/live_against_table.py runs                       # stored live searches, and tabular ones
python tools/live_against_table.py networks --write           # networks trained with one further train seed
python tools/live_against_table.py networks TASK ARCH ARCH    # other networks; only printed

The live searches are the ``runs.parquet`` of ``python -m nasbench_rl.compare --mode live``, kept as
``baselines/live_runs.parquet``. Networks are trained in a temporary folder: no table changes. Their data set has to be
prepared (python -m nasbench_rl.data prepare NAME).
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from baselines_readme import BASELINES, ROOT, replace_block

from nasbench_rl import load
from nasbench_rl._utils import cli, cores, provenance
from nasbench_rl._utils.text import estimate, markdown_table, show
from nasbench_rl.benchmark.tabular import TabularBenchmark
from nasbench_rl.compare.experiment import Search
from nasbench_rl.compare.options import parse_method
from nasbench_rl.compare.pool import run_all
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.leaderboard.judge import Judge
from nasbench_rl.leaderboard.runs_schema import read_runs
from nasbench_rl.leaderboard.stats.bootstrap import bootstrap_interval, interquartile_mean, resampling_rng
from nasbench_rl.leaderboard.summary import distinct, final_rows, table_note
from nasbench_rl.tables.results import Split
from nasbench_rl.tables.score_table import SPLITS
from nasbench_rl.task import get_task

TABLES, PAGE, LIVE_RUNS = ROOT / "tables", BASELINES / "README.md", BASELINES / "live_runs.parquet"
RUNS_MARKS = "<!-- live runs: made by tools/live_against_table.py -->", "<!-- end of live runs -->"
NETWORKS_MARKS = (
    "<!-- live NSC trainings: made by tools/live_against_table.py -->",
    "<!-- end of live NSC trainings -->",
)
SEARCH_SEEDS = 100
SHOWN = 3
RUN_HEADER = (
    "method", "mode", "runs", "mean regret", "interquartile mean [95 %]", "test score", "chosen architectures",
)  # fmt: skip
TASK = "nsc-chain/font-letters@lite"
ARCHS = ("maxpool2 avgpool2", "avgpool2 conv5 avgpool3 avgpool2", "conv5 conv5 avgpool3 maxpool2 conv1")
"""Networks of the task with several train seeds, whose scores lie far apart and that train in seconds."""
FEWEST_SEEDS = 3
NETWORK_HEADER = (
    "network", "split", "live", "table", "least and greatest", "mean ± 2 standard deviations", "live lies in",
)  # fmt: skip
Train = Callable[[str, int], "tuple[float, float]"]
"""Takes a network and a train seed, returns the validation and the test score."""


# -- searches


def searches_of(live: pd.DataFrame, tables: Path) -> list[Search]:
    """Return tabular searches of the same tasks, methods, hyperparameters and budgets.

    Raises:
        InvalidValueError: a run was not live, or a method has two budgets on a task.
    """
    modes = [mode for mode in live["mode"].unique() if mode != "live"]
    if modes:
        raise InvalidValueError(f"{LIVE_RUNS.name} holds runs of mode {modes[0]!r}; allowed: 'live'")
    kinds = live[["task", "method", "budget"]].drop_duplicates()
    twice = kinds[kinds.duplicated(["task", "method"])]
    if len(twice):
        task, method, budget = twice.iloc[0]
        raise InvalidValueError(
            f"{LIVE_RUNS.name} holds {method} on {task} with several budgets, {budget:,} among them; keep one"
        )
    return [
        Search(task, name, int(budget), hyperparameters=hyperparameters, tables=str(tables))
        for task, method, budget in kinds.itertuples(index=False)
        for name, hyperparameters in [parse_method(method)]
    ]


def judged_anew(live: pd.DataFrame, tables: Path) -> pd.DataFrame:
    """Return the live runs with the test scores and regrets of today's tables, which judge the tabular runs too."""
    judged = []
    for task, of_task in live.groupby("task", sort=False):
        bench = load(str(task), tables=tables)
        judge = Judge(bench)
        scores = of_task["incumbent"].map({arch: judge.test_score(arch)[0] for arch in of_task["incumbent"].unique()})
        judged.append(of_task.assign(table=bench.digest, test_score=scores, regret=judge.best - scores))
    return pd.concat(judged, ignore_index=True)


def compared(live: pd.DataFrame, tabular: pd.DataFrame, tables: Path) -> str:
    """Return Markdown: for each task a table, and where its numbers come from.

    Args:
        live: ``experiment.COLUMNS``, judged by the table of the tabular runs.
        tabular: ``experiment.COLUMNS`` of the same methods.
        tables: the folder of tables.

    Raises:
        TableError: the two were judged by different tables.
    """
    parts = []
    for task, mine in live.groupby("task", sort=False):
        theirs = tabular[tabular["task"] == task]
        digests = sorted({*mine["table"], *theirs["table"]})
        if len(digests) > 1:
            raise TableError(f"the table of {task} changed meanwhile ({', '.join(digests)}); run the tool again")
        whole = get_task(str(task)).max_fidelity
        budgets = ", ".join(f"{budget / whole:g}" for budget in sorted(mine["budget"].unique()))
        methods = [*dict.fromkeys(mine["method"])]
        rows = sorted([*_rows(mine), *_rows(theirs)], key=lambda row: methods.index(row[0].strip("`")))
        parts += [f"**{task}**, a budget of {budgets} whole trainings:", markdown_table(RUN_HEADER, rows)]
        parts += _origin(mine, theirs, load(str(task), tables=tables), methods)
    return "\n\n".join(parts)


def _rows(runs: pd.DataFrame) -> list[tuple[str, ...]]:
    rows = []
    for method, final in final_rows(runs).groupby("method", sort=False):
        regret = final["regret"].to_numpy()[:, None]
        rng = resampling_rng(final["task"].iloc[0], str(method), distinct(final["configuration"]), "regret")
        low, high = bootstrap_interval(regret, interquartile_mean, rng)
        if len(final) == 1:  # a single run says nothing of how runs spread
            low = high = math.nan
        middle = estimate(interquartile_mean(regret), low, high)
        scores = show(float(regret.mean())), middle, show(final["test_score"].mean(), 4)
        rows.append((f"`{method}`", final["mode"].iloc[0], str(len(final)), *scores, _choices(final["incumbent"])))
    return rows


def _choices(incumbents: pd.Series) -> str:
    """Return the architectures that most runs ended with."""
    counts = sorted(incumbents.value_counts().items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{arch or 'none'} × {count}" if count > 1 else arch or "none" for arch, count in counts[:SHOWN])
    return shown + (f", … ({len(counts)} different)" if len(counts) > SHOWN else "")


def _origin(live: pd.DataFrame, tabular: pd.DataFrame, bench: TabularBenchmark, methods: Sequence[str]) -> list[str]:
    """Return where the numbers come from, and which methods have changed."""
    code, machines, made = (
        distinct(runs[name]) for runs, name in ((live, "code_version"), (live, "machine"), (tabular, "code_version"))
    )
    lines = [
        f"Live: {final_rows(live)['cpu_seconds'].sum():,.0f} CPU seconds as charged (a training that two searches "
        f"share counts for both), code {code}, on {machines}. Tabular: {tabular['seed'].nunique()} search seeds, code "
        f"{made}. Both are judged by table {live['table'].iloc[0]} ({table_note(bench)}). Intervals are percentile "
        "bootstraps over search seeds; those of a few runs are too narrow."
    ]
    for method in methods:
        before, now = (set(runs.loc[runs["method"] == method, "configuration"]) for runs in (live, tabular))
        if before != now:
            lines.append(f"`{method}` has other hyperparameters now than in its live runs.")
    return lines


def runs_block(live_runs: Path, tables: Path, jobs: int) -> str:
    """Return what the page says of live searches.

    Raises:
        NasbenchError: the live runs cannot be read, or a tabular search failed.
    """
    live = read_runs(live_runs)
    tabular, failures = run_all(searches_of(live, tables), 0, SEARCH_SEEDS, jobs)
    if failures:
        raise failures[0]
    return compared(judged_anew(live, tables), tabular, tables)


# -- networks


class Compared(NamedTuple):
    """The scores of one network on one split: of the live training, and one for each train seed of the table."""

    arch: str
    split: Split
    live: float
    stored: tuple[float, ...]

    @property
    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Least and greatest stored score, and their mean ± 2 sample standard deviations."""
        mean, spread = statistics.fmean(self.stored), statistics.stdev(self.stored)
        return (min(self.stored), max(self.stored)), (mean - 2 * spread, mean + 2 * spread)

    @property
    def held(self) -> tuple[bool, ...]:
        """Whether the live score lies within each of ``bounds``."""
        return tuple(low <= self.live <= high for low, high in self.bounds)

    @property
    def verdict(self) -> str:
        """Which of ``bounds`` hold the live score."""
        return {(True, True): "both", (True, False): "the first", (False, True): "the second"}.get(
            (self.held[0], self.held[1]), "neither"
        )


def seeds_of(bench: TabularBenchmark, arch: str) -> tuple[int, ...]:
    """Return the train seeds of a network in the table.

    Raises:
        InvalidArchitectureError: no network of the space.
        InvalidValueError: fewer than ``FEWEST_SEEDS``; the message names networks that have as many.
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


def next_seed(bench: TabularBenchmark) -> int:
    """Return the first train seed after those of the table."""
    return int(bench.table.seeds.max()) + 1


def compare(bench: TabularBenchmark, archs: Sequence[str], train: Train) -> list[Compared]:
    """Train each network with the next train seed, and look up the scores of the others.

    Raises:
        InvalidArchitectureError, InvalidValueError: see ``seeds_of``; before anything is trained.
    """
    known = {bench.space.parse(arch).name: seeds_of(bench, arch) for arch in archs}
    found = []
    for arch, seeds in known.items():
        for split, live in zip(SPLITS, train(arch, next_seed(bench)), strict=True):
            stored = tuple(bench.query(arch, seed=seed, split=split).score for seed in seeds)
            found.append(Compared(arch, split, live, stored))
    return found


def train_live(task: str, folder: Path) -> Train:
    """Return a function that trains into ``folder``."""
    bench = load(task, mode="live", tables=folder, jobs=1)
    return lambda arch, seed: tuple(bench.query(arch, seed=seed, split=split).score for split in SPLITS)  # type: ignore[return-value]


def networks_block(bench: TabularBenchmark, found: Sequence[Compared]) -> str:
    """Return what the page says of live trainings: a table, what to expect of it, and where it comes from."""
    rows = []
    for one in found:
        bounds = [f"[{low:.3f}, {high:.3f}]" for low, high in one.bounds]
        stored = ", ".join(f"{score:.3f}" for score in one.stored)
        rows.append((f"`{one.arch}`", one.split, f"{one.live:.3f}", stored, *bounds, one.verdict))
    held = [sum(inside) for inside in zip(*(one.held for one in found), strict=True)]
    expected = [sum(chance(len(one.stored)) for one in found) for chance in (chance_in_reach, chance_in_band)]
    return "\n\n".join(
        [
            f"**{bench.task.id}**, validation and test accuracy of a training with train seed {next_seed(bench)}, "
            "which the table has of no network, and those of its other seeds:",
            markdown_table(NETWORK_HEADER, rows),
            f"{held[0]} of {len(found)} live accuracies lie between the least and the greatest of the table, "
            f"{held[1]} within two standard deviations of their mean. Of as many further draws from one normal "
            f"distribution {expected[0]:.1f} and {expected[1]:.1f} would on average: few seeds show less than the "
            "whole spread.",
            f"Live: code {provenance.code_version()}, on {provenance.machine()}. Table {bench.digest}.",
        ]
    )


def chance_in_reach(seeds: int) -> float:
    """Return the chance of a further draw to lie between the least and the greatest of ``seeds`` draws."""
    return (seeds - 1) / (seeds + 1)


def chance_in_band(seeds: int) -> float:
    """Return the chance of a further normal draw to lie within 2 standard deviations of the mean of ``seeds``."""
    from scipy import stats

    return float(1 - 2 * stats.t.sf(2 / math.sqrt(1 + 1 / seeds), seeds - 1))


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    lines = [
        line.partition("#")[0].rstrip() for line in (__doc__ or "").splitlines() if line.startswith("python tools")
    ]
    parser = cli.Parser("python tools/live_against_table.py", "Compare live results with the tables.", lines)
    parser.add_argument("what", choices=("runs", "networks"))
    parser.add_argument("task", nargs="?", default=TASK, help=f"id of an NSC task (default {TASK})")
    parser.add_argument("archs", nargs="*", metavar="ARCH", help="networks with several train seeds in its table")
    parser.add_argument("--write", action="store_true", help="write baselines/README.md too")
    options = parser.parse_args(arguments)
    if options.what == "runs":
        replace_block(PAGE, *RUNS_MARKS, runs_block(LIVE_RUNS, TABLES, cores.usable()))
        return 0
    if options.task != TASK and not options.archs:
        parser.error(f"name the networks of {options.task} to train")
    bench = load(options.task, tables=TABLES)
    with tempfile.TemporaryDirectory() as folder:
        text = networks_block(bench, compare(bench, options.archs or ARCHS, train_live(options.task, Path(folder))))
    cli.say(text)
    if options.write:
        replace_block(PAGE, *NETWORKS_MARKS, text)
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
