"""How the quality of a surrogate is measured, and the command that fits one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.images import QUICK, TASK, made_folder, made_rows

from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.build import surrogate_report
from nasbench_rl.build.surrogate_quality import (
    GROUPINGS,
    HeldOut,
    group_of,
    hold_out,
    noise_ceilings,
    quality,
    r_squared,
)
from nasbench_rl.errors import InvalidValueError, NasbenchError, UnknownNameError
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.task import ImageTask, get_task


def held_out(rows: pd.DataFrame, grouping: str = "layers") -> HeldOut:
    return hold_out(TASK, rows, np.random.default_rng(0), grouping=grouping, folds=3, options=QUICK)


def made_held_out(error: np.ndarray, deviation: np.ndarray) -> HeldOut:
    """Guesses that are wrong by ``error``, in three folds."""
    count, epochs = len(error), len(TASK.fidelities)
    true = np.tile(np.linspace(0.2, 0.8, count)[:, None], epochs)
    both = {split: true for split in ("validation", "test")}
    wrong = {split: true + error[:, None] for split in both}
    spread = {split: np.tile(deviation[:, None], epochs) for split in both}
    names = tuple(f"a{number}" for number in range(count))
    return HeldOut(TASK, "random", names, np.arange(count) % 3, wrong, spread, both)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grouping", "together"),
    [
        ("layers", [["conv3 maxpool2 conv1", "conv1 conv3 maxpool2"], ["conv3 conv3", "conv3"]]),
        ("prefix", [["conv3 maxpool2 conv1", "conv3 maxpool2", "conv3 maxpool2 conv5"], ["maxpool2 conv3", "conv3"]]),
        ("random", [["conv3"], ["conv3 conv3", "conv3 conv1"]]),
    ],
)
def test_what_is_held_out_together(grouping: str, together: Sequence[Sequence[str]]) -> None:
    joined, apart = together
    assert len({group_of(TASK, arch, grouping) for arch in joined}) == 1
    assert len({group_of(TASK, arch, grouping) for arch in apart}) == 2


def test_wiring_does_not_part_networks_of_the_same_layers() -> None:
    task = get_task("nsc-multibranch/font-letters@lite")
    assert isinstance(task, ImageTask)
    chain, branches = "conv3 | maxpool2", "maxpool2 | conv3@0"
    assert group_of(task, chain, "layers") == group_of(task, branches, "layers")
    merged = "conv3 | maxpool2 | add(1,2)"
    assert group_of(task, merged, "layers") == group_of(task, chain, "layers"), "a mutation away"


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'layers'"):
        group_of(TASK, "conv3", "layer")


@pytest.mark.parametrize("grouping", ["layers", "prefix"])
def test_no_group_is_both_trained_on_and_held_out(grouping: str) -> None:
    rows = made_rows()
    found = held_out(rows, grouping)
    fold_of = dict(zip(found.archs, found.fold.tolist(), strict=True))
    assert set(fold_of) == set(rows["arch"])
    folds = pd.Series(fold_of).groupby(lambda arch: group_of(TASK, arch, grouping)).nunique()
    assert (folds == 1).all() and len(folds) < len(fold_of)
    assert set(np.bincount(found.fold) > 0.2 * len(fold_of)) == {True}


def test_the_guess_has_not_seen_what_is_held_out() -> None:
    rows = made_rows(depth=2)
    noise = dict(zip(rows["arch"].unique(), np.random.default_rng(0).random(len(rows)), strict=False))
    blind = held_out(rows.assign(test_accuracy=rows["arch"].map(noise)), "random")
    assert r_squared(blind.mean["test"][:, -1], blind.true["test"][:, -1]) < 0.1


def test_the_truth_is_the_mean_over_train_seeds() -> None:
    rows = made_rows(depth=2, repeated=15)
    found = held_out(rows)
    mean = rows[rows["fidelity"] == 12].groupby("arch")["validation_accuracy"].mean()
    np.testing.assert_allclose(found.true["validation"][:, -1], mean[list(found.archs)])


def test_more_folds_than_groups_are_refused() -> None:
    rows = made_rows(depth=2)
    with pytest.raises(InvalidValueError, match="1000 folds of"):
        hold_out(TASK, rows, np.random.default_rng(0), folds=1000, options=QUICK)


def test_calibrated_spreads_hold_two_thirds() -> None:
    rng = np.random.default_rng(0)
    deviation = rng.uniform(0.01, 0.1, 3000)
    found = made_held_out(5 * deviation * rng.normal(size=3000), deviation)
    assert found.factors("test")[-1] == pytest.approx(5, rel=0.05)
    assert np.mean(found.calibrated("test") <= 1) == pytest.approx(0.683, abs=0.03)
    assert np.mean(found.calibrated("test") <= 2) == pytest.approx(0.954, abs=0.02)


def test_chains_do_not_calibrate_the_spread_of_what_is_no_chain() -> None:
    task = get_task("nsc-multibranch/font-letters@lite")
    merged = [
        f"{first} | {second}@0 | add(1,2)" for first in ("conv1", "conv3", "conv5") for second in ("conv1", "maxpool2")
    ]
    names = tuple(task.space.parse(arch).name for arch in ["conv1", "conv3", "conv5 | conv1", *merged])
    error = np.where(["add" in name for name in names], 0.3, 0.01)
    found = replace(made_held_out(error, np.full(len(names), 0.1)), task=task, archs=names)
    assert found.judged.sum() == len(merged)
    assert found.factors("test")[-1] == pytest.approx(3)
    in_one_fold = replace(found, fold=found.judged.astype(np.int64))
    assert in_one_fold.factors("test", without=1)[-1] == pytest.approx(0.1)
    assert np.isfinite(in_one_fold.calibrated("test")).all()


def test_a_fold_does_not_calibrate_itself() -> None:
    error = np.where(np.arange(300) % 3 == 0, 1.0, 0.1)
    found = made_held_out(error, np.full(300, 0.1))
    assert found.factors("test", without=0)[-1] == pytest.approx(1)
    assert found.calibrated("test")[found.fold == 0] == pytest.approx(10)


def test_r_squared() -> None:
    true = np.array([0.0, 1.0, 2.0, 3.0])
    assert r_squared(true, true) == 1
    assert r_squared(np.full(4, 1.5), true) == 0
    assert r_squared(true[::-1], true) == -3
    assert math.isnan(r_squared(true, np.ones(4)))


def measured(noise: float, repeated: int, count: int = 400) -> pd.DataFrame:
    """Accuracies spread with standard deviation 0.1, of which some are measured thrice."""
    rng = np.random.default_rng(0)
    true = 0.6 + 0.1 * rng.normal(size=count)
    cells = [(at, seed) for at in range(count) for seed in range(3 if at < repeated else 1)]
    rows = [(f"a{at:03}", seed, true[at] + noise * rng.normal()) for at, seed in cells]
    return pd.DataFrame(rows, columns=["arch", "seed", "test_accuracy"])


def test_the_ceiling_is_what_noise_leaves() -> None:
    found = noise_ceilings(measured(0.05, repeated=200), "test", np.random.default_rng(0))
    assert found["noise"] == pytest.approx(0.05, rel=0.1)
    share = 0.5 * 0.05**2 / 3 + 0.5 * 0.05**2  # half of the means are over three seeds
    assert found["r2"] == pytest.approx(1 - share / (0.01 + share), abs=0.04)
    correlation = math.sqrt(found["r2"])
    assert found["tau"] == pytest.approx(2 / math.pi * math.asin(correlation), abs=0.04)  # Greiner's relation


def test_without_noise_the_ceiling_is_perfect() -> None:
    found = noise_ceilings(measured(0.0, repeated=40), "test", np.random.default_rng(0))
    assert (found["r2"], found["tau"]) == pytest.approx((1, 1))
    assert found["noise"] == pytest.approx(0, abs=1e-12)


def test_too_few_repeated_trainings_tell_no_ceiling() -> None:
    found = noise_ceilings(measured(0.05, repeated=9), "test", np.random.default_rng(0))
    assert all(map(math.isnan, found.values()))


def test_quality_tells_a_good_guess_from_a_bad_one() -> None:
    rng, rows = np.random.default_rng(0), made_rows(depth=2, repeated=20)
    deviation = np.full(300, 0.02)
    good, bad = (made_held_out(noise * rng.normal(size=300), deviation) for noise in (0.02, 0.2))
    table = quality([good, bad], rows, rng)
    assert table["split"].tolist() == ["validation", "test"] * 2
    assert (table["r2"].iloc[:2] > 0.9).all() and (table["r2"].iloc[2:] < 0.5).all()
    assert (table["tau"].iloc[:2] > table["tau"].iloc[2:].max()).all()
    assert table["mae"].iloc[0] == pytest.approx(0.02 * math.sqrt(2 / math.pi), rel=0.1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with small ensembles."""
    monkeypatch.setattr("nasbench_rl.benchmark.surrogate_model.ensemble.SurrogateOptions", lambda: QUICK)


