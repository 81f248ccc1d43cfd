"""Run the code that README and guide show, and compare the coverage that the guide shows with the committed tables."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
import readme_coverage


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


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/nsc_environment.md"])
def test_the_code_of_a_page_runs(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("gymnasium", "lightgbm"):
        pytest.importorskip(package)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    module = ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)  # where a dataclass looks its module up
    for block in blocks:
        exec(compile(block, page, "exec"), module.__dict__)
