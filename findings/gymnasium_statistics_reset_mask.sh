#!/usr/bin/env bash
# gymnasium 1.4.0: RecordEpisodeStatistics around SyncVectorEnv or AsyncVectorEnv forgets the episodes of all
# sub-environments when some of them are reset by options={"reset_mask": …}.
#
# Both vector environments take the mask with options.pop("reset_mask"), out of the caller's own dictionary. The wrapper
# calls them first and looks for the mask afterwards, finds none, and sets the returns and lengths of every
# sub-environment to 0. An episode that nobody reset is then told shorter and poorer than it was, without a warning.
# An environment that leaves the options as they are, under the same wrapper, has right statistics.
#
# Seen, of an episode of five steps whose neighbour was reset behind the second:
#
#     gymnasium 1.4.0, SyncVectorEnv: length 3, return 3.0; the options afterwards: {}
#
# The exit code is 0 while Gymnasium does so, and 1 when it no longer does.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.2.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics


def single() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1", max_episode_steps=5)


env = RecordEpisodeStatistics(SyncVectorEnv([single, single]))
env.reset(seed=0)
actions, options = np.array([0, 1]), {"reset_mask": np.array([True, False])}
for step in range(5):
    *_, truncated, info = env.step(actions)
    actions = 1 - actions
    if step == 1:
        env.reset(options=options)
assert truncated.tolist() == [False, True], "the second episode had five steps"
length, total = info["episode"]["l"][1], info["episode"]["r"][1]
print(f"gymnasium {gymnasium.__version__}, SyncVectorEnv: length {length}, return {total}; the options afterwards: {options}")
sys.exit(0 if length == 3 and total == 3.0 and not options else 1)
PYTHON
