"""Gymnasium environment in which an agent designs NSC networks: Algorithm 1 of the meta-RL paper (section 4.2.3).

The id is known to Gymnasium where ``nasbench_rl.envs`` is imported, or named in the id::

    import gymnasium, nasbench_rl.envs
    gymnasium.make("nasbench_rl/NSC-v0", task="nsc-chain/emoji@lite", mode="surrogate", sigma=0.1)
    gymnasium.make_vec("nasbench_rl/NSC-v0", num_envs=256, task="nsc-chain/emoji@lite", mode="surrogate")

    gymnasium.make("nasbench_rl.envs:nasbench_rl/NSC-v0", task="nsc-chain/emoji@lite", mode="surrogate")

``mode`` and ``tables`` are those of ``load``; ``nsc_mdp`` has the rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_rl.envs.common import check_render_mode
from nasbench_rl.envs.design_mdp import Design, Evaluate, IsValid, NscMdp, Termination
from nasbench_rl.envs.scores import EnvRun, RunScores
from nasbench_rl.errors import InvalidValueError, missing_extra
from nasbench_rl.spaces.nsc.space import NscSpace

try:
    import gymnasium
except ImportError as error:
    raise missing_extra("gymnasium", "live", "the environment nasbench_rl/NSC-v0") from error

Observation = np.ndarray[Any, np.dtype[np.float32]]


class NscEnv(gymnasium.Env[Observation, np.int64]):
    """An episode adds layer after layer; the reward of each action is the accuracy of the network so far.

    Observation: float32 (d, width), Figure 5's encoding. Actions: A0 … A13 of Table 2, for chains A0 … A7;
    ``mdp.actions`` names them. An episode ends, always with ``terminated``, in the paper's cases a) to e).

    ``info`` of a step has ``arch`` (canonical string) and ``accuracy`` of the network unless there is no layer yet,
    beside them ``source``, which says where that accuracy came from when the network was first met: ``"table"``,
    ``"live"`` (trained for it), ``"surrogate"`` (a guess) or ``"invalid"`` (no such network: 0), ``terminated_by`` at
    the end (one of ``TERMINATIONS``), and in a space with pointers ``p1`` and ``p2``.

    Copies of an environment, deep ones too, go on from its design with the same rules and memory of accuracies, and
    charge the same run.

    Args:
        space: an NSC space.
        evaluate: accuracy of a network in [0, 1], a number or, with its source, the ``Evaluation``; called once for
            each network and remembered. Of a number's source ``info`` says nothing.
        is_valid: whether a network can be built; an invalid one is not evaluated, has reward 0 and ends the episode.
        sigma: share of the accuracy that rewards a shift.
        tau: the most actions of an episode; None: d for chains, 2 d otherwise.
        render_mode: None; a design is not drawn.

    Raises:
        InvalidValueError: no NSC space, or sigma, tau or render_mode outside what is allowed.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own attribute)

    def __init__(
        self, space: NscSpace, evaluate: Evaluate, is_valid: IsValid, *, sigma: float = 0.0, tau: int | None = None,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        check_render_mode(render_mode)
        self.mdp = NscMdp(space, evaluate, is_valid, sigma, tau)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, self.mdp.shape, np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(self.mdp.actions))
        self._design: Design | None = None
        self._steps = 0

    @classmethod
    def of_run(
        cls, run: EnvRun, fidelity: int | None = None, *, sigma: float = 0.0, tau: int | None = None,
        render_mode: str | None = None,
    ) -> NscEnv:  # fmt: skip
        """Make the environment of a run on an NSC task; each network, valid or not, is charged to the run once.

        So it is over all copies of the environment together. It cannot be pickled. ``BudgetExhausted`` ends a search
        from inside ``step``. Steps that meet known networks cost nothing, so a method bounds the number of steps itself
        (the paper's t_max).

        Raises:
            InvalidValueError: a fidelity that the task has not, or as in ``NscEnv``.
        """
        scores = RunScores(run, fidelity)
        return cls(scores.space, scores.evaluate, scores.is_valid, sigma=sigma, tau=tau, render_mode=render_mode)

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
