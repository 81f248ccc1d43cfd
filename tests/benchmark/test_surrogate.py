"""The surrogate: what it learns, what it refuses, and its files."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.images import QUICK, TASK, made_folder, made_rows, true_accuracy

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate, check_enough, surrogate_folder
from nasbench_rl.benchmark.surrogate_model.info import METADATA
from nasbench_rl.build import latency, surrogate_report
from nasbench_rl.errors import (
    InvalidArchitectureError,
    InvalidValueError,
    MissingExtraError,
    RecipeMismatchError,
    TableError,
)
from nasbench_rl.tables.manifest import read_manifest, register
from nasbench_rl.tables.schemas import KEY
from nasbench_rl.task import ImageTask, get_task

VANISHES = "maxpool3 maxpool3"
DEEPER = ["conv3 conv1 conv1 maxpool2", "maxpool2 conv1 conv3 conv1", "conv1 conv5 conv1 conv1"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return made_rows()


def fit(rows: pd.DataFrame, seed: int = 0, **options: object) -> Surrogate:
    return Surrogate.fit(TASK, rows, np.random.default_rng(seed), **{"options": QUICK, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted(rows: pd.DataFrame) -> Surrogate:
    return fit(rows, table_sha256="abc", quality=[{"grouping": "layers", "r2": 0.9, "r2_ceiling": None}])


def texts(surrogate: Surrogate) -> list[str]:
    return [member.model_to_string() for members in surrogate._members.values() for member in members]


def test_held_out_chains_are_guessed(rows: pd.DataFrame) -> None:
    archs = rows["arch"].unique()
    out = np.random.default_rng(1).permutation(archs)[:50].tolist()
    mean, spread = fit(rows[~rows["arch"].isin(out)]).predict(out)
    true = np.array([true_accuracy(arch, TASK.max_fidelity) for arch in out])
    assert 1 - np.mean((mean - true) ** 2) / np.var(true) > 0.9
    assert (spread > 0).all() and (spread < 0.2).all()


def test_lower_epochs_are_answered(fitted: Surrogate) -> None:
    first, _ = fitted.predict(DEEPER[2:], 1)
    last, _ = fitted.predict(DEEPER[2:])
    assert first[0] == pytest.approx(last[0] / 2, abs=0.15)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_curves_are_the_guesses_of_every_epoch(fitted: Surrogate, split: str) -> None:
    mean, spread = fitted.curves([*DEEPER, VANISHES], split)  # type: ignore[arg-type]
    assert mean.shape == spread.shape == (4, 12)
    for at, epoch in enumerate(TASK.fidelities):
        one_mean, one_spread = fitted.predict([*DEEPER, VANISHES], epoch, split)  # type: ignore[arg-type]
        np.testing.assert_array_equal(one_mean, mean[:, at])
        np.testing.assert_array_equal(one_spread, spread[:, at])


def test_a_network_that_vanishes_is_worth_nothing(fitted: Surrogate) -> None:
    mean, spread = fitted.predict([DEEPER[0], VANISHES, DEEPER[1]])
    assert mean[1] == spread[1] == 0
    alone, _ = fitted.predict([DEEPER[0], DEEPER[1]])
    np.testing.assert_array_equal(mean[[0, 2]], alone)
    assert (alone > 0.1).all()
    assert fitted.predict([VANISHES])[0].tolist() == [0.0]
    assert fitted.predict([])[0].shape == (0,)


def test_one_architecture_in_all_its_forms(fitted: Surrogate) -> None:
    text = "conv3 maxpool2"
    forms = [text, TASK.space.parse(text), [[1, 1, 3, 0, 0], [2, 2, 2, 1, 0]]]
    assert len(set(fitted.predict(forms)[0].tolist())) == 1


def test_a_guess_is_a_share() -> None:
    rows = made_rows(noise=0.0).assign(test_accuracy=lambda table: (table["test_accuracy"] > 0.5).astype(float))
    mean, _ = fit(rows).predict(rows["arch"].unique().tolist())
    assert mean.min() >= 0 and mean.max() <= 1


def test_validation_never_sees_test_accuracies(rows: pd.DataFrame, fitted: Surrogate) -> None:
    shuffled = rows.assign(test_accuracy=np.random.default_rng(0).random(len(rows)))
    np.testing.assert_array_equal(
        fit(shuffled).predict(DEEPER, split="validation")[0], fitted.predict(DEEPER, split="validation")[0]
    )
    assert not np.array_equal(fit(shuffled).predict(DEEPER)[0], fitted.predict(DEEPER)[0])


def test_a_fit_depends_on_the_seed_alone(rows: pd.DataFrame, fitted: Surrogate) -> None:
    assert texts(fit(rows.sample(frac=1, random_state=3))) == texts(fitted)
    assert texts(fit(rows, seed=1)) != texts(fitted)
    assert len(set(texts(fitted))) == 2 * QUICK.members


def test_one_member_in_turn_is_fitted_without_an_architecture(rows: pd.DataFrame, fitted: Surrogate) -> None:
    for arch in rows["arch"].unique()[:5]:
        altered = rows.assign(validation_accuracy=rows["validation_accuracy"].where(rows["arch"] != arch, 0.0))
        changed = np.array(texts(fit(altered))) != np.array(texts(fitted))
        assert changed[: QUICK.members].sum() == QUICK.members - 1
        assert not changed[QUICK.members :].any()


def test_an_ensemble_of_one_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="2, 3"):
        replace(QUICK, members=1)


def test_a_row_weighs_as_much_as_its_epoch(rows: pd.DataFrame) -> None:
    """A tree that may not split guesses the weighted mean of all rows."""
    two = rows[rows["fidelity"].isin([1, 12])]
    flat = two.assign(validation_accuracy=np.where(two["fidelity"] == 12, 0.9, 0.1))
    whole = replace(QUICK, trees=1, learning_rate=1.0, fewest_rows=len(flat))
    guesses, _ = fit(flat, options=whole).predict(DEEPER, split="validation")
    np.testing.assert_allclose(guesses, (12 * 0.9 + 0.1) / 13, rtol=1e-3)


def test_spread_factors_scale_the_spread_of_their_epoch(rows: pd.DataFrame, fitted: Surrogate) -> None:
    factors = {"validation": [1.0] * 12, "test": [1.0] * 11 + [3.0]}
    scaled = fit(rows, spread_factors=factors)
    np.testing.assert_allclose(scaled.predict(DEEPER)[1], 3 * fitted.predict(DEEPER)[1])
    np.testing.assert_array_equal(scaled.predict(DEEPER, 11)[1], fitted.predict(DEEPER, 11)[1])
    np.testing.assert_array_equal(scaled.predict(DEEPER)[0], fitted.predict(DEEPER)[0])


def test_a_search_can_ask_one_at_a_time(fitted: Surrogate) -> None:
    arch, best = TASK.space.parse(DEEPER[0]), 1.0
    for _ in range(20):
        start = time.process_time()
        fitted.predict([arch])
        best = min(best, time.process_time() - start)
    assert best < 0.005  # about 0.3 ms for these four members, 0.7 ms for ten


def test_saved_and_loaded_it_guesses_the_same(fitted: Surrogate, tmp_path: Path) -> None:
    own = fitted.save(tmp_path)
    loaded = Surrogate.load(tmp_path, TASK)
    for split in ("validation", "test"):
        for one, other in zip(fitted.curves(DEEPER, split), loaded.curves(DEEPER, split), strict=True):  # type: ignore[arg-type]
            np.testing.assert_array_equal(one, other)
    assert loaded.info == fitted.info
    assert (loaded.info.table_sha256, loaded.info.rows) == ("abc", len(made_rows()))
    assert own == tmp_path / "surrogate" / "nsc-chain.digits.lite"
    assert sorted(path.suffix for path in own.iterdir()) == [".json"] + [".txt"] * 8
    assert read_manifest(tmp_path)["surrogate/nsc-chain.digits.lite/surrogate.json"].rows == fitted.info.rows


def test_a_smaller_ensemble_leaves_nothing_of_a_larger_one(rows: pd.DataFrame, tmp_path: Path) -> None:
    fit(rows).save(tmp_path)
    own = fit(rows, options=replace(QUICK, members=2)).save(tmp_path)
    assert len(list(own.glob("*.txt"))) == 4
    assert Surrogate.load(tmp_path, TASK).info.options.members == 2


def test_an_absent_surrogate_says_how_to_fit_one(tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match="has no surrogate of nsc-chain/digits@lite; fit it: .*build surrogate nsc-chain/digits@lite"
    ):
        Surrogate.load(tmp_path, TASK)


def test_commands_in_messages_name_the_folder_that_the_user_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    named = tmp_path / "my tables"
    named.mkdir()
    into = f" --tables '{named}'"
    with pytest.raises(TableError) as caught:
        Surrogate.load(named, TASK, named)
    commands = str(caught.value).split("fit it: ")[1].split(" && ")
    train, fit_it = (f"python -m nasbench_rl.build {what}{into}" for what in (TASK.built_by, f"surrogate {TASK.id}"))
    assert commands == [train, fit_it]
    made_folder(named, rows[:12])
    with pytest.raises(TableError, match=re.escape(f"fit it: {fit_it}") + "$"):
        load(TASK.id, mode="surrogate", tables=named)
    with pytest.raises(InvalidValueError, match=re.escape(train) + "$"):
        surrogate_report.build(TASK, named, 0, 2, None, str(named))
    with pytest.raises(TableError, match=re.escape(into)):
        latency.networks(get_task("nsc-chain/emoji@lite"), named, str(named))


def test_the_command_for_a_surrogate_of_too_few_says_how_to_train_more(
    rows: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_folder(tmp_path / "mine", rows[:12])
    assert cli.run(surrogate_report.surrogate_command, [TASK.id, "--tables", str(folder)]) == 2
    assert capsys.readouterr().err.strip().endswith(f"--tables {folder}")


def edit(own: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the metadata and let the manifest agree."""
    raw = json.loads((own / METADATA).read_text())
    change(raw)
    (own / METADATA).write_text(json.dumps(raw))
    register(own.parent.parent, f"surrogate/{own.name}/{METADATA}", 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda raw: raw.update(task_digest="other"), RecipeMismatchError, "fitted on recipe other"),
        (lambda raw: raw["features"].append("hue"), TableError, r"other features .*\(hue\)"),
        (lambda raw: raw["features"].reverse(), TableError, "their order"),
        (lambda raw: raw.update(format=0), TableError, "has format 0"),
        (lambda raw: raw.pop("features"), TableError, "does not describe a surrogate"),
        (lambda raw: raw.update(hue=1), TableError, "does not describe a surrogate"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    fitted: Surrogate,
    tmp_path: Path,
    change: Callable[[dict[str, object]], object],
    error: type[Exception],
    message: str,
) -> None:
    edit(fitted.save(tmp_path), change)
    with pytest.raises(error, match=message + ".*fit it: .*build surrogate nsc-chain/digits@lite"):
        Surrogate.load(tmp_path, TASK)


