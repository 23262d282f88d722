# make help lists the targets.

BIN := .venv/bin
STAMP := .venv/.installed
SHELL_FILES = $(shell find . -name .venv -prune -o -name .git -prune -o -path ./reconciler/remote -prune -o \
	\( -name '*.sh' -o -path ./.ci/run \) -type f -print)

.PHONY: help setup engine packages bytecode demo test test-all lint format pytest faults bench clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: packages $(STAMP) bytecode ## .venv with the pinned dependencies, and the Debian packages that demo and tests need

# Python reads compiled files also where it may not write them (PYTHONDONTWRITEBYTECODE).
bytecode: $(STAMP)
	@$(BIN)/python -m compileall -q reconciler

packages:
	@sh ops/setup/packages.sh

engine: ## make sure of a Docker engine with Compose v2 or later
	@sh ops/setup/engine.sh

$(STAMP): pyproject.toml constraints.txt ops/setup/python.sh
	@sh ops/setup/python.sh
	@touch $@

demo: engine setup ## deploy, change, break and revert a real app on this machine, in a minute; cleans up after itself
	@$(BIN)/python -m ops.demo

test: engine setup lint pytest ## everything that has to be green: lint, then the tests; in 20 minutes

test-all: engine setup lint bytecode ## the same with every variant: each transport, each script, each kind of death
	$(BIN)/pytest -n 4 --dist worksteal --durations 25

# Most of the time is spent waiting for containers, so more tests at once than there are cores.
pytest: bytecode
	$(BIN)/pytest -n 4 --dist worksteal --durations 25 -m "not exhaustive"

# Hours: it goes on where it was interrupted, for as long as reconciler/ is the same. FAULTS="--jobs 6" and other options
# of `python -m tests.faults` fit in.
faults: engine setup ## every step of every scenario hit by every fault, judged from the world; see tests/faults
	$(BIN)/python -m tests.faults --done .faults/done.jsonl $(FAULTS)

lint: packages $(STAMP) ## ruff, mypy, import contracts, shellcheck; needs no engine
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p reconciler -p tests -p ops -p bench
	$(BIN)/lint-imports
	shellcheck --external-sources $(SHELL_FILES)
	@# What runs on a target is lib.sh and one other file, read as one (reconciler.remote.script).
	@for file in $(filter-out %/lib.sh,$(wildcard reconciler/remote/*.sh)); do \
		cat reconciler/remote/lib.sh "$$file" | shellcheck --shell=sh - || { echo "$$file"; exit 1; }; \
	done

format: $(STAMP) ## put the Python files into their form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: engine setup ## the side-by-side measurements of bench/
	@for file in bench/bench_*.py; do $(BIN)/python "$$file" || exit 1; done

clean: ## remove .venv and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
