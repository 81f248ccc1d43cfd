"""What the tables say about the field's open questions, as one page with figures: ``python -m nasbench_rl.findings``.

Does any method beat exact random search at equal cost (``against_random``)? From what fidelity on do rankings hold
(``fidelity``)? How much of the spread is architecture and how much is seed (``spread``)? ``searches`` runs the methods,
``page`` and ``drawing`` write. Every number comes from a table through these modules; the page is never edited by hand.
"""
