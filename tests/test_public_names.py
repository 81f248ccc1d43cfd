"""Every name that README, CONTRIBUTING and docs show to a user: imports, commands, methods and environments."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import nasbench_rl
from nasbench_rl import get_method, methods

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "baselines/README.md", *(ROOT / "docs").rglob("*.md")]
TEXT = "\n".join(page.read_text() for page in PAGES)
IMPORT = re.compile(r"(?:^|[\"`>]) *((?:from nasbench_rl\S* import [\w, ]*\w)|(?:import nasbench_rl[\w.]*))", re.M)
COMMAND = re.compile(r"python -m (nasbench_rl[\w.]*)(?: (status|merge|kernels|surrogate|prepare)\b)?")

# Runs each command in one process: loading pandas takes longer than all of them.
HELP = """
import runpy, sys
for line in sys.argv[1:]:
    sys.argv = [*line.split(), "--help"]
    print("COMMAND", line)
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        print("EXIT", end.code)
"""

MAKE = """
import sys
{imports}
for name in {names}:
    env = gymnasium.make(name, task="nsc-chain/emoji@lite", mode="surrogate", sigma=0.1)
    print(env.spec.id)
"""


def shown_imports() -> list[tuple[str, str]]:
    """Every (module, name) that a page imports; the name is empty for the module itself."""
    found = set()
    for (statement,) in map(re.Match.groups, IMPORT.finditer(TEXT)):
        node = ast.parse(statement).body[0]
        assert isinstance(node, ast.Import | ast.ImportFrom)
        found |= {(getattr(node, "module", None) or alias.name, alias.name) for alias in node.names}
    return sorted((module, "" if module == name else name) for module, name in found)


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("module", "name"), shown_imports())
def test_an_import_that_the_pages_show(module: str, name: str) -> None:
    found = import_module(module)
    if name and not hasattr(found, name):
        import_module(f"{module}.{name}")


def test_the_pages_import_what_a_user_needs() -> None:
    needed = [("nasbench_rl", name) for name in ("load", "query", "tasks", "Run", "get_method")]
    assert {*needed, ("nasbench_rl.testing", "MethodContract")} <= set(shown_imports())


def test_the_package_hands_out_its_public_names() -> None:
    public = {"Benchmark", "BudgetExhausted", "Evaluation", "NasbenchError", "Run"}
    public |= {"get_method", "load", "methods", "query", "tasks", "__version__"}
    assert public <= set(nasbench_rl.__all__)
    assert all(getattr(nasbench_rl, name) for name in nasbench_rl.__all__)


def test_every_command_that_the_pages_show_has_help() -> None:
    found = COMMAND.findall(TEXT)
    shown = {module for module, _ in found} | {" ".join(line).strip() for line in found}
    assert {f"nasbench_rl.{name}" for name in ("build", "compare", "data", "findings", "leaderboard")} <= shown
    helped = run(HELP, *sorted(shown)).split("COMMAND ")[1:]
    assert len(helped) == len(shown)
    for said in helped:
        assert f"usage: python -m {said.split()[0]} " in said and said.endswith("EXIT 0\n"), said


def test_every_entry_point_makes_a_method() -> None:
    found = entry_points(group="nasbench_rl.methods")
    assert {"random_search", "regularized_evolution", "reinforce", "enas", "meta_a2c"} <= found.names
    assert set(methods()["method"]) == found.names
    assert all(callable(get_method(name)) for name in found.names)


@pytest.mark.parametrize(
    ("imports", "names"),
    [
        ("import gymnasium", ["nasbench_rl.envs:nasbench_rl/NSC-v0"]),
        ("import gymnasium, nasbench_rl.envs", ["nasbench_rl/NSC-v0"]),
        ("import gymnasium, nasbench_rl", ["nasbench_rl/NSC-v0"]),
    ],
)
def test_gymnasium_makes_the_environment(imports: str, names: list[str]) -> None:
    assert "nasbench_rl/NSC-v0" in TEXT and names[0] in TEXT
    assert run(MAKE.format(imports=imports, names=names)).split() == ["nasbench_rl/NSC-v0"]
