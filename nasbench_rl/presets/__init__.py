"""The papers' own experiments, replayed: ``python -m nasbench_rl.compare --preset NAME``."""
