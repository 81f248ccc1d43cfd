"""The RL-agents paper's protocol as constants (sections 5.3 and 5.4): who searches, how often, judged by what."""

from __future__ import annotations

METRICS = {"reward mean": "return_all", "total reward": "return_last100"}
"""The two *true performances* of Table 1 and the tables' metrics for them.

``return_all`` is the authors' code's reading of *reward mean*; by the caption of Table 1 each score, the reward mean
too, is a mean of the last 100 episodes.
"""

RANDOM, NATURE = "random_search:samples=3", "nature_cnn"

PUBLISHED_ROWS = {RANDOM: "Random Search", NATURE: "Nature-CNN, reproduced", "enas": "ENAS", "spos": "SPOS"}
"""Rows of Table 1: our method, the paper's name."""

RANDOM_REPEATS = 1000
"""Repeats of random search."""

SEARCH_SEEDS = 4
"""Searches of each one-shot method."""

TOP_K = 3
"""Architectures that a run trains from scratch, random search's too."""

ONE_SHOT = ("enas", "spos")
CHILD_UPDATES, CHILDREN = 10, 3
"""PPO updates that a child of ENAS's controller is trained for, and children an update of the controller (Table 5)."""
