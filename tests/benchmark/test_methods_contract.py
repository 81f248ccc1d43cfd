"""Every installed method keeps the contract, on one made table a search space; who does not is caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import methods as made
from support.tables import write_made_darts, write_made_supernets, write_made_table

from nasbench_rl import Run, get_method, load
from nasbench_rl.benchmark.method import Method, method_names
from nasbench_rl.benchmark.tabular import TabularBenchmark
from nasbench_rl.errors import NasbenchError, TestDataError
from nasbench_rl.task import get_task, task_ids
from nasbench_rl.testing import MethodContract, watch
from nasbench_rl.testing.watch import FREE_VISITS, WatchedRun

WRITABLE = "rl"
"""The family of tables that tests can write; tasks of another are left out of the contract of methods."""


ELSEWHERE = {"treecell"}
"""Methods that refuse every kernel-choice space; their own tests hold the contract on a table of another."""

KERNELS_ONLY = {"darts", "enas", "spos"}
"""Methods whose weights are shared over choices of kernels."""
NSC = "nsc-chain/animals@lite"


@pytest.fixture(scope="session")
def every_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made table for one task of every search space that has tasks: two seeds a split, or a single seed on ALE."""
    folder = tmp_path_factory.mktemp("every-space")
    done = set()
    for id_ in task_ids():
        task = get_task(id_)
        if task.family == WRITABLE and task.space.name not in done:
            done.add(task.space.name)
            write_made_table(folder, id_, 1 if task.space.name.startswith("atari") else 4)
            write_made_supernets(folder, id_, 3)
            write_made_darts(folder, id_, 3)
    return folder


class TestInstalledMethods(MethodContract):
    """Whatever stands in the entry points, this project's and others'."""

    @pytest.fixture(autouse=True, params=[name for name in method_names() if name not in ELSEWHERE])
    def _each(self, request: pytest.FixtureRequest, every_space: Path) -> None:
        self.name, self.tables = request.param, every_space

    def make_method(self) -> Method:
        return get_method(self.name)


class TestInstalledMethodsOnNetworkStructureCodes(MethodContract):
    """The same on a space that no table can hold: measured networks, and a surrogate's guesses of the others."""

    mode = "surrogate"
    tasks = (NSC,)

    @pytest.fixture(autouse=True, params=[name for name in method_names() if name not in KERNELS_ONLY | ELSEWHERE])
    def _each(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_method(self) -> Method:
        return get_method(self.name)


def test_a_peek_at_guesses_of_the_test_split_is_noticed() -> None:
    class Contract(MethodContract):
        mode = "surrogate"
        tasks = (NSC,)

        def make_method(self) -> Method:
            return made.peeks_at_guesses

    with pytest.raises(AssertionError, match="guesses of the test split"):
        Contract().test_no_test_data_is_seen()


@pytest.mark.parametrize("name", sorted(KERNELS_ONLY | ELSEWHERE))
def test_a_method_that_cannot_search_chains_says_so(name: str) -> None:
    run = load(NSC, "surrogate").start(60, 0)
    with pytest.raises(NasbenchError, match="nsc-chain"):
        get_method(name)(run)
    assert run.spent == 0


@pytest.mark.parametrize(
    ("method", "clause"),
    [
        (made.peeks, "test_no_test_data_is_seen"),
        (made.peeks_and_hides_it, "test_no_test_data_is_seen"),
        (made.draws_from_the_global_state, "test_global_random_state_is_untouched"),
        (made.draws_from_the_global_state, "test_same_search_seed_same_trajectory"),
        (made.draws_from_numpy, "test_global_random_state_is_untouched"),
        (made.gives_itself_money, "test_budget_is_respected"),
        (made.crashes_on_little, "test_budget_is_respected"),
        (made.refuses_without_a_name, "test_every_space_is_searched_or_refused_by_name"),
        (made.does_nothing, "test_every_space_is_searched_or_refused_by_name"),
        (made.does_nothing, "test_one_whole_training_is_put_to_use"),
        (made.depends_on_hashes, "test_another_process_gives_the_same_trajectory"),
        (made.remembers(), "test_same_search_seed_same_trajectory"),
    ],
)
def test_the_contract_notices(method: Callable[[Run], None], clause: str, every_space: Path) -> None:
    with pytest.raises((AssertionError, IndexError)):
        getattr(contract_of(method, every_space), clause)()


@pytest.mark.parametrize(
    ("method", "clause"),
    [
        (made.never_ends, "test_ends_when_every_evaluation_is_free"),
        (made.takes_no_refusal, "test_budget_is_respected"),
        (made.catches_everything, "test_budget_is_respected"),
    ],
)
def test_a_search_that_goes_on_for_nothing_is_ended(
    method: Callable[[Run], None], clause: str, every_space: Path
) -> None:
    with pytest.raises(pytest.fail.Exception, match="charged nothing and the search goes on"):
        getattr(contract_of(method, every_space), clause)()


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (made.copies_its_run, "refuses every task: .*neither copied nor pickled"),
        (made.copies_its_fields, "another run"),
        (made.begins_another_run, "another run"),
        (made.loads_its_own_benchmark, "a table that it loads itself"),
        (made.asks_its_benchmark, "its benchmark's scores"),
        (made.asks_its_benchmark_at_once, "its benchmark's table"),
        (made.reads_the_arrays, "the arrays of its benchmark's table"),
        (made.reads_proxies, "its benchmark's supernets"),
        (made.takes_it_back, "a run that says 1,000,000 of 26,000,000"),
        (made.marks_all_as_paid, "trainings of .* for 0"),
    ],
)
def test_a_search_that_does_not_pay_is_noticed(method: Method, said: str, every_space: Path) -> None:
    contract = contract_of(method, every_space)
    contract.tasks = ("minatar-ss1/breakout@lite",)
    with pytest.raises(AssertionError, match=said):
        contract.test_every_score_is_paid_for()


