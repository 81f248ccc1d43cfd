"""Parquet files: read with their checksums and schema, and written whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from nasbench_rl._utils.files import read_file, replace_file
from nasbench_rl.errors import TableError, nearest
from nasbench_rl.tables import seal

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path, schema: pa.Schema, content: bytes | None = None) -> pa.Table:
    """Read a Parquet file whose columns must be ``schema``'s.

    Args:
        path: where it lies.
        schema: the columns.
        content: its bytes, when they were read and compared with the manifest already; else the file's own digests
            are compared.

    Raises:
        TableError: truncated, unreadable, changed since it was written, of another schema, or with text that is no
            UTF-8.
    """
    own = read_file(path) if content is None else content
    file, table = open_parquet(path, own)
    table = _select(path, table, schema)
    if content is None:
        seal.check_seal(path, own, file, table)
    return table


def open_parquet(path: Path, content: bytes) -> tuple[pq.ParquetFile, pa.Table]:
    """Open and read a Parquet file.

    Raises:
        TableError: truncated, unreadable, or with text that is no UTF-8.
    """
    try:
        # Not pq.read_table: it reads in Arrow's pool, and a pool thread that lets go of Python's bytes while the
        # interpreter ends aborts the process.
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} is no readable Parquet file ({str(error).partition(chr(10))[0]})") from error
    return file, table


def _select(path: Path, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the schema's columns."""
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        close = nearest(missing[0], table.column_names)
        hint = f" (has {close!r})" if close else ""
        raise TableError(f"{path} is of another schema: column {missing[0]!r} is missing{hint}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise TableError(f"{path} is of another schema: {error}") from error


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table that is not a task's as the content of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=True, write_page_checksum=True)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write results (not a task's table) as Parquet, atomically."""
    replace_file(path, parquet_bytes(pa.Table.from_pandas(frame, preserve_index=False)))


def read_frame(path: Path) -> pd.DataFrame:
    """Read results written by ``write_frame``.

    Raises:
        TableError: absent, truncated, or no Parquet file.
    """
    try:
        return pq.ParquetFile(path).read(use_threads=False).to_pandas(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} is no readable Parquet file ({str(error).splitlines()[0]})") from error
