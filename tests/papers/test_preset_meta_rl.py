from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")
pytest.importorskip("gymnasium")
pytest.importorskip("lightgbm")

from support.images import TASK, made_rows, true_accuracy

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl._utils.files import lock
from nasbench_rl.benchmark.method import get_method
from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.benchmark.surrogate_model.info import SurrogateOptions
from nasbench_rl.compare import command as compare
from nasbench_rl.errors import RecipeMismatchError, TableError
from nasbench_rl.papers.meta_rl import experiments as preset
from nasbench_rl.papers.meta_rl import figures, intensified
from nasbench_rl.papers.meta_rl.trials import (
    Trial,
    action_shares,
    check_ready,
    episodes_of,
    existing,
    is_multi_branch,
    play,
    play_all,
    windows_of,
)
from nasbench_rl.tables import table_io
from nasbench_rl.tables.manifest import FOLD_LOCK, register
from nasbench_rl.tables.parquet import read_frame
from nasbench_rl.task import ImageTask, get_task
from nasbench_rl.task.images import STAND_IN_INTENSE

SMALL = preset.Protocol((400, 300, 300), (300, 250, 300), 200, 400)
QUICK = SurrogateOptions(members=2, trees=10)
PUBLISHED = Path(__file__).parents[2] / "tables" / "published.csv"


def made_table(folder: Path, id_: str) -> None:
    """A table and a surrogate of a task, accuracies as in ``support.images``; a third of the chains of depth 2."""
    task = get_task(id_)
    assert isinstance(task, ImageTask)
    if task.space.name == "nsc-chain":
        archs = [arch for arch in task.space.up_to_depth(2) if task.is_valid(arch)][::2]
    else:
        rng = np.random.default_rng(0)
        archs = list({a.name: a for a in (task.space.sample(rng) for _ in range(60)) if task.is_valid(a)}.values())
    rows = made_rows(depth=1)[lambda frame: frame["fidelity"] == 1].iloc[:1]
    parts = []
    for arch in archs:
        size = task.size(arch)
        for epoch in task.fidelities:
            accuracy = min(0.95, true_accuracy(arch.name.replace(" | ", " "), epoch))
            parts.append(
                rows.assign(
                    arch=arch.name, fidelity=epoch, test_accuracy=accuracy, validation_accuracy=accuracy,
                    params=size.params, flops=size.flops, density=task.space.density(arch), cpu_seconds=0.1 * epoch,
                )
            )  # fmt: skip
    frame = pd.concat(parts)
    with lock(folder, FOLD_LOCK):
        table_io.write_table(folder, task, [table_io.encode_rows(task, frame.to_dict("records"))])
    Surrogate.fit(task, frame, np.random.default_rng(0), options=QUICK).save(folder)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meta-rl-tables")
    shutil.copy(PUBLISHED, folder)
    register(folder, PUBLISHED.name, 1)
    for id_ in preset.STANDS_FOR:
        made_table(folder, id_)
    return folder


def run(experiment: int, tables: Path, out: Path, **options: object) -> tuple[int, Path]:
    code = preset.run(experiment, out, str(tables), 0, 2, 2, protocol=SMALL, **options)  # type: ignore[arg-type]
    return code, out / f"experiment-{experiment}"


# -- the experiments


def dqn_steps(protocol: preset.Protocol) -> list[tuple[int, int]]:
    """As ``dqn`` counts them: first update and copies of the target network."""
    found = []
    for trial in preset.baseline_trials(protocol):
        if trial.method == "dqn":
            method = get_method("dqn", t_max=trial.t_max, **trial.hyperparameters)
            found.append((round(method.learning_starts * trial.t_max), round(method.target_every * trial.t_max)))
    return found


def test_dqn_starts_and_copies_at_the_paper_s_steps_in_each_environment() -> None:
    assert dqn_steps(preset.PAPER) == [(1000, 100)] * 3
    tenth = preset.Protocol(baselines=(650, 550, 700))
    assert dqn_steps(tenth) == [(100, 10)] * 3
    shares = [[trial.hyperparameters for trial in preset.baseline_trials(p)] for p in (preset.PAPER, tenth)]
    assert shares[0] == shares[1] and shares[0][0] != shares[0][2]


