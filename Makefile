# make compare   the leaderboard from the shipped tables          make compare ARGS="--runs 500 --out results"
# make test      the test suite                                   make test ARGS="-k stats"
# Both make .venv and install everything first, once for each state of pyproject.toml and constraints.txt.
# Of use beside them: PYTHON=python3.12, TORCH_ARGS="--index-url …" (CONTRIBUTING.md, "Torch").

PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
ARGS ?=
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: compare test check lint format install clean

compare: install
	$(BIN)/python -m nasbench_rl.compare $(ARGS)

test: install
	$(BIN)/python -m pytest $(ARGS)

check: lint test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

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
