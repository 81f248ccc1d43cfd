"""The stand-in data sets: how each package's files become labelled images.

All are 28x28. Sprites and emoji are laid on mid grey, because their own ground is transparent.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import re
import string
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl.data.images import Collected, DataSplit, Images
from nasbench_rl.data.package_sources import members
from nasbench_rl.errors import DatasetError, missing_extra

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 28
_GREY = (128, 128, 128)
_FASHION_CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
)  # fmt: skip


def fashion_mnist(paths: Sequence[Path]) -> Collected:
    """Collect 70 000 images; the test split is the official one, validation the last sixth of each training class."""
    found = {Path(name).name: content for name, content in members(paths[0], lambda name: name.endswith("-ubyte.gz"))}
    images, labels = [], []
    splits: list[DataSplit] = []
    for part in ("train", "t10k"):
        try:
            images.append(_idx(found[f"{part}-images-idx3-ubyte.gz"]))
            labels.append(_idx(found[f"{part}-labels-idx1-ubyte.gz"]))
        except (KeyError, OSError, EOFError, ValueError, struct.error, zlib.error) as error:
            raise DatasetError(f"{paths[0]}: the {part} files are absent or damaged ({error})") from None
        if images[-1].shape != (len(labels[-1]), SIDE, SIDE):
            raise DatasetError(
                f"{paths[0]}: the {part} images have shape {images[-1].shape}, labels {labels[-1].shape}"
            )
        splits += _fashion_splits(labels[-1]) if part == "train" else ["test"] * len(labels[-1])
    keys = [str(at) for at in range(len(splits))]
    names = [_FASHION_CLASSES[label] for label in np.concatenate(labels)]
    return Collected(np.concatenate(images)[..., None], names, keys, keys, splits)


def _fashion_splits(labels: Images) -> list[DataSplit]:
    splits: list[DataSplit] = ["train"] * len(labels)
    for label in range(len(_FASHION_CLASSES)):
        rows = np.flatnonzero(labels == label)
        for at in rows[len(rows) * 5 // 6 :]:
            splits[at] = "validation"
    return splits


def _idx(raw: bytes) -> Images:
    """Return an IDX file: two zero bytes, type 8 (uint8), number of axes, their lengths big-endian, the values."""
    content = gzip.decompress(raw)
    zero, kind, axes = struct.unpack(">HBB", content[:4])
    if (zero, kind) != (0, 8):
        raise ValueError("not an IDX file of bytes")
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def font_letters(paths: Sequence[Path]) -> Collected:
    """Draw letters A-Z of every font with at least 20 different ones, grouped by font family.

    Each is drawn at size 48, cropped to its ink, centred on a square and resized. The family is the first word of the
    font's name: "Binary BRK" and "Binary X CHR BRK" are one.
    """
    pil = _pillow()
    images, labels, groups, keys = [], [], [], []
    for name, content in members(paths[0], lambda name: name.lower().endswith(".ttf")):
        try:
            font = pil.ImageFont.truetype(io.BytesIO(content), 48)
            glyphs = [_glyph(font, letter) for letter in string.ascii_uppercase]
        except OSError as error:
            raise DatasetError(f"{paths[0]}: {Path(name).name} is no readable font ({error})") from None
        if len({glyph.tobytes() for glyph in glyphs}) < 20:
            continue
        family = re.findall(r"[a-z]+|\d+", str(font.getname()[0]).lower())[0]
        images += glyphs
        labels += list(string.ascii_uppercase)
        groups += [family] * len(glyphs)
        keys += [f"{Path(name).name}/{letter}" for letter in string.ascii_uppercase]
    return Collected(_stack(images, 1), labels, groups, keys)


def _glyph(font: Any, letter: str) -> Images:
    """Return (28, 28): the letter in white on black, as large as fits."""
    pil = _pillow()
    mask = font.getmask(letter, mode="L")
    drawn = pil.Image.frombytes("L", mask.size, bytes(mask))
    drawn = drawn.crop(drawn.getbbox() or (0, 0, 1, 1))
    side = max(drawn.size)
    square = pil.Image.new("L", (side, side))
    square.paste(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
    return _resized(square)


def emoji(paths: Sequence[Path]) -> Collected:
    """Collect emoji of two vendors at 64x64 by category, grouped by code point, without "Component".

    Code points with the same picture are one group: Clipperton Island flies the flag of France.
    """
    images, labels, groups, keys = [], [], [], []
    for path, vendor in zip(paths, ("google", "twitter"), strict=True):
        catalogue = next((content for _, content in members(path, lambda name: name == "package/emoji.json")), b"")
        try:
            entries = {e["image"]: e for e in json.loads(catalogue) if e["category"] != "Component"}
        except (ValueError, KeyError, TypeError):
            raise DatasetError(f"{path}: emoji.json is absent or damaged") from None
        folder = f"package/img/{vendor}/64/"
        for name, content in members(path, lambda name, folder=folder: name.startswith(folder)):  # type: ignore[misc]
            entry = entries.get(name[len(folder) :])
            if entry is None:  # a skin-tone variant
                continue
            images.append(_resized(_on_grey(_open(content, path, name))))
            labels.append(entry["category"])
            groups.append(entry["unified"])
            keys.append(f"{vendor}/{entry['unified']}")
    return Collected(_stack(images, 3), labels, joined(groups, images), keys)


def animals(paths: Sequence[Path]) -> Collected:
    """Collect grey 28x28 pictures from two pickled arrays, without duplicates (the first of each is kept)."""
    found = {Path(name).name: content for name, content in members(paths[0], lambda name: name.endswith(".gz"))}
    try:
        images = _unpickle_array(gzip.decompress(found["animal_data_version_3.gz"]))
        labels = _unpickle_array(gzip.decompress(found["animal_label_version_3.gz"]))
    except (KeyError, OSError, EOFError, zlib.error, pickle.UnpicklingError) as error:
        raise DatasetError(f"{paths[0]}: the arrays are absent or damaged ({error})") from None
    first = {hashlib.sha256(image.tobytes()).hexdigest(): at for at, image in reversed(list(enumerate(images)))}
    rows = sorted(first.values())
    keys = [str(at) for at in rows]
    return Collected(images[rows][..., None], [f"class-{labels[at]}" for at in rows], keys, keys)


class _ArrayUnpickler(pickle.Unpickler):
    """Loads numpy arrays and nothing else: a pickle can otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }:
            return getattr(np if module == "numpy" else _multiarray(), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of an array")


def _multiarray() -> Any:
    core = getattr(np, "_core", None) or np.core  # numpy 2 renamed it
    return core.multiarray


def _unpickle_array(raw: bytes) -> Any:
    array = _ArrayUnpickler(io.BytesIO(raw)).load()
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise pickle.UnpicklingError("it holds no array of numbers")
    return array


def wesnoth(paths: Sequence[Path]) -> Collected:
    """Collect unit sprites by race, grouped by unit: races with at least 100 images and 6 units.

    Of the 72x72 sprites with 10 to 90 % opaque pixels the middle 56x56 is taken. A unit is a race's sub-folder, or the
    first word of the file's name; units with the same picture are one, as the undead's soulless and zombies are.
    """
    images, labels, groups, keys = [], [], [], []
    root = "/data/core/images/units/"
    for name, content in members(paths[0], lambda name: root in name and name.endswith(".png")):
        parts = name.split(root)[1].split("/")
        if len(parts) < 2:
            continue
        sprite = _open(content, paths[0], name)
        if sprite.size != (72, 72):
            continue
        opaque = float((np.asarray(sprite)[..., 3] > 127).mean())
        if not 0.1 <= opaque <= 0.9:
            continue
        unit = parts[1] if len(parts) > 2 else re.split(r"[-+.]", parts[-1])[0]
        images.append(_resized(_on_grey(sprite).crop((8, 8, 64, 64))))
        labels.append(parts[0])
        groups.append(f"{parts[0]}/{unit.rstrip(string.digits)}")
        keys.append("/".join(parts))
    large = {
        race
        for race in set(labels)
        if labels.count(race) >= 100 and len({g for g, label in zip(groups, labels, strict=True) if label == race}) >= 6
    }
    rows = [at for at, race in enumerate(labels) if race in large]
    kept = [images[at] for at in rows]
    return Collected(
        _stack(kept, 3),
        [labels[at] for at in rows],
        joined([groups[at] for at in rows], kept),
        [keys[at] for at in rows],
    )


def joined(groups: Sequence[str], images: Sequence[Images]) -> list[str]:
    """Return the group of each image; groups that share an image to the byte are one, named by the first.

    Else an image that is trained on would be met again among those held out.
    """
    above = {group: group for group in groups}

    def first_of(group: str) -> str:
        while above[group] != group:
            group = above[group]
        return group

    seen: dict[bytes, str] = {}
    for group, image in zip(groups, images, strict=True):
        one, other = sorted((first_of(seen.setdefault(image.tobytes(), group)), first_of(group)))
        above[other] = one
    return [first_of(group) for group in groups]


def digits() -> Collected:
    """1 797 handwritten digits of 8x8, their 17 grey levels stretched to 0 … 255."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise missing_extra("sklearn", "nsc", "the data set 'digits'") from None
    loaded = load_digits()
    images = np.rint(loaded.images * (255 / 16)).astype(np.uint8)[..., None]
    keys = [str(at) for at in range(len(images))]
    return Collected(images, [str(label) for label in loaded.target], keys, keys)


COLLECTORS: dict[str, Callable[[Sequence[Path]], Collected]] = {
    "fashion-mnist": fashion_mnist,
    "font-letters": font_letters,
    "emoji": emoji,
    "animals": animals,
    "wesnoth": wesnoth,
}


def _pillow() -> Any:
    try:
        import PIL
        import PIL.Image
        import PIL.ImageFont
    except ModuleNotFoundError:
        raise missing_extra("PIL", "nsc", "preparing images") from None
    return PIL


def _open(content: bytes, path: Path, name: str) -> Image:
    """Return an RGBA image."""
    pil = _pillow()
    try:
        opened: Image = pil.Image.open(io.BytesIO(content)).convert("RGBA")
    except (OSError, ValueError, SyntaxError, pil.Image.DecompressionBombError) as error:  # SyntaxError: a broken PNG
        raise DatasetError(f"{path}: {name} is no readable image ({error})") from None
    return opened


def _on_grey(image: Image) -> Image:
    pil = _pillow()
    ground = pil.Image.new("RGBA", image.size, (*_GREY, 255))
    composed: Image = pil.Image.alpha_composite(ground, image).convert("RGB")
    return composed


def _resized(image: Image) -> Images:
    """Return (28, 28) or (28, 28, 3), averaged where it shrinks."""
    pil = _pillow()
    return np.asarray(image.resize((SIDE, SIDE), pil.Image.Resampling.BILINEAR))


def _stack(images: list[Images], channels: int) -> Images:
    return np.array(images, dtype=np.uint8).reshape(-1, SIDE, SIDE, channels)
