"""Fetch and prepare image data sets: ``python -m nasbench_rl.data``."""
