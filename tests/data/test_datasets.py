"""Data sets: collected from small made packages and folders, split by group, cached."""

import dataclasses
import gzip
import io
import json
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasbench_rl.data import image_folders, images, substitute_datasets
from nasbench_rl.data import prepare as preparation
from nasbench_rl.data.images import SPLITS, dataset_path, make_dataset
from nasbench_rl.data.load import load_dataset
from nasbench_rl.data.package_sources import PACKAGES, sha256
from nasbench_rl.data.prepare import PAPER_SHARES, STAND_IN_SHARES, prepare, split_by_group
from nasbench_rl.errors import DatasetError, InvalidValueError, MissingExtraError, UnknownNameError
from nasbench_rl.task.images import DATASETS, PAPER_DATASETS, get_dataset_info

Image = pytest.importorskip("PIL.Image")
WritePackage = Callable[[Path, dict[str, bytes]], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASBENCH_RL_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


# -- digits, the one that is always there


def test_digits_are_prepared_on_first_use(cache: Path) -> None:
    pytest.importorskip("sklearn")
    data = load_dataset("digits")
    assert (cache / "digits.npz").is_file()
    assert data.shape == (8, 8, 1)
    assert data.classes == tuple("0123456789")
    assert sum(len(data.labels[split]) for split in SPLITS) == 1797 == get_dataset_info("digits").images
    assert data.images["train"].max() == 255
    seen = [image.tobytes() for split in SPLITS for image in data.images[split]]
    from sklearn.datasets import load_digits

    original = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    assert sorted(seen) == sorted(image.tobytes() for image in original)
    prepare("digits")
    assert load_dataset("digits").digest == data.digest


def test_loaded_arrays_cannot_be_changed() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match="read-only"):
        load_dataset("digits").images["train"][0] = 0


# -- splits and subsets


def test_no_group_lies_in_two_splits_and_shares_are_met() -> None:
    rng = np.random.default_rng(0)
    groups = [f"g{number}" for number in rng.integers(60, size=3000)]
    labels = [f"c{int(group[1:]) % 3}" for group in groups]
    splits = split_by_group(labels, groups, STAND_IN_SHARES)
    for group in set(groups):
        assert len({split for split, other in zip(splits, groups, strict=True) if other == group}) == 1
    for label in ("c0", "c1", "c2"):
        within = [split for split, other in zip(splits, labels, strict=True) if other == label]
        for split in SPLITS:
            assert within.count(split) / len(within) == pytest.approx(STAND_IN_SHARES[split], abs=0.04)
    order = rng.permutation(len(groups))
    shuffled = split_by_group([labels[at] for at in order], [groups[at] for at in order], STAND_IN_SHARES)
    assert shuffled == [splits[at] for at in order]


def test_groups_that_span_classes_are_shared_over_all() -> None:
    labels = list("AB" * 50)
    groups = [f"font{at // 2}" for at in range(100)]
    splits = split_by_group(labels, groups, STAND_IN_SHARES)
    assert [splits.count(split) for split in SPLITS] == [60, 20, 20]


def test_the_paper_s_third_is_held_out() -> None:
    labels = [f"c{at % 4}" for at in range(120)]
    splits = split_by_group(labels, [str(at) for at in range(120)], PAPER_SHARES)
    assert splits.count("train") == 80
    assert splits.count("validation") == splits.count("test") == 20


def test_subsets_are_balanced_nested_and_fixed() -> None:
    labels = np.array([0] * 50 + [1] * 5 + [2] * 30)
    images = np.arange(85, dtype=np.uint8).reshape(-1, 1, 1, 1)
    data = make_dataset("x", ("a", "b", "c"), dict.fromkeys(SPLITS, images), dict.fromkeys(SPLITS, labels))
    small, few = data.subset("train", 9)
    assert np.bincount(few).tolist() == [3, 3, 3]
    assert small.ravel().tolist() == [0, 1, 2, 50, 51, 52, 55, 56, 57]
    assert np.bincount(data.subset("train", 35)[1]).tolist() == [15, 5, 15]
    assert set(small.ravel()) <= set(data.subset("train", 35)[0].ravel())
    assert len(data.subset("train", 1000)[1]) == len(data.subset("train")[1]) == 85


