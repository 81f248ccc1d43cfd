"""LightGBM boosters that live through a fork: everything done with one is done on one thread.

LightGBM reads and writes the text of a model on all cores. The threads that it begins for that are not there in a
forked process (``os.fork``, ``multiprocessing``'s "fork", Gymnasium's ``AsyncVectorEnv``), whose own first model then
waits for them without end. Setting ``num_threads`` on the booster comes too late, ``Booster(params=…)`` ignores it
beside a text, and ``OMP_NUM_THREADS`` counts only where it was set before the process began. What holds, in LightGBM
4.3 and later, is ``num_threads`` of the call before, whatever that did: hence the empty data set below. It holds where
somebody else has trained on many threads before, too. ``findings/lightgbm_threads_of_a_model.sh`` shows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_rl.errors import missing_extra


def import_lightgbm() -> Any:
    """Import LightGBM.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import lightgbm
    except ImportError:
        raise missing_extra("lightgbm", "surrogate", "a surrogate") from None
    return lightgbm


def read_booster(text: str) -> Any:
    """Return the booster that a text describes."""
    return _on_one_thread().Booster(model_str=text)


def booster_text(booster: Any) -> str:
    """Return LightGBM's own text of a booster."""
    _on_one_thread()
    return str(booster.model_to_string())


def _on_one_thread() -> Any:
    """Return LightGBM, with one thread for the next call; 0.4 ms."""
    lightgbm = import_lightgbm()
    lightgbm.Dataset(np.zeros((2, 1)), params={"num_threads": 1, "verbose": -1}).construct()
    return lightgbm
