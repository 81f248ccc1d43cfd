"""``python -m nasbench_rl.compare --preset meta-rl-paper``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench_rl._utils import cli
from nasbench_rl.compare.options import refuse_fixed


def run(options: Any, out: Path) -> int:
    """Run one of the experiments of the meta-RL paper; return the exit code."""
    trains = ("--dry-run", "--mode") if options.experiment != 2 else ()
    refuse_fixed(options, "--methods", "--budget", *trains, "--tasks")
    cli.check_report("matplotlib", "scipy")
    from nasbench_rl.papers.meta_rl import experiments  # SciPy and Matplotlib, which may be absent

    train: experiments.Train = "estimate" if options.dry_run else "yes" if options.mode == "live" else "no"
    runs = options.runs or experiments.DEFAULT_RUNS
    cli.check_seeds(options.seed, runs)
    return experiments.run(
        options.experiment or 1, out, options.tables, options.seed, runs, options.jobs, train, options.device
    )
