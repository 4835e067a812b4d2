# Everything a developer does here. `make help` explains the targets; ARGS="…" reaches the command.

SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
UV ?= uv
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' --no-emit-index-url --no-emit-find-links

.PHONY: help setup run test lint bench bench-peers lock clean

help: ## Explain every target (this text)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' Makefile

setup: .venv/.project ## Make .venv with .venv/bin/ledger, from the hashed lock

run: setup ## Start the server with its own Postgres and a demo company; data in LEDGER_DATA_DIR or .data
	@exec $(BIN)/ledger serve --demo $(ARGS)

test: .venv/.dev ## Run the tests; ARGS="-k checkout" picks some
	@$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

lint: .venv/.dev ## Check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: setup ## Measure the ledger (python -m bench)
	@$(BIN)/python -m bench $(ARGS)

bench-peers: setup bench/peers/.venv/.made bench/peers/node_modules/.made ## Measure the ledger beside other event stores
	@$(BIN)/python -m bench.peers $(ARGS)

lock: ## Remake requirements/*.txt with uv; ARGS=--upgrade takes newer versions
	@$(LOCK) pyproject.toml --group build --extra embedded --extra docs \
		--output-file requirements/run.txt $(ARGS)
	@$(LOCK) pyproject.toml --group build --extra dev --constraints requirements/run.txt \
		--output-file requirements/dev.txt $(ARGS)

clean: ## Remove .venv, caches and builds; .data stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	rm -rf bench/peers/.venv bench/peers/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .venv grows in steps, each with a stamp in it. While pip works, .made is away: interrupted in the
# middle, the next make starts from an empty .venv instead of trusting half a package.

.venv/.made:
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { \
		echo "The ledger needs Python 3.11 or newer; name one: make setup PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks its venv module; on Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@"$(PYTHON)" -m venv --clear .venv
	@touch $@

.venv/.run: requirements/run.txt .venv/.made
	@echo "Installing requirements/run.txt (the first time takes a minute)"
	@mv .venv/.made .venv/.busy
	@$(PIP) install --require-hashes --requirement requirements/run.txt
	@mv .venv/.busy .venv/.made && touch $@

.venv/.project: pyproject.toml .venv/.run
	@echo "Installing the ledger into .venv"
	@mv .venv/.made .venv/.busy
	@$(PIP) install --no-deps --no-build-isolation --editable . || { \
		mv .venv/.busy .venv/.made; exit 1; } # A slip in pyproject.toml costs no new .venv.
	@mv .venv/.busy .venv/.made && touch $@

.venv/.dev: requirements/dev.txt .venv/.project
	@echo "Installing requirements/dev.txt"
	@mv .venv/.made .venv/.busy
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@mv .venv/.busy .venv/.made && touch $@

# What the ledger is measured beside has its own environments; interrupted, each is made anew.

bench/peers/.venv/.made: bench/peers/requirements.txt | .venv/.project
	@echo "Installing bench/peers/requirements.txt into bench/peers/.venv"
	@$(BIN)/python -m venv --clear --without-pip bench/peers/.venv
	@$(PIP) --python bench/peers/.venv/bin/python install --require-hashes --requirement $<
	@touch $@

bench/peers/node_modules/.made: bench/peers/package-lock.json
	@command -v npm >/dev/null || exit 0; \
		echo "Installing bench/peers/package-lock.json into bench/peers/node_modules"; \
		cd bench/peers && npm ci --silent && touch node_modules/.made
