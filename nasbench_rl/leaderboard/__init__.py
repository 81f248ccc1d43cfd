"""Runs of any origin as one page that says which method to use, and how sure that is.

``runs`` reads and checks them, ``judged`` sets them beside their tables, ``report`` ranks (its ``columns``) and
``verdict`` answers; ``facts`` and ``checklist`` tell of tables and provenance. ``render`` writes Markdown and LaTeX,
``figures`` and ``page`` the HTML. ``command`` is ``python -m nasbench_rl.leaderboard``.
"""
