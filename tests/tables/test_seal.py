"""Shards prove themselves: whatever changes one is noticed by all that reads it, and older ones are read as before."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.tables import made_rows, stored_cells

from nasbench_rl.errors import TableError
from nasbench_rl.tables import seal, shards, table_io
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.merge import merge
from nasbench_rl.tables.parquet import read_parquet
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task import get_task

TASK = get_task("minatar-ss1/breakout@smoke")
SCHEMA = SCHEMAS["rl"]
ROOT = Path(__file__).parents[2]


def cell(name: str = "k1-k1", **changes: Any) -> pa.Table:
    return table_io.encode_rows(TASK, [{**row, **changes} for row in made_rows(TASK, name, 0)])


def shard(folder: Path, table: pa.Table, name: str = "x") -> Path:
    return shards.write_shard(folder, TASK, name, table)


def refused(folder: Path, path: Path) -> str:
    """The message of ``read_parquet``; fold and merge refuse the file too, and take in a good one that lies beside."""
    shard(folder, cell("k2-k2"), "good")
    with pytest.raises(TableError) as raised:
        merge(folder, folder / "merged")
    assert str(path) in str(raised.value) and not read_manifest(folder / "merged")
    with pytest.raises(TableError) as raised:
        shards.commit_shards(folder, TASK)
    assert str(path) in str(raised.value)
    assert stored_cells(folder, TASK) == {("k2-k2", 0)}
    with pytest.raises(TableError) as raised:
        read_parquet(path, SCHEMA)
    return str(raised.value)


def test_single_bits_are_noticed_wherever_they_flip() -> None:
    command = [sys.executable, ROOT / "tests" / "campaigns" / "flip_bits.py", "--shards", "25", "--files", "15"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 flips in shards, 15 in listed files: 0 not refused" in done.stdout


@pytest.mark.parametrize("key", [seal.ROWS, seal.FILE])
def test_a_digest_is_not_lost_unnoticed(tmp_path: Path, key: bytes) -> None:
    path = shard(tmp_path, cell())
    content = path.read_bytes()
    assert content.count(key) == 1
    path.write_bytes(content.replace(key, key[:-1] + b"x"))
    assert "wrong checksum" in refused(tmp_path, path)


def test_other_rows_under_a_digest_are_noticed(tmp_path: Path) -> None:
    path = shard(tmp_path, cell())
    metadata = {seal.ROWS: seal.rows_digest(cell(games=7)).encode(), seal.FILE: seal.UNSEALED}
    pq.write_table(cell().replace_schema_metadata(metadata), path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(digest.join(content.rsplit(seal.UNSEALED, 1)))  # the file's digest is right
    assert "wrong checksum" in refused(tmp_path, path)


def test_pages_have_checksums(tmp_path: Path) -> None:
    plain = pa.BufferOutputStream()
    pq.write_table(cell(), plain, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(plain.getvalue().to_pybytes())
    length = (5).to_bytes(4, "little")
    content[content.index(length + b"k1-k1") + 5] ^= 1  # no digest, and nothing that decompression would stumble over
    path = shard(tmp_path, cell())
    path.write_bytes(content)
    assert "no readable Parquet" in refused(tmp_path, path)


def test_a_shard_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = shard(tmp_path, cell())
    pq.write_table(cell(), path, compression="zstd")
    assert seal.ROWS not in path.read_bytes()
    assert read_parquet(path, SCHEMA).equals(cell())
    merge(tmp_path, tmp_path / "merged")
    assert shards.commit_shards(tmp_path, TASK) == 1
    assert table_io.read_table(tmp_path, TASK).equals(table_io.read_table(tmp_path / "merged", TASK))


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    table, at = cell(), SCHEMA.get_field_index("machine")
    bad = pa.array([b"\xff\xfe machine"] * len(table)).view(pa.string())
    path = shard(tmp_path, table)
    pq.write_table(table.set_column(at, "machine", bad), path)
    assert "UTF" in refused(tmp_path, path)


def test_the_digest_is_of_the_values() -> None:
    digest = seal.rows_digest(cell())
    pieces = pa.concat_tables([cell().slice(0, 3), cell().slice(3)])
    assert seal.rows_digest(pieces) == digest and seal.rows_digest(cell().combine_chunks()) == digest
    others = [
        cell(return_all=None), cell(return_all=math.nan), cell(return_all=0.0), cell(return_all=-0.0),
        cell(machine=""), cell(machine=None), cell(machine="ä"), cell(seed=1), cell("k1-k2"), cell().slice(1),
        cell().rename_columns(["archs", *SCHEMA.names[1:]]),
    ]  # fmt: skip
    assert len({digest, *map(seal.rows_digest, others)}) == len(others) + 1


# -- fold checks all that merge checks


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (cell().slice(1), "lacks fidelity"),
        (pa.concat_tables([cell(), cell().slice(0, 1)]), "more than once"),
        (cell(params=7), "params"),
        (cell(return_all=math.inf), "return_all"),
        (cell(cpu_seconds=-1.0), "cpu_seconds"),
        (cell(games=-1), "games"),
        (cell(seed=-1), "train seed"),
        (cell(arch="k9-k9"), "k9-k9"),
    ],
)
def test_a_cell_that_is_not_whole_is_not_folded(tmp_path: Path, table: pa.Table, says: str) -> None:
    path = shard(tmp_path, table)
    shard(tmp_path, cell("k2-k2"), "good")
    with pytest.raises(TableError, match=says) as raised:
        shards.commit_shards(tmp_path, TASK)
    assert str(path) in str(raised.value) and path.exists()
    assert stored_cells(tmp_path, TASK) == {("k2-k2", 0)}


def test_a_double_with_other_scores_is_not_folded(tmp_path: Path) -> None:
    shard(tmp_path, cell(), "a")
    second = shard(tmp_path, cell(return_all=3.0), "b")
    with pytest.raises(TableError, match="return_all") as raised:
        shards.commit_shards(tmp_path, TASK)
    assert str(second) in str(raised.value) and second.exists()
    assert table_io.read_table(tmp_path, TASK).equals(cell())
    with pytest.raises(TableError, match="return_all"):  # the first is in the table now
        shards.commit_shards(tmp_path, TASK)
    shard(tmp_path, cell(machine="another"), "b")
    assert shards.commit_shards(tmp_path, TASK) == 0 and not second.exists()
    assert table_io.read_table(tmp_path, TASK).equals(cell())
