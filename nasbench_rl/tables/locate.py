"""Where tables lie: the folder that was named, the package's, the checkout's or the user's own."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nasbench_rl._utils.files import is_file
from nasbench_rl._utils.paths import user_folder, user_path
from nasbench_rl.errors import InvalidValueError, TableError

ENVIRONMENT_VARIABLE = "NASBENCH_RL_TABLES"


MANIFEST = "MANIFEST.json"


def table_folders(tables: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return where tables are looked for: in the folder named alone, or in the package, then the checkout.

    A folder that was named is never passed over for another, whose numbers its user did not ask for.

    Raises:
        InvalidValueError: what was named is no path.
    """
    named = tables if tables is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if named is not None:
        if not isinstance(named, (str, os.PathLike)) or not str(named):  # as an empty variable of a shell is
            raise InvalidValueError(f"{named!r} names no folder of tables; give a path, or leave it out")
        return [user_path(named)]
    package = Path(__file__).resolve().parents[1]
    return [package / "_tables", package.parent / "tables"]


def find_tables(tables: str | os.PathLike[str] | None = None) -> Path:
    """Return the first folder that has a manifest.

    Raises:
        TableError: none has; the message lists every place tried.
    """
    tried = table_folders(tables)
    for folder in tried:
        if is_file(folder / MANIFEST):
            return folder
    places = ", ".join(map(str, tried))
    raise TableError(f"no {MANIFEST} found; tried: {places}. Name a folder of tables or set ${ENVIRONMENT_VARIABLE}")


def folder_to_fill(tables: str | os.PathLike[str] | None = None) -> Path:
    """Return where trained cells go: the folder named, which need not exist yet, or where queries look.

    Raises:
        TableError: none was named, and no folder has a manifest.
    """
    folders = table_folders(tables)
    return folders[0] if len(folders) == 1 else find_tables(tables)


def is_packaged(folder: Path) -> bool:
    """Return whether a folder of tables belongs to the installed package."""
    return folder == Path(__file__).resolve().parents[1] / "_tables"


def check_kept(folder: Path) -> None:
    """Raise TableError for the tables inside an installed package: the next ``pip install`` would delete new cells."""
    if is_packaged(folder):
        raise TableError(
            f"{folder} belongs to the installed package, and the next pip install would delete what is added; name a "
            f"folder of your own with --tables or ${ENVIRONMENT_VARIABLE}, a copy of this one where its rows are needed"
        )


def user_tables() -> Path:
    """Return the user's own folder of tables, where live evaluations are kept."""
    return user_folder("data", "name one to keep live evaluations in: --tables DIR, or load(…, tables=DIR)") / "tables"


def add_tables_option(parser: argparse.ArgumentParser, what: str = "folder of tables") -> None:
    """Add the option ``--tables`` of a command; ``what``: what the folder is for."""
    parser.add_argument("--tables", metavar="DIR", help=f"{what} (default: where queries look)")
