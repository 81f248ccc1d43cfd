"""What the three papers printed in their result tables, cited row by row: ``tables/published.parquet``."""

from __future__ import annotations

import io
import os

import pandas as pd

from nasbench_rl.errors import TableError
from nasbench_rl.locate import find_tables
from nasbench_rl.manifest import read_checked

NAME = "published.parquet"


def published(tables: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Every printed figure: paper, citation, table, row, column, task, metric, value, text, spread, unit, note.

    ``value`` and ``spread`` are as printed, in ``unit``, but for times in hours, products and lost decimal points,
    which ``note`` tells; ``spread_kind`` says what the ± is, as far as the paper says; ``note`` tells where a scan was
    read against its letters. The papers' recipes differ from this project's, so their figures are set beside ours and
    never merged.

    Raises:
        TableError: absent, or its checksum is wrong.
    """
    folder = find_tables(tables)
    content = read_checked(folder, NAME)
    if content is None:
        raise TableError(f"{folder} has no {NAME}; the package and the checkout ship it")
    return pd.read_parquet(io.BytesIO(content), use_threads=False)
