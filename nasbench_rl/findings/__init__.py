"""What the tables say about the field's open questions, as one page with figures: ``python -m nasbench_rl.findings``.

``searches`` runs the methods; ``random_search``, ``fidelity``, ``spread``, ``sources`` and ``latency`` work out the
numbers; ``results`` keeps them as CSV files, which is all that ``page`` and ``figures`` read. People write the
sentences, in ``templates/findings.md.jinja``.
"""
