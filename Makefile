# Everything a newcomer needs: `make demo` and `make test` work on a bare machine with Python 3.11, make and git.
# Each target makes its own set-up first; nothing is installed outside this folder.

PYTHON ?= python3
UV     := .boot/bin/uv
BIN    := .venv/bin
JOBS   ?= 2

# Each orchestrator lives in a virtual environment of its own: their requirements can't be had together.
ORCHESTRATORS := airflow dagster dbt prefect
# Those know nothing of this project's own overrides.
APART := --no-config --quiet

.PHONY: help setup orchestrators demo test lint bench docs lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

setup: .venv/.ready ## Make .venv with `lane` in it, from hash-locked requirements

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lanewise needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .boot || { echo "lanewise needs the venv module: apt-get install python3-venv"; exit 1; }
	@.boot/bin/pip install --quiet --disable-pip-version-check uv || { echo "lanewise needs a package registry that pip can reach"; exit 1; }

.venv/.ready: $(UV) requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

orchestrators: $(ORCHESTRATORS:%=.cache/%/.ready) ## Make a virtual environment for each orchestrator, which tests start

.cache/%/.ready: $(UV) requirements/%.txt pyproject.toml
	@test -x .cache/$*/bin/python || $(UV) venv $(APART) --allow-existing --python $(PYTHON) .cache/$*
	@$(UV) pip sync $(APART) --require-hashes --python .cache/$*/bin/python requirements/$*.txt \
		|| { echo "the tests need $* in .cache/$*, and requirements/$*.txt could not be installed there"; exit 1; }
	@$(UV) pip install $(APART) --python .cache/$*/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Watch a real pipeline go from dev to prod and back
	@$(BIN)/lane demo

lint: setup ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff format --check src tests benchmarks examples docs
	@$(BIN)/ruff check src tests benchmarks examples docs
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: lint orchestrators ## Lint, then every test
	@said=$$($(BIN)/python -W ignore -c 'from lanewise.testing import postgres as p; [p.find_binaries(v) for v in p.VERSIONS]' 2>&1) \
		|| { echo "$$said" | tail -1 | sed 's/^RuntimeError: //'; exit 1; }
	@$(BIN)/pytest -q -n $(JOBS) --dist worksteal

bench: setup ## Measure, each figure as a ratio within one run
	@$(BIN)/python -m benchmarks

docs: setup ## Write the generated pages of docs/reference
	@$(BIN)/python -m docs.generate

lock: $(UV) ## Pin the requirements anew, with hashes and without registry names
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--all-extras --group dev --no-emit-package lanewise pyproject.toml requirements/build.in -o requirements/dev.txt
	@for name in $(ORCHESTRATORS); do \
		$(UV) pip compile $(APART) --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
			requirements/$$name.in requirements/build.in -o requirements/$$name.txt || exit 1; \
	done

clean: ## Remove what make made
	@rm -rf .venv .boot .cache
