"""The import arrow: a module imports only from its own layer or from those below, and a method only public names."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import nasbench_rl

ROOT = Path(__file__).parents[1]
BASELINES = ROOT / "baselines" / "nasbench_rl_baselines"

# Every module or subpackage directly under nasbench_rl has a layer; give a new one its own here.
LAYERS: dict[str, int] = {
    name: layer
    for layer, names in enumerate(
        (
            (
                "_version",
                "_utils",
                "errors",
                "interrupts",
                "numeric",
                "records",
                "provenance",
                "processes",
                "cores",
                "paths",
                "streams",
            ),  # fmt: skip
            (
                "spaces",
                "recipes",
                "recipes_nsc",
                "nsc_features",
                "nsc_signals",
                "splits",
                "task",
                "task_tables",
                "stats",
                "ranks",
                "improvement",
                "variance",
            ),
            (
                "leftovers",
                "files",
                "journal",
                "schemas",
                "seal",
                "soundness",
                "manifest",
                "parquet",
                "table_io",
                "locate",
                "shards",
                "merge",
                "published",
                "supernet_table",
                "latency_table",
                "advice",
                "table",
                "surrogate_info",
                "boosters",
                "surrogate",
                "training",
            ),
            ("budget", "envs"),
            ("weight_sharing", "run"),
            ("benchmark", "live_benchmark", "surrogate_benchmark", "loading", "make_env", "coverage", "method"),
            ("ranking_noise",),
            (
                "cli",
                "entry",
                "experiment",
                "pool",
                "unfinished",
                "proxy_quality",
                "summary",
                "nasgym",
                "build",
                "data",
                "compare",
                "compare_options",
                "presets",
                "fronts",
                "leaderboard",
                "findings",
                "plots",
                "testing",
            ),
        )
    )
    for name in names
}
TOP = max(LAYERS.values()) + 1  # nasbench_rl/__init__.py, which hands out the names of all the others

# The arrow's exceptions, each allowed inside a function or for the type checker only.
UPWARD: dict[tuple[str, str], str] = {}

PUBLIC = {"nasbench_rl", "nasbench_rl.errors", "nasbench_rl.records", "nasbench_rl.spaces", "nasbench_rl.stats"}

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


@dataclass(frozen=True)
class Import:
    """``source`` imports ``name`` from ``module`` (``name`` empty: the module itself)."""

    source: str
    module: str
    name: str
    line: int
    at_import_time: bool

    @property
    def target(self) -> str:
        """The module that is loaded: ``module.name`` when that is one, else ``module``."""
        full = f"{self.module}.{self.name}"
        return full if self.name and full in MODULES else self.module


def modules_of(package: Path) -> dict[str, Path]:
    """Dotted name of every module of ``package``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {**modules_of(ROOT / "nasbench_rl"), **modules_of(BASELINES)}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def walk(node: ast.AST, at_import_time: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below ``node``, and whether importing the module executes it."""
    for child in ast.iter_child_nodes(node):
        deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child)
        yield child, at_import_time
        yield from walk(child, at_import_time and not deferred)


def imports(source: str, path: Path, code: str | None = None) -> Iterator[Import]:
    """Every import of ``source`` that concerns this project, lazy and dynamic ones included."""
    package = source if path.name == "__init__.py" else source.rpartition(".")[0]
    for node, now in walk(ast.parse(path.read_text() if code is None else code)):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found = [(module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            found = [
                (arg.value, "") for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
        else:
            continue
        for module, name in found:
            if module.partition(".")[0] in ("nasbench_rl", "nasbench_rl_baselines"):
                yield Import(source, module, name, node.lineno, now)


def layer(module: str) -> int:
    if module == "nasbench_rl":
        return TOP
    top = module.split(".")[1]
    assert top in LAYERS, f"{module} has no layer: add {top!r} to LAYERS in tests/test_layers.py, or correct the import"
    return LAYERS[top]


def upward(found: Import) -> bool:
    """Whether an import breaks the arrow."""
    if found.target.startswith("nasbench_rl_baselines"):
        return True
    if layer(found.target) <= layer(found.source):
        return False
    return (found.source, found.target) not in UPWARD or found.at_import_time


def private(found: Import, exported: frozenset[str]) -> bool:
    """Whether a method's import reaches past the public names."""
    if found.module.startswith("nasbench_rl_baselines"):
        return False
    if found.module == "nasbench_rl" and found.name in exported:
        return False  # a function may share its module's name: tasks, methods
    return found.target not in PUBLIC or found.name.startswith("_")


def exported_names() -> frozenset[str]:
    """The names that nasbench_rl/__init__.py hands out."""
    body = ast.parse(MODULES["nasbench_rl"].read_text()).body
    return frozenset(
        alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname
    )


CORE = [name for name in MODULES if name.split(".")[0] == "nasbench_rl"]
METHODS = [name for name in MODULES if name.split(".")[0] == "nasbench_rl_baselines"]


@pytest.mark.parametrize("module", CORE)
def test_imports_only_downward(module: str) -> None:
    layer(module)
    broken = [found for found in imports(module, MODULES[module]) if upward(found)]
    assert not broken, "\n".join(f"{MODULES[i.source]}:{i.line} imports {i.target}, of a layer above" for i in broken)


@pytest.mark.parametrize("module", METHODS)
def test_methods_import_only_public_names(module: str) -> None:
    exported = exported_names()
    broken = [found for found in imports(module, MODULES[module]) if private(found, exported)]
    assert not broken, "\n".join(
        f"{MODULES[i.source]}:{i.line} imports {i.module} {i.name}, not public" for i in broken
    )


def test_no_import_cycle() -> None:
    edges = {
        name: {found.target for found in imports(name, MODULES[name]) if found.at_import_time} - {name} for name in CORE
    }
    while ready := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in ready}
    assert not edges, f"modules in or above an import cycle: {sorted(edges)}"


