"""The paper's five data sets from a folder the user has, one sub-folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasbench_rl.data.images import Collected, data_dir
from nasbench_rl.errors import DatasetError, missing_extra
from nasbench_rl.task.images import DatasetInfo

FEWEST = 0.9
"""Of the images that Table 3 counts, so many must be there: copies of a data set may lack a few that are broken."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def default_folder(name: str) -> Path:
    """Return where the images are looked for when no folder is given."""
    return data_dir() / "folders" / name


def collect(info: DatasetInfo, folder: Path | None) -> Collected:
    """Return every image of every class, bilinearly resized to the paper's 84x84x3 (section 4.2.3).

    Sub-folders of a class count as part of it: for Omniglot, whose characters lie inside alphabets, make one folder
    per character.

    Raises:
        DatasetError: the folder is absent or cannot be read, its number of classes is wrong, it holds far fewer images
            than the data set has, or an image cannot be read.
    """
    folder = folder or default_folder(info.name)
    layout = f"{info.classes} sub-folders, one per class, with about {info.images} images in all"
    if not folder.is_dir():
        raise DatasetError(
            f"{info.name!r} is not fetched for you: put its images into {folder} ({layout}), or name their folder with "
            f"--folder PATH"
        )
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        files = [(path, label.name) for label in classes for path in _images_in(label)]
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read ({error.strerror or error}); make it readable") from None
    if len(classes) != info.classes:
        hint = "; a character of an alphabet is a class: one folder for each" if info.name == "omniglot" else ""
        raise DatasetError(f"{folder} has {len(classes)} sub-folders; {info.name!r} needs {layout}{hint}")
    if not files:
        raise DatasetError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}); {info.name!r} needs {layout}")
    if len(files) < FEWEST * info.images:
        raise DatasetError(
            f"{folder} holds {len(files)} images; {info.name!r} has {info.images} in the paper's Table 3, and at least "
            f"{FEWEST:.0%} of them are needed: put the rest there"
        )
    images = np.empty((len(files), *info.image), dtype=np.uint8)
    for at, (path, _) in enumerate(files):
        images[at] = _read_image(path, info.image[:2])
    keys = [path.relative_to(folder).as_posix() for path, _ in files]
    return Collected(images, [label for _, label in files], keys, keys)


def _images_in(label: Path) -> list[Path]:
    return [path for path in sorted(label.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]


def _read_image(path: Path, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise missing_extra("PIL", "nsc", "reading images") from None
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path} is no readable image ({error}); replace or remove it") from None
