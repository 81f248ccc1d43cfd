"""Load a prepared image data set."""

from __future__ import annotations

from pathlib import Path

from nasbench_rl.data.images import ImageData, dataset_path, read_dataset, remedy, unusable
from nasbench_rl.data.prepare import prepare
from nasbench_rl.errors import DatasetError
from nasbench_rl.task.images import get_dataset_info


def load_dataset(name: str) -> ImageData:
    """Read a prepared data set; digits, which scikit-learn brings along, are prepared on first use.

    Raises:
        UnknownNameError: no data set has this name.
        DatasetError: it was never prepared, or its file is damaged or of another version; says the command to run.
            Or its file cannot be read or written.
    """
    path = dataset_path(name)
    modified = _modified(path)
    if modified is None:
        if get_dataset_info(name).source != "library":
            raise DatasetError(f"data set {name!r} is not prepared ({path} is absent); {remedy(name)}")
        prepare(name)
        modified = _modified(path) or 0
    return read_dataset(name, path, modified)


def _modified(path: Path) -> int | None:
    """Return when a prepared file was written; None when it is not there."""
    try:
        return path.stat().st_mtime_ns if path.is_file() else None
    except OSError as error:
        raise unusable(path, "read", error) from None
