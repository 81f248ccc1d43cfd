"""A run that remembers every step of its agent in the NSC environment, not only the networks it evaluates."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl.benchmark.run import Run
from nasbench_rl.errors import missing_extra

try:
    import gymnasium
except ImportError as error:
    raise missing_extra("gymnasium", "live", "tracing the environment of a run") from error

if TYPE_CHECKING:
    import pandas as pd

    from nasbench_rl.benchmark.base import Benchmark

_STREAM = 2
"""Spawn key, beside those of ``Run``."""
COLUMNS = ("episode", "position", "action", "reward", "arch", "ended")


class TracedRun(Run):
    """A run on an NSC task whose environment keeps its steps.

    Attributes:
        steps: a tuple (``COLUMNS``) a step.
    """

    def __init__(self, benchmark: Benchmark, budget: int, seed: int, stream: str = "", **options: Any) -> None:
        """Begin a run.

        Args:
            benchmark: of an NSC task.
            budget: see ``Run``.
            seed: see ``Run``.
            stream: runs of one seed and different streams draw independently; trials that a test sets side by side
                would else share their luck.
            options: of the environment (sigma, tau).
        """
        super().__init__(benchmark, budget, seed)
        if stream:
            key = (_STREAM, zlib.crc32(stream.encode()))
            self.rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        self.steps: list[tuple[Any, ...]] = []
        self._options = options

    def env(self, **options: Any) -> gymnasium.Env[Any, Any]:
        """See ``Run.env``."""
        return _Traced(super().env(**{**self._options, **options}), self.steps)

    def sources(self) -> dict[str, str]:
        """Say where the score of each evaluated network comes from."""
        return {point.arch: point.source for point in self.points}

    def frame(self) -> pd.DataFrame:
        """Return all steps: step, ``COLUMNS``, source (empty while there is no network)."""
        import pandas as pd

        frame = pd.DataFrame(self.steps, columns=list(COLUMNS))
        frame.insert(0, "step", np.arange(len(frame)))
        frame["source"] = frame["arch"].map(self.sources()).fillna("")
        return frame


class _Traced(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: gymnasium.Env[Any, Any], steps: list[tuple[Any, ...]]) -> None:
        super().__init__(env)
        self._steps, self._episode, self._position = steps, -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._episode, self._position = self._episode + 1, 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self.env.step(action)
        ended = bool(terminated or truncated)
        row = (self._episode, self._position, int(action), float(reward), info.get("arch", ""), ended)
        self._steps.append(row)
        self._position += 1
        return seen, reward, terminated, truncated, info
