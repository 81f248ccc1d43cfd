"""The asv suite: ``asv run --quick`` for a look, ``asv continuous main HEAD`` before a change that could cost speed."""
