"""Every registered search space and task keeps its contract."""

from __future__ import annotations

import pytest

from nasbench_rl.spaces import KERNEL_SPACES, SearchSpace
from nasbench_rl.spaces.nsc.space import nsc_space
from nasbench_rl.task import Task, get_task, task_ids
from nasbench_rl.testing import SpaceContract, TaskContract

NSC = ("nsc-chain", "nsc-multibranch")


class TestSpaces(SpaceContract):
    @pytest.fixture(autouse=True, params=(*KERNEL_SPACES, *NSC))
    def _each(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param
        # Taking a layer out of a branched network joins what it fed to its first predecessor, and appending puts a
        # layer at the end only: that edit has no inverse.
        self.neighbours_symmetric = self.name != "nsc-multibranch"

    def make_space(self) -> SearchSpace:
        return nsc_space(self.name) if self.name in NSC else KERNEL_SPACES[self.name]


class TestTasks(TaskContract):
    @pytest.fixture(autouse=True, params=task_ids())
    def _each(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_task(self) -> Task:
        return get_task(self.name)


def test_the_contracts_cover_every_space_that_a_task_has() -> None:
    assert {get_task(id_).space.name for id_ in task_ids()} <= {*KERNEL_SPACES, *NSC}
