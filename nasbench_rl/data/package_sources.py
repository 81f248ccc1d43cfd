"""Packages that carry the stand-in data sets: fetched by their registry's own client, checked, read in place."""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nasbench_rl.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package.

    Attributes:
        manager: whose registry it is in: ``"apt"``, ``"npm"`` or ``"pip"``.
        name: its name there.
        version: the one version whose checksum is known.
        filename: what the client saves it as.
        sha256: checksum of that file, 64 hex digits.
    """

    manager: Literal["apt", "npm", "pip"]
    name: str
    version: str
    filename: str
    sha256: str

    @property
    def command(self) -> tuple[str, ...]:
        """The client's command line that saves the file into the current folder."""
        if self.manager == "apt":
            return ("apt-get", "download", f"{self.name}={self.version}")
        if self.manager == "npm":
            return ("npm", "pack", "--silent", f"{self.name}@{self.version}")
        return (sys.executable, "-m", "pip", "download", "--no-deps", f"{self.name}=={self.version}")


PACKAGES: dict[str, tuple[Package, ...]] = {
    "fashion-mnist": (
        Package(
            "apt",
            "dataset-fashion-mnist",
            "0.0~git20200523.55506a9-1",
            "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
            "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        ),
    ),
    "font-letters": (
        Package(
            "apt",
            "fonts-aenigma",
            "0.0.20080511+dfsg-4",
            "fonts-aenigma_0.0.20080511+dfsg-4_all.deb",
            "c7f33a4e5932af82a92c81a5a993a1d117c4309b47532cb0d9c3ad34bc54f5a8",
        ),
    ),
    "emoji": (
        Package(
            "npm",
            "emoji-datasource-google",
            "16.0.0",
            "emoji-datasource-google-16.0.0.tgz",
            "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        ),
        Package(
            "npm",
            "emoji-datasource-twitter",
            "16.0.0",
            "emoji-datasource-twitter-16.0.0.tgz",
            "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        ),
    ),
    "animals": (
        Package(
            "pip",
            "animal-mnist",
            "0.4",
            "animal_mnist-0.4-py3-none-any.whl",
            "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
        ),
    ),
    "wesnoth": (
        Package(
            "apt",
            "wesnoth-1.16-data",
            "1:1.16.9-1",
            "wesnoth-1.16-data_1%3a1.16.9-1_all.deb",
            "1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
        ),
    ),
}


def check_files(files: Sequence[Path], names: Iterable[str]) -> None:
    """Refuse files that are no package of these data sets, before anything is fetched in their place.

    Raises:
        DatasetError: a file is absent, or its checksum is none of those that are pinned.
    """
    pinned = {package.sha256: package for name in names for package in PACKAGES.get(name, ())}
    for file in files:
        if not file.is_file():
            raise DatasetError(f"no package file at {file}")
        found = sha256(file)
        if found not in pinned:
            allowed = "; ".join(f"{package.filename} ({digest})" for digest, package in pinned.items())
            raise DatasetError(
                f"{file} is damaged or another package: its sha-256 is {found}; allowed: {allowed or 'none'}"
            )


def obtain(package: Package, files: Sequence[Path], folder: Path) -> Path:
    """Return the package's file: the one among ``files`` with its checksum, else fetched into ``folder``.

    Raises:
        DatasetError: it cannot be fetched or read, or its checksum is not the pinned one.
    """
    for file in files:
        if not file.is_file():
            raise DatasetError(f"no package file at {file}")
        if sha256(file) == package.sha256:
            return file
    same_name = [file for file in files if file.name == package.filename]
    if same_name:
        verify(same_name[0], package)
    return verify(fetch(package, folder), package)


def fetch(package: Package, folder: Path) -> Path:
    """Run the registry's client in ``folder`` and return the file it saved.

    Raises:
        DatasetError: no such client on this machine, or it failed; the message says how to go on without it.
    """
    otherwise = f"get {package.filename} elsewhere and pass --package-file PATH"
    client = shutil.which(package.command[0])  # the whole path: Windows starts no npm.cmd by the name of npm
    if client is None:
        raise DatasetError(f"{package.command[0]} is not installed, so {package.name} cannot be fetched; {otherwise}")
    command = (client, *package.command[1:])
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise DatasetError(f"`{' '.join(package.command)}` failed: {said}; {otherwise}")
    path = folder / package.filename
    if not path.is_file():
        found = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise DatasetError(f"`{' '.join(package.command)}` saved {found}, not {package.filename}; {otherwise}")
    return path


def verify(path: Path, package: Package) -> Path:
    """``path`` itself if its checksum is the pinned one.

    Raises:
        DatasetError: it is another version, or damaged.
    """
    found = sha256(path)
    if found != package.sha256:
        raise DatasetError(
            f"{path} is damaged or another version than {package.name} {package.version}: "
            f"sha256 {found[:16]}…, expected {package.sha256[:16]}…; fetch it again"
        )
    return path


def sha256(path: Path) -> str:
    """Return checksum of a file, 64 hex digits.

    Raises:
        DatasetError: it cannot be read.
    """
    checksum = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                checksum.update(block)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(f"{path} cannot be read ({reason}); make it readable or pass another file") from None
    return checksum.hexdigest()


def members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each wanted file inside a ``.deb``, ``.tgz`` or ``.whl``, in the archive's order.

    Nothing is written to disk, so names that point outside the archive do no harm.

    Raises:
        DatasetError: the archive is damaged or of another kind.
    """
    try:
        if path.suffix == ".whl":
            yield from _zip_members(path, wanted)
        elif path.suffix == ".deb":
            with path.open("rb") as file:
                yield from _tar_members(io.BytesIO(_deb_payload(file.read())), wanted)
        else:
            with path.open("rb") as file:
                yield from _tar_members(file, wanted)
    except (tarfile.TarError, lzma.LZMAError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DatasetError(f"{path} is damaged: {error or type(error).__name__}; fetch it again") from error


def _zip_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if wanted(name):
                yield name, archive.read(name)


def _tar_members(file: io.BufferedIOBase, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            if member.isfile() and wanted(member.name):
                content = archive.extractfile(member)
                assert content is not None  # a regular file has content
                yield member.name, content.read()


def _deb_payload(raw: bytes) -> bytes:
    """Return the ``data.tar.*`` of a Debian package, an ``ar`` archive of 60-byte headers and even-aligned bodies."""
    if not raw.startswith(b"!<arch>\n"):
        raise ValueError("not a Debian package")
    at = 8
    while at + 60 <= len(raw):
        header = raw[at : at + 60]
        name, size = header[:16].decode("ascii", "replace").rstrip(" /"), int(header[48:58])
        if name.startswith("data.tar"):
            if at + 60 + size > len(raw):
                raise ValueError("the file is cut short")
            return raw[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise ValueError("no data.tar inside")
