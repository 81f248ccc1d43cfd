"""The contract of a task."""

from __future__ import annotations

import dataclasses
import itertools
import pickle

import numpy as np

from nasbench_rl.task import Task, get_task


class TaskContract:
    """What every task keeps. Inherit, and give ``make_task``."""

    def make_task(self) -> Task:
        """Return the task under test, registered."""
        raise NotImplementedError("a TaskContract needs make_task()")

    def test_its_id_finds_it(self) -> None:
        """``<space>/<environment>@<recipe>``."""
        task = self.make_task()
        assert get_task(task.id) == task and get_task(task) == task
        assert task.id.startswith(f"{task.space.name}/") and task.id.partition("@")[2]

    def test_fidelities_ascend(self) -> None:
        """Positive whole numbers, the last of which is the whole training."""
        task = self.make_task()
        assert all(isinstance(f, int) and f > 0 for f in task.fidelities)
        assert all(a < b for a, b in itertools.pairwise(task.fidelities)), f"not ascending: {task.fidelities}"
        assert task.max_fidelity == task.fidelities[-1] and task.fidelity_unit in ("env_steps", "epochs")

    def test_its_score_is_one_of_its_metrics(self) -> None:
        """Larger is better."""
        task = self.make_task()
        assert task.metric in task.metrics and task.direction == "maximize"

    def test_the_digest_is_stable(self) -> None:
        """The same for an equal task that was made anew, and another for another recipe."""
        task = self.make_task()
        same = pickle.loads(pickle.dumps(dataclasses.replace(task)))
        assert same.digest == task.digest and len(task.digest) == 12
        if dataclasses.is_dataclass(task.recipe) and not isinstance(task.recipe, type):
            other = dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, name="another-recipe"))
            assert other.digest != task.digest

    def test_every_network_has_a_size(self) -> None:
        """Params and FLOPs are positive whole numbers, known without torch and the same each time."""
        task = self.make_task()
        drawn = [task.space.sample(np.random.default_rng(i)) for i in range(20)]
        for arch in filter(task.is_valid, drawn):
            size = task.size(arch)
            assert isinstance(size.params, int) and isinstance(size.flops, int)
            assert size.params > 0 and size.flops > 0 and task.size(arch.name) == size
