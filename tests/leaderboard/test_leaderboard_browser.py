"""The page in a real browser: a column sorts, a keyboard reaches it, a phone shows it, the console stays empty."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.runs import made_runs, write_runs
from support.tables import SINGLE_SEED, TWO_BY_SEED

from nasbench_rl._utils import cli
from nasbench_rl.leaderboard.command import main as leaderboard_main

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--dump-dom",
)  # fmt: skip

# What a reader would do; what was seen is left in the page, which the browser then prints.
VISIT = """
<script>
const table = document.querySelector("table.sortable");
const column = index => [...table.tBodies[0].rows].map(row => row.cells[index].dataset.key);
const heads = [...table.tHead.rows[0].cells];
const rank = heads.findIndex(head => head.textContent.includes("rank"));
const seen = {before: column(rank), heads: heads.length};
seen.regions = document.querySelectorAll(".scroll[tabindex]").length;
const button = heads[rank].querySelector("button");
button.focus();
seen.focused = document.activeElement === button && button.tabIndex === 0;
button.click();
seen.ascending = column(rank);
seen.state = heads.map(head => head.getAttribute("aria-sort"));
button.click();
seen.descending = column(rank);
heads[0].querySelector("button").click();
seen.names = column(0);
seen.states = heads.map(head => head.getAttribute("aria-sort"));
seen.width = [document.documentElement.scrollWidth, window.innerWidth];
seen.ground = getComputedStyle(document.body).backgroundColor;
seen.ink = getComputedStyle(document.querySelector("figure svg text")).fill;
seen.line = getComputedStyle(document.querySelector("table .key line")).stroke;
seen.requests = performance.getEntriesByType("resource").map(entry => entry.name);
const report = document.createElement("pre");
report.id = "seen";
report.textContent = JSON.stringify(seen);
document.body.append(report);
</script>
"""


@pytest.fixture(scope="module")
def page(made_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_runs(made_runs(made_tables, (TWO_BY_SEED, SINGLE_SEED), runs=8), tmp_path_factory.mktemp("results"))
    assert cli.run(leaderboard_main, [str(folder), "--tables", str(made_tables)]) == 0
    text = (folder / "leaderboard.html").read_text()
    visited = folder / "visited.html"
    visited.write_text(text.replace("</body>", VISIT + "</body>"))
    return visited


def visit(page: Path, profile: Path, *flags: str) -> tuple[dict[str, Any], list[str]]:
    """What was seen on the page, and every line of the console."""
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, *flags, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1))), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_column_sorts_and_the_console_stays_empty(page: Path, tmp_path: Path) -> None:
    seen, console = visit(page, tmp_path)
    assert console == []
    known = [float(key) for key in seen["before"] if key != "nan"]
    assert len(known) == 3 and "nan" in seen["before"]
    assert [float(key) for key in seen["ascending"][:3]] == sorted(known) and seen["ascending"][3:] == ["nan"]
    assert [float(key) for key in seen["descending"][:3]] == sorted(known)[::-1] and seen["descending"][3:] == ["nan"]
    assert seen["state"].count("ascending") == 1 and seen["state"].count(None) == seen["heads"] - 1
    assert seen["names"] == sorted(seen["names"]) and seen["states"][0] == "ascending"
    assert seen["states"][1:] == [None] * (seen["heads"] - 1), "one column at a time"
    assert seen["focused"] and seen["regions"] > 0
    assert seen["requests"] == []


def test_the_browser_s_console_would_show_an_error(page: Path, tmp_path: Path) -> None:
    broken = page.with_name("broken.html")
    broken.write_text(page.read_text().replace("<script>", "<script>nothing.at.all;</script><script>", 1))
    _, console = visit(broken, tmp_path)
    assert any("nothing is not defined" in line for line in console)


def test_a_phone_shows_the_page_without_scrolling_sideways(page: Path, tmp_path: Path) -> None:
    seen, _ = visit(page, tmp_path, "--window-size=390,844")
    assert seen["width"][1] <= 500, "the window is a phone's, or the least that this browser opens"
    assert seen["width"][0] <= seen["width"][1]


def test_dark_and_light_differ_and_the_figures_follow(page: Path, tmp_path: Path) -> None:
    light, _ = visit(page, tmp_path / "light", "--blink-settings=preferredColorScheme=1")
    dark, _ = visit(page, tmp_path / "dark", "--blink-settings=preferredColorScheme=0")
    for name in ("ground", "ink", "line"):
        assert light[name] != dark[name]
    assert sum(map(int, re.findall(r"\d+", dark["ground"])[:3])) < 150
    assert sum(map(int, re.findall(r"\d+", dark["ink"])[:3])) > 600
