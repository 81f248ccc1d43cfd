"""Parquet files that prove themselves: a digest of the rows and one of the file, in the file's own metadata.

A shard travels between machines without a manifest that would vouch for it. Files written before there were digests
have neither and are read as they are; one digest without the other is a damaged file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nasbench_rl.errors import TableError

ROWS, FILE = b"nasbench_rl.rows", b"nasbench_rl.file"
UNSEALED = b"0" * 64
"""What stands for the file's digest while that is computed."""


def sealed_bytes(table: pa.Table) -> bytes:
    """Return a table as the content of a Parquet file with both digests and a checksum in every page."""
    table = table.replace_schema_metadata({ROWS: rows_digest(table), FILE: UNSEALED})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=True, write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return _with_digest(content, UNSEALED, hashlib.sha256(content).hexdigest().encode())


def check_seal(path: Path, content: bytes, file: pq.ParquetFile, table: pa.Table) -> None:
    """Compare both digests, where there are any.

    Args:
        path: for the message.
        content: the file's bytes.
        file: the same, opened.
        table: the same, read.

    Raises:
        TableError: the file or its rows are not those that were written.
    """
    metadata = file.metadata.metadata or {}
    rows, whole = metadata.get(ROWS), metadata.get(FILE)
    if rows is None and whole is None:
        return
    if rows is not None and whole is not None and len(whole) == len(UNSEALED):
        unsealed = _with_digest(content, whole, UNSEALED)
        if hashlib.sha256(unsealed).hexdigest().encode() == whole and rows_digest(table).encode() == rows:
            return
    raise TableError(
        f"{path} has a wrong checksum: it was changed since it was written; copy it again, or train its cells anew"
    )


def rows_digest(table: pa.Table) -> str:
    """Return the sha-256 of column names, types and values, whatever encodings and versions wrote the file."""
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"{name} {column.type} {len(column)}\n".encode())
        digest.update(column.is_null().cast(pa.int8()).to_numpy().tobytes())
        if pa.types.is_string(column.type):
            digest.update(json.dumps(column.to_pylist()).encode())
        else:
            numbers = column.fill_null(0).to_numpy()
            digest.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _with_digest(content: bytes, old: bytes, new: bytes) -> bytes:
    """Put another digest in the place of the last one, in the metadata at the file's end."""
    before, _, after = content.rpartition(old)
    return before + new + after
