#!/usr/bin/env bash
# asv 0.6.6 finds no slowdown, however large, where each of two commits has six samples.
#
# `asv compare` and `asv continuous` take a Mann-Whitney U test at p < 0.002 for a difference (asv/_stats.py,
# `is_different`). Whether there are samples enough for that test is judged by 1 / C(m + n, m), the smallest *one-sided*
# p, but the test itself is two-sided. With six samples a commit the former is 1/924 = 0.00108, below the threshold, so
# that the test is asked; the latter is at least 2/924 = 0.00216, above it, so that the test never says yes. With five
# samples and fewer the confidence intervals decide and with seven the test can answer; at six it is blind.
# Six is what comes of `repeat = 3` (two rounds of three), and of the default for a benchmark of about three seconds.
# What helps: `repeat = 5` or more, which makes ten samples.
#
# Seen: a function that sleeps 20 ms in one commit and 40 ms in the next:
#   repeat = 3: BENCHMARKS NOT SIGNIFICANTLY CHANGED.
#   repeat = 5: a ratio of 1.9 to 2.0, SOME BENCHMARKS HAVE CHANGED SIGNIFICANTLY. PERFORMANCE DECREASED.
# Exits with an error once the slowdown is found with six samples.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check asv==0.6.6 virtualenv==20.29.3 packaging
export PATH="$folder/venv/bin:$PATH"

mkdir -p "$folder/repo/benchmarks"
cd "$folder/repo"
git init --quiet --initial-branch=main .
git config user.name nobody
git config user.email nobody@example.org
cat > pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "slower"
version = "0"
[tool.setuptools]
py-modules = ["slower"]
TOML
cat > asv.conf.json <<'JSON'
{"version": 1, "project": "slower", "repo": ".", "branches": ["main"], "environment_type": "virtualenv",
 "build_command": ["python -m pip wheel --quiet --no-deps --wheel-dir {build_cache_dir} {build_dir}"]}
JSON
touch benchmarks/__init__.py
cat > benchmarks/bench.py <<'PYTHON'
import slower


def time_work():
    slower.work()
PYTHON
printf 'import time\n\n\ndef work():\n    time.sleep(0.02)\n' > slower.py
git add . && git commit --quiet -m fast
sed -i 's/0.02/0.04/' slower.py
git commit --quiet -a -m slow
asv machine --yes > /dev/null

compared() { # repeat -> what asv says of the two commits
  rm -rf results
  asv continuous --attribute "repeat=$1" --attribute rounds=2 HEAD~1 HEAD 2>&1 || true
}

asv --version
three=$(compared 3)
five=$(compared 5)
echo "--- six samples a commit"
tail -n 6 <<< "$three"
echo "--- ten samples a commit"
tail -n 6 <<< "$five"
grep -q "NOT SIGNIFICANTLY CHANGED" <<< "$three" || { echo "six samples are enough now: the behaviour has changed"; exit 1; }
grep -q "PERFORMANCE DECREASED" <<< "$five" || { echo "ten samples did not find the slowdown"; exit 1; }
echo "a function twice as slow is found with ten samples a commit, and not with six"
