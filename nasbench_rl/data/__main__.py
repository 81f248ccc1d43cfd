"""``python -m nasbench_rl.data``."""

import sys

from nasbench_rl._utils import entry

if __name__ == "__main__":
    sys.exit(entry.run("nasbench_rl.data.command"))
