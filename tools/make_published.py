"""Writes ``tables/published.parquet``: every figure of the result tables of the three papers this project builds on.

    python tools/make_published.py [--out tables/published.parquet]

One row a printed figure, transcribed by hand from the papers' texts. Three things are derived, and ``note`` says so: a
duration in hours, the product ``121 * 64`` worked out, the canonical string of a printed architecture. A figure that
the survey's scanned text garbles is put right only where the survey itself and a second source settle it; otherwise it
stays as printed and is called doubtful.

Columns: paper (rl-agents, meta-rl or survey), citation, table, row, column, task (this project's ``space/environment``
where the figure belongs to one), metric (in the paper's words), value or text (one is null), spread, spread_kind, unit,
note. (paper, table, row, column, metric) is unique.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from nasbench_rl.manifest import register

Row: TypeAlias = dict[str, "str | float | None"]

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("paper", "citation", "table", "row", "column", "task", "metric")]
    + [("value", pa.float64()), ("text", pa.string()), ("spread", pa.float64())]
    + [(name, pa.string()) for name in ("spread_kind", "unit", "note")]
)

CITATIONS = {
    "rl-agents": "Mazyavkina, Moustafa, Trofimov, Burnaev: Optimizing the Neural Architecture of Reinforcement "
    "Learning Agents. arXiv:2011.14632, 2020",
    "meta-rl": "Gomez Robles, Vanschoren: Learning to reinforcement learn for Neural Architecture Search. "
    "arXiv:1911.03769, 2019",
    "survey": "Shao: A Survey on Neural Architecture Search Based on Reinforcement Learning. arXiv:2409.18163, 2024",
}


def figure(
    where: tuple[str, str, str, str],
    metric: str,
    unit: str,
    content: float | str,
    spread: float | None = None,
    spread_kind: str | None = None,
    *,
    task: str | None = None,
    note: str | None = None,
) -> Row:
    """One row; ``where`` is (paper, table, row, column), ``content`` a number or a text."""
    paper, table, row, column = where
    value, text = (None, content) if isinstance(content, str) else (float(content), None)
    place = (paper, CITATIONS[paper], table, row, column, task)
    cells = (*place, metric, value, text, spread, spread_kind, unit, note)
    return dict(zip(SCHEMA.names, cells, strict=True))


# Table 1; a star marks what the paper prints in bold. Its caption: "Each score is the mean of last 100 episodes."
REWARDS = {
    ("Random Search", "reward mean"): ("54.7 ± 8.3", "28.4 ± 1.0", "33.1 ± 29.5", "21.6 ± 0.2"),
    ("Random Search", "total reward"): ("147.2 ± 25.5", "*31.7 ± 0.8", "105.7 ± 94.2", "*22.0 ± 0.2"),
    ("Nature-CNN, reproduced", "reward mean"): ("57.1", "13.1", "-", "-"),
    ("Nature-CNN, reproduced", "total reward"): ("157.9", "19.0", "-", "-"),
    ("ENAS", "reward mean"): ("*61.4 ± 1.8", "26.4 ± 1.1", "30.7 ± 21.7", "21.5 ± 0.1"),
    ("ENAS", "total reward"): ("*161.1 ± 9.8", "30.7 ± 1.3", "91.4 ± 64.4", "*22.0 ± 0.2"),
    ("SPOS", "reward mean"): ("39.7 ± 18.6", "*29.6 ± 0.8", "*39.9 ± 41.0", "*21.7 ± 0.1"),
    ("SPOS", "total reward"): ("144.4 ± 55.0", "29.4 ± 5.0", "*180.6 ± 72.5", "*22.0 ± 0.1"),
}
REWARD_COLUMNS = (
    ("Search space 1, Breakout", "atari-ss1/breakout"),
    ("Search space 1, Freeway", "atari-ss1/freeway"),
    ("Search space 2, Breakout", "atari-ss2/breakout"),
    ("Search space 2, Freeway", "atari-ss2/freeway"),
)
ONE_SHOT = "best of the top 3 by proxy score, trained from scratch; mean of 4 searches (section 5.3)"
REWARD_NOTES = {
    "Random Search": "best of 3 random architectures trained from scratch; repeated 1000 times (section 5.4)",
    "Nature-CNN, reproduced": "k4-k3 of search space 1 trained with the paper's own pipeline (section 6)",
    "ENAS": ONE_SHOT,
    "SPOS": ONE_SHOT,
}


def rewards() -> Iterator[Row]:
    """Table 1 of the RL-agents paper."""
    for (method, metric), cells in REWARDS.items():
        for (column, task), cell in zip(REWARD_COLUMNS, cells, strict=True):
            bold = cell.startswith("*")
            mean, _, std = cell.lstrip("*").partition(" ± ")
            note = REWARD_NOTES[method] + ("; printed in bold" if bold else "")
            if cell == "-":
                note = "no figure printed: Nature-CNN is no point of search space 2"
            place = ("rl-agents", "1", method, column)
            spread, kind = (float(std), "std (not stated by the paper)") if std else (None, None)
            content = "-" if cell == "-" else float(mean)
            yield figure(place, metric, "episode return", content, spread, kind, task=task, note=note)


# Tables 6-9: kernels of Conv-2 onwards. Every other figure of them is that of the search space (Table 2).
BEST = {
    "6": ("atari-ss1/breakout", (4, 5)),
    "7": ("atari-ss1/freeway", (3, 2)),
    "8": ("atari-ss2/breakout", (5, 5, 5, 2, 2)),
    "9": ("atari-ss2/freeway", (5, 5, 5, 5, 5)),
}


def best_layers(kernels: tuple[int, ...]) -> Iterator[tuple[str, tuple[int | str, ...]]]:
    """The printed rows (layer, (input, output, kernel, stride)) of a table of the best architecture."""
    yield "Conv-1", (4, 32, 8, 4)
    for i, kernel in enumerate(kernels):
        stride = 2 if len(kernels) == 2 and i == 0 else 1
        yield f"Conv-{i + 2}", (32 if i == 0 else 64, 64, kernel, stride)
    yield "Padding", ("–", "121 * 64", "–", "–")
    yield "Linear", ("121 * 64", 512, "–", "–")


def best_architectures() -> Iterator[Row]:
    """Tables 6-9 of the RL-agents paper: one canonical string and every printed cell of each."""
    found = "found by SPOS, chosen by reward mean"
    for table, (task, kernels) in BEST.items():
        name = "-".join(f"k{kernel}" for kernel in kernels)
        note = f"{found}; canonical string of the printed kernels of Conv-2 to Conv-{len(kernels) + 1}"
        place = ("rl-agents", table, "best architecture", "kernel")
        yield figure(place, "best architecture", "architecture", name, task=task, note=note)
        for layer, cells in best_layers(kernels):
            for column, cell in zip(("input", "output", "kernel", "stride"), cells, strict=True):
                unit = "channels" if layer.startswith("Conv") else "features"
                unit = "pixels" if column in ("kernel", "stride") else unit
                content, note = (121 * 64, f'{found}; printed "121 * 64"') if cell == "121 * 64" else (cell, found)
                place = ("rl-agents", table, layer, column)
                yield figure(place, f"layer {column}", unit, content, task=task, note=note)


# (name, usage in Table 3 or "", classes, observations, in Table 8). The text drops the underscores of the ids.
DATASETS = {
    "aircraft": ("FGVC-Aircraft", "Validation", 100, 10_000),
    "cu_birds": ("CUB-200-2011", "Validation", 200, 11_788),
    "dtd": ("Describable Textures", "Train", 47, 5_640),
    "fungi": ("FGVCx Fungi", "", 1394, 89_760),
    "ilsvrc_2012": ("ImageNet", "", 1000, 1_280_764),
    "mscoco": ("Common Objects in Context", "", 80, 330_000),
    "omniglot": ("Omniglot", "Train", 1623, 32_460),
    "quickdraw": ("Quick, Draw!", "", 345, 50_426_266),
    "traffic_sign": ("German Traffic Sign Recognition Benchmark", "", 43, 39_209),
    "vgg_flower": ("VGG Flower", "Train", 102, 8_189),
}


def datasets() -> Iterator[Row]:
    """Tables 3 (the five environments) and 8 (the whole meta-dataset) of the meta-RL paper."""
    for table in ("3", "8"):
        for dataset, (name, usage, classes, observations) in DATASETS.items():
            cells: dict[str, tuple[str, str, float | str]] = {
                "Dataset name": ("dataset name", "name", name),
                "Usage": ("usage", "name", usage),
                "N classes": ("number of classes", "classes", classes),
                "N observations": ("number of observations", "images", observations),
            }
            for column, cell in cells.items():
                printed = bool(usage) if table == "3" else column != "Usage"
                if printed:
                    yield figure(("meta-rl", table, dataset, column), *cell)


# Tables 4, 5, 7, 9: {table: {(row, column): as printed}}
DURATIONS = {
    "4": {
        ("omniglot", "Deep meta-RL"): "11 days 9h",
        ("omniglot", "DQN"): "6 days 14h",
        ("vgg_flower", "Deep meta-RL"): "7 days 23h",
        ("vgg_flower", "DQN"): "5 days 15h",
        ("dtd", "Deep meta-RL"): "6 days 17h",
        ("dtd", "DQN"): "6 days 4h",
        ("Total", "Deep meta-RL"): "26 days 1h",
        ("Total", "DQN"): "18 days 9h",
    },
    "5": {
        ("aircraft", "Runtime"): "2 days 6h",
        ("cu_birds", "Runtime"): "2 days 22h",
        ("Total", "Runtime"): "5 days 4h",
    },
    "7": {
        ("σ = 0.0", "Runtime"): "13 days 9h",
        ("σ = 0.1", "Runtime"): "15 days 14h",
        ("Total", "Runtime"): "28 days 23h",
    },
    "9": {
        ("aircraft", "Time"): "9h49m",
        ("cu_birds", "Time"): "16h20m",
        ("dtd", "Time"): "5h38m",
        ("omniglot", "Time"): "3h38m",
        ("traffic_sign", "Time"): "4h33m",
        ("vgg_flower", "Time"): "4h56m",
    },
}
K40 = "on a single NVIDIA Tesla K40m GPU"
DURATION_NOTES = {
    "4": f"running time of the training {K40}",
    "5": f"running time of the evaluation of the fixed policy {K40}",
    "7": f"running time of the training in the multi-branch space {K40}",
    "9": "running time of a deep meta-RL trial of 200 steps; the paper names neither its space nor its GPU",
}


DURATION_TASKS = {"4": "nsc-chain/{row}", "5": "nsc-chain/{row}", "7": "nsc-multibranch/omniglot"}


def hours(printed: str) -> float:
    """``"11 days 9h"`` or ``"9h49m"`` in hours."""
    minutes = {"d": 24 * 60, "h": 60, "m": 1}
    return sum(int(amount) * minutes[unit] for amount, unit in re.findall(r"(\d+) ?([dhm])", printed)) / 60


def durations() -> Iterator[Row]:
    """Tables 4, 5, 7 and 9 of the meta-RL paper, in hours. A total belongs to no one task."""
    for table, cells in DURATIONS.items():
        for (row, column), printed in cells.items():
            task = None if row == "Total" or table == "9" else DURATION_TASKS[table].format(row=row)
            note = f'{DURATION_NOTES[table]}; printed "{printed}"'
            yield figure(("meta-rl", table, row, column), "running time", "hours", hours(printed), task=task, note=note)


# Table 6: (mean, 2 std)
FIVE_TRAININGS = "2 std of five trainings"
FINAL_ACCURACY = {
    ("aircraft", "Deep meta-RL (1st)"): (49.18, 1.2),
    ("aircraft", "Deep meta-RL (2nd)"): (50.11, 1.02),
    ("aircraft", "VGG19-like"): (30.85, 10.82),
    ("cu_birds", "Deep meta-RL (1st)"): (23.97, 1.28),
    ("cu_birds", "Deep meta-RL (2nd)"): (24.24, 0.90),
    ("cu_birds", "VGG19-like"): (6.66, 1.98),
}


def final_accuracies() -> Iterator[Row]:
    """Table 6 of the meta-RL paper. No task: the networks are widened and trained longer (section 6.1)."""
    for (dataset, column), (mean, spread) in FINAL_ACCURACY.items():
        widened = "an architecture of nsc-chain, but with 2^(4+i) filters, dense 4096 and 100 epochs: no point of it"
        note = "VGG-19 with two blocks only, the paper's baseline" if column == "VGG19-like" else widened
        yield figure(("meta-rl", "6", dataset, column), "accuracy", "%", mean, spread, FIVE_TRAININGS, note=note)


SurveyTable: TypeAlias = "tuple[dict[str, tuple[float | str, ...]], tuple[tuple[str, str, str], ...]]"
GPU_DAYS = ("GPU Days", "search cost", "GPU days")
# {table: ({row: cells}, (column, metric, unit) of each cell)}
SURVEY: dict[str, SurveyTable] = {
    "I": (
        {
            "NAS[6]": ("REINFORCE",),
            "MetaQNN[10]": ("Q-learning",),
            "BlockQNN[2]": ("Q-learning + epsilon-greedy strategy",),
            "NASNet[3]": ("Proximal Policy Optimization",),
            "EAS[12]": ("Policy Gradient",),
            "ENAS[18]": ("REINFORCE",),
            "TreeCell[13]": ("REINFORCE",),
        },
        (("Reinforcement Learning Algorithms Involved", "search algorithm", "name"),),
    ),
    "II": (
        {
            "MetaQNN[10]": (6.92, 11.18, 100),
            "NAS[6]": (3.65, 37.4, 22400),
            "EAS[12]": (4.23, 23.4, 10),
            "NASNet[3]": (3.41, 3.3, 2000),
            "BlockQNN[2]": (3.54, 39.8, 96),
            "TreeCell[13]": (2.99, 5.7, 200),
        },
        (("Error(%)", "error", "%"), ("# of Params(Millions)", "parameters", "millions"), GPU_DAYS),
    ),
    "III": (
        {
            "NASNet[3]": (82.7, 96.2, 88.9, 331, 2000),
            "BlockQNN[2]": (77.4, 93.5, "N/A", 224, 96),
            "TreeCell[13]": (74.6, 91.9, 594, 224, 200),
        },
        (
            ("Top 1/Top 5 Accuracy (%)", "top-1 accuracy", "%"),
            ("Top 1/Top 5 Accuracy (%)", "top-5 accuracy", "%"),
            ("# of Params (Millions)", "parameters", "millions"),
            ("Image Size (squared)", "image side", "pixels"),
            GPU_DAYS,
        ),
    ),
}
# What a scanned table cell says, and why it is read as it is: (table, row, metric) -> note.
SECOND_SOURCE = "the results cited for NASNet-A elsewhere (Cai et al., ICML 2018) pair 3.41 % with 3.3 M parameters"
TREECELL_DAYS = "doubtful, kept as printed: the cited paper's abstract speaks of about 200 GPU-hours, not days"
READINGS = {
    ("II", "NASNet[3]", "error"): f'the text prints "341", no possible error in %; {SECOND_SOURCE}',
    ("II", "NASNet[3]", "parameters"): 'the text prints "33", but calls NASNet the lightest model of the table '
    f"(TreeCell has 5.7); {SECOND_SOURCE}",
    ("III", "TreeCell[13]", "parameters"): "doubtful, kept as printed: far too many for a network of the mobile "
    "setting; possibly its multiply-adds in millions",
    ("II", "TreeCell[13]", "search cost"): TREECELL_DAYS,
    ("III", "TreeCell[13]", "search cost"): TREECELL_DAYS,
}
MISREAD_NAME = {"I": "BlockQNNJ2]", "II": "BlockQNN][2]", "III": "BlockQNN][2]"}
GPU_DAYS = ("GPU Days", "search cost", "GPU days")


def survey() -> Iterator[Row]:
    """Tables I-III of the survey, each figure with the note on how its scanned text was read, if there is one."""
    for table, (rows, columns) in SURVEY.items():
        for row, cells in rows.items():
            for content, (column, metric, unit) in zip(cells, columns, strict=True):
                notes = [READINGS[table, row, metric]] if (table, row, metric) in READINGS else []
                if row == "BlockQNN[2]":
                    notes.append(f'the text prints the name "{MISREAD_NAME[table]}"; the survey cites BlockQNN as [2]')
                yield figure(("survey", table, row, column), metric, unit, content, note="; ".join(notes) or None)


def build() -> pa.Table:
    """Every row, in the order of the papers and their tables."""
    rows = [*rewards(), *best_architectures(), *datasets(), *durations(), *final_accuracies(), *survey()]
    papers = list(CITATIONS)
    order = ("1", "3", "4", "5", "6", "7", "8", "9", "I", "II", "III")
    rows.sort(key=lambda row: (papers.index(str(row["paper"])), order.index(str(row["table"]))))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write(path: Path) -> int:
    """Write the table to ``path`` (zstd), through a temporary file and a rename; returns the number of rows."""
    table = build()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary, compression="zstd")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return int(table.num_rows)


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 2 and one line when the file cannot be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).resolve().parents[1] / "tables" / "published.parquet"
    parser.add_argument("--out", type=Path, default=default, help="where to write (default: %(default)s)")
    out: Path = parser.parse_args(arguments).out
    try:
        rows = write(out)
        if out == default:
            register(out.parent, out.name, rows)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        print(f"cannot write {out}: {reason}; give a writable path with --out", file=sys.stderr)
        return 2
    print(f"{out}: {rows} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
