"""``python -m nasbench_rl.build``."""

import sys

from nasbench_rl import cli
from nasbench_rl.build.command import main

if __name__ == "__main__":
    sys.exit(cli.run(main, interrupted="what was finished is kept, the same command goes on from there"))
