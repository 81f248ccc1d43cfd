"""The columns of every family of tables."""

from __future__ import annotations

import pyarrow as pa

KEY = ("arch", "seed", "fidelity")
"""What identifies a row of a training."""

_HEAD = [("arch", pa.string()), ("seed", pa.int32()), ("fidelity", pa.int64())]
_TAIL = [
    ("cpu_seconds", pa.float64()),
    ("wall_seconds", pa.float64()),
    ("params", pa.int64()),
    ("flops", pa.int64()),
    ("recipe", pa.string()),
    ("code_version", pa.string()),
    ("machine", pa.string()),
]
SCHEMAS: dict[str, pa.Schema] = {
    "rl": pa.schema(
        [
            *_HEAD,
            ("return_last100", pa.float64()),
            ("return_all", pa.float64()),
            ("games", pa.int64()),
            ("return_eval", pa.float64()),
            ("return_eval_std", pa.float64()),
            ("eval_games", pa.int64()),
            *_TAIL,
        ]
    ),
    "supernet": pa.schema(
        [
            *_HEAD,
            ("proxy", pa.float64()),
            ("proxy_std", pa.float64()),
            ("proxy_games", pa.int64()),
            ("proxy_env_steps", pa.int64()),
            ("proxy_cpu_seconds", pa.float64()),
            *_TAIL,
        ]
    ),
    "darts": pa.schema(
        [
            *_HEAD,
            ("probability", pa.float64()),
            ("return_last100", pa.float64()),
            ("games", pa.int64()),
            *_TAIL,
        ]
    ),
    "nsc": pa.schema(
        [
            *_HEAD,
            ("validation_accuracy", pa.float64()),
            ("test_accuracy", pa.float64()),
            ("train_loss", pa.float64()),
            ("density", pa.float64()),
            ("data", pa.string()),
            *_TAIL,
        ]
    ),
    "latency": pa.schema(
        [
            ("arch", pa.string()),
            ("batch", pa.int32()),
            ("latency_median", pa.float64()),
            ("latency_p10", pa.float64()),
            ("latency_p90", pa.float64()),
            ("repeats", pa.int64()),
            *_TAIL[2:],
        ]
    ),
}
"""Columns of each family. A return is null before a first game has finished; ``return_eval`` is null but at the end.

``supernet``: ``seed`` is the supernet's, ``proxy`` a mean return whose ``proxy_std`` is null for a single game. CPU and
wall seconds are the fit's from its start, ``proxy_cpu_seconds`` those of all architectures' proxies at this fidelity:
the same in every row of a (seed, fidelity).

``darts``: ``seed`` is the search's, ``probability`` the product over the blocks of the softmax(alpha) of the kernel
that the architecture has there: summed over all architectures with one kernel in one block, it gives back that kernel's
weight. Returns and games are those of the mixed network that plays meanwhile, CPU and wall seconds the search's from
its start: the same in every row of a (seed, fidelity).

``nsc``: accuracies are shares, 0 … 1; ``data`` is the digest of the images, one for all rows of a table.

``latency``: wall seconds of one forward pass of ``batch`` observations or images on one thread, over ``repeats``
passes; all rows of a table are measured together, on one machine. See ``training/latency.py``.
"""
