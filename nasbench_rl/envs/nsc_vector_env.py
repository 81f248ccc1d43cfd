"""Many NSC designs at once, as NumPy arrays: what ``gymnasium.make_vec("nasbench_rl/NSC-v0", …)`` makes.

``NscMdp`` works out each new sequence of actions once; from then on a step through it is a look-up in arrays. Both
spaces work alike. Each sequence that was met takes about a kilobyte.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from nasbench_rl.envs.common import check_render_mode
from nasbench_rl.envs.design_mdp import TERMINATIONS, Design, Evaluate, IsValid, NscMdp
from nasbench_rl.errors import InvalidValueError, check_number, missing_extra, unknown
from nasbench_rl.spaces.nsc.space import NscSpace
from nasbench_rl.tables.results import Source

try:
    import gymnasium
    from gymnasium.vector import AutoresetMode
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise missing_extra("gymnasium>=1.1", "live", "the vector environment of nasbench_rl/NSC-v0") from error

Array = np.ndarray[Any, np.dtype[Any]]
Observations = np.ndarray[Any, np.dtype[np.float32]]

_ENDS = np.array([None, *TERMINATIONS], dtype=object)
_SOURCES: tuple[Source, ...] = get_args(Source)
_ORIGINS = np.array([None, *_SOURCES], dtype=object)
_MAX_ACTIONS = 1 + TERMINATIONS.index("max_actions")


class _Tree:
    """Every sequence of actions met so far: a node each, its facts in arrays, node 0 the empty design."""

    def __init__(self, mdp: NscMdp, capacity: int = 1024) -> None:
        self._mdp = mdp
        self._designs = [Design()]
        self.child = np.full((capacity, len(mdp.actions)), -1, dtype=np.int64)
        self.view = np.zeros((capacity, *mdp.shape), dtype=np.bool_)
        self.reward = np.zeros(capacity)
        self.accuracy = np.zeros(capacity)
        self.ended = np.zeros(capacity, dtype=np.int8)  # place in _ENDS
        self.origin = np.zeros(capacity, dtype=np.int8)  # place in _ORIGINS
        self.arch = np.full(capacity, None, dtype=object)
        self.named = np.zeros(capacity, dtype=np.bool_)  # whether there is an arch
        self.pointers = np.zeros((capacity, 2), dtype=np.int64)
        self.view[0] = mdp.observe(Design())

    def __deepcopy__(self, memo: dict[int, Any]) -> _Tree:
        """Itself: it only grows, and copies of an environment share what was met."""
        return self

    def follow(self, nodes: Array, actions: Array) -> Array:
        """Return the node that each (node, action) leads to, worked out where it is new."""
        following: Array = self.child[nodes, actions]
        for place in np.flatnonzero(following < 0):
            node, action = int(nodes[place]), int(actions[place])
            if self.child[node, action] < 0:  # not met earlier in this loop
                self._add(node, action)
            following[place] = self.child[node, action]
        return following

    def _add(self, node: int, action: int) -> None:
        done = self._mdp.step(self._designs[node], action)  # may raise: nothing has changed so far
        new = len(self._designs)
        if new == len(self.child):
            self._double()
        self._designs.append(done.design)
        self.view[new] = self._mdp.observe(done.design)
        self.reward[new], self.accuracy[new], self.arch[new] = done.reward, done.accuracy, done.arch
        self.named[new] = done.arch is not None
        self.origin[new] = 0 if done.source is None else 1 + _SOURCES.index(done.source)
        self.ended[new] = 0 if done.ended is None else 1 + TERMINATIONS.index(done.ended)
        self.pointers[new] = done.design.p1, done.design.p2
        self.child[node, action] = new

    def _double(self) -> None:
        for name in ("child", "view", "reward", "accuracy", "ended", "origin", "arch", "named", "pointers"):
            held = getattr(self, name)
            blank = np.full_like(held, {"child": -1, "arch": None}.get(name, 0))
            setattr(self, name, np.concatenate([held, blank]))


class NscVectorEnv(gymnasium.vector.VectorEnv[Observations, Array, Array]):
    """``num_envs`` independent ``NscEnv``, with the rewards, ends and infos of ``SyncVectorEnv`` over them.

    Args:
        space: see ``NscEnv``.
        evaluate: see ``NscEnv``; called once for each network, whichever environment meets it first.
        is_valid: see ``NscEnv``.
        num_envs: number of environments n; observations are float32 (n, d, width), all else (n,).
        sigma: see ``NscEnv``.
        tau: see ``NscEnv``.
        autoreset_mode: ``NEXT_STEP``, Gymnasium's default: the step after an episode's last ignores its action and
            begins anew, with reward 0. ``SAME_STEP``: the last step already returns the new episode's observation, and
            ``info`` the last one as ``final_obs`` and ``final_info``; no step is lost.
        render_mode: see ``NscEnv``.

    Raises:
        InvalidValueError: no NSC space; num_envs, sigma, tau, autoreset_mode or render_mode outside what is allowed.
    """

    def __init__(
        self, space: NscSpace, evaluate: Evaluate, is_valid: IsValid, num_envs: int = 1, *, sigma: float = 0.0,
        tau: int | None = None, autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        check_render_mode(render_mode)
        check_number("num_envs", num_envs, "1, 2, 3, …", whole=True)
        if num_envs < 1:
            raise InvalidValueError(f"num_envs {num_envs} is no number of environments; allowed: at least 1")
        self.mdp = NscMdp(space, evaluate, is_valid, sigma, tau)
        self.num_envs = num_envs
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = gymnasium.spaces.Box(0.0, 1.0, self.mdp.shape, np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(len(self.mdp.actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._tree = _Tree(self.mdp)
        self._nodes: Array | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin environments anew; nothing here is random.

        Args:
            seed: of Gymnasium's ``np_random``, which nothing here draws from.
            options: under ``reset_mask`` booleans (n,), True where an environment begins anew; the others stay as they
                are. Without them all begin anew. Other options have no meaning.

        Returns:
            Observations (n, d, width) of all environments, info of those that begin anew.

        Raises:
            InvalidValueError: ``reset_mask`` is none, resets nothing, or leaves out some before the first reset.
        """
        mask = self._reset_mask(options)
        super().reset(seed=seed if isinstance(seed, int) else None)
        root = np.zeros(self.num_envs, dtype=np.int64)
        if self._nodes is None:
            self._nodes, self._steps, self._over = root, root.copy(), np.zeros(self.num_envs, dtype=np.bool_)
        self._nodes, self._steps = np.where(mask, root, self._nodes), np.where(mask, 0, self._steps)
        self._over = self._over & ~mask
        return self._observe(self._nodes), self._pointers(root, mask)

    def _reset_mask(self, options: dict[str, Any] | None) -> Array:
        """(n,) which environments begin anew; ``options`` stay whole, for the wrappers around this one."""
        if options is None or "reset_mask" not in options:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = options["reset_mask"]
        allowed = f"an array of {self.num_envs} booleans, one an environment, at least one of them True"
        if not isinstance(mask, np.ndarray):
            raise InvalidValueError(f"reset_mask {mask!r} is no NumPy array; allowed: {allowed}")
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise InvalidValueError(f"reset_mask is {mask.dtype} {mask.shape}; allowed: {allowed}")
        if not mask.any():
            raise InvalidValueError(f"reset_mask is False everywhere and resets nothing; allowed: {allowed}")
        if self._nodes is None and not mask.all():
            raise InvalidValueError(
                "reset_mask leaves out environments that never began; call reset() without it first"
            )
        return mask.copy()

    def step(self, actions: Array) -> tuple[Observations, Array, Array, Array, dict[str, Any]]:
        """Take one action in each environment.

        Args:
            actions: integers (n,).

        Returns:
            Observations (n, d, width), rewards (n,), terminated (n,), truncated (n,) which is never true, info.

        Raises:
            InvalidValueError: a wrong number of actions, one outside Table 2, or ``reset`` was not called.
        """
        if self._nodes is None:
            raise InvalidValueError("no episodes are going on; call reset() before the first step")
        actions = self._check(actions)
        nodes = np.zeros_like(self._nodes)  # an environment that begins anew stands on node 0, whose reward is 0
        going = ~self._over
        nodes[going] = self._tree.follow(self._nodes[going], actions[going])
        steps = np.where(going, self._steps + 1, 0)
        ends = self._tree.ended[nodes]
        ends[(ends == 0) & (steps == self.mdp.tau)] = _MAX_ACTIONS
        terminated, rewards = ends > 0, self._tree.reward[nodes]
        truncated = np.zeros(self.num_envs, dtype=np.bool_)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self._over = terminated.copy()
            info = self._info(nodes, ends)
        else:
            finals, steps = np.where(terminated, nodes, 0), np.where(terminated, 0, steps)
            nodes = np.where(terminated, 0, nodes)
            info = self._info(nodes, np.zeros_like(ends))
            if terminated.any():
                info |= self._final(finals, ends, terminated)
        self._nodes, self._steps = nodes, steps
        return self._observe(nodes), rewards, terminated, truncated, info

    def _check(self, actions: Array) -> Array:
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise InvalidValueError(
                f"actions are {self.num_envs} integers, one an environment, not {actions.dtype} {actions.shape}"
            )
        if actions.min() < 0 or actions.max() >= len(self.mdp.actions):
            bad = actions[(actions < 0) | (actions >= len(self.mdp.actions))][0]
            raise InvalidValueError(f"action {bad} is none of {self.mdp.space.name!r}; {self.mdp.allowed}")
        return actions

    def _observe(self, nodes: Array) -> Observations:
        return self._tree.view[nodes].astype(np.float32)

    def _info(self, nodes: Array, ends: Array, among: Array | None = None) -> dict[str, Any]:
        """Gymnasium's form: an array a key, and under ``_key`` where it holds."""
        info = self._pointers(nodes, np.ones(self.num_envs, dtype=np.bool_) if among is None else among.copy())
        if (named := self._tree.named[nodes]).any():
            info |= {"arch": self._tree.arch[nodes], "_arch": named}
            info |= {"accuracy": self._tree.accuracy[nodes], "_accuracy": named.copy()}
        origins = self._tree.origin[nodes]
        if (told := origins > 0).any():
            info |= {"source": _ORIGINS[origins], "_source": told}
        if (ended := ends > 0).any():
            info |= {"terminated_by": _ENDS[ends], "_terminated_by": ended}
        return info

    def _final(self, nodes: Array, ends: Array, terminated: Array) -> dict[str, Any]:
        last = np.full(self.num_envs, None, dtype=object)
        for place in np.flatnonzero(terminated):
            last[place] = self._tree.view[nodes[place]].astype(np.float32)
        return {
            "final_obs": last,
            "_final_obs": terminated.copy(),
            "final_info": self._info(nodes, ends, terminated),
            "_final_info": terminated.copy(),
        }

    def _pointers(self, nodes: Array, among: Array) -> dict[str, Any]:
        if self.mdp.space.definition.chain:
            return {}
        first, second = self._tree.pointers[nodes].T.copy()
        return {"p1": first, "_p1": among, "p2": second, "_p2": among.copy()}


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    allowed = {known.value: known for known in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)}
    name = mode.value if isinstance(mode, AutoresetMode) else mode
    if name not in allowed:
        raise unknown("autoreset mode", name, allowed)
    return allowed[name]
