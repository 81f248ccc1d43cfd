"""Task ids, recipes and their digests, and that what is written down of a game is what the emulator says."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from nasbench_rl.errors import InvalidArchitectureError, UnknownNameError
from nasbench_rl.task import Environment, GameTask, ImageTask, get_task, task_ids
from nasbench_rl.task.recipes import FIDELITIES, PPORecipe
from nasbench_rl.training.games.make import games_class

BREAKOUT = get_task("minatar-ss1/breakout@lite")
GAMES = [task for task in map(get_task, task_ids()) if isinstance(task, GameTask)]
IMAGES = [task for task in map(get_task, task_ids()) if isinstance(task, ImageTask)]


def test_ids_are_space_environment_recipe() -> None:
    assert len(set(task_ids())) == len(task_ids())
    for id_ in task_ids():
        task = get_task(id_)
        assert task.id == id_ == f"{task.space.name}/{task.environment.name}@{task.recipe.name}"
        assert get_task(task) is task


@pytest.mark.parametrize("name", ["minatar-ss1/breakout@lite", "minatar-ss1/freeway@lite", "atari-ss1/breakout@paper"])
def test_the_tasks_of_the_papers_are_there(name: str) -> None:
    assert name in task_ids()


def test_a_bare_id_is_refused_with_the_recipes_that_exist() -> None:
    with pytest.raises(UnknownNameError) as raised:
        get_task("atari-ss1/breakout")
    message = str(raised.value)
    assert "atari-ss1/breakout@lite" in message and "atari-ss1/breakout@paper" in message and "freeway" not in message
    assert "build status" in message


@pytest.mark.parametrize(
    ("bad", "close"),
    [
        ("minatar-ss1/breakuot@lite", "minatar-ss1/breakout@lite"),
        ("Atari-SS1/Breakout@paper", "atari-ss1/breakout@paper"),
    ],
)
def test_an_unknown_id_is_refused_with_the_nearest(bad: str, close: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{close}'") as raised:
        get_task(bad)
    assert repr(bad) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("bad", ["", "@", "nothing like a task"])
def test_what_is_near_to_nothing_is_refused_with_the_form_of_an_id(bad: str) -> None:
    with pytest.raises(UnknownNameError, match="<space>/<environment>@<recipe>"):
        get_task(bad)


def test_fidelities_are_twenty_equal_steps_to_the_end() -> None:
    for task in GAMES:
        assert len(task.fidelities) == FIDELITIES == 20
        assert task.max_fidelity == task.recipe.env_steps
        assert np.ptp(np.diff((0, *task.fidelities))) == 0


def test_recipes_are_the_design_s() -> None:
    paper = get_task("atari-ss1/breakout@paper").recipe
    assert (paper.env_steps, paper.learning_rate, paper.sticky, paper.width) == (10_000_000, 2.5e-4, 0.25, 1.0)
    lite = get_task("atari-ss1/breakout@lite").recipe
    assert (lite.env_steps, lite.learning_rate, lite.sticky, lite.width) == (500_000, 1e-3, 0.0, 0.25)
    minatar = BREAKOUT.recipe
    assert (minatar.env_steps, minatar.learning_rate, minatar.sticky) == (1_000_000, 1e-3, 0.1)
    for recipe in (paper, lite, minatar):
        assert (recipe.num_envs, recipe.rollout, recipe.epochs, recipe.minibatches, recipe.clip) == (8, 128, 3, 4, 0.1)
        assert recipe.eval_games >= 30


def test_the_last_rollout_reaches_the_end() -> None:
    recipe = dataclasses.replace(BREAKOUT.recipe, env_steps=1025)
    assert recipe.updates == 2
    assert BREAKOUT.recipe.updates * 1024 >= 1_000_000 > (BREAKOUT.recipe.updates - 1) * 1024


def test_every_task_has_a_digest_of_its_own() -> None:
    digests = {get_task(id_).digest for id_ in task_ids()}
    assert len(digests) == len(task_ids())


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(PPORecipe)])
def test_whatever_fixes_a_training_is_in_the_digest(name: str) -> None:
    recipe = BREAKOUT.recipe
    value = getattr(recipe, name)
    other = f"{value}x" if isinstance(value, str) else value + 1
    changed = dataclasses.replace(BREAKOUT, recipe=dataclasses.replace(recipe, **{name: other}))
    assert changed.digest != BREAKOUT.digest


def test_digests_of_the_shipped_tables_do_not_change() -> None:
    assert BREAKOUT.digest == "b29506eab920"


def test_a_digest_is_the_same_in_another_process() -> None:
    code = "from nasbench_rl.task import get_task; print(get_task('minatar-ss1/breakout@lite').digest)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == BREAKOUT.digest


def test_tasks_pickle() -> None:
    assert pickle.loads(pickle.dumps(BREAKOUT)).digest == BREAKOUT.digest


@pytest.mark.parametrize("name", ["nsc-chain/emoji@lite", "nsc-multibranch/font-letters@lite", "nsc-chain/dtd@paper"])
def test_a_classifier_s_fidelities_are_its_epochs(name: str) -> None:
    task = get_task(name)
    assert task in IMAGES
    assert task.fidelities == tuple(range(1, 13)) and task.fidelity_unit == "epochs" and not task.exhaustive


def test_the_digest_of_an_image_task_pins_its_tables() -> None:
    """Rows are another task's when this changes: then their trainings start again."""
    assert get_task("nsc-chain/emoji@lite").digest == "c2ad274afe0f"


def test_two_image_tasks_never_share_a_digest() -> None:
    assert len({task.digest for task in IMAGES}) == len(IMAGES)


def test_a_network_whose_maps_vanish_is_told_without_building_it() -> None:
    task = get_task("nsc-chain/digits@lite")
    assert task.is_valid("conv5 conv3 conv1") and not task.is_valid("conv5 conv3 conv5")
    with pytest.raises(InvalidArchitectureError, match="the map vanishes at layer 3"):
        task.size("conv5 conv3 conv5")


ENVIRONMENTS = list(dict.fromkeys(task.environment for task in GAMES))


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: f"{e.suite}-{e.name}")
def test_channels_and_actions_are_the_emulator_s(environment: Environment) -> None:
    recipe = next(task.recipe for task in GAMES if task.environment == environment)
    games = games_class(environment.suite)(environment, recipe, 1)
    observation = games.reset(np.random.SeedSequence(0))
    games.close()
    assert observation.shape == (1, *games.observation_shape) and observation.dtype == np.uint8
    if environment.suite == "atari":
        assert environment.channels * 84 * 84 == observation.size
        assert environment.actions == games.env.single_action_space.n  # type: ignore[attr-defined]
    else:
        assert observation.shape[-1] == environment.channels
        assert environment.actions == len(games.actions)  # type: ignore[attr-defined]
