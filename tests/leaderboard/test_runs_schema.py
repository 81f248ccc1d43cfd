"""Files of runs that no comparison wrote: refused in one line with file, row and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.runs import made_runs
from support.tables import TWO_BY_SEED

from nasbench_rl.errors import TableError
from nasbench_rl.leaderboard.runs_schema import COLUMNS, SCHEMA, read_runs
from nasbench_rl.tables.parquet import write_frame


@pytest.fixture(scope="module")
def runs(made_tables: Path) -> pd.DataFrame:
    return made_runs(made_tables, (TWO_BY_SEED,), ("random_search",), 2)


def refusal(frame: pd.DataFrame, folder: Path) -> str:
    write_frame(frame, folder / "strange.parquet")
    with pytest.raises(TableError) as raised:
        read_runs(folder / "strange.parquet")
    text = str(raised.value)
    assert "strange.parquet" in text and "\n" not in text
    return text


def test_every_column_of_a_run_is_in_the_schema() -> None:
    assert tuple(SCHEMA) == COLUMNS


def test_what_a_comparison_writes_is_read_as_it_is(runs: pd.DataFrame, tmp_path: Path) -> None:
    write_frame(runs.assign(more=1), tmp_path / "runs.parquet")
    pd.testing.assert_frame_equal(read_runs(tmp_path / "runs.parquet"), runs, check_dtype=False)


@pytest.mark.parametrize("name", COLUMNS)
def test_bytes_gaps_and_lists_are_refused_in_every_column(name: str, runs: pd.DataFrame, tmp_path: Path) -> None:
    for value in ([b"\xff"] * len(runs), [[1]] * len(runs), [{"a": 1}] * len(runs)):
        assert f"column {name!r} must hold" in refusal(runs.assign(**{name: value}), tmp_path)
    if not SCHEMA[name].nan:
        gap = runs.astype({name: object})
        gap.loc[3, name] = None
        assert f"row 3, column {name!r} must hold" in refusal(gap, tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("spent", -1, "whole numbers from 0 on, and holds -1"),
        ("step", -1, "whole numbers from 0 on"),
        ("seed", -1, "whole numbers from 0 on"),
        ("train_seed", -2, "whole numbers from -1 on"),
        ("budget", 0, "whole numbers from 1 on"),
        ("seed", 2.0**63, "whole numbers"),
        ("step", 0.5, "whole numbers"),
        ("score", float("inf"), "finite numbers"),
        ("regret", float("-inf"), "finite numbers"),
        ("cpu_seconds", -0.5, "finite numbers from 0 on"),
        ("mode", "tabula", "'tabular', 'surrogate', 'live', and holds 'tabula'"),
        ("source", "guess", "'table', 'surrogate', 'live', 'invalid'"),
        ("test_source", "guess", "'', 'table'"),
        ("objective", "time", "'params', 'flops', 'latency'"),
        ("method", "", "text that is not empty"),
    ],
)
def test_values_that_no_run_can_have_are_refused_with_their_row(
    name: str, value: Any, words: str, runs: pd.DataFrame, tmp_path: Path
) -> None:
    changed = runs.astype({name: float}) if isinstance(value, float) else runs.copy()
    changed.loc[4, name] = value
    text = refusal(changed, tmp_path)
    assert f"row 4, column {name!r} must hold" in text and words in text


def test_runs_that_give_budget_back_or_lack_a_part_are_refused(runs: pd.DataFrame, tmp_path: Path) -> None:
    shrunk = runs.copy()
    shrunk.loc[1, "spent"] = 1
    assert "row 1, column 'spent'" in (text := refusal(shrunk, tmp_path)) and "less spent than one step before" in text
    assert "row 0, column 'step'" in refusal(runs[1:], tmp_path)
    assert "column 'steps'" in (text := refusal(runs[:-1], tmp_path)) and "has 9 of its 10 evaluations" in text
    two = runs.copy()
    two.loc[2, "objective"] = "flops"
    assert "has two values of objective" in refusal(two, tmp_path)


def test_a_column_that_is_there_twice_and_text_that_is_not_utf_8_are_refused(
    runs: pd.DataFrame, tmp_path: Path
) -> None:
    table, path = pa.Table.from_pandas(runs, preserve_index=False), tmp_path / "strange.parquet"
    pq.write_table(table.append_column("score", table["score"]), path)
    with pytest.raises(TableError, match="has column 'score' 2 times"):
        read_runs(path)
    raw = pa.array([b"k1\xff"] * len(runs), pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("arch"), "arch", raw), path)
    with pytest.raises(TableError, match="column 'arch' holds text that is not UTF-8"):
        read_runs(path)


def test_metadata_that_pandas_cannot_read_does_not_matter(runs: pd.DataFrame, tmp_path: Path) -> None:
    table = pa.Table.from_pandas(runs, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({b"pandas": b"{"}), tmp_path / "runs.parquet")
    assert len(read_runs(tmp_path / "runs.parquet")) == len(runs)
