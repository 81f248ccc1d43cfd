"""nasbench-rl: architecture search with, and for, reinforcement learning, compared on agents that were really trained.

>>> from nasbench_rl import query
>>> query("minatar-ss1/breakout@lite", (5, 5)).task
'minatar-ss1/breakout@lite'
"""

import sys
from typing import TYPE_CHECKING

from nasbench_rl._version import __version__ as __version__

if TYPE_CHECKING:
    from nasbench_rl.benchmark.base import Benchmark as Benchmark
    from nasbench_rl.benchmark.coverage import tasks as tasks
    from nasbench_rl.benchmark.load import load as load
    from nasbench_rl.benchmark.load import query as query
    from nasbench_rl.benchmark.method import get_method as get_method
    from nasbench_rl.benchmark.method import methods as methods
    from nasbench_rl.benchmark.run import Run as Run
    from nasbench_rl.errors import BudgetExhausted as BudgetExhausted
    from nasbench_rl.errors import NasbenchError as NasbenchError
    from nasbench_rl.tables.results import RESOURCES as RESOURCES
    from nasbench_rl.tables.results import Evaluation as Evaluation
    from nasbench_rl.tables.results import PathUpdate as PathUpdate
    from nasbench_rl.tables.results import Resource as Resource

# Loaded when first asked for (PEP 562): NumPy alone takes five times as long as the package's own files.
_HOMES = {
    "Benchmark": "benchmark.base",
    "BudgetExhausted": "errors",
    "Evaluation": "tables.results",
    "NasbenchError": "errors",
    "PathUpdate": "tables.results",
    "RESOURCES": "tables.results",
    "Resource": "tables.results",
    "Run": "benchmark.run",
    "get_method": "benchmark.method",
    "load": "benchmark.load",
    "methods": "benchmark.method",
    "query": "benchmark.load",
    "tasks": "benchmark.coverage",
}
_MODULES = ("errors", "spaces", "task")
"""Public modules, which need no import of their own."""
__all__ = ["__version__", *_HOMES]

if not TYPE_CHECKING:  # else a checker takes every misspelt name for one of them

    def __getattr__(name):
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


if sys.modules.get("gymnasium") is not None:  # importing it from here takes ten times as long as all of this
    import nasbench_rl.envs as _envs  # noqa: F401  (registers the environments, and loads none)
