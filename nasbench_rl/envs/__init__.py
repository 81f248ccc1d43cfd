"""Gymnasium views of a search: an episode designs an architecture, its validation score is the reward.

``ArchitectureEnv`` is for kernel-choice spaces, ``NscEnv`` and ``NscVectorEnv`` are Algorithm 1 of the meta-RL paper.
Importing this package makes ``nasbench_rl/NSC-v0`` known to Gymnasium, and so does naming it in the id,
``nasbench_rl.envs:nasbench_rl/NSC-v0``. ``nasbench_rl`` imports it where Gymnasium is imported already. Nothing does
that for a Gymnasium that comes later: since 1.0 it looks for no entry points of plugins.
"""

from typing import TYPE_CHECKING

from nasbench_rl.envs.common import ENV_ID as ENV_ID
from nasbench_rl.errors import missing_extra

try:
    import gymnasium
except ImportError as error:
    raise missing_extra("gymnasium", "live", "the Gymnasium view of a search") from error

if TYPE_CHECKING:
    from nasbench_rl.envs.kernel_env import ArchitectureEnv as ArchitectureEnv
    from nasbench_rl.envs.nsc_env import NscEnv as NscEnv
    from nasbench_rl.envs.nsc_vector_env import NscVectorEnv as NscVectorEnv

# Loaded when first asked for: a program that imports nasbench_rl behind gymnasium need not want an environment.
_HOMES = {"ArchitectureEnv": "kernel_env", "NscEnv": "nsc_env", "NscVectorEnv": "nsc_vector_env"}
__all__ = ["ENV_ID", *_HOMES]

if not TYPE_CHECKING:

    def __getattr__(name):
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value


if ENV_ID not in gymnasium.registry:
    gymnasium.register(
        ENV_ID,
        entry_point="nasbench_rl.benchmark.make_env:make_env",
        vector_entry_point="nasbench_rl.benchmark.make_env:make_vector_env",
    )
