"""Run many searches by many methods: ``python -m nasbench_rl.compare``."""
