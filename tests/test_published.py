"""The transcription of the papers' tables: complete, well formed, and what the committed Parquet file holds."""

import importlib.util
import math
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tables" / "published.parquet"

spec = importlib.util.spec_from_file_location("make_published", ROOT / "tools" / "make_published.py")
assert spec is not None and spec.loader is not None
make_published = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = make_published
spec.loader.exec_module(make_published)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pq.read_table(TABLE).to_pandas()


def cell(
    published: pd.DataFrame, paper: str, table: str, row: str, column: str, metric: str | None = None
) -> pd.Series:
    keys = {"paper": paper, "table": table, "row": row, "column": column} | ({"metric": metric} if metric else {})
    found = published[(published[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1, f"{len(found)} rows for {keys}"
    return found.iloc[0]


def test_the_committed_file_is_what_the_script_writes() -> None:
    assert pq.read_table(TABLE).equals(make_published.build())


def test_row_counts_per_table(published: pd.DataFrame) -> None:
    # Counted on the papers' pages: printed cells below the header, plus the canonical string in tables 6-9.
    expected = {
        ("rl-agents", "1"): 8 * 4,
        ("rl-agents", "6"): 5 * 4 + 1,
        ("rl-agents", "7"): 5 * 4 + 1,
        ("rl-agents", "8"): 8 * 4 + 1,
        ("rl-agents", "9"): 8 * 4 + 1,
        ("meta-rl", "3"): 5 * 4,
        ("meta-rl", "4"): 4 * 2,
        ("meta-rl", "5"): 3,
        ("meta-rl", "6"): 2 * 3,
        ("meta-rl", "7"): 3,
        ("meta-rl", "8"): 10 * 3,
        ("meta-rl", "9"): 6,
        ("survey", "I"): 7,
        ("survey", "II"): 6 * 3,
        ("survey", "III"): 3 * 5,
    }
    assert published.groupby(["paper", "table"]).size().to_dict() == expected


def test_every_row_says_where_it_comes_from_and_in_what_unit(published: pd.DataFrame) -> None:
    always = ["paper", "citation", "table", "row", "column", "metric", "unit"]
    assert published[always].notna().all(axis=None)
    assert (published[always] != "").all(axis=None)
    assert not published.duplicated(["paper", "table", "row", "column", "metric"]).any()


def test_a_row_holds_a_number_or_a_text_and_a_spread_names_its_kind(published: pd.DataFrame) -> None:
    assert (published["value"].notna() ^ published["text"].notna()).all()
    assert (published["spread"].notna() == published["spread_kind"].notna()).all()
    assert published.loc[published["spread"].notna(), "value"].notna().all()


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
        (("survey", "II", "NAS[6]", "GPU Days"), 22400, None),
        (("survey", "II", "NASNet[3]", "Error(%)"), 3.41, None),
        (("survey", "II", "NASNet[3]", "# of Params(Millions)"), 3.3, None),
        (("survey", "III", "BlockQNN[2]", "Top 1/Top 5 Accuracy (%)", "top-5 accuracy"), 93.5, None),
    ],
)
def test_spot_values(published: pd.DataFrame, place: tuple[str, ...], value: float, spread: float | None) -> None:
    row = cell(published, *place)
    assert row["value"] == value
    assert math.isnan(row["spread"]) if spread is None else row["spread"] == spread


@pytest.mark.parametrize(
    ("table", "task", "architecture"),
    [
        ("6", "atari-ss1/breakout", "k4-k5"),
        ("7", "atari-ss1/freeway", "k3-k2"),
        ("8", "atari-ss2/breakout", "k5-k5-k5-k2-k2"),
        ("9", "atari-ss2/freeway", "k5-k5-k5-k5-k5"),
    ],
)
def test_best_architectures(published: pd.DataFrame, table: str, task: str, architecture: str) -> None:
    row = cell(published, "rl-agents", table, "best architecture", "kernel")
    assert (row["task"], row["text"], row["unit"]) == (task, architecture, "architecture")
    layers = published[(published["table"] == table) & (published["metric"] == "layer kernel")]
    printed = layers.loc[layers["row"].str.startswith("Conv-") & (layers["row"] != "Conv-1"), "value"]
    assert "-".join(f"k{kernel:.0f}" for kernel in printed) == architecture


def test_cells_without_a_number_keep_their_text(published: pd.DataFrame) -> None:
    assert cell(published, "survey", "III", "BlockQNN[2]", "# of Params (Millions)")["text"] == "N/A"
    nature = cell(published, "rl-agents", "1", "Nature-CNN, reproduced", "Search space 2, Freeway", "total reward")
    assert nature["text"] == "-"
    assert cell(published, "survey", "I", "NASNet[3]", "Reinforcement Learning Algorithms Involved")["text"] == (
        "Proximal Policy Optimization"
    )


@pytest.mark.parametrize(("table", "column"), [("4", "Deep meta-RL"), ("4", "DQN"), ("5", "Runtime"), ("7", "Runtime")])
def test_the_running_times_add_up_to_the_printed_totals(published: pd.DataFrame, table: str, column: str) -> None:
    in_table = (published["paper"] == "meta-rl") & (published["table"] == table) & (published["column"] == column)
    times = published[in_table].set_index("row")["value"]
    assert times.drop("Total").sum() == pytest.approx(times["Total"])


def test_durations_are_hours() -> None:
    assert make_published.hours("11 days 9h") == 273
    assert make_published.hours("9h49m") == pytest.approx(9 + 49 / 60)


def test_what_the_scan_garbled_is_told(published: pd.DataFrame) -> None:
    error = cell(published, "survey", "II", "NASNet[3]", "Error(%)")
    assert '"341"' in error["note"]
    assert '"33"' in cell(published, "survey", "II", "NASNet[3]", "# of Params(Millions)")["note"]
    treecell = cell(published, "survey", "III", "TreeCell[13]", "# of Params (Millions)")
    assert treecell["value"] == 594 and "doubtful" in treecell["note"]


def test_tasks_are_prefixes_of_this_projects_ids(published: pd.DataFrame) -> None:
    tasks = published["task"].dropna()
    assert set(tasks.str.split("/").str[0]) == {"atari-ss1", "atari-ss2", "nsc-chain", "nsc-multibranch"}
    assert not tasks.str.contains("@").any()
    assert published.loc[published["paper"] == "survey", "task"].isna().all()


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    assert make_published.main(["--out", str(first)]) == 0
    assert make_published.main(["--out", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_path_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "absent" / "p.parquet"
    assert make_published.main(["--out", str(out)]) == 2
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1 and str(out) in stderr and "--out" in stderr
