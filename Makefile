# Everything a developer does, one command each.  `make help` lists them.
# Needs Python 3.11 or newer, make and a package registry; all else is installed into .venv by the first command.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Four test processes: the daemons that they start are waited for half of the time; one module's tests stay
# together, so that a daemon or registry shared by a module is started once.
TEST_JOBS ?= 4
PYTEST := $(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadscope
# Seconds for one test of `make test-long`: the largest of them moves 10 GiB through all three processes.
LONG_TIMEOUT_S ?= 7200

# The tests start more than a thousand processes, and each would compile all modules again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-long check format bench install clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(STAMP) ## see it work: log, deduplicate, kill, resume, download and verify real data
	$(BIN)/holdfast demo

test: $(STAMP) ## the tests, with small figures
	$(PYTEST) -m "not long"

test-long: $(STAMP) ## all tests, with the full figures (hours)
	SCALE=full $(PYTEST) --timeout=$(LONG_TIMEOUT_S)

check: $(STAMP) ## formatting, lint, types, generated code, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python protos/generate.py --check
	$(BIN)/python -m pytest -q tests/architecture

format: $(STAMP) ## format the code and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure, each step as a ratio to a baseline taken in the same run
	$(BIN)/python -m benchmarks

install: $(STAMP) ## only make .venv

# The stamp is written last, so an interrupted installation is done again.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Holdfast needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	@touch $(STAMP)

clean: ## remove .venv, caches, and what the demo left
	rm -rf $(VENV) demo-data build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
