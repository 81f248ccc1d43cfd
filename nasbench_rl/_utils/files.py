"""Files that several processes write: replaced whole, and guarded by locks that the operating system lets go of."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nasbench_rl._utils import leftovers
from nasbench_rl.errors import TableError, missing_extra

LOCKS = ".locks"
FULL = (errno.ENOSPC, errno.EDQUOT)
"""No room on a disk, or none left to this user."""
GONE = "the working directory was deleted; go into one that exists (cd)"


def replace_file(path: Path, content: bytes) -> None:
    """Write beside ``path``, sync, rename over it: a kill leaves the old file or the new one, never a part.

    Raises:
        TableError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error
    except ValueError as error:  # a path without a name: ".", "/"
        raise TableError(f"cannot write {path}: it names no file; give a path that does") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file to write next to ``path``, which it replaces at the end of the block; removed if the block raises.

    What a killed process left in the folder goes, too (``leftovers.sweep``).
    """
    leftovers.sweep(path.parent)
    temporary = path.with_name(leftovers.temporary_name())
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Raise TableError unless files can be made in ``folder``, which is made when it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def is_file(path: Path) -> bool:
    """Return whether there is such a file.

    Raises:
        TableError: its folder cannot be looked into; ``Path.is_file`` calls that absence in some versions of Python.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def read_file(path: Path) -> bytes:
    """Read the file's bytes.

    Raises:
        TableError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def files_below(folder: Path) -> list[Path]:
    """Return every file in ``folder`` and below it, hidden ones too, sorted.

    Raises:
        TableError: one of the folders cannot be read, so that files would be missing.
    """

    def refuse(error: OSError) -> None:
        raise _unreadable(Path(error.filename), error) from error

    return sorted(Path(here, name) for here, _, names in os.walk(folder, onerror=refuse) for name in names)


@contextmanager
def lock(folder: Path, name: str, wait: bool = True) -> Iterator[bool]:
    """Hold ``folder/.locks/name`` for the block; the operating system lets go of it however the process ends.

    Yields:
        Whether the lock is held; False only with ``wait=False`` when another process holds it.

    Raises:
        TableError: the folder cannot be written.
        MissingExtraError: filelock is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise missing_extra("filelock", "live", "writing tables") from None
    try:
        (folder / LOCKS).mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / LOCKS / f"{name}.lock", timeout=-1 if wait else 0)
        held.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield True
    finally:
        held.release()


def _unreadable(path: Path, error: OSError) -> TableError:
    """Return the exception for what cannot be read, ready to raise."""
    return TableError(f"cannot read {path}: {error.strerror}; make it readable, or name another folder")


def _unwritable(path: Path, error: OSError) -> TableError:
    return TableError(unwritable(path, error))


def unwritable(path: Path, error: OSError) -> str:
    """Return what to say of a file or folder that cannot be written: what failed, and what helps."""
    return f"cannot write {path}: {reason(error)}; {remedy(error)}"


def reason(error: OSError) -> str:
    """Return what the operating system says, in a line."""
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


def remedy(error: OSError) -> str:
    """Return what helps against an error in writing."""
    if error.errno in FULL:
        return "make room there, or choose a folder on another disk"
    if error.errno == errno.EFBIG:
        return "allow larger files (ulimit -f), or choose a folder on another disk"
    if error.errno == errno.ENOENT and not has_working_directory():
        return GONE
    return "choose a folder that can be written"


def has_working_directory() -> bool:
    """Return whether relative paths lead anywhere: not once the folder that the process works in was deleted."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
