"""Everything that a findings page says, worked out from the tables and the recorded searches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nasbench_rl.benchmark import Benchmark
from nasbench_rl.findings.against_random import Comparison, compare_task, over_tasks
from nasbench_rl.findings.fidelity import FidelityFinding, fidelity_finding
from nasbench_rl.findings.latency import LatencyFinding, latency_findings
from nasbench_rl.findings.searches import Chosen, Searches
from nasbench_rl.findings.sources import OneShotSource, one_shot_sources, surrogate_infos
from nasbench_rl.findings.spread import SpreadFinding, spread_finding
from nasbench_rl.leaderboard.facts import TableFacts, table_facts
from nasbench_rl.loading import load
from nasbench_rl.surrogate_info import SurrogateInfo
from nasbench_rl.task import ImageTask


@dataclass(frozen=True, eq=False)
class Answers:
    """What the tables say.

    Attributes:
        searches: what every run chose, and which tables were read.
        facts: of every table.
        against: per task its comparisons with random search, by budget.
        overall: the same over all tasks on which whole trainings rank the architectures at all, for each budget that
            every one has; empty with a single such task.
        fidelities: of every task with enough architectures.
        spreads: likewise.
        one_shots: supernets and differentiable searches that are stored.
        surrogates: what each that is stored says of itself.
        latencies: of every task whose networks were timed, by batch.
        depths: of every image task in the table, the number of layers of each network.
    """

    searches: Searches
    facts: tuple[TableFacts, ...]
    against: dict[str, tuple[Comparison, ...]]
    overall: tuple[Comparison, ...]
    fidelities: tuple[FidelityFinding, ...]
    spreads: tuple[SpreadFinding, ...]
    one_shots: tuple[OneShotSource, ...]
    surrogates: tuple[SurrogateInfo, ...]
    latencies: tuple[LatencyFinding, ...]
    depths: dict[str, list[int]]

    @property
    def main(self) -> tuple[Comparison, ...]:
        """What the first question is answered by: over all tasks, or the only task's."""
        return self.overall or next(iter(self.against.values()), ())


def answers(searches: Searches, folder: Path) -> Answers:
    """All of it.

    Args:
        searches: recorded with the tables of ``folder``.
        folder: of tables.
    """
    facts = table_facts(str(folder))
    benches = {one.task: load(one.task, tables=folder) for one in facts}
    groups: dict[tuple[str, int], list[Chosen]] = {}
    for one in searches.searches:
        groups.setdefault((one.task, one.budget), []).append(one)
    against: dict[str, tuple[Comparison, ...]] = {}
    for task, budget in sorted(groups):
        comparison = compare_task(benches[task], budget, groups[task, budget])
        if comparison is not None:
            against[task] = (*against.get(task, ()), comparison)
    fidelities = [fidelity_finding(bench) for bench in benches.values()]
    spreads = [spread_finding(bench) for bench in benches.values()]
    by_chance = {one.task for one in fidelities if one is not None and not one.short.ranks}
    ranked = {id_: parts for id_, parts in against.items() if id_ not in by_chance}
    return Answers(
        searches, tuple(facts), {id_: against[id_] for id_ in benches if id_ in against}, _overall(ranked),
        tuple(one for one in fidelities if one is not None), tuple(one for one in spreads if one is not None),
        one_shot_sources(folder), surrogate_infos(folder), latency_findings(folder),
        {id_: _depths(bench) for id_, bench in benches.items() if isinstance(bench.task, ImageTask)},
    )  # fmt: skip


def _depths(bench: Benchmark) -> list[int]:
    return [len(bench.space.parse(name).choices) for name in bench.table.names]


def _overall(against: dict[str, tuple[Comparison, ...]]) -> tuple[Comparison, ...]:
    if len(against) < 2:
        return ()
    budgets = set.intersection(*({one.trainings for one in parts} for parts in against.values()))
    return tuple(
        over_tasks([one for parts in against.values() for one in parts if one.trainings == budget])
        for budget in sorted(budgets)
    )
