"""A task with exact scores and no end of train seeds, so that what a method learns can be seen in what it samples."""

from __future__ import annotations

from nasbench_rl import BudgetExhausted, Evaluation, Run
from nasbench_rl.benchmark.base import Benchmark
from nasbench_rl.benchmark.method import Method
from nasbench_rl.spaces.base import ArchLike
from nasbench_rl.tables.results import Cost, Split
from nasbench_rl.task import Task, get_task

BEST = (2, 4)


class ToyBenchmark(Benchmark):
    """The score falls with the distance of each kernel from ``BEST``; it is the same for every seed."""

    mode = "tabular"

    def __init__(self, task: str = "minatar-ss1/breakout@smoke", seeds: int = 1000) -> None:
        self.task: Task = get_task(task)
        self.seeds = seeds

    def train_seeds(self, split: Split = "validation") -> tuple[int, ...]:
        return tuple(range(0, 2 * self.seeds, 2))

    def query(
        self,
        arch: ArchLike,
        *,
        fidelity: int | None = None,
        seed: int | None = None,
        split: Split = "test",
        metric: str | None = None,
    ) -> Evaluation:
        parsed = self.task.space.parse(arch)
        amount = fidelity or self.task.max_fidelity
        score = 20.0 - sum(abs(kernel - best) for kernel, best in zip(parsed.choices, BEST, strict=False))
        return Evaluation(
            task=self.task.id,
            arch=parsed.name,
            fidelity=amount,
            split=split,
            seeds=(seed or 0,),
            score=score,
            score_std=float("nan"),
            metrics={},
            cost=Cost(amount, "env_steps", 1.0),
            params=1,
            flops=1,
            source="table",
        )


def searched(method: Method, evaluations: int, seed: int = 0, bench: Benchmark | None = None) -> Run:
    """A run that ``method`` has finished, with a budget of so many whole trainings."""
    bench = bench or ToyBenchmark()
    run = bench.start(evaluations * bench.task.max_fidelity, seed)
    try:
        method(run)
    except BudgetExhausted:
        pass
    return run


def share_of_best(run: Run, last: int = 100) -> float:
    """How often the best architecture was sampled at the end; 1/25 for a uniform policy."""
    best = run.space.parse(BEST).name
    return sum(point.arch == best for point in run.points[-last:]) / last