def test_a_guess_past_the_run_is_noticed() -> None:
    class Contract(MethodContract):
        mode = "surrogate"
        tasks = (NSC,)

        def make_method(self) -> Method:
            return made.guesses_by_itself

    with pytest.raises(AssertionError, match="its benchmark's surrogate"):
        Contract().test_every_score_is_paid_for()


def test_a_search_that_asks_for_nothing_is_ended(every_space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECONDS", 1)
    with pytest.raises(pytest.fail.Exception, match="did not end within 1 s, after 0 evaluations"):
        contract_of(made.hangs, every_space).test_global_random_state_is_untouched()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (made.wants_two, r"wants_two takes \(space"),
        (made.Greedy(), r"Greedy takes \(\)"),
        (made.Greedy, r"gave the class Greedy; give an instance: Greedy\(\)"),
        ("greedy", "'greedy', which cannot be called"),
    ],
)
def test_what_cannot_be_called_with_a_run_alone_is_named(method: Method, words: str, every_space: Path) -> None:
    contract = contract_of(method, every_space)
    for clause in (contract.test_can_be_called, contract.test_budget_is_respected):
        with pytest.raises(AssertionError, match=words):
            clause()


def test_a_request_for_the_test_split_is_no_refusal_of_a_task(every_space: Path) -> None:
    def asks(run: Run) -> None:
        run.evaluate(run.space[0], split="test")

    with pytest.raises(TestDataError, match="sees the validation split only"):
        contract_of(asks, every_space).test_no_test_data_is_seen()


def test_a_method_whose_data_are_not_there_is_skipped_and_one_that_wants_nothing_fails(every_space: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="no supernet"):
        contract_of(made.wants_other_data, every_space).test_budget_is_respected()
    with pytest.raises(AssertionError, match="refuses every task"):
        contract_of(made.wants_nothing, every_space).test_budget_is_respected()


def contract_of(method: Method, tables: Path) -> MethodContract:
    class Contract(MethodContract):
        def make_method(self) -> Method:
            return method

    contract = Contract()
    contract.tables = tables
    return contract


def test_a_watched_run_bounds_free_evaluations(every_space: Path) -> None:
    bench = TabularBenchmark(get_task("minatar-ss1/breakout@lite"), every_space)
    run = WatchedRun(bench, 100 * bench.task.max_fidelity, 0)
    for _ in range(2 + FREE_VISITS * len(run.space)):
        run.evaluate((1, 1))
    with pytest.raises(pytest.fail.Exception, match="let it end"):
        run.evaluate((1, 1))