def test_exceptions_to_the_arrow_are_in_use() -> None:
    used = {(found.source, found.target) for name in CORE for found in imports(name, MODULES[name])}
    unused = {pair for pair in UPWARD if pair[0] in MODULES} - used
    assert not unused, f"no longer needed, remove from UPWARD: {unused}"


@pytest.mark.parametrize(
    "code",
    [
        "from nasbench_rl.task import Task",
        "from nasbench_rl import tasks",
        "from nasbench_rl import __version__",
        "from . import task",
        "from .task import Task",
        "import nasbench_rl.task",
        "def later():\n    import nasbench_rl.task",
        "if TYPE_CHECKING:\n    import nasbench_rl.task",
        "import importlib\nimportlib.import_module('nasbench_rl.task')",
        "import nasbench_rl_baselines",
    ],
)
def test_the_check_sees_every_form_of_import(code: str) -> None:
    found = list(imports("nasbench_rl.errors", Path("errors.py"), code))
    assert len(found) == 1
    assert upward(found[0])


def test_an_unlisted_module_is_refused() -> None:
    with pytest.raises(AssertionError, match="has no layer"):
        layer("nasbench_rl.nowhere")


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("from nasbench_rl import Run", False),
        ("from nasbench_rl.spaces import SearchSpace", False),
        ("from nasbench_rl import tasks", False),
        ("from nasbench_rl import locate", True),
        ("from nasbench_rl import _version", True),
        ("from nasbench_rl.task import Task", True),
        ("from nasbench_rl.stats import _ranks", True),
        ("from nasbench_rl_baselines.random_search import RandomSearch", False),
    ],
)
def test_the_check_of_methods_tells_public_from_private(
    code: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODULES, "nasbench_rl.locate", Path("locate.py"))
    found = next(imports("nasbench_rl_baselines.mine", Path("mine.py"), code))
    assert private(found, frozenset({"Run", "tasks"})) is refused


def test_import_loads_nothing_heavy() -> None:
    code = f"""import nasbench_rl, sys
print([name for name in ("numpy", *{HEAVY}) if name in sys.modules])
for name in nasbench_rl.__all__: getattr(nasbench_rl, name)
print([name for name in {HEAVY} if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "[]"]


def test_no_module_hides_a_public_name() -> None:
    hidden = {f"nasbench_rl.{name}" for name in nasbench_rl.__all__} & set(MODULES)
    assert not hidden, f"importing these modules replaces what nasbench_rl hands out under their name: {hidden}"
    assert set(dir(nasbench_rl)) == set(nasbench_rl.__all__)
    assert not hasattr(nasbench_rl, "quary")
