"""``python -m nasbench_rl.leaderboard``."""

import sys

from nasbench_rl._utils import entry

if __name__ == "__main__":
    sys.exit(entry.run("nasbench_rl.leaderboard.command"))
