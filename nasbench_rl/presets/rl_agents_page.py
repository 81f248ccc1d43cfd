"""What the RL-agents preset shows, on the terminal and as a page: Table 1, the best architectures, τ of the proxies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy import stats

from nasbench_rl import cli
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.presets.rl_agents_protocol import (
    CHILD_UPDATES,
    CHILDREN,
    METRICS,
    ONE_SHOT,
    PUBLISHED_ROWS,
    RANDOM_REPEATS,
    SEARCH_SEEDS,
    TOP_K,
)
from nasbench_rl.provenance import code_version, machine
from nasbench_rl.proxy_quality import PROXY, games_of, mean_proxy, mean_taus
from nasbench_rl.ranking_noise import splits_agreement
from nasbench_rl.summary import table_note
from nasbench_rl.task import GameTask, Task

FEWEST = 3
"""Values; of fewer no interval is given: Student's t of two is wider than all that τ can be."""


@dataclass(frozen=True)
class Section:
    """One table and what is to be said of it."""

    table: cli.Table
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What the searches of one method chose by reward mean, and what that is worth.

    Attributes:
        scores: reward mean (test split) of each architecture found, the best first.
        searches: how many searches chose it.
    """

    scores: dict[str, float]
    searches: dict[str, int]

    @property
    def best(self) -> str:
        """The architecture with the best reward mean."""
        return next(iter(self.scores))

    def __str__(self) -> str:
        """``k1-k5 8.29 (2 searches), k1-k1 5.3``."""
        times = {arch: f" ({count} searches)" if count > 1 else "" for arch, count in self.searches.items()}
        return ", ".join(f"{arch} {score:.3g}{times[arch]}" for arch, score in self.scores.items())


def sections(
    table: pd.DataFrame,
    best: pd.DataFrame,
    found: Mapping[str, Mapping[str, Found]],
    taus: pd.DataFrame,
    unmoved: Mapping[str, float],
    benches: Sequence[Benchmark],
) -> list[Section]:
    """Table 1, the best architectures of each task, and the quality of the proxies.

    Args:
        table: of ``rl_agents.table_one``.
        best: of ``rl_agents.best_architectures``.
        found: by task and method.
        taus: of ``proxy_quality``.
        unmoved: of ``rl_agents.unmoved_finalists``.
        benches: of the tasks.
    """
    return [
        Section(_table_one(table), notes(table, unmoved, benches)),
        *(_best(str(task), rows, found[str(task)]) for task, rows in best.groupby("task", sort=False)),
        Section(_taus(taus), _tau_notes(taus, benches)),
    ]


def show(page: Sequence[Section]) -> None:
    """Print it."""
    for section in page:
        cli.console.print(section.table)
        for note in section.notes:
            cli.console.print(note, highlight=False, soft_wrap=True)


def markdown(page: Sequence[Section], images: Sequence[Path], runs: pd.DataFrame) -> str:
    """The same as a page, with the figures that lie beside it.

    Args:
        page: what is shown.
        images: figures in the page's own folder.
        runs: ``experiment.COLUMNS``; the page names their tables.
    """
    lines = [
        "# The RL-agents paper's comparison",
        "",
        "<!-- Made by make rl-agents; do not edit, make it again. -->",
        "",
        "The protocol of Mazyavkina et al. (2021), *Optimizing the neural architecture of reinforcement learning",
        "agents*, on the tables that are trained here.",
        "",
        "    python -m nasbench_rl.compare --preset rl-agents-paper",
    ]
    for section in page:
        lines += ["", f"## {section.table.title}", "", *_rows(section.table)]
        for note in section.notes:
            lines += ["", note]
    lines += ["", "## Figures"]
    for image in images:
        lines += ["", f"![{_caption(image)}]({image.name})"]
    by_task = runs.groupby("task", sort=False)["table"].first()
    tables = "; ".join(f"{task} {digest}" for task, digest in by_task.items())
    lines += ["", f"Tables: {tables}. Made by nasbench-rl {code_version()} on {machine()}.", ""]
    return "\n".join(lines)


def _caption(image: Path) -> str:
    kind, task = image.stem.split(".", 1)
    return f"As Figure 4: {task}" if kind == "histogram" else f"τ of cheap scores over fidelity: {task}"


def _rows(table: cli.Table) -> list[str]:
    header = [str(column.header).replace("\n", ", ") for column in table.columns]
    cells = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *cells)]


def _pm(mean: float, spread: float) -> str:
    if math.isnan(mean):
        return "–"
    return f"{mean:.1f}" + ("" if math.isnan(spread) else f" ± {spread:.1f}")


def _table_one(table: pd.DataFrame) -> cli.Table:
    """The paper's layout: columns of what was found here and of what was published, a task after the other."""
    shown = cli.Table(
        title="Table 1: reward mean and total reward of the architectures that each method chooses",
        title_justify="left",
    )
    shown.add_column("method")
    shown.add_column("score")
    tasks = list(dict.fromkeys(table["task"]))
    for task in tasks:
        here, theirs = "@" in task, table[table["task"] == task]["published"].notna().any()
        if here:
            shown.add_column(f"{task}\nhere", justify="right")
        if theirs:
            shown.add_column(f"{task.split('@')[0]}\npublished", justify="right")
    for method, name in PUBLISHED_ROWS.items():
        for metric in METRICS:
            cells = []
            for task in tasks:
                of_task = table[table["task"] == task]
                row = of_task[(of_task["method"] == method) & (of_task["metric"] == metric)].iloc[0]
                if "@" in task:
                    cells.append(_pm(row["mean"], row["std"]))
                if of_task["published"].notna().any():
                    cells.append(_pm(row["published"], row["published_spread"]))
            shown.add_row(name if metric == "reward mean" else "", metric, *cells, end_section=metric == "total reward")
    return shown


