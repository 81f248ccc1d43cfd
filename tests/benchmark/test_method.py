"""Installed methods: found by their entry points, and what is wrong with one is said in a line."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from nasbench_rl.benchmark import method
from nasbench_rl.errors import InvalidValueError, MissingExtraError, NasbenchError, UnknownNameError


def installed(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """One installed method, ``mine``, registered as ``value``."""
    point = EntryPoint("mine", value, method.GROUP)
    monkeypatch.setattr(method, "_installed", lambda: {"mine": point})


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ("support.methods:nowhere", InvalidValueError, "cannot be loaded: AttributeError.*its entry point"),
        ("support.methods.nowhere:Mine", InvalidValueError, "cannot be loaded: ModuleNotFoundError"),
        ("nowhere_to_be_found:Mine", InvalidValueError, "cannot be loaded: ModuleNotFoundError"),
        ("support.methods:peeks", InvalidValueError, "register a class"),
        ("support.methods:np.pi", NasbenchError, "cannot be called|refuses"),
    ],
)
def test_a_wrong_entry_point_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, error: type[Exception], said: str
) -> None:
    installed(monkeypatch, value)
    with pytest.raises(error, match=said):
        method.get_method("mine")


def test_what_a_method_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "needy_method.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed(monkeypatch, "needy_method:Mine")
    with pytest.raises(MissingExtraError, match="pip install a_package_nobody_has"):
        method.get_method("mine")


def test_a_fault_in_the_methods_own_code_is_no_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "faulty_method.py").write_text("from nasbench_rl.methods import Method\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed(monkeypatch, "faulty_method:Mine")
    with pytest.raises(InvalidValueError, match="cannot be loaded: .*nasbench_rl.methods"):
        method.get_method("mine")


def test_an_unknown_method_or_hyperparameter_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="local_search"):
        method.get_method("lokal_search")
    with pytest.raises(InvalidValueError, match="samples"):
        method.get_method("random_search", sample=3)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("random_search", {"samples": 2.5}, "samples=2.5 of random_search is not allowed; give a whole number or null"),
        ("regularized_evolution", {"tournament": 2.5}, "give a whole number"),
        ("regularized_evolution", {"population": True}, "population=True"),
        ("reinforce", {"learning_rate": "fast"}, "'fast' of reinforce is not allowed; give a number"),
    ],
)
def test_a_hyperparameter_of_another_type_is_refused(name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        method.get_method(name, **given)


def test_a_hyperparameter_may_be_null_or_whole_where_its_type_says_so() -> None:
    assert method.configuration(method.get_method("random_search", samples=None))["samples"] is None
    assert method.configuration(method.get_method("reinforce", learning_rate=1))["learning_rate"] == 1
