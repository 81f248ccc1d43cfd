"""The command and its files: what is refused, what is counted once, and that all files say the same."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.runs import METHODS, choosing, made_runs, write_runs
from support.tables import SINGLE_SEED, TWO_BY_SEED

from nasbench_rl._utils import cli
from nasbench_rl._utils.text import show
from nasbench_rl.leaderboard import summary
from nasbench_rl.leaderboard.command import main as leaderboard_main
from nasbench_rl.leaderboard.ranking import ALL, COLUMNS
from nasbench_rl.tables import table_io
from nasbench_rl.tables.parquet import write_frame
from nasbench_rl.task import Task

SUFFIXES = ("md", "csv", "tex", "html")


def run(*arguments: str | Path, tables: Path) -> int:
    return cli.run(leaderboard_main, [*map(str, arguments), "--tables", str(tables)])


@pytest.fixture(scope="module")
def runs(made_tables: Path) -> pd.DataFrame:
    return made_runs(made_tables, (TWO_BY_SEED, SINGLE_SEED))


@pytest.fixture(scope="module")
def results(runs: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(runs, tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def written(results: Path, made_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert run(results, "--out", out, tables=made_tables) == 0
    return out


class Page(HTMLParser):
    """Ids, addresses and the text of every table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.addresses += [str(named[name]) for name in ("src", "href", "xlink:href", "action") if name in named]
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data.strip().replace("\xa0", " ")


def markdown_tables(text: str) -> list[list[list[str]]]:
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [[line for line in table.splitlines() if not line.startswith("|:-")] for table in tables]
    return [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in table] for table in rows]


def latex_tables(text: str) -> list[list[list[str]]]:
    for escaped, plain in ((r"\_", "_"), (r"\%", "%"), ("--", "–"), ("$<$", "<"), (r"\midrule", "")):
        text = text.replace(escaped, plain)
    bodies = re.findall(r"\\toprule\n(.*?)\\bottomrule", text, re.DOTALL)
    return [[[*map(str.strip, row.split(" & "))] for row in body.split(r"\\")[:-1]] for body in bodies]


def test_the_command_writes_every_file_and_ends_by_naming_the_page(
    results: Path, made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(results, "--out", tmp_path, tables=made_tables) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last == f"open: {tmp_path / 'leaderboard.html'}"
    assert all((tmp_path / f"leaderboard.{suffix}").stat().st_size > 0 for suffix in SUFFIXES)
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"average-ranks.png", "regret-minatar-ss1-breakout-lite.png"} <= figures
    assert {Path(name).stem for name in figures if name.endswith(".png")} == {
        Path(name).stem for name in figures if name.endswith(".svg")
    }


def test_all_files_say_the_same(written: Path) -> None:
    frame = pd.read_csv(written / "leaderboard.csv")
    assert list(frame.columns) == list(COLUMNS)
    blocks = [rows for _, rows in frame.groupby(["family", "task"], sort=False)]
    markdown = markdown_tables((written / "leaderboard.md").read_text())
    page = Page((written / "leaderboard.html").read_text()).tables
    page = [[[cell.rstrip(" ↕") for cell in row] for row in table] for table in page]
    latex = latex_tables((written / "leaderboard.tex").read_text())
    assert len(blocks) == len(latex) == 4 and markdown[: 2 * 4] == page[: 2 * 4], "a table and its details each"
    for at, rows in enumerate(blocks):
        main, details = markdown[2 * at : 2 * at + 2]
        searches = rows[rows["mode"] != "reference"]
        assert latex[at][0] == main[0] + details[0][1:]
        assert [row[: len(main[0])] for row in latex[at]] == main
        for table, shown in ((main, rows), (details, searches)):
            assert len(table) == len(shown) + 1
            for (_, row), cells in zip(shown.iterrows(), table[1:], strict=True):
                check_row(row, dict(zip(table[0], cells, strict=True)))
    assert markdown[-1] == [row[: len(markdown[-1][0])] for row in page[-2]], "the facts"
    text = (written / "leaderboard.md").read_text()
    assert all(f"- {asked} **{answer}**: {evidence}" in text for asked, answer, evidence in page[-1][1:])


