"""nasbench-rl."""
