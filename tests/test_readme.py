"""The README's table of coverage is what the manifest of the tables says."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import readme_coverage  # noqa: E402


def test_the_readme_shows_the_coverage_of_the_tables() -> None:
    expected = readme_coverage.coverage_table(ROOT / "tables")
    shown = (ROOT / "README.md").read_text().split(readme_coverage.BEGIN)[1].split(readme_coverage.END)[0]
    assert shown.strip() == expected, "run python tools/readme_coverage.py"