def notes(table: pd.DataFrame, unmoved: Mapping[str, float], benches: Sequence[Benchmark]) -> tuple[str, ...]:
    """How Table 1 differs from the paper's, and what each column rests on.

    Args:
        table: of ``rl_agents.table_one``.
        unmoved: of ``rl_agents.unmoved_finalists``.
        benches: of the tasks.
    """
    return (
        "Recipes differ: the paper trains full-width networks for 10 M env steps (recipe 'paper', sticky actions "
        "0.25); the tables here are of recipe 'lite' (ALE: a quarter of the width, 500 k env steps, no sticky actions; "
        "MinAtar: 1 M env steps), so figures are set beside each other, not compared. Nature-CNN is its kernels, 4 and "
        "3 behind the stem, in the width of the recipe.",
        "A reward mean is taken over all games of a training (return_all), as in the authors' code; the caption of the "
        "paper's Table 1 says that each score is the mean of the last 100 episodes, which here the total reward is "
        "(return_last100).",
        f"Each row has a choice of its own, as in the paper: of the {TOP_K} architectures that a run trains from "
        "scratch it takes the one with the best reward mean, or the best total reward. The paper prints the very "
        "figure that the choice was made by, which flatters it; here the choice is made in the trainings of the "
        "validation seeds, and what is shown is that score of it on the test split. ± is the standard deviation over "
        f"runs: {RANDOM_REPEATS} of random search (K = {TOP_K}), {SEARCH_SEEDS} of ENAS and of SPOS"
        f"{_fewer_runs(table)}. A run of ENAS or SPOS costs {TOP_K + 1} whole trainings, its supernet's among them, "
        f"one of random search {TOP_K}. {_proxy_steps(benches)}Tabular ENAS feeds its controller from stored SPOS "
        "proxies: an approximation.",
        *_unmoved_notes(unmoved, benches),
        *(f"{bench.task.id}: {table_note(bench)}{_single_seed_note(bench)}{_luck_note(bench)}." for bench in benches),
    )


def _proxy_steps(benches: Sequence[Benchmark]) -> str:
    """What SPOS's proxies play beside what it is charged."""
    each = [
        f"{int(bench.supernets().final_env_steps.mean()):,} on {bench.task.id}"
        for bench in benches
        if bench.supernets().seeds
    ]
    if not each:
        return ""
    return (
        f"Proxies are inference and free, as in the paper; measuring all of a fit's takes SPOS env steps too: "
        f"{', '.join(each)}. "
    )


