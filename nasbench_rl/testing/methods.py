"""The contract of a search method."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from nasbench_rl.benchmark.base import Benchmark, Mode
from nasbench_rl.benchmark.load import load
from nasbench_rl.benchmark.method import Method, configuration
from nasbench_rl.errors import MissingCellError, NasbenchError, TableError, TestDataError
from nasbench_rl.spaces.base import size_of
from nasbench_rl.testing.paid import only_paid_scores
from nasbench_rl.testing.watch import (
    OLDER_PROCESSOR,
    WatchedRun,
    complete_tasks,
    difference,
    global_state,
    or_skip,
    other_global_state,
    sealed_test_split,
    search,
    time_limit,
)

_CHILD = "import sys; sys.path[:] = {path!r}; from nasbench_rl.testing import watch; watch.search_in_child()"


def _check_call(method: object) -> None:
    """Fail unless ``method(run)`` is a call that ``method`` takes."""
    if isinstance(method, type):
        raise AssertionError(f"make_method() gave the class {method.__name__}; give an instance: {method.__name__}()")
    assert callable(method), f"make_method() gave {method!r}, which cannot be called; write def __call__(self, run)"
    try:
        signature = inspect.signature(method)
    except ValueError:  # made in C, which says nothing of its arguments
        return
    try:
        signature.bind(None)
    except TypeError as error:
        name = getattr(method, "__name__", type(method).__name__)
        raise AssertionError(
            f"a method is called with a run and nothing else, but {name} takes {signature} "
            f"({error}); write def __call__(self, run), and make hyperparameters fields of the dataclass"
        ) from None


class MethodContract:
    """What every search method keeps. Inherit, and give ``make_method``.

    Attributes:
        tables: a folder of tables; None looks where queries look.
        tasks: task ids to search on; empty takes one completely trained task of every search space in the tables.
        mode: ``"tabular"``, or ``"surrogate"`` for tasks too large for a table, which are to be named then.
    """

    tables: str | os.PathLike[str] | None = None
    tasks: Sequence[str] = ()
    mode: Mode = "tabular"

    def make_method(self) -> Method:
        """Return the method under test, a new one at each call."""
        raise NotImplementedError("a MethodContract needs make_method()")

    def _method(self) -> Method:
        method = or_skip(self.make_method)
        _check_call(method)
        return method

    def _benchmarks(self) -> list[Benchmark]:
        ids = list(self.tasks) or complete_tasks(self.tables)
        if not ids:
            pytest.skip("no task is trained completely in these tables; give the contract `tasks` or `tables`")
        return [load(id_, self.mode, self.tables) for id_ in ids]

    def _search(self, bench: Benchmark, trainings: int, seed: int = 0) -> WatchedRun:
        method = self._method()
        return or_skip(lambda: search(method, bench, trainings * bench.task.max_fidelity, seed))

    def _attempt(self, bench: Benchmark, budget: int) -> tuple[WatchedRun, NasbenchError | None]:
        """Search, and return how it ended: by itself, in BudgetExhausted, or in a line with what the method needs."""
        run = WatchedRun(bench, budget, 0)
        return run, self._end_of(run)

    def _end_of(self, run: WatchedRun) -> NasbenchError | None:
        method = self._method()
        with time_limit(run):
            try:
                method(run)
            except NasbenchError as error:
                return error
        return None

    def _home(self) -> Benchmark:
        """Return the task with the smallest space among those that the method does not refuse.

        A method that wants data beside the tasks' tables, such as supernets, is skipped where no task has them.
        """
        refusals: list[NasbenchError] = []
        for bench in sorted(self._benchmarks(), key=lambda bench: size_of(bench.space)):
            try:
                self._search(bench, 3)
            except TestDataError:
                raise
            except NasbenchError as error:
                refusals.append(error)
            else:
                return bench
        reasons = "; ".join(map(str, refusals))
        if all(isinstance(error, MissingCellError | TableError) for error in refusals):
            pytest.skip(f"these tables lack what the method needs: {reasons}")
        raise AssertionError(f"the method refuses every task: {reasons}")

    def test_can_be_called(self) -> None:
        """An instance takes a run and nothing else."""
        self._method()

    def test_same_search_seed_same_trajectory(self) -> None:
        """Neither the global random state nor what an instance searched before changes a search."""
        bench, used = self._home(), self._method()
        budget = 10 * bench.task.max_fidelity
        for seed in (0, 1):
            fresh = search(self._method(), bench, budget, seed)
            with other_global_state():
                again = search(used, bench, budget, seed)
            parted = difference(fresh, again)
            assert parted is None, (
                f"search seed {seed} gave two searches; draw from run.rng alone, and keep nothing of a search in the "
                f"instance: {parted}"
            )

    def test_another_process_gives_the_same_trajectory(self) -> None:
        """Nothing depends on the order of sets, hashes or addresses, or on how a kind of processor rounds its sums."""
        bench, method = self._home(), self._method()
        budget = 10 * bench.task.max_fidelity
        try:
            job = pickle.dumps((method, bench.task.id, self.mode, str(bench.folder), budget, 3))
        except Exception as error:
            pytest.skip(f"cannot be sent to another process: {error}")
        code = _CHILD.format(path=sys.path)
        older = {**os.environ, **OLDER_PROCESSOR}
        done = subprocess.run([sys.executable, "-c", code], input=job, capture_output=True, check=False, env=older)
        assert done.returncode == 0, f"the search failed in another process:\n{done.stderr.decode()}"
        here = repr(search(method, bench, budget, 3).points)
        assert done.stdout.decode().strip() == here, (
            "another process searched otherwise with the same search seed; draw from run.rng alone, and go through no "
            "set in its own order: sort it"
        )

    def test_networks_compute_in_double_precision(self) -> None:
        """In single precision, what a kind of processor rounds otherwise becomes another search after a while."""
        modules = pytest.importorskip("torch").nn.modules.module
        bench, single = self._home(), set[str]()

        def look(module: Any, inputs: object) -> None:
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.is_floating_point() and parameter.dtype.itemsize < 8:
                    single.add(f"{type(module).__name__}.{name} is {parameter.dtype}")

        hook = modules.register_module_forward_pre_hook(look)
        try:
            self._search(bench, 5)
        finally:
            hook.remove()
        assert not single, (
            f"the method's networks are to be of float64 (module.double()), that a search may be the same on every "
            f"kind of processor: {', '.join(sorted(single))}"
        )

    def test_budget_is_respected(self) -> None:
        """Never overspent, and no budget is too small to end in order."""
        bench = self._home()
        whole, least = bench.task.max_fidelity, bench.task.fidelities[0]
        for budget in (1, least, whole - 1, whole, whole + least, 5 * whole + 1):
            run, _ = self._attempt(bench, budget)
            assert run.budget == budget, f"the method changed the run's budget from {budget} to {run.budget}"
            assert run.spent == run.charged, f"the method changed run.spent: {run.spent}, but {run.charged} was charged"
            assert run.spent <= budget, f"{run.spent} spent of {budget}"

    def test_every_score_is_paid_for(self) -> None:
        """A search sees what its own run charges: no copy of the run, no other run, benchmark or table."""
        bench = self._home()
        run = WatchedRun(bench, 5 * bench.task.max_fidelity, 0)
        with only_paid_scores(run) as free:
            self._end_of(run)
        assert not free, f"the search read {free[0]}; every score is to come from run.evaluate, and nothing be undone"

    def test_one_whole_training_is_put_to_use(self) -> None:
        """A budget of one training is spent on some architecture, or ends in a line that says why not."""
        bench = self._home()
        run, error = self._attempt(bench, bench.task.max_fidelity)
        if error is None:  # all may be networks that do not exist, so that there is no incumbent
            assert run.points, "a budget of one whole training passed without an evaluation or an error"

    def test_no_test_data_is_seen(self) -> None:
        """A search reads the validation split alone."""
        self._home()
        for bench in self._benchmarks():
            with sealed_test_split() as tried:
                try:
                    self._search(bench, 5)
                except NasbenchError as error:
                    assert not isinstance(error, TestDataError), str(error)
            assert not tried, f"the search read {tried[0]}"

    def test_global_random_state_is_untouched(self) -> None:
        """Of ``random``, of NumPy, and of torch when something has loaded it."""
        bench = self._home()  # has loaded whatever the method loads
        before = global_state()
        self._search(bench, 10)
        after = global_state()
        changed = [name for name in before if before[name] != after[name]]
        assert not changed, f"the search changed the global random state of {', '.join(changed)}; draw from run.rng"

    def test_every_space_is_searched_or_refused_by_name(self) -> None:
        """A space that a method cannot search is refused by a NasbenchError that names it."""
        for bench in self._benchmarks():
            try:
                run = self._search(bench, 5)
            except NasbenchError as error:
                assert bench.space.name in str(error), f"refused without naming {bench.space.name}: {error}"
            else:
                assert run.points, f"nothing was evaluated on {bench.task.id} within five whole trainings"

    def test_ends_when_every_evaluation_is_free(self) -> None:
        """A budget that outlasts all train seeds of all architectures: evaluations are free at last, and it ends."""
        bench = self._home()
        if size_of(bench.space) > 1000:
            pytest.skip(f"{bench.space.name} is too large to be searched to its end")
        self._search(bench, 2 * len(bench.space) * len(bench.train_seeds()))

    def test_hyperparameters_are_plain_data(self) -> None:
        """A dataclass pickles to an equal one, and its configuration can be written as JSON."""
        method = self._method()
        if not dataclasses.is_dataclass(method):
            pytest.skip("no dataclass, so its hyperparameters are unknown")
        assert pickle.loads(pickle.dumps(method)) == method
        json.dumps(configuration(method), allow_nan=False)