def test_experiment_one(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(1, tables, tmp_path)
    assert code == 0
    facts = pd.read_csv(out / "trials.csv").set_index(["task", "method", "seed"])
    for at, task in enumerate(preset.TRAINED_ON):
        assert facts.loc[(task, "meta_a2c", 1), "steps"] == SMALL.meta[at]
        for method in ("dqn", "random_search"):
            assert facts.loc[(task, method, 0), "steps"] == SMALL.baselines[at]
    assert (facts["networks"] == facts["measured"] + facts["guessed"] + facts["invalid"]).all()
    assert (facts["measured"] > 0).all() and (facts["guessed"] > 0).all()
    assert {path.name for path in (out / "policies").iterdir()} == {
        f"policy-{seed}.safetensors" for seed in (0, 1)
    }  # fmt: skip
    for figure in ("figure-09", "figure-10", "figure-11"):
        assert (out / f"{figure}.png").stat().st_size > 10_000
    said = " ".join(capsys.readouterr().out.split())
    total, guessed = facts[["measured", "guessed"]].sum().sum(), facts["guessed"].sum()
    assert f"guesses: {guessed:,} of the {total:,} accuracies asked for" in said
    for hours in ("273", "158", "191", "135", "161", "148"):
        assert f" {hours} " in said, "Table 4 as published"


def test_every_reward_is_the_tables_or_the_surrogates(tables: Path, tmp_path: Path) -> None:
    bench = load(preset.TRAINED_ON[0], mode="surrogate", tables=tables)
    steps, _ = play(Trial(bench.task.id, "random_search", 200, "random"), 0, bench)
    assert set(steps["source"]) == {"", "table", "surrogate", "invalid"}
    for row in steps[steps["arch"] != ""].itertuples():
        if row.source == "invalid":
            assert row.reward == 0 and not bench.task.is_valid(row.arch)
            continue
        answer = bench.query(row.arch, split="validation", seed=0)
        assert (answer.source, answer.score) == (row.source, row.reward)
        assert (row.source == "table") == (row.arch in bench.table.row_of)


def test_trials_repeat_whatever_the_number_of_processes(tables: Path, tmp_path: Path) -> None:
    def both(jobs: int, name: str) -> pd.DataFrame:
        chain = preset.meta_trials(replace(SMALL, meta=(60, 40, 40)), tmp_path / name)
        random = [Trial(preset.TRAINED_ON[0], "random_search", 50, "random_search")]
        return play_all([chain, random], (3, 4), str(tables), jobs)[0]

    pd.testing.assert_frame_equal(both(1, "one"), both(2, "two"))


def test_trials_that_a_killed_call_had_played_are_taken_over(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = preset.meta_trials(replace(SMALL, meta=(60, 40, 40)), tmp_path / "policies")
    random = [Trial(preset.TRAINED_ON[0], "random_search", 50, "random_search")]

    def played() -> tuple[tuple[pd.DataFrame, pd.DataFrame], str]:
        return play_all([chain, random], (3,), str(tables), 1, tmp_path), capsys.readouterr().out

    first, said = played()
    assert "taken over" not in said
    again, said = played()
    assert "taken over: 4 of 4 trials" in said
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    next((tmp_path / "policies").iterdir()).unlink()  # which the chain is to leave there
    third, said = played()
    assert "taken over: 1 of 4 trials" in said and len(list((tmp_path / "policies").iterdir())) == 1
    pd.testing.assert_frame_equal(third[0], first[0])


def test_trials_of_one_seed_do_not_share_their_luck(tables: Path) -> None:
    """The test between strategies on two data sets needs samples that are paired by action alone."""
    actions = []
    for task, label in ((preset.HELD_OUT[0], "a"), (preset.HELD_OUT[1], "a"), (preset.HELD_OUT[0], "b")):
        bench = load(task, mode="surrogate", tables=tables)
        actions.append(tuple(play(Trial(task, "random_search", 40, label), 0, bench)[0]["action"]))
    assert len(set(actions)) == 3


def test_experiment_two_without_training(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(2, tables, tmp_path)
    assert code == 0
    steps = read_frame(out / "steps.parquet")
    assert set(steps["task"]) == set(preset.HELD_OUT)
    assert (steps.groupby(["task", "seed"]).size() == SMALL.evaluation).all()
    six = pd.read_csv(out / "table6.csv")
    assert len(six) == 6 and (six["trainings"] == 0).all() and six["mean"].isna().all()
    best = six[six["row"] == "Deep meta-RL (1st)"].set_index("task")["network"]
    mine = steps[(steps["seed"] == 0) & (steps["task"] == preset.HELD_OUT[0])]
    assert mine[mine["arch"] == best["nsc-chain/animals@intense"]]["reward"].max() == mine["reward"].max()
    tests = pd.read_csv(out / "strategies.csv")
    assert len(tests) == 2 and (tests["wilcoxon_p"] >= 0.117).all()
    assert (tests["p_adjusted"] >= tests["p"]).all() and (tests["distance"] > 0).all()
    said = " ".join(capsys.readouterr().out.split())
    assert f"A difference is found for {(tests['p_adjusted'] < 0.05).sum()} of 2 search seeds" in said
    assert "the paper 0.48. It decides nothing" in said
    assert "not trained: 10 of 10 trainings of nsc-chain/animals@intense and 5 of 5 of VGG19-like" in said
    assert "python -m nasbench_rl.build nsc-chain/wesnoth@intense --archs" in said and "--mode live" in said
    for figure in ("figure-12", "figure-13"):
        assert (out / f"{figure}.png").stat().st_size > 10_000


def test_experiment_three(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(3, tables, tmp_path)
    assert code == 0
    steps = read_frame(out / "steps.parquet")
    assert set(steps["method"]) == {"meta_a2c σ=0.0", "meta_a2c σ=0.1"}
    shifts = steps[steps["action"] >= 10].groupby("method")["reward"].max()
    assert shifts["meta_a2c σ=0.0"] == 0 < shifts["meta_a2c σ=0.1"] <= 0.1
    assert steps["position"].max() <= 19
    episodes = read_frame(out / "episodes.parquet")
    assert episodes["multi_branch"].max() >= 1
    for figure in ("figure-14", "figure-15", "figure-16"):
        assert (out / f"{figure}.png").stat().st_size > 10_000
    said = " ".join(capsys.readouterr().out.split())
    assert " 321 " in said and " 374 " in said, "Table 7 as published"
    assert "the paper, section 7: 1:10" in said


def test_an_absent_table_gives_one_line_that_says_what_to_build(tmp_path: Path, tables: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    made_table(folder, preset.TRAINED_ON[0])
    with pytest.raises(TableError) as caught:
        check_ready(preset.TRAINED_ON, str(folder))
    said = str(caught.value)
    assert "\n" not in said
    assert "build surrogate nsc-chain/emoji@lite" in said and "surrogate nsc-chain/fashion-mnist@lite" not in said
    assert said.count("python -m nasbench_rl.build") == said.count(f" --tables {folder}")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    command = ["--preset", "meta-rl-paper", "--experiment", "3", "--out", str(tmp_path), "--tables", str(empty)]
    assert cli.run(compare.main, command) == 2
    assert "build nsc-multibranch/font-letters@lite --depth 1 --drawn 300" in capsys.readouterr().err
    assert cli.run(compare.main, ["--preset", "meta-rl-paper", "--experiment", "4"]) == 2
    for flags in (["--dry-run"], ["--experiment", "2"]):
        assert cli.run(compare.main, flags) == 2
        assert "--preset meta-rl-paper" in capsys.readouterr().err
    meta = ["--preset", "meta-rl-paper", "--experiment"]
    for flags, said in (
        ([*meta, "1", "--dry-run"], "--dry-run"),
        ([*meta, "3", "--mode", "live"], "--mode"),
        ([*meta, "2", "--mode", "lvie"], "did you mean 'live'"),
        (["--preset", "rl-agents-paper", "--dry-run"], "--dry-run"),
        (["--preset", "rl-agents-paper", "--experiment", "2"], "--experiment"),
    ):
        assert cli.run(compare.main, [*flags, "--out", str(tmp_path)]) == 2
        assert said in capsys.readouterr().err


# -- from steps to curves


def made_steps() -> pd.DataFrame:
    """Two episodes of three and two steps, and one that did not end."""
    rows = [
        (0, 0, 1, 0.2, "conv3", False),
        (0, 1, 3, 0.6, "conv3 | maxpool2@0", False),
        (0, 2, 7, 0.6, "conv3 | maxpool2@0", True),
        (1, 0, 0, 0.5, "conv1", False),
        (1, 1, 7, 0.5, "conv1", True),
        (2, 0, 0, 0.9, "conv1", False),
    ]
    frame = pd.DataFrame(rows, columns=["episode", "position", "action", "reward", "arch", "ended"])
    return frame.assign(task="nsc-chain/digits@lite", method="m", seed=0, step=range(6), source="table")


def test_episodes() -> None:
    table = episodes_of(made_steps())
    assert table["best_reward"].tolist() == [0.6, 0.5]
    assert table["length"].tolist() == [3, 2]
    assert table["accumulated_reward"].tolist() == pytest.approx([1.4, 1.0])
    assert table["multi_branch"].tolist() == [1, 0]


def test_networks_that_do_not_exist_are_counted_neither_as_multi_branch_nor_as_chains() -> None:
    steps = made_steps()
    steps.loc[2, ["arch", "source"]] = ["conv3 | maxpool2@0 | maxpool3", "invalid"]
    assert episodes_of(steps)["multi_branch"].tolist() == [1, 0]
    steps.loc[1, "source"] = "invalid"
    assert episodes_of(steps)["multi_branch"].tolist() == [0, 0]
    steps.loc[0, ["arch", "source"]] = ["", ""]  # before the first layer
    assert existing(steps)["arch"].tolist() == ["conv1"] * 3


@pytest.mark.parametrize(
    ("arch", "branched"),
    [
        ("conv3 maxpool2", False),
        ("conv3 | maxpool2", False),
        ("conv3 | conv1@0", True),
        ("conv3 | add(0,1)", True),
        ("conv3 | add(1,1)", False),
        ("concat(0,0) | conv3", False),
        ("conv3 | conv1 | concat(1,1)", True),
    ],
)
def test_what_has_branches(arch: str, branched: bool) -> None:
    assert is_multi_branch(arch) is branched


def test_windows_pool_the_seeds_and_drop_a_short_end() -> None:
    episodes = pd.DataFrame({"task": "t", "method": "m", "seed": [0] * 7 + [1] * 7, "episode": [*range(7)] * 2})
    episodes["length"] = [1, 1, 1, 1, 2, 2, 2] + [3, 3, 3, 3, 4, 4, 4]
    table = windows_of(episodes, "length", size=4)
    assert table["mean"].tolist() == [2, 3]
    assert table["std"].tolist() == pytest.approx([np.std([1, 3] * 4, ddof=1), np.std([2, 4] * 3, ddof=1)])
    assert table["episode"].tolist() == [2, 6]
    assert len(windows_of(episodes[episodes["episode"] < 5], "length", size=4)) == 1


def test_shares() -> None:
    shares = action_shares(made_steps())
    assert shares.shape == (1, 8) and shares.to_numpy().sum() == pytest.approx(1)
    assert shares.iloc[0].tolist() == pytest.approx([2 / 6, 1 / 6, 0, 1 / 6, 0, 0, 0, 2 / 6])


def test_figure_15s_line_is_where_episode_3000_starts() -> None:
    steps = pd.DataFrame({"method": ["a"] * 4 + ["b"] * 2, "seed": [0, 0, 1, 1, 0, 0], "step": [9, 10, 7, 8, 1, 2]})
    steps["episode"] = [2999, 3000, 3000, 3000, 5, 6]
    assert figures.cut_steps(steps) == {"a": {0: 10, 1: 7}}
    assert "(in 2 of 3 trials)" in figures._cut_note(steps, {"a": {0: 10, 1: 7}})
    assert "no trial comes to episode 3000" in figures._cut_note(steps, {})


# -- intensified trainings


def test_networks_that_no_memory_holds_are_passed_over_by_name() -> None:
    task = intensified.intense_task("animals")
    huge = "conv1 conv1 conv1 conv1 conv1 conv1 conv1 conv1 conv1 conv1"
    fitting, reasons = intensified.within_memory(task, ["conv3 maxpool2", huge])
    assert fitting == ["conv3 maxpool2"] and list(reasons) == [huge] and "parameters take" in reasons[huge]


def test_the_recipe_is_the_papers_on_small_images() -> None:
    task = intensified.intense_task("animals")
    assert task.recipe is STAND_IN_INTENSE
    recipe = task.recipe
    assert (recipe.epochs, recipe.dense, recipe.filters, recipe.filter_growth) == (100, 4096, 32, 2)
    assert recipe.image_size is None and recipe.train_images == 2000
    rates = [recipe.learning_rate_at(epoch, step=0) for epoch in (1, 2, 3)]
    assert rates[1] / rates[0] == pytest.approx(rates[2] / rates[1]) and rates[1] < rates[0], "exponential decay"


@pytest.fixture
def tiny() -> ImageTask:
    """The intensified training, cut to two epochs of digits."""
    small = replace(STAND_IN_INTENSE, epochs=2, dense=8, train_images=200, held_out_images=100, name="tiny")
    return ImageTask(TASK.space, TASK.environment, small)


def test_a_vgg_network_is_trained_once_and_kept(tiny: ImageTask, tmp_path: Path) -> None:
    assert intensified.missing(tmp_path, tiny, [], 2) == ([], [0, 1])
    intensified.train_vgg(tmp_path, tiny, 1)
    assert intensified.missing(tmp_path, tiny, [], 2) == ([], [0])
    before = (tmp_path / intensified.vgg_file(tiny)).read_bytes()
    intensified.train_vgg(tmp_path, tiny, 1)
    assert (tmp_path / intensified.vgg_file(tiny)).read_bytes() == before
    intensified.train_vgg(tmp_path, tiny, 0)
    table = intensified.results(tmp_path, tiny, ["conv1"])
    scores = intensified.read_vgg(tmp_path, tiny).query("fidelity == 2")["test_accuracy"]
    assert table["trainings"].tolist() == [0, 2]
    assert table["mean"].iloc[1] == pytest.approx(100 * scores.mean())
    assert table["two_std"].iloc[1] == pytest.approx(200 * scores.std(ddof=1))
    assert intensified.core_hours(tmp_path, tiny, [], [2]) > 0
    other = ImageTask(tiny.space, tiny.environment, replace(tiny.recipe, dropout=0.5))
    with pytest.raises(RecipeMismatchError, match="recipe"):
        intensified.read_vgg(tmp_path, other)