def test_changed_files_are_refused(fitted: Surrogate, tmp_path: Path) -> None:
    own = fitted.save(tmp_path)
    member, metadata = own / "test-1.txt", (own / METADATA).read_bytes()
    content = member.read_bytes()
    member.write_bytes(content[:-40])
    with pytest.raises(TableError, match="test-1.txt is not the file that surrogate.json names.*fit it"):
        Surrogate.load(tmp_path, TASK)
    member.unlink()
    with pytest.raises(TableError, match="cannot read .*test-1.txt.*fit it"):
        Surrogate.load(tmp_path, TASK)
    member.write_bytes(content)
    (own / METADATA).write_bytes(metadata.replace(b"0.9", b"0.8"))
    with pytest.raises(TableError, match="wrong checksum"):
        Surrogate.load(tmp_path, TASK)


def test_what_is_not_there_is_refused(fitted: Surrogate) -> None:
    with pytest.raises(InvalidValueError, match="fidelity 13 of .*allowed: 1, 2"):
        fitted.predict(DEEPER, 13)
    with pytest.raises(InvalidValueError, match="fidelity 0 of "):
        fitted.predict(DEEPER, 0)
    with pytest.raises(InvalidValueError, match="unknown split 'train'; allowed: 'validation', 'test'"):
        fitted.predict(DEEPER, split="train")  # type: ignore[arg-type]
    with pytest.raises(InvalidArchitectureError, match="conv9"):
        fitted.predict(["conv9"])


