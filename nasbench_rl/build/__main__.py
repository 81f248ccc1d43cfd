"""``python -m nasbench_rl.build``."""

import sys

from nasbench_rl._utils import entry

if __name__ == "__main__":
    sys.exit(entry.run("nasbench_rl.build.command", "what was finished is kept, the same command goes on from there"))