@pytest.mark.usefixtures("quick")
def test_the_command_measures_draws_and_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = made_folder(tmp_path / "tables", made_rows(depth=2, repeated=12)), tmp_path / "out"
    arguments = [TASK.id, "--tables", str(folder), "--out", str(out), "--folds", "3"]
    assert surrogate_report.surrogate_command(arguments) == 0
    printed = capsys.readouterr().out
    assert TASK.id in printed and "tau_ceiling" in printed
    loaded = Surrogate.load(folder, TASK)
    assert loaded.info.table_sha256 == read_manifest(folder)[table_io.table_name(TASK)].sha256
    written = pd.read_csv(out / "quality.csv")
    assert sorted(set(written["grouping"])) == sorted(GROUPINGS)
    kept = pd.DataFrame(list(loaded.info.quality))
    np.testing.assert_allclose(kept["r2"].astype(float), written["r2"])
    assert len(list(out.glob("surrogate.nsc-chain.digits.lite.*.png"))) == 3
    assert all(0 < factor < 100 for factors in loaded.info.spread_factors.values() for factor in factors)
    first = (folder / "surrogate" / "nsc-chain.digits.lite" / "test-0.txt").read_bytes()
    assert surrogate_report.surrogate_command(arguments) == 0
    assert (folder / "surrogate" / "nsc-chain.digits.lite" / "test-0.txt").read_bytes() == first


@pytest.mark.usefixtures("quick")
def test_without_repeated_trainings_the_ceiling_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made_folder(tmp_path, made_rows(depth=2))
    assert surrogate_report.surrogate_command([TASK.id, "--tables", str(folder), "--folds", "2"]) == 0
    assert "–" in capsys.readouterr().out
    assert Surrogate.load(folder, TASK).info.quality[0]["r2_ceiling"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["minatar-ss1/breakout@lite"], "has no surrogate"),
        (["nsc-chain/digits@lite"], "has 0 trained architectures"),
        (["nsc-chain/digits@lite", "--seed", "-1"], "seed -1 is negative"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(NasbenchError, match=message):
        surrogate_report.surrogate_command([*arguments, "--tables", str(tmp_path)])
