"""Small packages made on the spot."""

import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

WritePackage = Callable[[Path, dict[str, bytes]], Path]


def tar_bytes(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def deb_bytes(files: dict[str, bytes]) -> bytes:
    """A Debian package: an ``ar`` archive with an odd-sized member before the data."""
    raw = b"!<arch>\n"
    for name, body in [("debian-binary", b"2.0"), ("data.tar.xz", lzma.compress(tar_bytes(files, "w")))]:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n"
        raw += header.encode() + body + b"\n" * (len(body) % 2)
    return raw


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def write_package() -> WritePackage:
    """Writes a ``.deb``, ``.tgz`` or ``.whl`` that holds these files and returns its path."""

    def write(path: Path, files: dict[str, bytes]) -> Path:
        make = {".deb": deb_bytes, ".tgz": lambda files: tar_bytes(files, "w:gz"), ".whl": zip_bytes}[path.suffix]
        path.write_bytes(make(files))
        return path

    return write