# -- the collectors, on small made packages


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def fashion_files(images: int = 60) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {}
    for part in ("train", "t10k"):
        pixels = rng.integers(256, size=(images, 28, 28), dtype=np.uint8)
        labels = np.arange(images, dtype=np.uint8) % 10
        files[f"./usr/share/datasets/fashion-mnist/{part}-images-idx3-ubyte.gz"] = idx(pixels)
        files[f"./usr/share/datasets/fashion-mnist/{part}-labels-idx1-ubyte.gz"] = idx(labels)
    return files


def test_fashion_mnist_keeps_the_official_test_split(write_package: WritePackage, tmp_path: Path) -> None:
    collected = substitute_datasets.fashion_mnist([write_package(tmp_path / "f.deb", fashion_files())])
    assert collected.images.shape == (120, 28, 28, 1)
    assert collected.splits is not None
    assert [collected.splits.count(split) for split in SPLITS] == [50, 10, 60]
    assert collected.labels[:3] == ["t-shirt", "trouser", "pullover"]
    assert {split for split in collected.splits[60:]} == {"test"}


def test_a_damaged_member_is_named(write_package: WritePackage, tmp_path: Path) -> None:
    files = fashion_files()
    name = next(iter(files))
    for bad in (files[name][:-20], b"no gzip", gzip.compress(b"\1\1\1\1aaaa"), gzip.compress(b"")):
        path = write_package(tmp_path / "f.deb", {**files, name: bad})
        with pytest.raises(DatasetError, match="the train files are absent or damaged"):
            substitute_datasets.fashion_mnist([path])
    with pytest.raises(DatasetError, match="images have shape"):
        substitute_datasets.fashion_mnist(
            [write_package(tmp_path / "f.deb", {**files, name: idx(np.zeros((2, 2), np.uint8))})]
        )
    del files[name]
    with pytest.raises(DatasetError, match="absent or damaged"):
        substitute_datasets.fashion_mnist([write_package(tmp_path / "f.deb", files)])


def animal_files(images: object, labels: object) -> dict[str, bytes]:
    folder = "animal_mnist/data/Animal_MNIST/animal"
    return {
        f"{folder}_data_version_3.gz": gzip.compress(pickle.dumps(images)),
        f"{folder}_label_version_3.gz": gzip.compress(pickle.dumps(labels)),
    }


