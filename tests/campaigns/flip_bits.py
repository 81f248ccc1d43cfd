"""Flip single bits in shards and listed files, and count those that nothing notices.

    python tests/campaigns/flip_bits.py                          # 400 in shards, 400 in listed files
    python tests/campaigns/flip_bits.py --shards 40 --files 40

Each damaged shard goes through ``fold``, ``merge`` and ``read_parquet``, each damaged file through what reads it and,
where it holds trainings, through ``merge`` with its manifest and without. Exit code 0 when every flip was refused by a
``NasbenchError``, everywhere.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _campaign  # first: puts tests on the path
import numpy as np
from support.tables import made_rows, write_made_supernets, write_made_table

from nasbench_rl.errors import NasbenchError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.locate import MANIFEST, find_tables
from nasbench_rl.tables.manifest import read_checked, read_manifest
from nasbench_rl.tables.merge import merge
from nasbench_rl.tables.parquet import read_parquet
from nasbench_rl.tables.schemas import SCHEMAS
from nasbench_rl.task import get_task, task_ids

TASK = get_task("minatar-ss1/breakout@smoke")
ARCHS = ("k1-k1", "k3-k2", "k5-k5")


def outcome(action: Callable[..., Any], *arguments: Any) -> str:
    """``refused``, ``UNNOTICED`` or the name of a foreign exception."""
    try:
        action(*arguments)
    except NasbenchError:
        return "refused"
    except Exception as error:
        return f"FOREIGN {type(error).__name__}"
    return "UNNOTICED"


def flip_shards(scratch: Path, count: int, rng: np.random.Generator, counts: Counter[tuple[str, str]]) -> None:
    """Damage one shard among healthy ones, again and again."""
    for number in range(count):
        source, merged = scratch / f"shard{number}", scratch / f"merged{number}"
        paths = [
            shards.write_shard(source, TASK, f"{arch}.seed0", table_io.encode_rows(TASK, made_rows(TASK, arch, 0)))
            for arch in ARCHS
        ]
        victim = paths[number % len(paths)]
        victim.write_bytes(_campaign.flipped(victim.read_bytes(), rng))
        counts["shards, read", outcome(read_parquet, victim, SCHEMAS["rl"])] += 1
        counts["shards, merge", outcome(merge, source, merged)] += 1
        counts["shards, fold", outcome(shards.commit_shards, source, TASK)] += 1
        if len(table_io.cells_of(table_io.read_table(source, TASK))) != len(ARCHS) - 1:
            counts["shards, fold", "LOST A HEALTHY ONE, OR TOOK THE OTHER"] += 1
        for made in (source, merged):
            shutil.rmtree(made, ignore_errors=True)


def flip_files(scratch: Path, count: int, rng: np.random.Generator, counts: Counter[tuple[str, str]]) -> None:
    """Damage one listed file of a folder of tables, made ones and shipped ones in turn."""
    made = scratch / "made"
    write_made_table(made, TASK.id, 2, list(ARCHS))
    write_made_supernets(made, TASK.id, 1)
    shipped = find_tables()
    families = {table_io.table_name(table): table for id_ in task_ids() for table in get_task(id_).tables}
    for number in range(count):
        folder = made if number % 2 else shipped
        names = sorted(read_manifest(folder))
        name = names[int(rng.integers(len(names)))]
        copy, into = scratch / f"file{number}", scratch / f"into{number}"
        (copy / name).parent.mkdir(parents=True)
        shutil.copy(folder / MANIFEST, copy)
        (copy / name).write_bytes(_campaign.flipped((folder / name).read_bytes(), rng))
        counts["listed files, read", outcome(read_checked, copy, name)] += 1
        if name in families:
            counts["listed files, read_table", outcome(table_io.read_table, copy, families[name])] += 1
            counts["listed files, merge", outcome(merge, copy, into)] += 1
            if folder == made:  # those shipped so far were written without digests
                (copy / MANIFEST).unlink()
                counts["tables without their manifest, merge", outcome(merge, copy, into)] += 1
        for path in (copy, into):
            shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    parser = _campaign.parser(__doc__)
    parser.add_argument("--shards", type=int, default=400, help="flips in shards")
    parser.add_argument("--files", type=int, default=400, help="flips in listed files")
    parser.add_argument("--seed", type=int, default=0, help="of which bits")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        flip_shards(Path(scratch), options.shards, rng, counts)
        flip_files(Path(scratch), options.files, rng, counts)
    for (where, what), number in sorted(counts.items()):
        print(f"{where}: {number} {what}")
    bad = sum(number for (_, what), number in counts.items() if what != "refused")
    print(f"{options.shards} flips in shards, {options.files} in listed files: {bad} not refused")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
