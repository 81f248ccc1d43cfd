"""Reading the experiments of the original nasgym."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasbench_rl._utils import cli
from nasbench_rl.data.nasgym import COLUMNS, main, read_experiments
from nasbench_rl.errors import TableError
from nasbench_rl.spaces.nsc.space import nsc_space
from nasbench_rl.tables.parquet import read_frame

CHAIN = [[1, 1, 3, 0, 0], [2, 2, 2, 1, 0]]
BRANCHED = [[1, 1, 3, 0, 0], [2, 2, 2, 0, 0], [3, 6, 0, 1, 2], [4, 7, 0, 0, 0]]


def nasgym_file(path: Path, states: list[list[list[int]]]) -> Path:
    """Written as nasgym does: pandas puts the state's NumPy text into a cell."""
    rows = []
    for number, layers in enumerate(states):
        state = np.zeros((10, 5), dtype=np.int32)
        if layers:
            state[-len(layers) :] = layers
        text = "".join("{}-{}-{}-{};".format(*layer[:4]) for layer in state)
        rows.append(
            {"dataset-nethash": f"vgg-flower-{hashlib.md5(text.encode()).hexdigest()}", "netstring": state,
             "reward": 40.0 + number, "accuracy": 0.415, "density": 1.5, "flops": 1e6,
             "timestamp": "2019-06-01 12:00:00", "running_time": 33, "is_valid": True}
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


MULTI = nsc_space("nsc-multibranch")


def changed(path: Path, **columns: object) -> Path:
    """The file with other values in its second row."""
    frame = pd.read_csv(path).astype(object)
    frame.loc[1, list(columns)] = list(columns.values())
    frame.to_csv(path, index=False)
    return path


def test_networks_get_this_project_s_names(tmp_path: Path) -> None:
    swapped = [[1, 2, 2, 0, 0], [2, 1, 3, 0, 0], [3, 6, 0, 2, 1]]
    frame, faults = read_experiments(nasgym_file(tmp_path / "db.csv", [CHAIN, BRANCHED, swapped]), MULTI)
    assert not faults and tuple(frame.columns) == COLUMNS
    assert frame["arch"].tolist()[:2] == [MULTI.parse(CHAIN).name, MULTI.parse(BRANCHED).name]
    assert frame["arch"].nunique() == 2, "isomorphic networks are one architecture"
    assert frame["data"].unique().tolist() == ["vgg-flower"], "a data set's own name may hold a hyphen"
    assert set(frame["accuracy"]) == {0.415} and frame["reward"].tolist() == [0.40, 0.41, 0.42]


def test_rows_without_a_network_of_the_space_or_a_data_set_are_left_out(tmp_path: Path) -> None:
    path = nasgym_file(tmp_path / "db.csv", [[], CHAIN, BRANCHED])
    frame, faults = read_experiments(path, nsc_space("nsc-chain"))
    assert len(frame) == 1 and len(faults) == 2 and faults[0].startswith("row 1:") and faults[1].startswith("row 3:")
    path = changed(nasgym_file(path, [CHAIN, BRANCHED]), **{"dataset-nethash": "0123456789abcdef"})
    found, faults = read_experiments(path, MULTI)
    assert len(found) == 1 and "row 2: '0123456789abcdef' names no data set" in faults[0]


@pytest.mark.parametrize("column", ["netstring", "accuracy"])
def test_a_missing_column_is_named(column: str, tmp_path: Path) -> None:
    path = nasgym_file(tmp_path / "db.csv", [CHAIN])
    pd.read_csv(path).rename(columns={column: f"{column}s"}).to_csv(path, index=False)
    with pytest.raises(TableError, match=f"'{column}' is missing.*has '{column}s'"):
        read_experiments(path, nsc_space("nsc-chain"))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("accuracy", 41.5, r"accuracy in row 2 is 41.5; allowed: 0 … 1"),
        ("accuracy", -0.1, r"accuracy in row 2 is -0.1; allowed: 0 … 1"),
        ("accuracy", None, r"accuracy in row 2 is empty"),
        ("is_valid", None, r"is_valid in row 2 is empty; allowed: True or False"),
    ],
)
def test_a_figure_that_would_be_misread_is_refused(column: str, value: object, said: str, tmp_path: Path) -> None:
    path = changed(nasgym_file(tmp_path / "db.csv", [CHAIN, BRANCHED]), **{column: value})
    with pytest.raises(TableError, match=said):
        read_experiments(path, MULTI)


def test_a_network_that_could_not_be_built_is_not_valid(tmp_path: Path) -> None:
    path = nasgym_file(tmp_path / "db.csv", [CHAIN, BRANCHED])
    nothing = dict.fromkeys(("reward", "accuracy", "density", "flops"), 0.0)
    found, _ = read_experiments(changed(path, **nothing, is_valid=False), MULTI)
    assert found["is_valid"].tolist() == [True, False] and found["accuracy"].tolist() == [0.415, 0.0]


def test_the_command_writes_a_file_and_ends_in_one_line_for_a_bad_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, path = tmp_path / "out.parquet", nasgym_file(tmp_path / "db.csv", [CHAIN, BRANCHED])
    assert cli.run(main, [str(path), "--out", str(out)]) == 0 and len(read_frame(out)) == 2
    assert "2 experiments on 2 networks (vgg-flower 2), 0 rows left out" in capsys.readouterr().out
    out.unlink()
    path.write_text(path.read_text().replace("0.415", "much"))
    for bad in (path, tmp_path / "absent.csv"):
        assert cli.run(main, [str(bad), "--out", str(out)]) == 2
    assert not out.exists() and capsys.readouterr().err.count("error:") == 2


def test_a_space_of_its_own_file_reads_what_the_built_in_ones_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """nasgym's own nasenv.yml has pools of size 1, which neither space of this package has."""
    space = tmp_path / "theirs.toml"
    built_in = (resources.files("nasbench_rl.spaces.nsc") / "nsc_multibranch.toml").read_text()
    space.write_text(built_in.replace("[2, 3]", "[1, 3]").replace('"nsc-multibranch"', '"theirs"'))
    path, out = nasgym_file(tmp_path / "db.csv", [[[1, 1, 3, 0, 0], [2, 2, 1, 1, 0]]]), tmp_path / "out.parquet"
    assert cli.run(main, [str(path), "--out", str(out)]) == 2
    shown = capsys.readouterr().err
    assert "maxpool cannot have size 1" in shown and "as a network of nsc-multibranch" in shown and not out.exists()
    assert cli.run(main, [str(path), "--space", str(space), "--out", str(out)]) == 0
    assert read_frame(out)["arch"].tolist() == ["conv3 | maxpool1"]
