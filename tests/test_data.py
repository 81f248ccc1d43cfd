"""``python -m nasbench_rl.data``."""

from pathlib import Path

import pytest

from nasbench_rl import cli, data
from nasbench_rl.recipes_nsc import DATASETS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASBENCH_RL_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> int:
    return cli.run(data.main, arguments)


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
