# The commands of this repository. Each installs what it needs into .venv first, once.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo up test soak chaos check bench docs openapi lock clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV := $(BIN)/uv
UV_IS_THERE = { $(UV) --version >/dev/null 2>&1 || $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check "uv>=0.13,<1"; }

# Two processes share the tests; the longest files first, so that both end at the same time.
LONGEST_FIRST := tests/chaos tests/acceptance tests/integration tests/compat tests/unit tests/contract tests/architecture

# The first Python on the path that can make the environment; `make PYTHON=/path/to/python3.11 …` takes another.
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13; do \
    if $$name -c '$(USABLE)' 2>/dev/null; then echo $$name; break; fi; done)

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 18

install: $(INSTALLED)  ## the locked dependencies and this package, editable, in .venv

$(INSTALLED): requirements.lock pyproject.toml
	@if ! { [ -n "$(PYTHON)" ] && $(PYTHON) -c '$(USABLE)'; } 2>/dev/null; then \
	    echo "alchemiscale-prefect needs Python 3.11, 3.12 or 3.13 with venv and pip (Debian: python3 and python3-venv);" \
	         "tried: '$(PYTHON)'; python3 is $$(python3 --version 2>&1). Name one with: make PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@$(BIN)/python -c '$(USABLE)' 2>/dev/null || { rm -f $@; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing the locked dependencies into $(VENV) (1.3 GB, about a minute; once) …"
	@# uv takes a third of the time; pip may be set for a mirror that uv knows nothing of
	@{ $(UV_IS_THERE) && $(UV) pip install --quiet --python $(BIN)/python --system-certs --compile-bytecode -r requirements.lock; } || { \
	    echo "uv could not, so pip does (about three minutes) …" >&2; \
	    $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check -r requirements.lock; }
	@$(BIN)/python -m pip install -qq --no-input --disable-pip-version-check --no-deps -e .
	@touch $@

demo: $(INSTALLED)  ## a real network from submission to free energies, on a local stack in .demo
	@$(BIN)/alchemiscale-prefect demo

up: $(INSTALLED)  ## the local stack in the foreground; Ctrl-C stops all of it
	@$(BIN)/alchemiscale-prefect up

test: $(INSTALLED)  ## the whole test suite, with a real Postgres, Prefect server and worker
	@bash tests/install_postgres.sh
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(LONGEST_FIRST)

soak: $(INSTALLED)  ## fifty clients while the API is stopped and killed, and many random histories; ten minutes
	@ALCHEMISCALE_TEST_SOAK_SECONDS=60 ALCHEMISCALE_TEST_HISTORIES=200 ALCHEMISCALE_HOST_EXAMPLES=1000 \
	    $(BIN)/python -m pytest -s --timeout 1800 tests/integration/server/test_restarts_under_load.py \
	    tests/integration/server/test_api_state_machine.py tests/integration/dispatch/test_state_machine.py \
	    tests/integration/dispatch/test_interleavings.py \
	    tests/integration/dispatch/test_iteration_limits.py tests/unit/domain/test_verdicts.py tests/unit/domain/test_hosts.py

chaos: $(INSTALLED)  ## everything is killed at any time, and 5,000 attempts among lost and doubled flow runs; SEED=1 for the same again
	@bash tests/install_postgres.sh
	@ALCHEMISCALE_CHAOS_TASKS=60 ALCHEMISCALE_TEST_ATTEMPTS=5000 $(BIN)/python -m pytest -s --timeout 3600 \
	    $(if $(SEED),--seed $(SEED)) tests/chaos tests/integration/dispatch/test_many_attempts.py

check: $(INSTALLED)  ## format, lint, types and layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(INSTALLED)  ## what calls, submissions, claims and dispatch cost, beside what they cannot do without
	@$(BIN)/python -m benchmarks.api
	@$(BIN)/python -m benchmarks.submit
	@$(BIN)/python -c "import procrastinate" 2>/dev/null || \
	    $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check "procrastinate>=3.10,<4"
	@$(BIN)/python -m benchmarks.queue
	@$(BIN)/python -m benchmarks.strategy
	@$(BIN)/python -m benchmarks.iterations
	@$(BIN)/python -m benchmarks.dispatch

docs: $(INSTALLED)  ## the documentation, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

openapi: $(INSTALLED)  ## docs/reference/openapi.json anew, after a route or a body has changed
	@$(BIN)/python -m alchemiscale_prefect.api.openapi > openapi.new && mv openapi.new docs/reference/openapi.json || { rm -f openapi.new; exit 1; }

lock: $(INSTALLED)  ## resolve requirements.lock from pyproject.toml; UPGRADE=1 takes the newest versions
	@$(UV_IS_THERE)
	@$(UV) pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --extra local --extra dev \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --output-file requirements.lock pyproject.toml
	@git --no-pager diff --stat -- requirements.lock

clean:  ## remove what the targets above made: .venv, .demo, site, caches
	rm -rf $(VENV) .demo site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
