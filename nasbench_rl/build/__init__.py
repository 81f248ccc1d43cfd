"""Everything that makes tables: ``python -m nasbench_rl.build``.

``todo`` and ``selection`` say which cells to train, ``train`` hands them to the processes of ``training.workers``,
``estimate`` says what that costs. ``latency`` times forward passes; ``surrogate_report`` and ``surrogate_quality`` fit
and judge surrogates; ``merging`` takes in shards trained elsewhere; ``status`` shows the coverage.
"""
