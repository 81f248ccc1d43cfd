"""``python -m nasbench_rl.compare --preset rl-agents-paper``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench_rl._utils import cli
from nasbench_rl.compare.options import refuse_fixed, shipped_tasks
from nasbench_rl.spaces import KernelSpace
from nasbench_rl.task import get_task


def run(options: Any, out: Path) -> int:
    """Run the protocol of the RL-agents paper on the tables; return the exit code."""
    refuse_fixed(options, "--methods", "--budget", "--dry-run", "--mode", "--runs", "--experiment")
    cli.check_report("matplotlib", "scipy", "jinja2", "tabulate")
    from nasbench_rl.papers.rl_agents import experiment  # SciPy and Matplotlib, which may be absent

    tasks = cli.names(options.tasks) or shipped_tasks(options.tables)
    kernel = [id_ for id_ in tasks if isinstance(get_task(id_).space, KernelSpace)]
    return experiment.run(kernel, out, options.tables, options.seed, options.jobs)
