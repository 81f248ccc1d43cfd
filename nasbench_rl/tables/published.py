"""What the three papers printed in their result tables, cited row by row: ``tables/published.csv``."""

from __future__ import annotations

import io
import os

import numpy as np
import pandas as pd

from nasbench_rl.errors import TableError
from nasbench_rl.tables.locate import find_tables
from nasbench_rl.tables.manifest import read_checked

NAME = "published.csv"
"""Written by hand. After an edit, list its new checksum: ``manifest.register(Path("tables"), NAME, rows)``."""
CITATIONS = {
    "rl-agents": "Mazyavkina, Moustafa, Trofimov, Burnaev: Optimizing the Neural Architecture of Reinforcement "
    "Learning Agents. arXiv:2011.14632, 2020",
    "meta-rl": "Gomez Robles, Vanschoren: Learning to reinforcement learn for Neural Architecture Search. "
    "arXiv:1911.03769, 2019",
    "survey": "Shao: A Survey on Neural Architecture Search Based on Reinforcement Learning. arXiv:2409.18163, 2024",
}


def published(tables: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return every printed figure.

    The columns are paper, citation, table, row, column, task, metric, value or text, spread, spread_kind, unit and
    note; (paper, table, row, column, metric) is unique, and task is the ``space/environment`` of a figure, where
    there is one. Figures are as printed but for durations in hours, products, architectures as canonical strings,
    and what a scan garbled where the survey and a second source settle it: ``note`` says so, and calls what stays
    doubtful doubtful. The papers' recipes differ from this project's, so their figures are never merged with ours.

    Raises:
        TableError: the file is absent, or its checksum is wrong.
    """
    folder = find_tables(tables)
    content = read_checked(folder, NAME)
    if content is None:
        raise TableError(f"{folder} has no {NAME}; the package and the checkout ship it")
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    frame = frame.mask(frame == "")
    for column in ("value", "spread"):  # Python's float gives back each number to its last digit
        frame[column] = frame[column].astype(object).map(float, na_action="ignore").astype(np.float64)
    frame.insert(1, "citation", frame["paper"].map(CITATIONS))
    return frame
