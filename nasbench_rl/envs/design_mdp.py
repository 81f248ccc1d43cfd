"""Designing an NSC network step by step, as an MDP: actions, rewards and ends of the meta-RL paper (section 4.2).

``NscEnv`` and ``NscVectorEnv`` are two Gymnasium forms of this one set of rules. What the paper leaves open:

- Pointers. Both start on the newest layer and follow it at the distance they were shifted to. The paper prints neither
  start nor motion; the authors' nasgym keeps such distances, and only so is a network without shifts a chain, as where
  the agent "settled for chain-structured networks" while shifts were "the least frequent" actions (section 7,
  Experiment 3). They are no part of the state (Figure 5), so ``info`` tells them. Their sign is Table 2's: ``p1+1``
  adds 1 to p1, and so leaves the network where p1 is on the newest layer. nasgym's "up" adds 1 to the distance *from*
  the newest layer (``infer_action_encoding``) and moves the other way.
- Reward of a shift out of bounds: sigma x accuracy, as lines 10 and 11 of Algorithm 1 have it for every shift. The
  authors' nasgym gives 0 for it (``nasgym/envs/default_nas_env.py``: "If the predecessors were out of boundaries, the
  reward is 0").
- The terminal action: the network's accuracy once more (line 13). On an empty design there is no network: 0. In nasgym
  the prediction module alone, on the image, is a network there (``net_builder.sequence_to_net``); no point of the space
  is so empty, and no table has a row for it.
- A merge with the image, index 0, which Table 1 has among the predecessors: a network like any other. nasgym refuses
  it ("Two predecessors are needed"), with reward 0 and the end of the episode.
- An invalid network has accuracy 0.
- τ. "Higher than a given number τ" (case d) and "the maximum length of an episode" (section 6.1) differ by one; the
  latter holds here, as in nasgym.
- Training noise. A network's accuracy is asked for once and remembered, as in nasgym's database of experiments; so is
  where it came from.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from nasbench_rl.errors import InvalidValueError, check_number
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc.definition import NscDefinition
from nasbench_rl.spaces.nsc.isomorphism import Vectors
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.spaces.nsc.text import layer_name
from nasbench_rl.tables.results import Evaluation, Source, TrajectoryPoint

Evaluate: TypeAlias = Callable[[Architecture], float | Evaluation | TrajectoryPoint]
IsValid: TypeAlias = Callable[[Architecture], bool]
Termination: TypeAlias = Literal["out_of_bounds", "terminal", "max_depth", "max_actions", "invalid"]

TERMINATIONS: tuple[Termination, ...] = ("out_of_bounds", "terminal", "max_depth", "max_actions", "invalid")
"""Cases a) to e) of section 4.2.3; of several at once, the first of e, a, b, c, d is told."""


@dataclass(frozen=True, slots=True)
class Action:
    """A row of Table 2.

    Attributes:
        label: ``conv3``, ``add``, ``terminal``, ``p1+1``.
        kind: what it does.
        type: number of the layer type that is added; 0 for a shift.
        kernel: its kernel or pool size; 0 for none.
        shift: what is added to (p1, p2).
    """

    label: str
    kind: Literal["layer", "terminal", "merge", "shift"]
    type: int = 0
    kernel: int = 0
    shift: tuple[int, int] = (0, 0)


def actions_of(definition: NscDefinition) -> tuple[Action, ...]:
    """Table 2 for a space: A0 … A13 of ``nsc-multibranch``, and the first eight alone for ``nsc-chain``.

    The order for any definition: layers with one predecessor, terminal, merging layers, shifts.
    """
    layers = [Action(layer_name(*option, definition), "layer", *option) for option in definition.options(1)]
    ends = [Action("terminal", "terminal", *option) for option in definition.options(0)]
    if definition.chain:
        return (*layers, *ends)
    merges = [Action(layer_name(*option, definition), "merge", *option) for option in definition.options(2)]
    steps = (("p1+1", (1, 0)), ("p1-1", (-1, 0)), ("p2+1", (0, 1)), ("p2-1", (0, -1)))
    return (*layers, *ends, *merges, *(Action(label, "shift", shift=shift) for label, shift in steps))


@dataclass(frozen=True, slots=True)
class Design:
    """What an episode has built.

    Attributes:
        vectors: NSC vectors of the layers, in the order they were added.
        p1: index of the layer that the next one takes as its first predecessor; 0 is the image.
        p2: likewise the second.
        end: type of the terminal layer once it was added; 0 before.
    """

    vectors: Vectors = ()
    p1: int = 0
    p2: int = 0
    end: int = 0

    @property
    def rows(self) -> Vectors:
        """The layers, and the terminal one behind them (Figure 4)."""
        return (*self.vectors, (len(self.vectors) + 1, self.end, 0, 0, 0)) if self.end else self.vectors

    def after(self, action: Action) -> Design:
        """Return the design that an action makes of this one; its pointers may be out of bounds."""
        if action.kind == "terminal":
            return replace(self, end=action.type)
        if action.kind == "shift":
            return replace(self, p1=self.p1 + action.shift[0], p2=self.p2 + action.shift[1])
        second = self.p2 if action.kind == "merge" else 0
        vector = (len(self.vectors) + 1, action.type, action.kernel, self.p1, second)
        return Design((*self.vectors, vector), self.p1 + 1, self.p2 + 1)


@dataclass(frozen=True, slots=True)
class Transition:
    """What one action led to.

    Attributes:
        design: the design after it.
        reward: r_t of Algorithm 1.
        arch: canonical string of the network N_t; None while there is no layer.
        accuracy: ACC_Nt; 0 for an invalid network or none.
        source: where the accuracy came from: ``"invalid"``, or what ``evaluate`` said; None where it says nothing or
            was not asked.
        ended: why the episode is over, all cases but d); None when it goes on.
    """

    design: Design
    reward: float
    arch: str | None
    accuracy: float
    source: Source | None
    ended: Termination | None


class NscMdp:
    """Algorithm 1 without its agent, its t_max and the count of actions.

    Args:
        space: ``nsc-chain``, ``nsc-multibranch`` or a space of one's own.
        evaluate: accuracy of a network in [0, 1]; called once for each network, never for an invalid one.
        is_valid: whether a network can be built for the images; called once for each network.
        sigma: share of the accuracy that rewards a shift of a pointer; the paper tries 0.0 and 0.1.
        tau: actions an episode may have; None: d for chains, 2 d otherwise (the paper's 10 and 20).

    Attributes:
        actions: the space's part of Table 2.

    Raises:
        InvalidValueError: sigma outside [0, 1] or tau below 1.
    """

    def __init__(
        self, space: NscSpace, evaluate: Evaluate, is_valid: IsValid, sigma: float = 0.0, tau: int | None = None
    ) -> None:
        if not isinstance(space, NscSpace):
            name = getattr(space, "name", space)
            raise InvalidValueError(
                f"{name!r} is no space of NSC networks; allowed: nsc-chain, nsc-multibranch. "
                "For other spaces: Run.env()"
            )
        check_number("sigma", sigma, "0 … 1 (the paper: 0.0, 0.1)")
        if not 0.0 <= sigma <= 1.0:
            raise InvalidValueError(f"sigma {sigma} is no share of the accuracy; allowed: 0 … 1 (the paper: 0.0, 0.1)")
        depth = space.definition.depth
        tau = (depth if space.definition.chain else 2 * depth) if tau is None else tau
        check_number("tau", tau, "1, 2, 3, … (the paper: 10, multi-branch 20)", whole=True)
        if tau < 1:
            raise InvalidValueError(f"tau {tau} leaves no action; allowed: at least 1 (the paper: 10, multi-branch 20)")
        self.space, self.sigma, self.tau = space, float(sigma), int(tau)
        self.actions = actions_of(space.definition)
        self._evaluate, self._is_valid = evaluate, is_valid
        self._known: dict[str, tuple[float, Source | None, bool]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> NscMdp:
        """Itself: copies of an environment share what was asked, and pay for each network once together."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Of an observation: (d, width of Figure 5's encoding)."""
        return self.space.definition.depth, self.space.definition.encoding_width

    def observe(self, design: Design) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Figure 5's encoding, float32 of ``shape``; the layers stand as they were added, not in canonical order."""
        state = np.zeros((self.shape[0], 5), dtype=np.int64)
        if rows := design.rows:
            state[-len(rows) :] = rows
        return self.space.encode_state(state)

    def step(self, design: Design, action: int) -> Transition:
        """Lines 7 to 14 of Algorithm 1, case d) aside."""
        taken, after = self.actions[action], design.after(self.actions[action])
        arch, accuracy, source, valid = self._assess(after.vectors)
        reward = self.sigma * accuracy if taken.kind == "shift" else accuracy
        ended: Termination | None = None
        if not valid:
            ended = "invalid"
        elif not (0 <= after.p1 <= len(after.vectors) and 0 <= after.p2 <= len(after.vectors)):
            ended = "out_of_bounds"
        elif taken.kind == "terminal":
            ended = "terminal"
        elif len(after.vectors) == self.space.definition.depth:
            ended = "max_depth"
        return Transition(after, reward, arch, accuracy, source, ended)

    def check_action(self, action: object) -> int:
        """Return the action's number.

        Raises:
            InvalidValueError: it is no action of this space.
        """
        try:
            number = operator.index(action)  # type: ignore[arg-type]
        except TypeError:
            number = -1
        if not 0 <= number < len(self.actions):
            raise InvalidValueError(f"action {action!r} is none of {self.space.name!r}; {self.allowed}")
        return number

    @property
    def allowed(self) -> str:
        """The actions by number, for messages."""
        return "allowed: " + ", ".join(f"{number} {action.label}" for number, action in enumerate(self.actions))

    def _assess(self, vectors: Vectors) -> tuple[str | None, float, Source | None, bool]:
        if not vectors:
            return None, 0.0, None, True
        arch = self.space.parse(vectors)
        known = self._known.get(arch.name)
        if known is None:
            known = self._known[arch.name] = self._ask(arch)
        return arch.name, *known

    def _ask(self, arch: Architecture) -> tuple[float, Source | None, bool]:
        """Accuracy of a network, where that comes from, and whether the network exists."""
        if not self._is_valid(arch):
            return 0.0, "invalid", False
        answer = self._evaluate(arch)
        accuracy: float
        source: Source | None
        if isinstance(answer, Evaluation | TrajectoryPoint):
            accuracy, source = answer.score, answer.source
        else:
            accuracy, source = float(answer), None
        if not 0.0 <= accuracy <= 1.0:
            raise InvalidValueError(f"evaluate({arch.name!r}) gave {accuracy}; an accuracy lies in 0 … 1")
        return accuracy, source, True
