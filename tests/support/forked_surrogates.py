"""Run by ``test_forks.py`` in a process of its own: load a surrogate, then ask for guesses in other processes.

``python -m support.forked_surrogates WAY TABLES`` prints what they guess and, last, what this process does. What it
asks must not come before the others have answered: a guess sets the number of threads, as loading has to.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from nasbench_rl import load

TASK, GUESSED, ACTIONS = "nsc-chain/digits@lite", "conv1 conv3 conv1 conv1", (0, 1, 0, 0)


def guess(tables: str) -> float:
    """By a surrogate that this process loads for itself."""
    return ask(load(TASK, mode="surrogate", tables=tables))


def ask(bench: Any) -> float:
    answer = bench.query(GUESSED, split="validation")
    assert answer.source == "surrogate"
    return float(answer.score)


def fork(tables: str, bench: Any) -> Iterator[float]:
    """By hand; with what the parent loaded, and with what the child does."""
    for work in (partial(guess, tables), partial(ask, bench)):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.write(writer, repr(work()).encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        yield float(os.read(reader, 100))


def fork_behind_others(tables: str, bench: Any) -> Iterator[float]:
    """As ``fork``, where somebody else trained with LightGBM on several threads in the parent."""
    import lightgbm

    rows = np.random.default_rng(0).random((500, 3))
    lightgbm.train({"num_threads": 2, "verbose": -1}, lightgbm.Dataset(rows, rows[:, 0]), 2)
    yield from fork(tables, bench)


def refit(tables: str, bench: Any) -> Iterator[float]:
    """A child fits, saves and pickles another surrogate of its own."""
    import pickle

    from nasbench_rl.benchmark.surrogate_model.ensemble import Surrogate
    from nasbench_rl.task import get_task
    from support.images import QUICK, made_rows

    child = os.fork()
    if not child:
        made = Surrogate.fit(get_task(TASK), made_rows(depth=2), np.random.default_rng(0), options=QUICK)
        assert pickle.loads(pickle.dumps(made)).predict([GUESSED])[0][0] == made.predict([GUESSED])[0][0]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    yield ask(bench)


def pool(tables: str, bench: Any) -> Iterator[float]:
    with multiprocessing.get_context("fork").Pool(2) as workers:
        yield from workers.map(guess, [tables] * 2)
        yield from workers.map(ask, [bench] * 2)


def environment(tables: str) -> Any:
    import gymnasium

    import nasbench_rl.envs  # noqa: F401

    return gymnasium.make("nasbench_rl/NSC-v0", task=TASK, mode="surrogate", tables=tables)


def last_reward(env: Any) -> float:
    """Of a single environment."""
    env.reset()
    return [float(env.step(action)[1]) for action in ACTIONS][-1]


def rewards_of(env: Any) -> list[float]:
    env.reset()
    rewards = [env.step(np.array([action] * env.num_envs)) for action in ACTIONS][-1][1]
    env.close()
    return [float(reward) for reward in rewards]


def make_vec(tables: str, bench: Any) -> Iterator[float]:
    import gymnasium

    import nasbench_rl.envs  # noqa: F401

    options = {"task": TASK, "mode": "surrogate", "tables": tables}
    yield from rewards_of(gymnasium.make_vec("nasbench_rl/NSC-v0", 2, vectorization_mode="async", **options))


def async_vector_env(tables: str, bench: Any) -> Iterator[float]:
    from gymnasium.vector import AsyncVectorEnv

    made = environment(tables)
    yield from rewards_of(AsyncVectorEnv([lambda: made, partial(environment, tables)]))


def joblib(tables: str, bench: Any) -> Iterator[float]:
    """Loaded there, as a pickled benchmark, and as a pickled environment."""
    from joblib import Parallel, delayed

    for backend in ("loky", "multiprocessing"):
        work = [delayed(guess)(tables), delayed(ask)(bench), delayed(last_reward)(environment(tables))]
        yield from Parallel(n_jobs=2, backend=backend)(work)


def subproc_vec_env(tables: str, bench: Any) -> Iterator[float]:
    """Stable-Baselines3's."""
    from stable_baselines3.common.vec_env import SubprocVecEnv

    for method in ("fork", "spawn", "forkserver"):
        env = SubprocVecEnv([partial(environment, tables)], start_method=method)
        env.reset()
        yield float([env.step(np.array([action])) for action in ACTIONS][-1][1][0])
        env.close()


WAYS: dict[str, Callable[[str, Any], Iterator[float]]] = {
    way.__name__: way
    for way in (fork, fork_behind_others, refit, pool, make_vec, async_vector_env, joblib, subproc_vec_env)
}

if __name__ == "__main__":
    way, folder = sys.argv[1:]
    loaded = load(TASK, mode="surrogate", tables=folder)
    for told in WAYS[way](folder, loaded):
        print(told, flush=True)
    print(ask(loaded))
