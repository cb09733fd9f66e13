.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export SKYSIEVE_HOME ?= $(CURDIR)/var
ifneq ($(wildcard ../shared/data),)
export SKYSIEVE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help run demo test fast browser slow check bench screenshots clean-venv

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --retries 0 --index-url $(TORCH_INDEX) torch==2.13.0 \
		|| $(BIN)/pip install --quiet torch==2.13.0

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/installed

run: $(VENV)/installed ## Install, make the demo night once, serve the dashboard on 127.0.0.1:8501
	$(BIN)/skysieve demo
	$(BIN)/skysieve serve

demo: $(VENV)/installed ## Fill the store with a simulated night
	$(BIN)/skysieve demo

test: $(VENV)/installed-dev chromium fast browser slow ## Install what tests need, then run every tier

fast: $(VENV)/installed-dev ## Tests that take no server and no browser (under two minutes)
	$(BIN)/python -m pytest -n 2 --durations=12 -m "not slow and not browser"

slow: $(VENV)/installed-dev ## Real servers, subprocesses, kill -9
	$(BIN)/python -m pytest -m "slow and not browser"

browser: $(VENV)/installed-dev chromium ## Every page in headless Chromium
	$(BIN)/python -m pytest -m browser

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || sh -c 'apt-get update -qq && apt-get install -y -qq chromium' \
		|| { echo "install Debian's chromium (apt-get install chromium), then run this again"; exit 1; }

check: $(VENV)/installed-dev ## Format, lint, types, import contracts, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory fast

bench: $(VENV)/installed-dev ## Measure everything that README quotes
	for name in codec cosmicrays anomaly scan store dashboard; do $(BIN)/skysieve bench $$name || exit 1; done
	$(BIN)/python -m jobs.bench.summary README.md

screenshots: $(VENV)/installed-dev chromium ## Make the pictures of README and docs
	$(BIN)/python -m tests.browser.screenshots
