#!/usr/bin/env bash
# lightgbm 4.7.0 on Linux: reading a model begins threads, and no parameter of the model or of Booster keeps it from it.
#
# lightgbm.Booster(model_str=…) parses the trees on as many threads as there are cores, also where the model was trained
# with num_threads=1 and where Booster(params={"num_threads": 1}, model_str=…) asks for one. Unpickling and deep copies
# read a text too. What counts is num_threads of whatever call into LightGBM came before in this process: behind a data
# set that was constructed with num_threads=1, reading a model begins none.
#
# It matters because those threads are not there in a forked process, where the next model that is read on several
# threads waits for them without end (multiprocessing's "fork", and what is built on it). Only threads are counted here.
#
# Seen with OMP_NUM_THREADS=4, as threads that a call begins in a process that has just imported LightGBM:
#
#     lightgbm 4.7.0: Booster(model_str) 3, Booster({"num_threads": 1}, model_str) 3, unpickled 3, behind a data set 0
#
# The exit code is 0 while LightGBM does so, and 1 when it no longer does.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lightgbm==4.7.0 numpy==2.2.6 scipy==1.15.3

cat > "$folder/begun.py" <<'PYTHON'
import os
import pickle
import sys
import warnings

import lightgbm
import numpy as np

warnings.simplefilter("ignore")  # that Booster ignores params beside a text, which is the point
way, folder = sys.argv[1:]
if way == "train":
    rows = np.random.default_rng(0).random((500, 3))
    data = lightgbm.Dataset(rows, rows[:, 0])
    model = lightgbm.train({"num_threads": 1, "verbose": -1}, data, 20)
    model.save_model(f"{folder}/model.txt")
    with open(f"{folder}/model.pickle", "wb") as file:
        pickle.dump(model, file)
    print(lightgbm.__version__)
    sys.exit()
with open(f"{folder}/model.txt") as file:
    text = file.read()
if way == "behind":
    lightgbm.Dataset(np.zeros((2, 1)), params={"num_threads": 1, "verbose": -1}).construct()
before = len(os.listdir("/proc/self/task"))
if way == "unpickled":
    with open(f"{folder}/model.pickle", "rb") as file:
        model = pickle.load(file)
else:
    model = lightgbm.Booster({"num_threads": 1, "verbose": -1} if way == "params" else None, model_str=text)
print(len(os.listdir("/proc/self/task")) - before)
PYTHON

export OMP_NUM_THREADS=4
begun() { "$folder/venv/bin/python" "$folder/begun.py" "$1" "$folder" | tail -n 1; }
version=$(begun train)
plain=$(begun plain) params=$(begun params) unpickled=$(begun unpickled) behind=$(begun behind)
echo "lightgbm $version: Booster(model_str) $plain, Booster({\"num_threads\": 1}, model_str) $params," \
    "unpickled $unpickled, behind a data set $behind"
[[ $plain == 3 && $params == 3 && $unpickled == 3 && $behind == 0 ]]
