"""Gymnasium views of a search: an episode designs an architecture, its validation score is the reward.

``ArchitectureEnv`` is for kernel-choice spaces, ``NscEnv`` and ``NscVectorEnv`` are Algorithm 1 of the meta-RL paper.
Importing this package makes ``nasbench_rl/NSC-v0`` known to Gymnasium.
"""

from nasbench_rl.envs.architecture_env import ArchitectureEnv as ArchitectureEnv
from nasbench_rl.envs.nsc_env import NscEnv as NscEnv
from nasbench_rl.envs.nsc_vector_env import NscVectorEnv as NscVectorEnv
