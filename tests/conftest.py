from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.pop("COLUMNS", None)  # a worker of pytest-xdist has 80, and tables would be squeezed
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker a core: further threads would wait for each other in a loop

from support.tables import DEEP, SINGLE_SEED, TWO_BY_SEED, write_made_supernets, write_made_table

from nasbench_rl import load
from nasbench_rl.benchmark.tabular import TabularBenchmark


@pytest.fixture(scope="session")
def made_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tables with known scores: two train seeds a split, a single seed, and a deeper space."""
    folder = tmp_path_factory.mktemp("tables")
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_table(folder, SINGLE_SEED, 1)
    write_made_table(folder, DEEP, 2)
    for task in (TWO_BY_SEED, SINGLE_SEED, DEEP):
        write_made_supernets(folder, task, 3)
    return folder


@pytest.fixture(scope="session")
def bench(made_tables: Path) -> TabularBenchmark:
    """The made table of two train seeds a split."""
    bench = load(TWO_BY_SEED, tables=made_tables)
    assert isinstance(bench, TabularBenchmark)
    return bench


@pytest.fixture
def users_folder() -> Iterator[Path]:
    """A folder in which modes count: root may read everything, and is nobody for the time of the test."""
    nobody, folder = 65534, Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, nobody, nobody)
        os.seteuid(nobody)
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def as_many_torch_threads_as_before() -> Iterator[None]:
    """A training tunes its process to one thread; sums in another order would tell on a test that comes after it."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    yield
    torch = sys.modules.get("torch")
    if torch is not None and before and torch.get_num_threads() != before:
        torch.set_num_threads(before)
