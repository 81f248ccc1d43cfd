"""Steps of the vector form of ``nasbench_rl/NSC-v0``, by number of environments.

Actions are drawn uniformly and the same ones are played again and again, so that all but the first round is look-ups.
A formula stands for the table, which is asked once for each network: what is timed after that never reads it.
"""

from __future__ import annotations

import time
import zlib

import numpy as np

STEPS = 100
repeat = 5  # with two rounds ten samples a commit; asv sees no difference between six and six


class Steps:
    """``STEPS`` vector steps over known networks."""

    params = [["nsc-chain", "nsc-multibranch"], ["NextStep", "SameStep"], [64, 256, 1024]]
    param_names = ["space", "autoreset", "environments"]
    timeout = 120

    def setup(self, name: str, autoreset: str, count: int) -> None:
        try:
            from nasbench_rl.envs.nsc_vector_env import NscVectorEnv
        except ImportError as error:
            raise NotImplementedError(f"needs the extra 'live': {error}") from error
        from nasbench_rl.spaces.nsc.space import nsc_space

        space = nsc_space(name)
        self.env = NscVectorEnv(
            space,
            lambda arch: zlib.crc32(arch.name.encode()) / 2**32,
            lambda arch: space.is_valid(arch, 28, 28),
            count,
            autoreset_mode=autoreset,
        )
        self.actions = np.random.default_rng(0).integers(len(self.env.mdp.actions), size=(STEPS, count))
        self.time_known(name, autoreset, count)

    def time_known(self, name: str, autoreset: str, count: int) -> None:
        self.env.reset()
        for actions in self.actions:
            self.env.step(actions)

    def track_microseconds_per_step(self, name: str, autoreset: str, count: int) -> float:
        """Of actions that were taken; the steps in which ``NextStep`` only begins anew are left out.

        No rate: asv takes the higher of two numbers for the worse.
        """
        seconds, taken = np.inf, STEPS * count
        for _ in range(5):
            began = time.perf_counter()
            self.time_known(name, autoreset, count)
            seconds = min(seconds, time.perf_counter() - began)
        if autoreset == "NextStep":
            self.env.reset()
            taken -= sum(int(self.env.step(actions)[2].sum()) for actions in self.actions[:-1])
        return 1e6 * seconds / taken

    track_microseconds_per_step.unit = "us"  # type: ignore[attr-defined]
