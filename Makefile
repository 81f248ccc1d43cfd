# make compare      every method on the shipped tables, ending in a page to open    make compare ARGS="--runs 500"
# make leaderboard  the same, and the repository's copy of the page in baselines/
# make test         the test suite                                                  make test ARGS="-k stats"
# All make .venv and install everything first, once for each state of pyproject.toml and constraints.txt.
# Of use beside them: PYTHON=python3.12, TORCH_ARGS="--index-url …" (CONTRIBUTING.md, "Torch").

PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
ARGS ?=
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: compare leaderboard test check lint format docs install clean

# What ARGS gives for an option, for the leaderboard to read the same results and tables.
given = $(shell printf '%s ' '$(ARGS)' | sed -n 's/.*--$(1)[ =]\([^ ]*\) .*/\1/p')
RESULTS = $(or $(call given,out),results)
TABLES = $(call given,tables)

# A method that fails (exit code 1, its errors printed) does not keep the others off the page. A preset writes tables of
# its own and no page.
compare: install
	status=0; $(BIN)/python -m nasbench_rl.compare $(ARGS) || status=$$?; test $$status -le 1 || exit $$status; \
	case '$(ARGS)' in *--preset*) exit $$status;; esac; \
	test $$status = 0 || echo "some searches failed, see the errors above; the page has the others"; \
	$(BIN)/python -m nasbench_rl.leaderboard $(RESULTS) $(if $(TABLES),--tables $(TABLES))

leaderboard: compare
	cp $(RESULTS)/leaderboard.md $(RESULTS)/leaderboard.html baselines/

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

# The guide as pages in build/docs; a broken link is an error.
docs: install
	$(BIN)/mkdocs build --strict

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
