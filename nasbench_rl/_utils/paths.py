"""Paths as a user types them, and the folders that a user has."""

from __future__ import annotations

import os
from pathlib import Path

from nasbench_rl.errors import InvalidValueError


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user gave, with the home folder for a leading ``~`` or ``~name``.

    Shells leave ``--tables=~/x`` and variables in quotes as they are.

    Raises:
        InvalidValueError: nothing is known of that home folder.
    """
    given = Path(path)
    try:
        return given.expanduser()
    except RuntimeError:
        name = given.parts[0]
        raise InvalidValueError(
            f"{str(given)!r}: no home folder is known for {name}; write the path out, or ./{name} for a folder of that "
            "name"
        ) from None


def user_folder(kind: str, otherwise: str) -> Path:
    """Return the user's ``"data"`` or ``"cache"`` folder of this package.

    Args:
        kind: which of the two.
        otherwise: how to name another folder.

    Raises:
        InvalidValueError: there is no home folder, as in a container that runs under any user id.
    """
    import platformdirs

    find = platformdirs.user_data_dir if kind == "data" else platformdirs.user_cache_dir
    try:
        folder = Path(find("nasbench-rl"))
        if folder.is_absolute():  # older versions of platformdirs leave the ~ that they cannot resolve
            return folder
    except RuntimeError:
        pass
    raise InvalidValueError(
        f"there is no home folder, and so no {kind} folder in it (no $HOME, and no entry for user id "
        f"{os.getuid() if hasattr(os, 'getuid') else '?'}); {otherwise}"
    )
