"""TreeCell: a tree-structured controller replaces layers by branches, in steps that keep the network's function.

Cai et al. (2018), https://arxiv.org/abs/1806.02639. Runs on tables and surrogates are an approximation: a child scores
as a training from scratch of the same length. Notes: ``docs/methods/network_growth.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nasbench_rl import Run
from nasbench_rl.errors import UnsuitedSpaceError
from nasbench_rl.spaces import Architecture
from nasbench_rl_baselines._child_training import Children
from nasbench_rl_baselines._searching import check_positive
from nasbench_rl_baselines._torch import generator_of, one_thread
from nasbench_rl_baselines._tree_lstm import TreeController

Vector = tuple[int, int, int, int, int]
Vectors = tuple[Vector, ...]


@dataclass(frozen=True)
class TreeCell:
    """Grow trees of branches from the convolutions of one small trained network.

    Attributes:
        start: the small network.
        max_depth: replicas of replicas, at most so deep.
        reinitialise: allow inserted layers that do not keep the function.
        child_part: part of a training that a child gets, less than a whole one.
        finalists: children that are trained from scratch to the end, at least, if the budget has them.
        embedding: size of a layer's embedding.
        units: of the encoder, each way.
        learning_rate: Adam's.
        entropy_coef: weight of the entropy bonus.
        batch: children an update of the controller.
        baseline_decay: weight of the baseline's past.
    """

    start: str = "conv3 | maxpool2 | conv3"
    max_depth: int = 3
    reinitialise: bool = False
    child_part: float = 0.25
    finalists: int = 3
    embedding: int = 10
    units: int = 100
    learning_rate: float = 6e-3
    entropy_coef: float = 1e-2
    batch: int = 4
    baseline_decay: float = 0.05

    def __post_init__(self) -> None:
        """Refuse sizes that allow no search."""
        check_positive(units=self.units, embedding=self.embedding, learning_rate=self.learning_rate, batch=self.batch)
        check_positive(child_part=self.child_part, finalists=self.finalists, max_depth=self.max_depth)

    def __call__(self, run: Run) -> None:
        """Search; ends with the finalists, or in BudgetExhausted."""
        cells = Cells(run, self.start, self.max_depth, self.reinitialise)
        with one_thread():
            start = run.space.parse(cells.start)
            children = Children(run, start, self.child_part, self.finalists, self.baseline_decay, from_start=True)
            controller = TreeController(cells.tokens, cells.merges, self.embedding, self.units, generator_of(run))

            def grow() -> tuple[Architecture, tuple[Tensor, Tensor]]:
                return run.space.parse(cells.grow(controller)), controller.take_log_prob()

            def log_prob(episodes: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
                return torch.stack([each for each, _ in episodes]), torch.stack([entropy for _, entropy in episodes])

            optimizer = torch.optim.Adam(controller.parameters(), self.learning_rate, fused=True)
            children.learn(grow, log_prob, optimizer, self.batch, self.entropy_coef)
        children.finish()


class Cells:
    """The path-level moves of a space.

    Attributes:
        start: the network that all others grow from.
        tokens: every layer (type, kernel) to its token.
        merges: types of add and of concat.
    """

    def __init__(self, run: Run, start: str, max_depth: int, reinitialise: bool) -> None:
        """As the hyperparameters.

        Raises:
            UnsuitedSpaceError: the space has no branches.
        """
        definition: Any = getattr(run.space, "definition", None)
        if definition is None or definition.chain:
            raise UnsuitedSpaceError(
                f"TreeCell grows branches, and {run.space.name!r} has none; it searches nsc-multibranch, "
                "in mode live, or surrogate where one is fitted. "
                "For chains and kernels take eas"
            )
        self._space, self._task, self._depth, self._max_depth = run.space, run.task, definition.depth, max_depth
        self.start: Vectors = run.space.parse(start).choices
        self._reinitialise, self._known = reinitialise, dict[str, bool]()
        single, merge = definition.options(1), definition.options(2)
        self.tokens = {option: token for token, option in enumerate((*single, *merge))}
        kinds = {definition.operation(kind): kind for kind, _ in merge}
        self.merges = tuple(kinds[name] for name in ("add", "concat") if name in kinds)
        self._convs = {kind for kind, _ in single if definition.operation(kind) == "conv"}
        self._layers = [o for o in single if reinitialise or (o[0] in self._convs and o[1] == 1)]

    def grow(self, controller: TreeController) -> Vectors:
        """Return one episode: a network whose moves the controller chose."""
        vectors = self.start
        todo = [(at, 0) for at, _, *_ in reversed(vectors)]
        while todo:
            focus, depth = todo.pop()
            if vectors[focus - 1][1] not in self._convs or len(vectors) + 2 > self._depth:
                continue
            grown = {place: branched(vectors, focus, kind) for place, kind in enumerate(self.merges, start=1)}
            merge = controller.choose(
                "merge", vectors, focus, [0, *(m for m, new in grown.items() if self._allowed(new))]
            )
            if merge == 0:
                continue
            vectors = grown[merge]
            todo = [(at + 2, d) for at, d in todo]  # the layers that are left follow the cell
            for replica in (focus + 1, focus):
                before = len(vectors)
                vectors = self._insert(controller, vectors, replica)
                added = len(vectors) - before
                if added:
                    todo = [(at + added, d) for at, d in todo]
                if depth + 1 < self._max_depth:
                    todo += [(replica + place, depth + 1) for place in range(added, -1, -1)]
        return vectors

    def _insert(self, controller: TreeController, vectors: Vectors, replica: int) -> Vectors:
        """Perhaps put a layer on the path to a replica."""
        if len(vectors) >= self._depth:
            return vectors
        grown = {self.tokens[layer]: inserted(vectors, replica, layer) for layer in self._layers}
        places = [token for token, new in grown.items() if self._allowed(new)]
        if not places or controller.choose("insert", vectors, replica, [0, 1]) == 0:
            return vectors
        return grown[controller.choose("replace", vectors, replica, places)]

    def _allowed(self, vectors: Vectors) -> bool:
        """Return whether the network exists and, unless that may be lost, computes what the start does."""
        arch = self._space.parse(vectors)
        if arch.name not in self._known:
            valid = self._task.is_valid(arch)
            self._known[arch.name] = valid and (self._reinitialise or self._task.keeps_function(self.start, arch))
        return self._known[arch.name]


def branched(vectors: Vectors, index: int, merge: int) -> Vectors:
    """Layer ``index`` next to a replica of itself, merged by a layer of type ``merge``."""
    _, kind, kernel, first, second = vectors[index - 1]
    replica: Vector = (index + 1, kind, kernel, first, second)
    joined: Vector = (index + 2, merge, 0, index, index + 1)
    rest = (_renumbered(v, {at: at + 2 for at in range(index, len(vectors) + 1)}) for v in vectors[index:])
    return (*vectors[:index], replica, joined, *rest)


def inserted(vectors: Vectors, index: int, layer: tuple[int, int]) -> Vectors:
    """Return a new layer on the path to layer ``index``, which moves one place on."""
    _, kind, kernel, first, second = vectors[index - 1]
    moved = {at: at + 1 for at in range(index, len(vectors) + 1)}
    new: Vector = (index, *layer, first, 0)
    rest = (_renumbered(v, moved) for v in vectors[index:])
    return (*vectors[: index - 1], new, (index + 1, kind, kernel, index, second), *rest)


def _renumbered(vector: Vector, places: dict[int, int]) -> Vector:
    index, kind, kernel, first, second = vector
    return (places.get(index, index), kind, kernel, places.get(first, first), places.get(second, second))