NUMBERS = {
    "rank": ["rank"],
    "p": ["p"],
    "beats random search [95 %]": ["improvement", "improvement_low", "improvement_high"],
    "beats random search [95 %, train seeds too]": ["improvement", "improvement_table_low", "improvement_table_high"],
    "regret, mean": ["regret_mean"],
    "regret, mean [95 %, train seeds too]": ["regret_mean", "regret_table_low", "regret_table_high"],
    "regret, IQM [95 %]": ["regret_iqm", "regret_low", "regret_high"],
    "test score": ["test_score"],
    "trainings spent": ["spent"],
    "runs": ["runs"],
}


def check_row(row: pd.Series, cells: dict[str, str]) -> None:
    """Every number in the text is the CSV's."""
    assert cells.pop("method") == row["method"]
    if "verdict" in cells:
        assert cells.pop("verdict") == ("–" if pd.isna(row["verdict"]) else row["verdict"])
    for title, text in cells.items():
        if not text.startswith("<"):
            numbers = [float(found) for found in re.findall(r"-?\d+\.?\d*(?:e-\d+)?", text)]
            expected = [float(row[name]) for name in NUMBERS[title] if not np.isnan(row[name])]
            assert numbers == pytest.approx(expected, rel=0.06 if title == "p" else 1e-9), (title, text)


