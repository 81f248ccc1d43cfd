"""The Method protocol, and discovery of installed methods through entry points."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable
from importlib.util import find_spec
from types import UnionType
from typing import TYPE_CHECKING, Any, Protocol, Union, get_args, get_origin, get_type_hints, runtime_checkable

from nasbench_rl.errors import InvalidValueError, MissingExtraError, NasbenchError, describe_unknown, unknown
from nasbench_rl.tables.results import RESOURCES

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import pandas as pd

    from nasbench_rl.benchmark.run import Run

GROUP = "nasbench_rl.methods"


@runtime_checkable
class Method(Protocol):
    """A search: it takes a run, evaluates architectures until the budget is spent, and returns nothing.

    Usually a frozen dataclass whose fields are the hyperparameters. ``BudgetExhausted`` may be left uncaught. A method
    that weighs the score against a resource says which in an attribute ``objective``: ``"params"``, ``"flops"`` or
    ``"latency"`` (``Run.resource``); comparisons then report the fronts it finds.
    """

    def __call__(self, run: Run) -> None:
        """Search."""
        ...


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # late: it takes a tenth of the package's import

    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def method_names() -> tuple[str, ...]:
    """Names of all installed methods; none is loaded."""
    return tuple(_installed())


def methods() -> pd.DataFrame:
    """Every installed method: name, the package it comes from and its version, and where its code lies."""
    import pandas as pd

    rows = [
        {
            "method": name,
            "package": point.dist.name if point.dist else "",
            "version": point.dist.version if point.dist else "",
            "code": point.value,
        }
        for name, point in _installed().items()
    ]
    return pd.DataFrame(rows, columns=["method", "package", "version", "code"])


def method_version(name: str) -> str:
    """``package version`` of an installed method."""
    point = _installed()[name]
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"


def get_method(name: str, **hyperparameters: Any) -> Method:
    """Return an installed method, ready to be called with a run.

    Raises:
        UnknownNameError: no such method.
        InvalidValueError: no such hyperparameter; the message names those there are.
        MissingExtraError: the method needs a package that is not installed.
    """
    installed = _installed()
    if not isinstance(name, str) or name not in installed:
        hint = "" if installed else "Install the baselines: pip install nasbench-rl"
        raise unknown("method", name, installed, hint)
    factory = _load(installed[name])
    if dataclasses.is_dataclass(factory):
        allowed = [field.name for field in dataclasses.fields(factory) if field.init]
        for key in hyperparameters:
            if key not in allowed:
                raise InvalidValueError(describe_unknown(f"hyperparameter of {name}", key, allowed))
        _check_types(name, factory, hyperparameters)
    try:
        method = factory(**hyperparameters)
    except (TypeError, ValueError) as error:
        if isinstance(error, NasbenchError):
            raise
        if not isinstance(factory, type) and not hyperparameters:
            raise InvalidValueError(
                f"entry point {installed[name].value!r} cannot be called without arguments ({error}); register a class "
                "whose instances take a run, or a function that returns such a callable, not the search itself"
            ) from error
        raise InvalidValueError(f"method {name!r} refuses {hyperparameters}: {error}") from error
    if not callable(method):
        raise InvalidValueError(f"entry point {installed[name].value!r} gives {method!r}, which cannot be called")
    return method  # type: ignore[no-any-return]


def _check_types(name: str, factory: Any, hyperparameters: dict[str, Any]) -> None:
    """Refuse what is not of a field's type, where that is plain: half an architecture cannot be drawn."""
    try:
        hints = get_type_hints(factory)
    except NameError:  # annotations that only a type checker can resolve
        return
    for key, value in hyperparameters.items():
        kinds = get_args(hints[key]) if get_origin(hints[key]) in (Union, UnionType) else (hints[key],)
        if not set(kinds) <= set(_KINDS):
            continue
        if not any(_KINDS[kind](value) for kind in kinds):
            allowed = " or ".join(_WORDS[kind] for kind in kinds)
            raise InvalidValueError(f"hyperparameter {key}={value!r} of {name} is not allowed; give {allowed}")


_KINDS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    float: lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
    str: lambda value: isinstance(value, str),
    type(None): lambda value: value is None,
}
_WORDS: dict[Any, str] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"
}  # fmt: skip


def _load(point: EntryPoint) -> Any:
    """Load what an entry point names; an error says whether a package is missing or the method is at fault."""
    try:
        return point.load()
    except NasbenchError:
        raise
    except ModuleNotFoundError as error:
        absent = (error.name or "").split(".")[0]
        if absent != point.module.split(".")[0] and find_spec(absent) is None:
            extra = "'nasbench-rl[all]'" if point.module.startswith("nasbench_rl") else absent
            raise MissingExtraError(
                f"method {point.name!r} needs {absent!r}, which is not installed; run: pip install {extra}"
            ) from error
        raise InvalidValueError(_unloadable(point, error)) from error
    except Exception as error:  # a third party's module may fail in any way
        raise InvalidValueError(_unloadable(point, error)) from error


def _unloadable(point: EntryPoint, error: Exception) -> str:
    return (
        f"method {point.name!r}, registered as {point.value!r} in the group {GROUP}, cannot be loaded: "
        f"{type(error).__name__}: {error}; correct its code or its entry point, and install the package again"
    )


def objective_of(method: Method) -> str:
    """Return the resource that a multi-objective method weighs (its attribute ``objective``), or an empty string."""
    declared = getattr(method, "objective", "")
    return declared if declared in RESOURCES else ""


def configuration(method: Method) -> dict[str, Any]:
    """Return the hyperparameters of a method that is a dataclass."""
    if dataclasses.is_dataclass(method) and not isinstance(method, type):
        return dataclasses.asdict(method)
    return {}
