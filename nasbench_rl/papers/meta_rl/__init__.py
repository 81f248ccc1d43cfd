"""The experiments of the meta-RL paper: ``compare --preset meta-rl-paper``."""
