"""A surrogate answers in processes that were forked, or begun in any other way, after the parent has loaded one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.forked_surrogates import TASK, WAYS
from support.images import QUICK, made_folder, made_rows

from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
from nasbench_rl.task import get_task

pytest.importorskip("lightgbm")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

NEEDS = {
    "make_vec": "gymnasium",
    "async_vector_env": "gymnasium",
    "joblib": "joblib",
    "subproc_vec_env": "stable_baselines3",
}
ANSWERS = {"fork": 2, "fork_behind_others": 2, "refit": 1, "pool": 4, "make_vec": 2, "async_vector_env": 2, "joblib": 6}
LIMIT = 120
"""Seconds; the slowest way takes about ten where nothing else runs, and one that hangs would never end."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = made_rows(depth=2)
    folder = made_folder(tmp_path_factory.mktemp("tables"), rows)
    Surrogate.fit(get_task(TASK), rows, np.random.default_rng(0), options=QUICK).save(folder)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_a_surrogate_answers_in_other_processes(way: str, tables: Path) -> None:
    if way in NEEDS:
        pytest.importorskip(NEEDS[way])
    path = os.pathsep.join(folder for folder in sys.path if folder)
    environ = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "2"}  # one thread alone never hangs
    command = [sys.executable, "-m", "support.forked_surrogates", way, str(tables)]
    with subprocess.Popen(
        command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            told, complaints = process.communicate(timeout=LIMIT)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the children that hang too
    assert process.returncode == 0, complaints
    answers = told.split()
    assert len(answers) == 1 + ANSWERS.get(way, 3) and len(set(answers)) == 1, told
