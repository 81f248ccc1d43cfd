"""The comparison of the RL-agents paper: ``compare --preset rl-agents-paper``."""
