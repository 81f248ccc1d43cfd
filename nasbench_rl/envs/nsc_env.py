"""Gymnasium environment in which an agent designs NSC networks: Algorithm 1 of the meta-RL paper (section 4.2.3).

The id is known to Gymnasium where ``nasbench_rl`` is imported too, and where ``nasbench_rl.envs`` is named::

    import gymnasium, nasbench_rl
    gymnasium.make("nasbench_rl/NSC-v0", task="nsc-chain/emoji@lite", mode="surrogate", sigma=0.1)
    gymnasium.make_vec("nasbench_rl/NSC-v0", num_envs=256, task="nsc-chain/emoji@lite", mode="surrogate")

    gymnasium.make("nasbench_rl.envs:nasbench_rl/NSC-v0", task="nsc-chain/emoji@lite", mode="surrogate")

``mode`` and ``tables`` are those of ``load``; ``nsc_mdp`` has the rules.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nasbench_rl.benchmark import Mode, load
from nasbench_rl.envs import ENV_ID
from nasbench_rl.envs.nsc_mdp import Design, Evaluate, IsValid, NscMdp, Termination
from nasbench_rl.errors import InvalidValueError, missing_extra
from nasbench_rl.records import Evaluation, TrajectoryPoint
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.nsc import NscSpace
from nasbench_rl.task import Task, get_task, task_ids

try:
    import gymnasium
except ImportError as error:
    raise missing_extra("gymnasium", "live", "the environment nasbench_rl/NSC-v0") from error

if TYPE_CHECKING:
    from nasbench_rl.run import Run

Observation = np.ndarray[Any, np.dtype[np.float32]]


class NscEnv(gymnasium.Env[Observation, np.int64]):
    """An episode adds layer after layer; the reward of each action is the accuracy of the network so far.

    Observation: float32 (d, width), Figure 5's encoding. Actions: A0 … A13 of Table 2, for chains A0 … A7;
    ``mdp.actions`` names them. An episode ends, always with ``terminated``, in the paper's cases a) to e).

    ``info`` of a step has ``arch`` (canonical string) and ``accuracy`` of the network unless there is no layer yet,
    beside them ``source``, which says where that accuracy came from when the network was first met: ``"table"``,
    ``"live"`` (trained for it), ``"surrogate"`` (a guess) or ``"invalid"`` (no such network: 0), ``terminated_by`` at
    the end (one of ``TERMINATIONS``), and in a space with pointers ``p1`` and ``p2``.

    Args:
        space: an NSC space.
        evaluate: accuracy of a network in [0, 1], a number or, with its source, the ``Evaluation``; called once for
            each network and remembered. Of a number's source ``info`` says nothing.
        is_valid: whether a network can be built; an invalid one is not evaluated, has reward 0 and ends the episode.
        sigma: share of the accuracy that rewards a shift.
        tau: the most actions of an episode; None: d for chains, 2 d otherwise.

    Raises:
        InvalidValueError: no NSC space, or sigma or tau outside what is allowed.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own attribute)

    def __init__(
        self, space: NscSpace, evaluate: Evaluate, is_valid: IsValid, *, sigma: float = 0.0, tau: int | None = None
    ) -> None:
        self.mdp = NscMdp(space, evaluate, is_valid, sigma, tau)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, self.mdp.shape, np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(self.mdp.actions))
        self._design: Design | None = None
        self._steps = 0

    @classmethod
    def of_run(cls, run: Run, fidelity: int | None = None, *, sigma: float = 0.0, tau: int | None = None) -> NscEnv:
        """The environment of a run on an NSC task; each network is charged to the run once, an invalid one too.

        ``BudgetExhausted`` ends a search from inside ``step``. Steps that meet known networks cost nothing, so a method
        bounds the number of steps itself (the paper's t_max).

        Raises:
            InvalidValueError: a fidelity that the task has not, or as in ``NscEnv``.
        """
        run.task.fidelity_at(fidelity)  # raises before an episode begins

        def evaluate(arch: Architecture) -> TrajectoryPoint:
            run.evaluate(arch, fidelity)
            return run.points[-1]

        def is_valid(arch: Architecture) -> bool:
            valid = bool(run.task.is_valid(arch))
            if not valid:
                run.evaluate(arch, fidelity)  # 0.0; a network that cannot be built costs what the run says
            return valid

        space = cast(NscSpace, run.space)  # NscMdp refuses another kind
        return cls(space, evaluate, is_valid, sigma=sigma, tau=tau)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin with an empty design; nothing here is random, and ``options`` has no meaning."""
        super().reset(seed=seed)
        self._design, self._steps = Design(), 0
        return self.mdp.observe(self._design), self._pointers(self._design)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action of Table 2.

        Raises:
            InvalidValueError: no such action, or no episode is going on.
        """
        if self._design is None:
            raise InvalidValueError("no episode is going on; call reset() before the first step and after the last")
        done = self.mdp.step(self._design, self.mdp.check_action(action))
        self._steps += 1
        ended: Termination | None = done.ended or ("max_actions" if self._steps == self.mdp.tau else None)
        info = self._pointers(done.design)
        if done.arch is not None:
            info |= {"arch": done.arch, "accuracy": done.accuracy}
        if done.source is not None:
            info["source"] = done.source
        if ended is not None:
            info["terminated_by"] = ended
        self._design = done.design if ended is None else None
        return self.mdp.observe(done.design), done.reward, ended is not None, False, info

    def _pointers(self, design: Design) -> dict[str, Any]:
        return {} if self.mdp.space.definition.chain else {"p1": design.p1, "p2": design.p2}


def scores_of(
    task: str | Task | None, mode: Mode, tables: str | os.PathLike[str] | None, device: str, fidelity: int | None
) -> tuple[NscSpace, Evaluate, IsValid]:
    """Space, validation accuracy and validity of a task, for an environment without a run.

    Raises:
        UnknownNameError, InvalidValueError, TableError: no such task or mode, a task of another kind, a fidelity that
            it has not, no table.
    """
    known = None if task is None else get_task(task)
    if known is None or not isinstance(known.space, NscSpace):
        ids = ", ".join(id_ for id_ in task_ids() if isinstance(get_task(id_).space, NscSpace))
        missing = "no task is named" if known is None else f"{known.id!r} designs no NSC networks"
        raise InvalidValueError(f"{ENV_ID}: {missing}; allowed: {ids}")
    known.fidelity_at(fidelity)
    bench = load(known, mode, tables, device)

    def evaluate(arch: Architecture) -> Evaluation:
        return bench.query(arch, fidelity=fidelity, split="validation")

    return known.space, evaluate, known.is_valid


def make_env(
    task: str | Task | None = None, mode: Mode = "tabular", tables: str | os.PathLike[str] | None = None,
    device: str = "cpu", fidelity: int | None = None, sigma: float = 0.0, tau: int | None = None,
) -> NscEnv:  # fmt: skip
    """What ``gymnasium.make`` calls: the environment of a task, its rewards the mean over the validation seeds.

    Args:
        task: id of an NSC task.
        mode: ``"tabular"``, ``"surrogate"`` or ``"live"``, as in ``load``.
        tables: a folder of tables, as in ``load``.
        device: where live mode trains.
        fidelity: epochs of a training; None is the whole training.
        sigma: see ``NscEnv``.
        tau: see ``NscEnv``.

    Raises:
        UnknownNameError, InvalidValueError, TableError: no such task or mode, a task of another kind, no table.
    """
    return NscEnv(*scores_of(task, mode, tables, device, fidelity), sigma=sigma, tau=tau)
