"""Training efforts by their part of a whole training, and successive halving over them."""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces import Architecture, size_of
from nasbench_rl_baselines._scores import draw_untrained


def nearest_fidelity(run: Run, part: float) -> int:
    """Return the stored fidelity nearest to a part of the whole training, the lower of two.

    Raises:
        InvalidValueError: not above 0 and at most 1.
    """
    if not 0 < part <= 1:
        raise InvalidValueError(f"{part} of a training is not allowed; give a part above 0 and at most 1")
    return min(run.task.fidelities, key=lambda fidelity: abs(fidelity - part * run.task.max_fidelity))


def geometric_rungs(run: Run, eta: int, halvings: int) -> tuple[int, ...]:
    """Return fidelities R η^−s … R η^−1, R of ``halvings`` s, each the nearest that is stored."""
    parts = [float(eta) ** -left for left in range(halvings, -1, -1)]
    return tuple(dict.fromkeys(nearest_fidelity(run, part) for part in parts))


def most_halvings(run: Run, eta: int) -> int:
    """s_max: the most halvings whose first rung is no lower than the lowest stored fidelity."""
    halvings = 0
    while run.task.fidelities[0] * eta ** (halvings + 1) <= run.task.max_fidelity:
        halvings += 1
    return halvings


def bracket_cost(size: int, rungs: Sequence[int], eta: int) -> int:
    """Return what a bracket charges when all its trainings are new; a promotion pays the difference only."""
    cost, before = 0, 0
    for rung in rungs:
        cost += size * (rung - before)
        size, before = max(1, size // eta), rung
    return cost


def draw_bracket(run: Run, size: int, seen: set[str]) -> list[Architecture]:
    """Return distinct architectures for a bracket, unseen ones as long as there are; all drawn join ``seen``."""
    drawn: list[Architecture] = []
    while len(drawn) < min(size, size_of(run.space)):
        if len(seen) >= size_of(run.space):  # used up: go through it again, on the next train seeds
            seen.clear()
            seen.update(arch.name for arch in drawn)
        drawn.append(draw_untrained(run, seen))
        seen.add(drawn[-1].name)
    return drawn


def halve(run: Run, archs: list[Architecture], rungs: Sequence[int], eta: int) -> None:
    """One bracket: train all to the first rung, the best 1/η of them on to the next, and so forth.

    An architecture without a score, because no game has finished, comes last.
    """
    for rung in rungs:
        scores = {arch.name: run.evaluate(arch, rung) for arch in archs}
        archs = sorted(archs, key=lambda arch: (scores[arch.name] == scores[arch.name], scores[arch.name]))[::-1]
        archs = archs[: max(1, len(archs) // eta)]
