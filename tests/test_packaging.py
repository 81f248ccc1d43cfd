"""What a user gets from the wheel: both packages, the types, the tables, methods and extras that exist."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from nasbench_rl._version import __version__

ROOT = Path(__file__).parents[1]
QUERY = """
import sys
for name in ("torch", "gymnasium", "ale_py", "minatar", "matplotlib", "scipy", "lightgbm"):
    sys.modules[name] = None  # importing it fails, as where it is not installed
import nasbench_rl
assert nasbench_rl.__file__.startswith(sys.argv[1]), nasbench_rl.__file__
print(nasbench_rl.query("minatar-ss1/breakout@lite", (5, 5)))
"""


def tables() -> set[str]:
    """The checkout's tables, as paths inside the wheel."""
    found = {
        path.relative_to(ROOT / "tables").as_posix()
        for path in (ROOT / "tables").rglob("*.*")
        if path.suffix in (".csv", ".parquet")
    }
    shipped = {name for name in found if not name.startswith(".")}  # hidden: shards of a build that is running
    return {f"nasbench_rl/_tables/{name}" for name in shipped | {"MANIFEST.json"}}


def sources() -> Iterator[Path]:
    """Every module of both packages."""
    for folder in ("nasbench_rl", "baselines/nasbench_rl_baselines"):
        yield from (ROOT / folder).rglob("*.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(wheel.read(f"nasbench_rl-{__version__}.dist-info/METADATA").decode())


def test_wheel_holds_every_module_of_both_packages_and_their_types(wheel: zipfile.ZipFile) -> None:
    expected = set()
    for folder, parent in (
        (ROOT / "nasbench_rl", ROOT),
        (ROOT / "baselines/nasbench_rl_baselines", ROOT / "baselines"),
    ):
        expected |= {path.relative_to(parent).as_posix() for path in folder.rglob("*.py")}
    expected |= {"nasbench_rl/py.typed", "nasbench_rl_baselines/py.typed"}
    assert {"nasbench_rl/__init__.py", "nasbench_rl_baselines/__init__.py"} <= expected
    assert expected <= set(wheel.namelist())


def test_wheel_holds_the_tables(wheel: zipfile.ZipFile) -> None:
    expected = tables()
    assert any(name.endswith(".parquet") for name in expected)
    assert expected <= set(wheel.namelist())
    assert all(wheel.getinfo(name).file_size > 0 for name in expected)


def test_wheel_holds_what_the_leaderboard_s_page_is_made_from(wheel: zipfile.ZipFile) -> None:
    expected = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "nasbench_rl" / "leaderboard" / "templates").iterdir()
    }
    assert {Path(name).suffix for name in expected} == {".jinja", ".css", ".js"}
    assert expected <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"nasbench_rl", "nasbench_rl_baselines", f"nasbench_rl-{__version__}.dist-info"}
    shipped = [name for name in wheel.namelist() if name.startswith("nasbench_rl/_tables/")]
    assert {Path(name).suffix for name in shipped} <= {".parquet", ".json", ".csv", ".txt"}
    assert all("/surrogate/" in name for name in shipped if name.endswith(".txt")), "LightGBM's own text format"
    assert not [name for name in shipped if "/." in name]


def test_registered_methods_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    parser = ConfigParser(delimiters=("=",))
    parser.read_string(wheel.read(f"nasbench_rl-{__version__}.dist-info/entry_points.txt").decode())
    methods = dict(parser["nasbench_rl.methods"])
    assert {"random_search", "local_search", "regularized_evolution"} <= methods.keys()
    for name, target in methods.items():
        module, _, attribute = target.partition(":")
        assert module.replace(".", "/") + ".py" in wheel.namelist(), f"{name} points to {target}, which is not there"
        body = ast.parse(wheel.read(module.replace(".", "/") + ".py")).body
        defined = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert attribute in defined, f"{name} points to {target}, which is not defined there"


def test_base_dependencies_are_light(metadata: Message) -> None:
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {re.split(r"[^A-Za-z0-9_-]", line)[0] for line in base}
    assert names == {"numpy", "pandas", "pyarrow", "rich", "platformdirs", "tomli"}


def test_extras_that_errors_name_exist(metadata: Message) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    assert {"live", "surrogate", "report", "ray", "dev", "all"} <= extras
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and "missing_extra" in ast.dump(node.func):
                extra = node.args[1]
                if isinstance(extra, ast.Constant):
                    assert extra.value in extras, f"{path}:{node.lineno} names the extra {extra.value!r}"


def test_every_package_imported_is_declared(metadata: Message) -> None:
    lines = metadata.get_all("Requires-Dist", [])
    users = [line for line in lines if not re.search(r"extra == '(dev|benchmarks|all)'", line)]
    declared = {re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in users}
    distributions = packages_distributions()
    own = {"nasbench_rl", "nasbench_rl_baselines"} | sys.stdlib_module_names
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = {str(node.module).partition(".")[0]}
            else:
                continue
            for module in modules - own:
                providers = {name.lower() for name in distributions.get(module, [module])}
                assert providers & declared, (
                    f"{path}:{node.lineno} imports {module}, which pyproject.toml does not name"
                )


def test_all_holds_every_extra_that_tests_need(metadata: Message) -> None:
    required: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        for extra in re.findall(r"extra == '([\w-]+)'", marker):
            required.setdefault(extra, set()).add(requirement.strip())
    assert required.keys() == set(metadata.get_all("Provides-Extra", []))
    in_all = [extra for extra in required if extra not in {"benchmarks", "ray"}]  # not what the tests need
    assert required["all"] == set().union(*(required[extra] for extra in in_all))


def test_a_query_runs_from_the_wheel_without_any_extra(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "NASBENCH_RL_TABLES"}
    environment |= {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", QUERY, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "minatar-ss1/breakout@lite" in done.stdout