def test_animals_lose_their_duplicates(write_package: WritePackage, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(256, size=(12, 28, 28), dtype=np.uint8)
    images[7] = images[2]
    path = write_package(tmp_path / "a.whl", animal_files(images, np.arange(12) % 3))
    collected = substitute_datasets.animals([path])
    assert len(collected.images) == 11
    assert collected.keys == [str(at) for at in range(12) if at != 7]
    assert collected.labels[2] == "class-2"
    assert np.array_equal(collected.images[2, ..., 0], images[2])


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil"),))


@pytest.mark.parametrize("content", [Evil(), {"a": 1}, np.array([Evil()], dtype=object)])
def test_a_pickle_that_is_no_array_is_refused(
    write_package: WritePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_package(tmp_path / "a.whl", animal_files(content, np.arange(12)))
    with pytest.raises(DatasetError, match="the arrays are absent or damaged"):
        substitute_datasets.animals([path])
    assert not Path("evil").exists()


def emoji_package(write_package: WritePackage, path: Path, vendor: str) -> Path:
    entries = [
        {"image": "1f600.png", "category": "Smileys & Emotion", "unified": "1F600"},
        {"image": "1f3fb.png", "category": "Component", "unified": "1F3FB"},
    ]
    square = np.zeros((64, 64, 4), np.uint8)
    square[16:48, 16:48] = (255, 0, 0, 255)
    images = {f"package/img/{vendor}/64/{name}.png": png(square) for name in ("1f600", "1f3fb", "1f600-variant")}
    return write_package(path, {**images, "package/emoji.json": json.dumps(entries).encode()})


def test_emoji_lie_on_grey_and_are_grouped_by_code_point(write_package: WritePackage, tmp_path: Path) -> None:
    paths = [emoji_package(write_package, tmp_path / f"{vendor}.tgz", vendor) for vendor in ("google", "twitter")]
    collected = substitute_datasets.emoji(paths)
    assert collected.images.shape == (2, 28, 28, 3)
    assert collected.images[0, 0, 0].tolist() == [128, 128, 128]
    assert collected.images[0, 14, 14].tolist() == [255, 0, 0]
    assert collected.labels == ["Smileys & Emotion"] * 2
    assert collected.groups == ["1F600"] * 2
    assert collected.keys == ["google/1F600", "twitter/1F600"]
    with pytest.raises(DatasetError, match=r"emoji.json is absent or damaged"):
        substitute_datasets.emoji([write_package(tmp_path / "x.tgz", {"package/emoji.json": b"{"})] * 2)


def sprites(race: str, units: int, poses: int, size: int = 72, side: int = 36) -> dict[str, bytes]:
    root = "./usr/share/games/wesnoth/1.16/data/core/images/units"
    files = {}
    for unit in range(units):  # every unit in a colour of its own
        pixels = np.zeros((size, size, 4), np.uint8)
        pixels[:side, :side] = (255, 20 * unit, 0, 255)
        files |= {f"{root}/{race}/unit{chr(97 + unit)}-{pose}.png": png(pixels) for pose in range(poses)}
    return files


def test_wesnoth_keeps_large_races_and_whole_units(write_package: WritePackage, tmp_path: Path) -> None:
    files = {
        **sprites("orcs", 6, 17),
        **sprites("few-images", 6, 16),
        **sprites("few-units", 5, 30),
        **sprites("orcs/wolf", 1, 2, side=40),
        **sprites("empty", 10, 10, side=5),
        **sprites("full", 10, 10, side=72),
        **sprites("large", 10, 10, size=96),
    }
    collected = substitute_datasets.wesnoth([write_package(tmp_path / "w.deb", files)])
    assert set(collected.labels) == {"orcs"}
    assert len(collected.images) == 6 * 17 + 2
    assert set(collected.groups) == {f"orcs/unit{letter}" for letter in "abcdef"} | {"orcs/wolf"}
    broken = {**files, next(iter(files)): b"no image"}
    with pytest.raises(DatasetError, match="is no readable image"):
        substitute_datasets.wesnoth([write_package(tmp_path / "b.deb", broken)])


def test_groups_that_share_a_picture_are_one() -> None:
    a, b, c, d = (np.full((2, 2, 3), shade, np.uint8) for shade in range(4))
    groups = ["soulless", "zombie", "zombie", "ghast", "ghast", "bat", "bat"]
    joined = substitute_datasets.joined(groups, [a, a, b, b, c, d, d])
    assert joined == ["ghast"] * 5 + ["bat"] * 2  # soulless and ghast through the zombie
    images = np.stack([a, a, b, b, c, d, d])
    splits = split_by_group(["x"] * 7, joined, STAND_IN_SHARES)
    where = [{i.tobytes() for i, at in zip(images, splits, strict=True) if at == split} for split in set(splits)]
    assert len(where) > 1 and not set.intersection(*where)


def test_font_letters_are_drawn_large_and_grouped_by_family(write_package: WritePackage, tmp_path: Path) -> None:
    pyplot_fonts = pytest.importorskip("matplotlib.font_manager")
    font = Path(pyplot_fonts.findfont("DejaVu Sans"))
    files = {"./usr/share/fonts/truetype/aenigma/one.ttf": font.read_bytes()}
    collected = substitute_datasets.font_letters([write_package(tmp_path / "f.deb", files)])
    assert collected.images.shape == (26, 28, 28, 1)
    assert set(collected.groups) == {"dejavu"}
    assert "".join(collected.labels) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    letter_i, letter_h = collected.images[8, ..., 0], collected.images[7, ..., 0]
    assert letter_i[:, 14].min() > 200  # a bar from top to bottom …
    assert letter_i[:, :8].max() == 0  # … and nothing beside it
    assert letter_h[0].max() > 200  # touches the upper edge
    with pytest.raises(DatasetError, match="is no readable font"):
        substitute_datasets.font_letters([write_package(tmp_path / "f.deb", {"./a.ttf": b"no font"})])


# -- prepare and load


def test_a_package_becomes_a_cached_data_set(
    write_package: WritePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(256, size=(9716, 28, 28), dtype=np.uint8)
    path = write_package(tmp_path / "a.whl", animal_files(images, np.arange(9716) % 10))
    pinned = dataclasses.replace(PACKAGES["animals"][0], sha256=sha256(path))
    monkeypatch.setitem(PACKAGES, "animals", (pinned,))
    prepare("animals", [path])
    data = load_dataset("animals")
    assert len(data.classes) == 10
    assert sorted(len(data.labels[split]) for split in SPLITS) == pytest.approx([1943, 1943, 5830], abs=8)
    assert load_dataset("animals") is data

    fewer = write_package(tmp_path / "b.whl", animal_files(images[:100], np.arange(100) % 10))
    monkeypatch.setitem(PACKAGES, "animals", (dataclasses.replace(pinned, sha256=sha256(fewer)),))
    with pytest.raises(DatasetError, match="came out with 100 images, expected 9716"):
        prepare("animals", [fewer])
    assert load_dataset("animals").digest == data.digest  # the good one stands


def test_an_absent_data_set_says_what_to_run() -> None:
    with pytest.raises(DatasetError, match=r"'emoji' is not prepared .* python -m nasbench_rl.data prepare emoji"):
        load_dataset("emoji")
    with pytest.raises(UnknownNameError, match="did you mean 'emoji'"):
        load_dataset("emojis")


@pytest.mark.parametrize(
    "damage",
    ["cut", "flipped", "empty", "text", "other arrays", "one array", "flat", "old format", "other label", "floats"],
)
def test_a_damaged_cache_says_what_to_run(damage: str) -> None:
    pytest.importorskip("sklearn")
    path = prepare("digits")
    raw = path.read_bytes()
    if damage == "flipped":
        middle = len(raw) // 3
        path.write_bytes(raw[:middle] + bytes(255 - byte for byte in raw[middle : middle + 50]) + raw[middle + 50 :])
    elif damage == "other arrays":
        np.savez(path, x=np.zeros(3))
    elif damage == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif damage == "flat":
        with np.load(path) as held:
            np.savez(path, **{**held, "train_images": np.zeros(3)})
    elif damage in ("other label", "floats"):
        with np.load(path) as held:
            labels, images = held["train_labels"].copy(), held["train_images"]
            labels[0] = (labels[0] + 1) % 10
            changed = {"train_labels": labels} if damage == "other label" else {"train_images": images.astype("f4")}
            np.savez(path, **{**held, **changed})
    elif damage == "old format":
        np.savez(path, format=np.array(0))
    else:
        path.write_bytes({"cut": raw[: len(raw) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(DatasetError, match=r"python -m nasbench_rl.data prepare digits") as caught:
        load_dataset("digits")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("default")  # as a user has them
def test_no_flipped_bit_and_no_cut_ends_in_anything_but_that_line() -> None:
    """One bit that is wrong may lie where it means nothing, such as in a date; then the data are what they were."""
    pytest.importorskip("sklearn")
    whole, path = load_dataset("digits"), dataset_path("digits")
    raw, rng = path.read_bytes(), np.random.default_rng(0)
    directory = raw.index(b"PK\x01\x02")  # of zip: names, sizes, ways of compression, flags
    headers = [8 * byte + bit for byte in range(directory, directory + 46) for bit in range(8)]
    damaged = [raw[: int(size)] for size in rng.integers(len(raw), size=20)]
    for at in (*headers, *rng.integers(8 * directory, 8 * len(raw), size=100), *rng.integers(8 * len(raw), size=100)):
        flipped = bytearray(raw)
        flipped[at // 8] ^= 1 << (at % 8)
        damaged.append(bytes(flipped))
    refused: set[str] = set()
    for content in damaged:
        path.write_bytes(content)
        images.read_dataset.cache_clear()
        try:
            data = load_dataset("digits")
        except DatasetError as error:
            refused.add(str(error))
        else:
            assert data.digest == make_dataset("digits", data.classes, data.images, data.labels).digest == whole.digest
            assert data.classes == whole.classes
    assert len(refused) > 3
    for line in refused:
        assert "\n" not in line and "python -m nasbench_rl.data prepare digits" in line


def test_preparing_needs_pillow(write_package: WritePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [emoji_package(write_package, tmp_path / f"{vendor}.tgz", vendor) for vendor in ("google", "twitter")]
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"nasbench-rl\[nsc\]"):
        substitute_datasets.emoji(paths)


# -- the paper's data sets, from folders


@pytest.fixture
def few_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the data set of 5,640 images had 282."""
    info = dataclasses.replace(get_dataset_info("dtd"), images=47 * 6)
    monkeypatch.setattr(preparation, "get_dataset_info", lambda name: info)


def make_folder(root: Path, classes: int, images: int) -> Path:
    for label in range(classes):
        (root / f"class{label:03d}").mkdir(parents=True)
        for at in range(images):
            pixels = np.full((10 + at, 12, 3), (label * 5) % 256, np.uint8)
            (root / f"class{label:03d}" / f"{at}.png").write_bytes(png(pixels))
    (root / "readme.txt").write_text("no class")
    return root


@pytest.mark.usefixtures("few_textures")
def test_a_folder_becomes_84_by_84_with_a_third_held_out(tmp_path: Path) -> None:
    prepare("dtd", folder=make_folder(tmp_path / "mine", classes=47, images=6))
    data = load_dataset("dtd")
    assert data.shape == (84, 84, 3)
    assert [len(data.labels[split]) for split in SPLITS] == [47 * 4, 47, 47]
    label = int(data.labels["test"][0])
    assert set(np.unique(data.images["test"][0])) == {label * 5}


@pytest.mark.usefixtures("few_textures")
def test_the_default_folder_is_in_the_cache() -> None:
    make_folder(image_folders.default_folder("dtd"), classes=47, images=6)
    assert prepare("dtd") == dataset_path("dtd")


@pytest.mark.parametrize("name", PAPER_DATASETS)
def test_an_absent_folder_says_what_to_put_where(name: str) -> None:
    info = DATASETS[name]
    with pytest.raises(DatasetError) as caught:
        prepare(name)
    for part in (
        str(image_folders.default_folder(name)),
        f"{info.classes} sub-folders",
        str(info.images),
        "--folder PATH",
    ):
        assert part in str(caught.value)


def test_a_wrong_folder_is_explained(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", classes=46, images=1)
    with pytest.raises(DatasetError, match="has 46 sub-folders; 'dtd' needs 47"):
        prepare("dtd", folder=folder)
    with pytest.raises(DatasetError, match="needs 1623 sub-folders.*a character of an alphabet is a class"):
        prepare("omniglot", folder=folder)


@pytest.mark.usefixtures("few_textures")
def test_wrong_images_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder(tmp_path / "mine", classes=46, images=6)
    (folder / "last").mkdir()
    (folder / "last" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"broken.jpg is no readable image"):
        prepare("dtd", folder=folder)
    (folder / "last" / "broken.jpg").unlink()
    with pytest.raises(DatasetError, match="has 46 classes|no image of class"):
        prepare("dtd", folder=folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(DatasetError, match=r"0.png is no readable image \(.*decompression bomb"):
        prepare("dtd", folder=folder)
    with pytest.raises(DatasetError, match=r"some.png is no readable image \(.*decompression bomb"):
        substitute_datasets._open(png(np.zeros((10, 10, 3), np.uint8)), tmp_path / "x.deb", "some.png")


@pytest.mark.usefixtures("few_textures")
@pytest.mark.parametrize(("missing", "refused"), [(28, False), (29, True)])
def test_a_folder_with_far_fewer_images_than_the_data_set_is_refused(
    missing: int, refused: bool, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "mine", classes=47, images=6)
    for path in sorted(folder.glob("*/5.png"))[:missing]:
        path.unlink()
    if not refused:  # 254 of 282 are 90.07 %
        assert prepare("dtd", folder=folder).is_file()
        return
    with pytest.raises(DatasetError, match=r"mine holds 253 images; 'dtd' has 282 .* at least 90%"):
        prepare("dtd", folder=folder)
    assert not dataset_path("dtd").exists()


def test_a_cache_that_cannot_be_written_says_where_another_may_lie(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    cache.write_text("no folder")
    with pytest.raises(DatasetError, match=r"digits.npz cannot be written \(.*\); set NASBENCH_RL_DATA") as caught:
        load_dataset("digits")
    assert str(cache) in str(caught.value) and "\n" not in str(caught.value)
    cache.unlink()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DatasetError, match=r"cannot be written \(No space left on device\)"):
        load_dataset("digits")
    assert list(cache.iterdir()) == []


def test_options_that_do_not_apply_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="comes from no package"):
        prepare("dtd", files=[tmp_path / "x.deb"])
    with pytest.raises(InvalidValueError, match="not read from a folder"):
        prepare("emoji", folder=tmp_path)
