"""Methods that each break one clause of the contract; importable, so that another process can run them."""

from __future__ import annotations

import copy
import random

import numpy as np

from nasbench_rl import BudgetExhausted, NasbenchError, Run, load
from nasbench_rl.benchmark.method import Method
from nasbench_rl.errors import InvalidValueError, MissingCellError
from nasbench_rl.spaces import Architecture


def peeks(run: Run) -> None:
    run._benchmark.query(run.space[0])
    run.evaluate(run.space[0])


def peeks_at_guesses(run: Run) -> None:
    arch = run.space.sample(run.rng)
    try:
        run._benchmark.surrogate.predict([arch], split="test")  # type: ignore[attr-defined]
    except NasbenchError:
        pass
    run.evaluate(arch)


def peeks_and_hides_it(run: Run) -> None:
    try:
        run._benchmark.optimum()  # type: ignore[attr-defined]
    except NasbenchError:
        pass
    run.evaluate(run.space[0])


def copies_its_run(run: Run) -> None:
    run.evaluate(max(run.space, key=lambda arch: copy.deepcopy(run).evaluate(arch)))


def copies_its_fields(run: Run) -> None:
    def look(arch: Architecture) -> float:
        other = object.__new__(type(run))
        other.__dict__.update(run.__dict__, _trainings={})
        return other.evaluate(arch)

    run.evaluate(max(run.space, key=look))


def begins_another_run(run: Run) -> None:
    run.evaluate(max(run.space, key=lambda arch: run._benchmark.start(run.task.max_fidelity, 0).evaluate(arch)))


def loads_its_own_benchmark(run: Run) -> None:
    load(run.task.id, run._benchmark.mode, run._benchmark.folder)  # type: ignore[attr-defined]
    run.evaluate(run.space[0])


def asks_its_benchmark(run: Run) -> None:
    run.evaluate(max(run.space, key=lambda arch: run._benchmark.query(arch, split="validation").score))


def asks_its_benchmark_at_once(run: Run) -> None:
    run._benchmark.query_many(list(run.space), split="validation")  # type: ignore[attr-defined]
    run.evaluate(run.space[0])


def reads_the_arrays(run: Run) -> None:
    scores = run._benchmark.table.columns["return_last100"]  # type: ignore[attr-defined]
    run.evaluate(run.space[int(scores[:, 0, -1].argmax())])


def reads_proxies(run: Run) -> None:
    run.evaluate(run.space[int(run._benchmark.supernets().proxies[0, -1].argmax())])


def guesses_by_itself(run: Run) -> None:
    run._benchmark.surrogate.predict([run.space[0]], split="validation")  # type: ignore[attr-defined]
    run.evaluate(run.space[0])


def takes_it_back(run: Run) -> None:
    def look(arch: Architecture) -> float:
        before = dict(run._budget.__dict__)
        score = run.evaluate(arch)
        run._budget.__dict__.update(before)
        return score

    run.evaluate(max(run.space, key=look))


def marks_all_as_paid(run: Run) -> None:
    for arch in run.space:
        known = run._known(arch)
        known.visit, known.paid = len(known.seeds) - 1, dict.fromkeys(known.seeds, run.task.max_fidelity)
        run.evaluate(arch)


def draws_from_the_global_state(run: Run) -> None:
    run.evaluate(run.space[random.randrange(len(run.space))])


def draws_from_numpy(run: Run) -> None:
    run.evaluate(run.space[int(np.random.randint(len(run.space)))])  # noqa: NPY002


def never_ends(run: Run) -> None:
    while run.remaining > 0:
        run.evaluate(run.space[0])


def takes_no_refusal(run: Run) -> None:
    for _ in range(3 * run.budget):
        if run.remaining == 0:
            break
        try:
            run.evaluate(run.space[0])
        except BudgetExhausted:
            pass


def catches_everything(run: Run) -> None:
    while True:
        try:
            run.evaluate(run.space[0])
        except Exception:
            pass


def hangs(run: Run) -> None:
    while True:
        try:
            pass
        except Exception:
            pass


def wants_two(space: object, run: Run) -> None:
    run.evaluate(run.space[0])


class Greedy:
    """A method whose call forgets the run."""

    def __call__(self) -> None:
        pass


def gives_itself_money(run: Run) -> None:
    run._budget.spent = 0
    run.budget *= 2


def crashes_on_little(run: Run) -> None:
    run.evaluate(run.space[0])
    _ = [][0] if run.remaining < run.task.max_fidelity else None  # type: ignore[misc]


def refuses_without_a_name(run: Run) -> None:
    if len(run.space) == 32:
        raise InvalidValueError("no")
    run.evaluate(run.space[0])


def wants_other_data(run: Run) -> None:
    raise MissingCellError(f"no supernet of {run.task.id}")


def wants_nothing(run: Run) -> None:
    raise InvalidValueError(f"not on {run.space.name}")


def does_nothing(run: Run) -> None:
    pass


def depends_on_hashes(run: Run) -> None:
    names = {arch.name for arch in run.space}
    for name in names:
        run.evaluate(name)


def remembers() -> Method:
    seen: list[int] = []

    def method(run: Run) -> None:
        seen.append(1)
        run.evaluate(run.space[len(seen)])

    return method
