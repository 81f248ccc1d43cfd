"""Runs of any origin as one page that says which method to use, and how sure that is.

``runs`` reads and checks them, ``judged`` joins them with their tables, ``report`` computes the numbers, ``verdict``
judges against random search and ``answers`` chooses; ``facts`` and ``checklist`` describe tables and provenance.
``columns`` lays out tables, ``render`` writes Markdown and LaTeX, ``figures`` and ``page`` the HTML. ``command`` is
``python -m nasbench_rl.leaderboard``.
"""
