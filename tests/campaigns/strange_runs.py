"""Hand files of runs that no comparison wrote to the leaderboard, and count what it does with each.

    python tests/campaigns/strange_runs.py [--flips N]

Every column of a real ``runs.parquet`` is damaged in every way below, and N single bits of the file are flipped. A file
is refused in one line that names it (good), accepted (good where a run may have such a value), or ends in a foreign
exception (a fault). Exit code 1 if there is a fault, or if what no run can have was accepted.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import _campaign  # first: puts tests on the path
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support.runs import made_runs, write_runs
from support.tables import TWO_BY_SEED, write_made_table

from nasbench_rl.leaderboard.command import main as leaderboard
from nasbench_rl.leaderboard.runs_schema import COLUMNS

Case = tuple[str, bytes, bool]
"""Name, content of the file, and whether no run can have it."""
PATIENCE = 90
"""Seconds until a command hangs."""
TEXTS = ("", "x", "\N{SNOWMAN}", "a\nb", "x" * 10_000)
NUMBERS = (-1, -(2**62), 2**62, 0.5, float("nan"), float("inf"), float("-inf"))


def content(table: pa.Table) -> bytes:
    """Return a table as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def put(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    """Return the table with another column in a column's place."""
    return table.set_column(table.column_names.index(name), name, column)


def with_first(table: pa.Table, name: str, value: object, kind: pa.DataType | None = None) -> pa.Table:
    """Return the table with another value in the first row of a column."""
    values = [value, *table[name].to_pylist()[1:]]
    return put(table, name, pa.array(values, kind))


def strange(table: pa.Table) -> Iterator[Case]:
    """Yield every damage of every column."""
    late = ("approximation", "steps")
    for name in COLUMNS:
        kind, count = table[name].type, len(table)
        text = pa.types.is_string(kind)
        yield f"{name}: missing", content(table.drop_columns([name])), name not in late
        yield f"{name}: twice", content(table.append_column(name, table[name])), True
        yield f"{name}: null", content(with_first(table, name, None, kind)), name not in (
            "score", "test_score", "regret", "cpu_seconds")  # fmt: skip
        yield f"{name}: all null", content(put(table, name, pa.nulls(count, kind))), True
        yield f"{name}: nulls of no type", content(put(table, name, pa.nulls(count))), True
        yield f"{name}: bytes", content(put(table, name, pa.array([b"\xff"] * count))), True
        yield f"{name}: lists", content(put(table, name, pa.array([[1]] * count))), True
        yield f"{name}: records", content(put(table, name, pa.array([{"a": 1}] * count))), True
        yield f"{name}: True and False", content(put(table, name, pa.array([True] * count))), True
        yield f"{name}: dates", content(put(table, name, pa.array([0] * count, pa.timestamp("us")))), True
        yield f"{name}: categories", content(put(table, name, table[name].combine_chunks().dictionary_encode())), False
        if text:
            yield f"{name}: numbers", content(put(table, name, pa.array([1.5] * count))), True
            for value in TEXTS:
                free = name in ("method", "method_version", "configuration", "approximation", "code_version", "machine",
                                "test_source", "objective")  # fmt: skip
                yield f"{name}: {value[:9]!r}", content(with_first(table, name, value)), not free
        else:
            yield f"{name}: text", content(put(table, name, pa.array(["a"] * count))), True
            for value in NUMBERS:
                number = with_first(table, name, float(value), pa.float64())
                free = name in ("cpu_seconds", "search_seconds") or (name == "score" and value != value)
                yield f"{name}: {value}", content(number), not free or not np.isfinite(value) or value < 0
    for at in (1, len(table) // 2, len(table) - 1):
        yield f"first {at} rows", content(table[:at]), True
        yield f"without the first {at} rows", content(table[at:]), True
    yield "no rows", content(table[:0]), True
    yield "broken pandas metadata", content(table.replace_schema_metadata({b"pandas": b"{"})), False
    yield "other pandas metadata", content(table.replace_schema_metadata({b"pandas": b'{"columns": 7}'})), False
    yield "rows in disorder", content(table.take(np.random.default_rng(0).permutation(len(table)))), False
    whole = content(table)
    for share in (0, 1, 4, len(whole) // 2, len(whole) - 1):
        yield f"first {share} bytes", whole[:share], True


def flips(whole: bytes, count: int) -> Iterator[Case]:
    """Yield copies with one bit flipped each."""
    rng = np.random.default_rng(1)
    for number in range(count):
        yield f"flip {number}", _campaign.flipped(whole, rng), False


def verdict(path: Path, tables: Path, out: Path) -> str:
    """Return what the command made of a file."""
    code, said = _campaign.run_command(leaderboard, [str(path), "--out", str(out), "--tables", str(tables)], PATIENCE)
    if isinstance(code, str):
        return code
    if code == 0:
        return "accepted"
    return "refused" if code == 2 and said.count("\n") == 1 and path.name in said else f"badly refused: {said[:300]}"


def main() -> int:
    """Run the campaign and print its counts."""
    parser = _campaign.parser(__doc__)
    parser.add_argument("--flips", type=int, default=150, help="single bits to flip (default 150)")
    count = parser.parse_args().flips
    counts, faults = Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_made_table(folder / "tables", TWO_BY_SEED, 4)
        write_runs(made_runs(folder / "tables", (TWO_BY_SEED,), ("random_search",), 3), folder)
        table = pq.read_table(folder / "runs.parquet").replace_schema_metadata(None)
        plain = [
            field.with_type(pa.string() if pa.types.is_large_string(field.type) else field.type)
            for field in table.schema
        ]
        table = table.cast(pa.schema(plain))
        for what, data, impossible in [*strange(table), *flips(content(table), count)]:
            path = folder / "strange.parquet"
            path.write_bytes(data)
            found = verdict(path, folder / "tables", folder / "out")
            counts[found.partition(":")[0]] += 1
            if not (found == "refused" or (found == "accepted" and not impossible)):
                faults.append(f"{what}: {found}")
    return _campaign.summed_up(counts, faults, "files")


if __name__ == "__main__":
    sys.exit(main())