def test_a_table_is_read_once(
    results: Path, made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, chances = Counter[str](), Counter[str]()
    real_read, real_chances = table_io.read_with_digest, summary.random_search_choice

    def counted(folder: Path, task: Task) -> object:
        read[task.id] += 1
        return real_read(folder, task)

    def computed(*arguments: Any) -> Any:
        chances["of all"] += 1
        return real_chances(*arguments)

    monkeypatch.setattr(table_io, "read_with_digest", counted)
    monkeypatch.setattr(table_io, "read_table", lambda *_: pytest.fail("a second way to read a table"))
    monkeypatch.setattr(summary, "random_search_choice", computed)
    assert run(results, "--out", tmp_path, tables=made_tables) == 0
    assert read == {TWO_BY_SEED: 1, SINGLE_SEED: 1} and chances.total() <= 2


def test_the_same_runs_give_the_same_bytes_in_another_process(
    written: Path, results: Path, made_tables: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "nasbench_rl.leaderboard", str(results), "--out", str(tmp_path)]
    environment = {**os.environ, "NASBENCH_RL_TABLES": str(made_tables), "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {path.relative_to(written) for path in written.rglob("*.*")}
    assert names == {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")} and len(names) > 10
    different = [name for name in names if (written / name).read_bytes() != (tmp_path / name).read_bytes()]
    assert not different


def test_the_page_needs_nothing_but_itself(written: Path) -> None:
    text = (written / "leaderboard.html").read_text()
    page = Page(text)
    assert page.addresses and all(address.startswith(("#", "data:")) for address in page.addresses)
    assert "url(http" not in text and "@import" not in text and "fetch(" not in text
    assert len(page.ids) == len(set(page.ids)) > 20
    for reference in re.findall(r'(?:url\(|href=")#([^)"]+)', text):
        assert reference in page.ids
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text


def test_runs_of_several_origins_make_one_leaderboard(
    results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path
) -> None:
    write_frame(choosing(runs, made_tables, "mine").assign(extra="ignored"), tmp_path / "mine.parquet")
    assert run(results, "--add", tmp_path / "mine.parquet", "--out", tmp_path, tables=made_tables) == 0
    frame = pd.read_csv(tmp_path / "leaderboard.csv")
    searches = frame[(frame["mode"] != "reference") & (frame["task"] != ALL)]
    assert set(searches["method"]) == {*METHODS, "mine"}
    assert set(searches["table"].str.len()) == {12}
    mine = searches[searches["method"] == "mine"]
    assert (mine["regret_mean"] == 0).all() and (mine["rank"] == 1).all() and (mine["version"] == "mine 1.0").all()
    assert "Use mine" in (tmp_path / "leaderboard.md").read_text()


def test_a_run_that_is_there_twice_is_counted_once(
    written: Path, results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path
) -> None:
    again = runs.sample(frac=1, random_state=1).assign(search_seconds=9.0)
    again = pd.concat([again[again["seed"] < 7], again[again["seed"] < 3]])
    copy = write_runs(again, tmp_path / "copy")
    assert run(results, results, "--add", copy, copy / "runs.parquet", "--out", tmp_path, tables=made_tables) == 0
    assert (tmp_path / "leaderboard.csv").read_bytes() == (written / "leaderboard.csv").read_bytes()


def test_two_configurations_of_one_name_are_told_apart(
    results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path
) -> None:
    other = runs[runs["method"] == "local_search"].assign(configuration="feed", seed=lambda rows: rows["seed"] + 100)
    write_runs(other, tmp_path)
    assert run(results, tmp_path, "--out", tmp_path / "out", tables=made_tables) == 0
    frame = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    first = runs[runs["method"] == "local_search"]["configuration"].iloc[0]
    rows = frame[frame["method"].str.startswith("local_search")]
    assert set(rows["method"]) == {f"local_search {first}", "local_search feed"}
    assert (rows["runs"] == 20).all()


def test_two_versions_of_one_method_are_told_apart_though_their_seeds_are_the_same(
    results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path
) -> None:
    first = runs[runs["method"] == "local_search"]
    write_runs(first.assign(method_version="mine 2.0"), tmp_path)
    assert run(results, tmp_path, "--out", tmp_path / "out", tables=made_tables) == 0
    frame = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    rows = frame[frame["method"].str.startswith("local_search")]
    assert set(rows["method"]) == {f"local_search {first['method_version'].iloc[0]}", "local_search mine 2.0"}
    assert (rows["runs"] == 20).all()


Change = Callable[[pd.DataFrame], pd.DataFrame]


def changed(column: str, value: object) -> Change:
    return lambda frame: frame.assign(**{column: value})


BAD: dict[str, tuple[Change, str]] = {
    "another table": (changed("table", "0123456789ab"), "was searched on table 0123456789ab, but"),
    "no table": (changed("table", ""), "was searched on table none, but"),
    "another budget": (changed("budget", 20_000_000), "with a budget of 20,000,000 env steps"),
    "a missing column": (lambda frame: frame.rename(columns={"regret": "regrets"}), "regret (has 'regrets')"),
    "no rows": (lambda frame: frame[:0], "holds no run"),
    "text for numbers": (changed("regret", "low"), "column 'regret' must hold numbers"),
    "fractions of a step": (changed("step", 0.5), "column 'step' must hold whole numbers"),
    "an unknown task": (changed("task", "minatar-ss1/breakot@lite"), "did you mean 'minatar-ss1/breakout@lite'"),
    "a score of its own": (changed("test_score", 99.0), "says test_score 99 of"),
    "an evaluation of its own": (changed("score", 99.0), "column 'score': local_search on"),
    "a regret of its own": (changed("regret", -1.0), "says regret -1 of"),
    "an unknown architecture": (changed("incumbent", "k9-k9"), "k9-k9"),
    "overspent": (changed("spent", 10_000_001), "spent 10,000,001 of a budget of 10,000,000"),
    "another result": (changed("cpu_seconds", 1.0), "is there twice with different results"),
    "a run cut short": (lambda frame: frame[frame["step"] < 5], "has 5 of its "),
    "an early file, cut short": (
        lambda frame: frame[frame["step"] < 5].drop(columns="steps"),
        "is there twice with different results",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_compared_is_refused_in_one_line(
    name: str, results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    change, words = BAD[name]
    mine = runs[(runs["task"] == TWO_BY_SEED) & (runs["method"] == "local_search")]
    write_frame(change(mine), tmp_path / "mine.parquet")
    assert run(results, "--add", tmp_path / "mine.parquet", "--out", tmp_path / "out", tables=made_tables) == 2
    error = capsys.readouterr().err
    assert words in error and "mine.parquet" in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "leaderboard.html").exists()


@pytest.mark.parametrize("name", ["another table", "another budget"])
def test_a_refusal_says_how_to_go_on(
    name: str, results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    mine = runs[(runs["task"] == TWO_BY_SEED) & (runs["method"] == "random_search:samples=3")]
    write_frame(BAD[name][0](mine), tmp_path / "mine.parquet")
    run(results, "--add", tmp_path / "mine.parquet", "--out", tmp_path, tables=made_tables)
    error = capsys.readouterr().err
    ours = runs["table"].iloc[0] if name == "another table" else "10,000,000"
    assert ours in error
    again = f"compare --tasks {TWO_BY_SEED} --methods random_search:samples=3 --budget 10000000"
    assert again in error


def test_a_refusal_names_every_method_or_none_where_they_are_many(
    runs: pd.DataFrame, made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = runs[runs["task"] == TWO_BY_SEED].assign(table="0123456789ab")
    run(write_runs(old, tmp_path), tables=made_tables)
    error = capsys.readouterr().err
    assert f"--methods {' '.join(METHODS)} --budget" in error and "the folder of that table with --tables" in error
    copies = [old[old["method"] == METHODS[0]].assign(method=f"mine{i}") for i in range(9)]
    run(write_runs(pd.concat(copies), tmp_path), tables=made_tables)
    assert f"compare --tasks {TWO_BY_SEED} --budget" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "--out {}/nowhere\n"),
        ("nowhere/runs.parquet", "--out {}/nowhere\n"),
        ("mine.parquet", "name a folder that compare wrote"),
    ],
)
def test_the_hint_for_an_absent_path_makes_that_path(
    path: str, words: str, made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / path, tables=made_tables) == 2
    assert words.format(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is absent; make it: python -m nasbench_rl.compare --out"), (b"PAR1 no", "no readable Parquet file")],
)
def test_files_that_cannot_be_read(
    content: bytes | None, words: str, made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "runs.parquet").write_bytes(content)
    assert run(tmp_path, tables=made_tables) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_the_folder_for_results_may_not_be_writable(
    results: Path, made_tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(results, "--out", "/proc/no/such", tables=made_tables) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_task_that_no_table_judges_is_left_out_and_named(
    results: Path, runs: pd.DataFrame, made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = runs[(runs["task"] == TWO_BY_SEED) & (runs["seed"] < 3)].assign(
        task="minatar-ss1/freeway@smoke", mode="live", table="", test_score=np.nan, regret=np.nan
    )
    alone = write_runs(live, tmp_path / "live")
    assert run(results, alone, "--out", tmp_path, tables=made_tables) == 0
    assert "left out: minatar-ss1/freeway@smoke" in capsys.readouterr().err
    assert "minatar-ss1/freeway@smoke" not in set(pd.read_csv(tmp_path / "leaderboard.csv")["task"])
    assert "minatar-ss1/freeway@smoke" in (tmp_path / "leaderboard.md").read_text()
    assert run(alone, tables=made_tables) == 2
    assert "no table tells the regret of minatar-ss1/freeway@smoke" in capsys.readouterr().err


def test_names_that_mean_something_in_html_latex_or_markdown_stay_text(
    runs: pd.DataFrame, made_tables: Path, tmp_path: Path
) -> None:
    odd = '<script>alert("1")</script>|a_b & 100 %'
    write_runs(pd.concat([runs, choosing(runs, made_tables, odd)]), tmp_path)
    assert run(tmp_path, tables=made_tables) == 0
    html = (tmp_path / "leaderboard.html").read_text()
    assert "<script>alert" not in html and odd in {row[0] for table in Page(html).tables for row in table}
    assert odd.replace("|", "\\|") in (tmp_path / "leaderboard.md").read_text()
    assert r"|a\_b \& 100 \%" in (tmp_path / "leaderboard.tex").read_text()


def test_a_number_at_the_edge_of_rounding_is_the_same_on_every_processor() -> None:
    for value in (5.385, 11.05, 0.12345, 1234.5):
        shown = {show(value), show(math.nextafter(value, 0)), show(math.nextafter(value, math.inf))}
        assert len(shown) == 1