def test_too_few_architectures_say_how_to_train_more(rows: pd.DataFrame) -> None:
    few = rows[rows["arch"].isin(rows["arch"].unique()[:19])]
    with pytest.raises(InvalidValueError, match="has 19 trained architectures; a surrogate needs at least 20.*build"):
        check_enough(get_task("nsc-chain/digits@lite"), few)


def test_games_have_no_surrogate(rows: pd.DataFrame, tmp_path: Path) -> None:
    game = get_task("minatar-ss1/breakout@lite")
    with pytest.raises(InvalidValueError, match="minatar-ss1/breakout@lite has no surrogate"):
        Surrogate.fit(game, rows, np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="has no surrogate"):
        Surrogate.load(tmp_path, game)


def test_without_lightgbm_the_extra_is_named(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    for call in (lambda: fit(rows), lambda: Surrogate.load(tmp_path, TASK)):
        with pytest.raises(MissingExtraError, match=r"nasbench-rl\[surrogate\]"):
            call()


def test_each_task_has_its_own_folder(tmp_path: Path) -> None:
    tasks = ["nsc-chain/digits@lite", "nsc-multibranch/digits@lite", "nsc-chain/emoji@lite"]
    assert len({surrogate_folder(tmp_path, get_task(task)) for task in tasks}) == 3


def test_branched_networks_are_guessed_too() -> None:
    task = get_task("nsc-multibranch/digits@lite")
    assert isinstance(task, ImageTask)
    archs = [arch.name for arch in task.space.up_to_depth(2) if task.is_valid(arch)]
    true = {arch: 0.3 + 0.2 * arch.count("conv") + 0.1 * arch.count("@0") for arch in archs}
    rows = pd.DataFrame([(arch, 0, epoch) for arch in archs for epoch in task.fidelities], columns=list(KEY))
    rows["validation_accuracy"] = rows["test_accuracy"] = rows["arch"].map(true)
    out = archs[5::7]
    surrogate = Surrogate.fit(task, rows[~rows["arch"].isin(out)], np.random.default_rng(0), options=QUICK)
    mean, _ = surrogate.predict(out)
    assert np.corrcoef(mean, [true[arch] for arch in out])[0, 1] > 0.9
