"""``python -m nasbench_rl.leaderboard``."""

import sys

from nasbench_rl import cli
from nasbench_rl.leaderboard.command import main

if __name__ == "__main__":
    sys.exit(cli.run(main))
