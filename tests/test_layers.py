"""What imports what: the contracts of pyproject.toml, and what ``import nasbench_rl`` must not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nasbench_rl

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch",
    "pandas",
    "gymnasium",
    "ale_py",
    "minatar",
    "matplotlib",
    "scipy",
    "lightgbm",
    "ray",
    "optuna",
    "ConfigSpace",
)


def test_import_contracts_hold() -> None:
    pyproject = str(ROOT / "pyproject.toml")
    code = f"from importlinter.cli import lint_imports as lint; raise SystemExit(lint({pyproject!r}, no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_loads_nothing_heavy() -> None:
    code = f"""import nasbench_rl, sys
print([name for name in ("numpy", *{HEAVY}) if name in sys.modules])
for name in nasbench_rl.__all__: getattr(nasbench_rl, name)
print([name for name in {HEAVY} if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "[]"]


def test_no_module_hides_a_public_name() -> None:
    modules = {path.stem for path in (ROOT / "nasbench_rl").iterdir()}
    assert not modules & set(nasbench_rl.__all__)
    assert set(dir(nasbench_rl)) == set(nasbench_rl.__all__)
    assert not hasattr(nasbench_rl, "quary")
