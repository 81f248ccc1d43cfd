"""``python -m nasbench_rl.data``."""

from pathlib import Path

import pytest

from nasbench_rl._utils import cli
from nasbench_rl.data import command, package_sources
from nasbench_rl.task.images import DATASETS, STAND_INS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASBENCH_RL_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> int:
    return cli.run(command.main, arguments)


def test_list_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in DATASETS)


def test_prepare_and_status(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    pytest.importorskip("sklearn")
    assert run("prepare", "digits") == 0
    assert "1,078 train, 362 validation, 357 test images of 8x8x1 in 10 classes" in capsys.readouterr().out
    (cache / "emoji.npz").write_bytes(b"damaged")
    assert run("status") == 0
    shown = capsys.readouterr().out
    assert "ready" in shown
    assert "damaged" in shown
    assert "not prepared" in " ".join(shown.replace("│", " ").split())


def test_package_files_go_to_the_data_sets_that_come_from_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {}
    monkeypatch.setattr(command, "_prepare", lambda name, files, folder: given.update({name: list(files)}))
    monkeypatch.setattr(command, "check_files", lambda files, names: None)
    package = tmp_path / "google.tgz"
    assert run("prepare", "all", "--package-file", str(package)) == 0
    assert given == {name: [] if name == "digits" else [package] for name in STAND_INS}


def test_a_damaged_package_file_is_refused_and_nothing_fetched_in_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its name: Debian's mirrors drop the epoch that apt keeps."""
    monkeypatch.setattr(package_sources, "fetch", lambda package, folder: pytest.fail("fetched"))
    short = tmp_path / "wesnoth-1.16-data_1.16.9-1_all.deb"
    short.write_bytes(b"cut short")
    assert run("prepare", "digits", "wesnoth", "--package-file", str(short)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "is damaged or another package" in said and "1012b964bd41" in said


def test_a_package_file_that_no_named_data_set_takes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prepare", "digits", "--package-file", "google.tgz") == 2
    assert "'digits' comes from no package" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NASBENCH_RL_DATA", str(tmp_path / "file" / "cache"))
    assert run("prepare", "digits") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ")
    for part in (str(tmp_path / "file" / "cache" / "digits.npz"), "Not a directory", "NASBENCH_RL_DATA"):
        assert part in said


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    assert "python -m nasbench_rl.data prepare fashion-mnist" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "required"),
        (("prepare",), "prepare needs a name; allowed: all, fashion-mnist"),
        (("prepare", "emojy"), "did you mean 'emoji'?"),
        (("prepare", "digits", "emojy"), "did you mean 'emoji'?"),
        (("prepare", "omniglot"), "1623 sub-folders, one per class"),
        (("prepare", "emoji", "--package-file", "absent.tgz"), "no package file at absent.tgz"),
        (("list", "digits"), "list takes no further arguments"),
        (("fetch",), "invalid choice"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], cache: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert says in " ".join(said.split())
    assert said.startswith("error: ")
    assert not cache.exists()
