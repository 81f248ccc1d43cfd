"""Everything that makes tables: ``python -m nasbench_rl.build``.

``missing`` and ``selection`` say which cells are trained, ``train`` is the command that hands them to the processes of
``training.workers``, ``estimate`` says what it would cost. ``measure`` times forward passes; ``surrogate_report`` and
``surrogate_quality`` fit surrogates and say how good they are; ``merging`` takes in shards trained elsewhere;
``status`` shows the coverage.
"""
