"""``python -m nasbench_rl.compare``."""

import sys

from nasbench_rl._utils import entry

if __name__ == "__main__":
    sys.exit(
        entry.run(
            "nasbench_rl.compare.command",
            "finished searches are kept beside the results, the same command goes on from them",
        )
    )
