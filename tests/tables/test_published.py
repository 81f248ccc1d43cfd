"""The papers' tables in ``tables/published.csv``: complete, well formed, and the figures that are printed."""

import math

import pandas as pd
import pytest

from nasbench_rl.tables.published import CITATIONS, published


@pytest.fixture(scope="module")
def figures() -> pd.DataFrame:
    """Refused with a wrong checksum after an edit: ``published.NAME`` says how the new one is listed."""
    return published()


def cell(figures: pd.DataFrame, paper: str, table: str, row: str, column: str, metric: str | None = None) -> pd.Series:
    keys = {"paper": paper, "table": table, "row": row, "column": column} | ({"metric": metric} if metric else {})
    found = figures[(figures[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1, f"{len(found)} rows for {keys}"
    return found.iloc[0]


def test_row_counts_per_table(figures: pd.DataFrame) -> None:
    # Counted on the papers' pages: printed cells below the header, plus the canonical string in tables 6-9.
    rl_agents = {"1": 8 * 4, "6": 5 * 4 + 1, "7": 5 * 4 + 1, "8": 8 * 4 + 1, "9": 8 * 4 + 1}
    meta_rl = {"3": 5 * 4, "4": 4 * 2, "5": 3, "6": 2 * 3, "7": 3, "8": 10 * 3, "9": 6}
    survey = {"I": 7, "II": 6 * 3, "III": 3 * 5}
    counts = {(paper, table): count for paper, tables in zip(CITATIONS, (rl_agents, meta_rl, survey), strict=True)
              for table, count in tables.items()}  # fmt: skip
    assert figures.groupby(["paper", "table"]).size().to_dict() == counts


def test_every_row_has_its_place_a_unit_and_a_number_or_a_text(figures: pd.DataFrame) -> None:
    always = ["paper", "citation", "table", "row", "column", "metric", "unit"]
    assert figures[always].notna().all(axis=None)
    assert not figures.duplicated(["paper", "table", "row", "column", "metric"]).any()
    assert (figures["value"].notna() ^ figures["text"].notna()).all()
    assert (figures["spread"].notna() == figures["spread_kind"].notna()).all()
    assert figures.loc[figures["spread"].notna(), "value"].notna().all()
    tasks = figures["task"].dropna()  # prefixes of this project's ids
    assert set(tasks.str.split("/").str[0]) == {"atari-ss1", "atari-ss2", "nsc-chain", "nsc-multibranch"}
    assert not tasks.str.contains("@").any() and figures.loc[figures["paper"] == "survey", "task"].isna().all()


@pytest.mark.parametrize(
    ("place", "value", "spread"),
    [
        (("rl-agents", "1", "ENAS", "Search space 1, Breakout", "total reward"), 161.1, 9.8),
        (("rl-agents", "1", "SPOS", "Search space 2, Breakout", "reward mean"), 39.9, 41.0),
        (("rl-agents", "1", "SPOS", "Search space 2, Breakout", "total reward"), 180.6, 72.5),
        (("rl-agents", "1", "Random Search", "Search space 1, Freeway", "total reward"), 31.7, 0.8),
        (("rl-agents", "1", "Random Search", "Search space 2, Breakout", "total reward"), 105.7, 94.2),
        (("rl-agents", "1", "Nature-CNN, reproduced", "Search space 1, Freeway", "reward mean"), 13.1, None),
        (("rl-agents", "7", "Conv-2", "kernel"), 3, None),
        (("rl-agents", "6", "Padding", "output"), 7744, None),
        (("meta-rl", "3", "omniglot", "N classes"), 1623, None),
        (("meta-rl", "6", "aircraft", "Deep meta-RL (2nd)"), 50.11, 1.02),
        (("meta-rl", "6", "cu_birds", "VGG19-like"), 6.66, 1.98),
        (("meta-rl", "8", "quickdraw", "N observations"), 50426266, None),
        (("meta-rl", "9", "aircraft", "Time"), 9 + 49 / 60, None),
        (("survey", "II", "NAS[6]", "GPU Days"), 22400, None),
        (("survey", "II", "NASNet[3]", "Error(%)"), 3.41, None),
        (("survey", "II", "NASNet[3]", "# of Params(Millions)"), 3.3, None),
        (("survey", "III", "BlockQNN[2]", "Top 1/Top 5 Accuracy (%)", "top-5 accuracy"), 93.5, None),
        (("survey", "III", "TreeCell[13]", "# of Params (Millions)"), 594, None),
    ],
)
def test_spot_values(figures: pd.DataFrame, place: tuple[str, ...], value: float, spread: float | None) -> None:
    row = cell(figures, *place)
    assert row["value"] == value
    assert math.isnan(row["spread"]) if spread is None else row["spread"] == spread


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("survey", "III", "BlockQNN[2]", "# of Params (Millions)"), "N/A"),
        (("rl-agents", "1", "Nature-CNN, reproduced", "Search space 2, Freeway", "total reward"), "-"),
        (("survey", "I", "NASNet[3]", "Reinforcement Learning Algorithms Involved"), "Proximal Policy Optimization"),
    ],
)
def test_cells_without_a_number_keep_their_text(figures: pd.DataFrame, place: tuple[str, ...], text: str) -> None:
    assert cell(figures, *place)["text"] == text


@pytest.mark.parametrize(
    ("table", "task", "architecture"),
    [
        ("6", "atari-ss1/breakout", "k4-k5"),
        ("7", "atari-ss1/freeway", "k3-k2"),
        ("8", "atari-ss2/breakout", "k5-k5-k5-k2-k2"),
        ("9", "atari-ss2/freeway", "k5-k5-k5-k5-k5"),
    ],
)
def test_best_architectures(figures: pd.DataFrame, table: str, task: str, architecture: str) -> None:
    row = cell(figures, "rl-agents", table, "best architecture", "kernel")
    assert (row["task"], row["text"], row["unit"]) == (task, architecture, "architecture")
    layers = figures[(figures["table"] == table) & (figures["metric"] == "layer kernel")]
    printed = layers.loc[layers["row"].str.startswith("Conv-") & (layers["row"] != "Conv-1"), "value"]
    assert "-".join(f"k{kernel:.0f}" for kernel in printed) == architecture


@pytest.mark.parametrize(("table", "column"), [("4", "Deep meta-RL"), ("4", "DQN"), ("5", "Runtime"), ("7", "Runtime")])
def test_the_running_times_add_up_to_the_printed_totals(figures: pd.DataFrame, table: str, column: str) -> None:
    in_table = (figures["paper"] == "meta-rl") & (figures["table"] == table) & (figures["column"] == column)
    times = figures[in_table].set_index("row")["value"]
    assert times.drop("Total").sum() == pytest.approx(times["Total"])


@pytest.mark.parametrize(
    ("table", "row", "column", "noted"),
    [
        ("II", "NASNet[3]", "Error(%)", '"341"'),
        ("II", "NASNet[3]", "# of Params(Millions)", '"33"'),
        ("III", "TreeCell[13]", "# of Params (Millions)", "doubtful"),
    ],
)
def test_what_the_scan_garbled_is_noted(figures: pd.DataFrame, table: str, row: str, column: str, noted: str) -> None:
    assert noted in cell(figures, "survey", table, row, column)["note"]
