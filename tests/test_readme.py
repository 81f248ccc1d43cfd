"""The README's table of coverage is what the manifest of the same commit says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import readme_coverage  # noqa: E402


def committed(name: str) -> str:
    """A file of the last commit: a build that goes on in the checkout changes the tables meanwhile."""
    try:
        shown = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        pytest.skip("git is not installed")
    if shown.returncode:
        pytest.skip(f"no commit here: {shown.stderr.strip()}")
    return shown.stdout


def test_the_readme_shows_the_coverage_of_the_tables(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_text(committed("tables/MANIFEST.json"))
    shown = committed("README.md").split(readme_coverage.BEGIN)[1].split(readme_coverage.END)[0]
    assert shown.strip() == readme_coverage.coverage_table(tmp_path), "run python tools/readme_coverage.py, and commit"