def _controller_updates(task: Task) -> int:
    """How often tabular ENAS updates its controller: children that end before the first proxy are not heard of."""
    assert isinstance(task, GameTask)
    steps = task.recipe.num_envs * task.recipe.rollout
    unheard = (math.ceil(task.fidelities[0] / steps) - 1) // CHILD_UPDATES
    return (task.recipe.updates // CHILD_UPDATES - unheard) // CHILDREN


def _unmoved_notes(unmoved: Mapping[str, float], benches: Sequence[Benchmark]) -> tuple[str, ...]:
    """How far ENAS's choice is that of a controller which learned nothing."""
    if not unmoved:
        return ()
    each = ", ".join(
        f"{unmoved[bench.task.id] * TOP_K:.1f} on {bench.task.id} "
        f"({_controller_updates(bench.task)} updates of the controller)"
        for bench in benches
        if bench.task.id in unmoved
    )
    verdict = (
        " ENAS's rows are of its controllers' initial weights more than of what they heard."
        if min(unmoved.values()) > 0.5
        else ""
    )
    return (
        f"Of the {TOP_K} architectures that a run of ENAS trains, so many are also those of the same controller when "
        f"it never learns (learning rate 0), on average over its runs: {each}. The paper's fit, of 10 M env steps, "
        f"has time for many more updates.{verdict}",
    )


def _luck_note(bench: Benchmark) -> str:
    """Whether the columns of a task tell methods apart at all."""
    agreement = splits_agreement(bench)
    if agreement is None or not agreement.by_luck:
        return ""
    return (
        f". Its rankings by the validation seeds and by the test seeds agree no more than by luck (τ = "
        f"{agreement.tau:.2f} [{agreement.low:.2f}, {agreement.high:.2f}]), so who is ahead there may be luck too"
    )


def _fewer_runs(table: pd.DataFrame) -> str:
    """Where fewer than the protocol's searches count, as each replay of a stored supernet finds the same."""
    few = table[table["method"].isin(ONE_SHOT) & (table["runs"] > 0) & (table["runs"] < SEARCH_SEEDS)]
    few = few.drop_duplicates(["task", "method"])
    if few.empty:
        return ""
    each = []
    for (task, runs), rows in few.groupby(["task", "runs"], sort=False):
        each.append(f"{runs} of {' and of '.join(PUBLISHED_ROWS[method] for method in rows['method'])} on {task}")
    return f", but {', '.join(each)}, as many as there are supernets"


def _single_seed_note(bench: Benchmark) -> str:
    """What the split of a task with one train seed means for the two rows; nothing elsewhere."""
    if not bench.table.single_seed:
        return ""
    return (
        ". Here the total reward is that of fresh games of the final policy (return_eval), and no training is left to "
        "test a reward mean: it is that of the very trainings which the choice was made by, and so flatters the choice"
    )


def _best(task: str, best: pd.DataFrame, found: Mapping[str, Found]) -> Section:
    """A column an architecture; in the paper each column is a table of its own (6 to 9)."""
    shown = cli.Table(title=f"Best architectures on {task} by reward mean, as Tables 6 to 9", title_justify="left")
    shown.add_column("layer")
    for which, of_arch in best.groupby("which", sort=False):
        arch, reward_mean = of_arch[["arch", "reward_mean"]].iloc[0]
        shown.add_column(f"{which}\n{arch}, reward mean {reward_mean:.3g}")
    for layer, rows in best.groupby("layer", sort=False):
        shown.add_row(str(layer), *(_layer(row) for _, row in rows.iterrows()))
    said = (f"Found by {method.upper()}, with reward mean: {one}." for method, one in found.items())
    return Section(shown, tuple(said))


def _layer(row: pd.Series) -> str:
    """``16 → 16, kernel 3, stride 1``."""
    text = f"{row['input']} → {row['output']}"
    return text if pd.isna(row["kernel"]) else f"{text}, kernel {row['kernel']:.0f}, stride {row['stride']:.0f}"


def _taus(taus: pd.DataFrame) -> cli.Table:
    """Kendall's τ with the true ranking at a quarter, a half and the whole of the fidelity, mean over seeds."""
    shown = cli.Table(
        title="How good is a cheap score? Kendall's τ with the true ranking (test, whole trainings)",
        title_justify="left",
    )
    for column in ("task", "score", "seeds", "games a score", "reliability at 1/2, at the end",
                   "τ at 1/4", "τ at 1/2", "τ at the end", "lowest, highest", "95 % of mean"):  # fmt: skip
        shown.add_column(column)
    for (task, what), rows in taus.groupby(["task", "what"], sort=False):
        mean = mean_taus(rows).to_numpy()
        cells = [_two_digits(mean[len(mean) * quarter // 4 - 1]) for quarter in (1, 2, 4)]
        end = rows[rows["fidelity"] == rows["fidelity"].max()]["tau"]
        low, high = _interval(end)
        spread = f"{end.min():.2f}, {end.max():.2f}" if len(end) > 1 else "–"
        interval = "–" if math.isnan(low) else f"[{low:.2f}, {high:.2f}]"
        games, reliability = "–", "–"
        if what == PROXY:
            by_fidelity = rows.groupby("fidelity")["reliability"].median().to_numpy()
            halfway, last = by_fidelity[len(by_fidelity) // 2 - 1], by_fidelity[-1]
            games, reliability = games_of(rows), f"{_two_digits(halfway)}, {_two_digits(last)}"
        shown.add_row(str(task), str(what), str(len(end)), games, reliability, *cells, spread, interval)
    return shown


def _two_digits(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _interval(values: pd.Series) -> tuple[float, float]:
    """95 % of the mean, by Student's t, within what τ can be; NaN of fewer than ``FEWEST`` values, or with a NaN."""
    if len(values) < FEWEST or values.isna().any():
        return math.nan, math.nan
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return max(-1.0, float(low)), min(1.0, float(high))


def _tau_notes(taus: pd.DataFrame, benches: Sequence[Benchmark]) -> tuple[str, ...]:
    """Whether the proxies of whole fits rank at all, and what sets a bound to every cheap score."""
    said = [
        "A proxy is the mean of a few games. Its reliability is the share of the proxies' variance over architectures "
        "that is not the luck of these games (median over the supernets that tell architectures apart): where it is "
        "near 0, τ says nothing of weight sharing, and tabular ENAS hears little but luck. τ is – where a supernet "
        "gives all architectures the same proxy."
    ]
    for bench in benches:
        rows = taus[(taus["task"] == bench.task.id) & (taus["what"] == PROXY)]
        if len(rows):
            said.append(" ".join([_verdict(bench, rows), *_flat(rows), *_bound(bench)]))
    alone = [bench.task.id for bench in benches if bench.table.single_seed]
    if alone:
        said.append(
            f"Short trainings on {', '.join(alone)} are judged by themselves, as the table has one train seed: the "
            "luck of a seed is on both sides."
        )
    return tuple(said)


def _verdict(bench: Benchmark, rows: pd.DataFrame) -> str:
    """``rows``: of the task's proxies."""
    end = rows[rows["fidelity"] == rows["fidelity"].max()]["tau"]
    count = f"{len(end)} supernet{'s' * (len(end) > 1)}"
    known = f"On {bench.task.id} the proxies of {count} have a mean τ of {end.mean():.2f} with the true ranking"
    if len(end) > 1:
        together = mean_proxy(bench)
        known += f"; the mean of their proxies has {together.tau:.2f} (Kendall's test: p = {together.p:.2g})"
    low, high = _interval(end)
    if math.isnan(low):
        why = f"it takes {FEWEST} supernets" if len(end) < FEWEST else "it takes τ of every supernet"
        return f"{known}: {why} for an interval."
    verdict = (
        "they correlate with it" if low > 0
        else "they rank it the wrong way round" if high < 0
        else "over supernets no correlation is shown: the interval of the mean τ holds 0"
    )  # fmt: skip
    return f"{known}; {verdict} (Student's t over supernets, the true ranking taken as it is)."


def _flat(rows: pd.DataFrame) -> list[str]:
    """Supernets that told no architecture from another at some fidelities."""
    flat = rows[rows["tau"].isna()].groupby("seed").size()
    return [
        f"Supernet {seed} gives all architectures the same proxy at {count} of {rows['fidelity'].nunique()} fidelities."
        for seed, count in flat.items()
    ]


def _bound(bench: Benchmark) -> list[str]:
    """How well whole trainings of other seeds rank: what a cheap score can hope for."""
    agreement = splits_agreement(bench)
    if agreement is None:
        return []
    text = (
        f"Whole trainings of the validation seeds have {agreement.tau:.2f} [{agreement.low:.2f}, {agreement.high:.2f}] "
        "(bootstrap over architectures)"
    )
    if agreement.by_luck:
        return [f"{text}: no more than luck, so that these test scores are no ranking that a proxy could find."]
    return [f"{text}, for comparison."]
