# make compare      every method on the shipped tables, ending in a page to open    make compare ARGS="--runs 500"
# make leaderboard  the same, and the NSC tasks with their surrogates (ten minutes more), kept in the repository:
#                   baselines/README.md, leaderboard.md and .csv
# make live-runs    baselines/README.md: the live runs stored there beside tabular ones
# make live-nsc     the same page: three NSC networks trained live beside the table's seeds (half a minute, font-letters prepared)
# make rl-agents    docs/rl_agents: the RL-agents paper's comparison, from the tables as they stand (10 s)
# make findings     docs/findings.md: what the tables say, from the tables as they stand    ARGS=--redraw: the same searches
# make docs         the guide as pages: build/docs/index.html
# make test         the test suite                                                  make test ARGS="-k stats"
# All make .venv and install everything first, once for each state of pyproject.toml and constraints.txt.
# Options: PYTHON=python3.12, TORCH_ARGS="--index-url …" (docs/install.md).

PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
ARGS ?=
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NSC_TASKS := $(patsubst %,nsc-chain/%@lite,fashion-mnist font-letters emoji animals wesnoth) nsc-multibranch/font-letters@lite

.PHONY: compare leaderboard live-runs live-nsc rl-agents findings speed test check lint format docs install clean

compare: install
	$(BIN)/python -m nasbench_rl.compare $(ARGS)

leaderboard: install
	$(BIN)/python -m nasbench_rl.compare --no-page --out results
	$(BIN)/python -m nasbench_rl.compare --no-page --out results/nsc --mode surrogate --runs 10 --budget 100x --tasks $(NSC_TASKS)
	$(BIN)/python -m nasbench_rl.leaderboard results results/nsc
	cp results/leaderboard.md results/leaderboard.csv baselines/
	$(BIN)/python tools/readme_picture.py results
	$(BIN)/python tools/baselines_readme.py
	$(BIN)/python tools/readme_coverage.py

# After the tables are committed: the page names the one that judges.
live-runs: install
	$(BIN)/python tools/live_against_table.py runs

live-nsc: install
	$(BIN)/python tools/live_against_table.py networks --write

rl-agents: install
	$(BIN)/python -m nasbench_rl.compare --preset rl-agents-paper --out results/rl-agents
	mkdir -p docs/rl_agents
	cp results/rl-agents/report.md docs/rl_agents/index.md
	cp results/rl-agents/*.csv docs/rl_agents/

# After the tables are committed, so that docs/findings/tables.csv names tables that a commit has.
findings: install
	$(BIN)/python -m nasbench_rl.findings $(ARGS)

# Every speed that is promised, beside Syne Tune's and Stable-Baselines3's; wants a machine that does nothing else.
speed: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[benchmarks]'
	$(BIN)/python tests/benchmarks/speed.py
	$(BIN)/python tests/benchmarks/ppo_against_sb3.py

test: install
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: lint test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The guide as pages in build/docs; a broken link is an error. Figures are drawn here and not committed.
docs: install
	$(BIN)/python -m nasbench_rl.findings --redraw
	$(BIN)/python -m nasbench_rl.compare --preset rl-agents-paper --out build/rl-agents
	cp build/rl-agents/*.png docs/rl_agents/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: $(INSTALLED)

# Torch comes first and alone, so that no other requirement chooses its build. An environment that exists is kept.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH_ARGS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	touch $@

# Keeps $(VENV), the tables and every result.
clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find nasbench_rl baselines tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
