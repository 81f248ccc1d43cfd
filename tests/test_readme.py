"""What README and docs say of the tables is what the tables of the same commit hold."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from nasbench_rl import store
from nasbench_rl.presets.meta_rl_trials import is_multi_branch
from nasbench_rl.surrogate import not_chains
from nasbench_rl.task import get_task

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import readme_coverage  # noqa: E402


def committed(name: str) -> bytes:
    """A file of the last commit: a build that goes on in the checkout changes the tables meanwhile."""
    try:
        shown = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True)
    except OSError:
        pytest.skip("git is not installed")
    if shown.returncode:
        pytest.skip(f"no commit here: {shown.stderr.decode().strip()}")
    return shown.stdout


def test_the_readme_shows_the_coverage_of_the_tables(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_bytes(committed("tables/MANIFEST.json"))
    shown = committed("README.md").decode().split(readme_coverage.BEGIN)[1].split(readme_coverage.END)[0]
    assert shown.strip() == readme_coverage.coverage_table(tmp_path), "run python tools/readme_coverage.py, and commit"


def test_the_docs_say_how_many_networks_have_branches() -> None:
    task = get_task("nsc-multibranch/font-letters@lite")
    table = io.BytesIO(committed(f"tables/{store.table_name(task)}"))
    others = not_chains(task, pd.read_parquet(table, columns=["arch"])["arch"].unique())
    branched = sum(map(is_multi_branch, others))
    told = f"{len(others)}: {branched} have branches, and {len(others) - branched} only join a layer with itself"
    assert told in " ".join(committed("docs/tables.md").decode().split())
