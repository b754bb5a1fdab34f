# KB Server. Bare `make` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where it is set, as in many containers, each of the server's processes would compile all libraries anew: 3 s of CPU.
unexport PYTHONDONTWRITEBYTECODE

SCHEMA := $(BIN)/python manage.py spectacular --format openapi-json --validate --fail-on-warn

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast lint format types schema words fuzz chaos bench-floor bench-retrieval reset

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## install what the server needs into .venv

$(VENV)/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing about 500 MB into .venv (once) ..."
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.ready-dev: requirements.txt requirements-import.txt requirements-dev.txt $(VENV)/.ready
	@echo "Installing what tests need ..."
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: setup ## start the server on http://127.0.0.1:9090
	@exec $(BIN)/python manage.py up

test: $(VENV)/.ready-dev ## lint, types, migrations and every test that this machine can run
	@$(MAKE) --no-print-directory lint types
	@$(BIN)/python -m pytest -n 2 --dist worksteal -rs

test-fast: $(VENV)/.ready-dev ## the unit tests, in seconds
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/.ready-dev ## style, formatting, missing migrations, a stale docs/openapi.json
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@KB_DATA_DIR=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
	@KB_DATA_DIR=$$(mktemp -d) $(BIN)/python manage.py check
	@KB_DATA_DIR=$$(mktemp -d) $(SCHEMA) | cmp -s - docs/openapi.json || { echo "docs/openapi.json is stale: run 'make schema' and commit it"; exit 1; }

schema: $(VENV)/.ready-dev ## write docs/openapi.json, the description of the API
	@made=$$(mktemp) && KB_DATA_DIR=$$(mktemp -d) $(SCHEMA) > $$made && cp $$made docs/openapi.json

words: ## collect what pages, engine and plugins say into locale/, and compile the Spanish (needs gettext)
	@$(BIN)/python locale/harvest.py
	@KB_DATA_DIR=$$(mktemp -d) $(BIN)/python manage.py makemessages --locale=es --no-obsolete --no-location --no-wrap --ignore=.venv --ignore=tests --ignore=bench
	@msgfmt --check-format -o locale/es/LC_MESSAGES/django.mo locale/es/LC_MESSAGES/django.po

fuzz: $(VENV)/.ready-dev ## 20,000 requests, fit and unfit, against a real server: no 5xx, nothing off the schema (half an hour)
	@$(BIN)/python -m bench.fuzz

types: $(VENV)/.ready-dev ## strict type check
	@KB_DATA_DIR=$$(mktemp -d) $(BIN)/mypy .

format: $(VENV)/.ready-dev ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

chaos: $(VENV)/.ready-dev ## kill the server's processes at random while it ingests (minutes)
	@$(BIN)/python -m bench.chaos

bench-floor: $(VENV)/.ready-dev ## the pipeline against a plain script doing the same work
	@$(BIN)/python -m bench.floor

bench-retrieval: $(VENV)/.ready-dev ## how well questions find their passages: recall@1, recall@5, MRR
	@$(BIN)/python -m bench.retrieval

reset: ## delete the data directory, after asking
	@printf 'Delete all data in %s? [y/N] ' "$${KB_DATA_DIR:-data}"; read answer; [ "$$answer" = y ] && rm -rf "$${KB_DATA_DIR:-data}" && echo "Deleted." || echo "Kept."
