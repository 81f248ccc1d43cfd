"""Replace several files together: all of them, or none, wherever a kill falls.

The new files wait in ``.journal`` beside their places. Once a list of them lies there too, they are in: whoever writes
into the folder next puts those into place that a kill left waiting. Without the list they are thrown away.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from nasbench_rl._utils.files import is_file, read_file, replace_file
from nasbench_rl.errors import TableError

JOURNAL, LIST = ".journal", "list.json"


def is_open(folder: Path) -> bool:
    """Return whether files of a killed process wait."""
    return (folder / JOURNAL).is_dir()


def replace_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace files of ``folder`` in this order, all or none; the caller holds the folder's lock.

    Raises:
        TableError: the folder cannot be written. Nothing was replaced, or the next writer does what is left.
    """
    waiting = folder / JOURNAL
    try:
        for number, content in enumerate(contents.values()):
            replace_file(waiting / str(number), content)
        replace_file(waiting / LIST, json.dumps(list(contents)).encode())
    except BaseException:
        if not (waiting / LIST).exists():
            shutil.rmtree(waiting, ignore_errors=True)
        raise
    finish(folder)


def finish(folder: Path) -> None:
    """Put what a killed process left waiting into its place, or away; the caller holds the folder's lock.

    Raises:
        TableError: the folder cannot be written, or the list is damaged.
    """
    waiting = folder / JOURNAL
    if not waiting.is_dir():
        return
    try:
        if is_file(waiting / LIST):
            for number, name in enumerate(json.loads(read_file(waiting / LIST))):
                if is_file(waiting / str(number)):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (waiting / str(number)).replace(folder / name)
            (waiting / LIST).unlink()
        shutil.rmtree(waiting)
    except (OSError, ValueError, TypeError) as error:
        raise TableError(
            f"cannot finish what was being written into {folder} when it was interrupted: {error}; "
            f"make {waiting} writable, or restore the folder"
        ) from error
