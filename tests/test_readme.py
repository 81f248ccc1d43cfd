"""Run the code of the README, and compare what the guide says of the tables with the tables of the same commit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import readme_coverage  # noqa: E402


def committed(name: str) -> bytes:
    """Return a file of the last commit: a build that goes on in the checkout changes the tables meanwhile."""
    try:
        shown = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True)
    except OSError:
        pytest.skip("git is not installed")
    if shown.returncode:
        pytest.skip(f"no commit here: {shown.stderr.decode().strip()}")
    return shown.stdout


def test_the_guide_shows_the_coverage_of_the_tables(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_bytes(committed("tables/MANIFEST.json"))
    page = committed("docs/tables.md").decode()
    shown = page.split(readme_coverage.BEGIN)[1].split(readme_coverage.END)[0]
    assert shown.strip() == readme_coverage.coverage_table(tmp_path), "run python tools/readme_coverage.py, and commit"


def test_the_code_of_the_readme_runs() -> None:
    for module in ("gymnasium", "lightgbm"):
        pytest.importorskip(module)
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    names: dict[str, object] = {"__name__": "readme"}  # a dataclass looks its module up
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
