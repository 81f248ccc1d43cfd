"""The code version of a measurement: commit, changed code, and places without git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nasbench_rl._utils import provenance

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
CODE = ("nasbench_rl/training/ppo.py", "baselines/nasbench_rl_baselines/mine.py", "pyproject.toml")
OTHERS = ("baselines/README.md", "tables/MANIFEST.json", "docs/index.md", "tests/test_mine.py")


def git(folder: Path, *arguments: str) -> str:
    settings = ("user.name=t", "user.email=t@example.org", "commit.gpgsign=false", "core.hooksPath=/dev/null")
    command = ["git", *(part for setting in settings for part in ("-c", setting)), *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of a few files, one commit old, that the module believes to lie in."""
    for name in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in (*CODE, *OTHERS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("first\n")
    git(tmp_path, "init", "--quiet")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "nasbench_rl" / "_utils" / "provenance.py"))
    return tmp_path


@pytest.fixture
def committed(checkout: Path) -> Path:
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "first")
    return checkout


def asked_anew() -> str:
    """``code_version`` as another process would be told."""
    return provenance.code_version.__wrapped__()


def package_version() -> str:
    return asked_anew().partition("+")[0]


@needs_git
def test_a_clean_checkout_is_named_by_its_commit(committed: Path) -> None:
    commit = git(committed, "rev-parse", "HEAD")
    assert asked_anew() == f"{package_version()}+g{commit[:10]}"


@needs_git
@pytest.mark.parametrize("name", CODE)
@pytest.mark.parametrize("how", ["edited", "staged", "removed"])
def test_changed_code_is_marked_until_it_is_committed(committed: Path, name: str, how: str) -> None:
    clean = asked_anew()
    if how == "removed":
        (committed / name).unlink()
    else:
        (committed / name).write_text("second\n")
    if how == "staged":
        git(committed, "add", name)
    assert asked_anew() == f"{clean}.dirty"
    git(committed, "commit", "--quiet", "--all", "--message", "second")
    assert asked_anew() != clean and not asked_anew().endswith(".dirty")


@needs_git
def test_tables_pages_tests_and_new_files_do_not_change_the_code(committed: Path) -> None:
    clean = asked_anew()
    for name in (*OTHERS, "nasbench_rl/new.py"):
        (committed / name).write_text("second\n")
    assert asked_anew() == clean


@needs_git
def test_a_file_written_again_as_it_was_is_no_change(committed: Path) -> None:
    clean = asked_anew()
    os.utime(committed / "nasbench_rl/training/ppo.py", (1, 1))
    assert asked_anew() == clean


@needs_git
def test_asking_waits_for_no_lock_and_writes_none(committed: Path) -> None:
    index = committed / ".git" / "index"
    os.utime(committed / "nasbench_rl/training/ppo.py", (1, 1))  # a plain git status would refresh the index
    before = index.read_bytes()
    (committed / ".git" / "index.lock").touch()
    assert "+g" in asked_anew()
    assert index.read_bytes() == before


@needs_git
def test_mark_and_commit_are_a_valid_version(committed: Path) -> None:
    (committed / "pyproject.toml").write_text("second\n")
    assert re.fullmatch(r"\d+(\.\d+)*((a|b|rc|\.dev)\d+)?\+[a-z0-9]+(\.[a-z0-9]+)*", asked_anew())  # PEP 440


@needs_git
def test_a_checkout_without_a_commit_has_the_package_s_version_alone(checkout: Path) -> None:
    assert "+" not in asked_anew()


@needs_git
def test_git_is_asked_once_a_process(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *given, **more: calls.append(given) or run(*given, **more))
    provenance.code_version.cache_clear()
    try:
        assert provenance.code_version() == provenance.code_version() and len(calls) == 1
    finally:
        provenance.code_version.cache_clear()  # what it remembers is the made checkout's


def without_git(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("PATH", str(root / "nowhere"))


def failing_git(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    program = root / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 129\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.parametrize("trouble", [without_git, failing_git])
def test_without_a_git_that_answers_the_package_s_version_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "nasbench_rl" / "_utils" / "provenance.py"))
    trouble(monkeypatch, tmp_path)
    version = asked_anew()
    assert version and "+" not in version


def test_an_installed_package_asks_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        provenance, "__file__", str(tmp_path / "site-packages" / "nasbench_rl" / "_utils" / "provenance.py")
    )
    monkeypatch.setattr(subprocess, "run", None)
    assert "+" not in asked_anew()


def test_importing_the_package_starts_no_process() -> None:
    code = (
        "import subprocess; subprocess.run = subprocess.Popen = None; import nasbench_rl, nasbench_rl._utils.provenance"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
