# `make demo` and `make test` are the README's two commands; CI runs exactly these.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
# Processes that tests run in, beside each other.
N      ?= 2
READY  := $(VENV)/.ready

.PHONY: ready demo test quick lint pages dev doctor requirements clean

ready: $(READY)  ## the environment

demo: $(READY)  ## six stories through a real Airflow; KEEP=1 leaves it running
	$(BIN)/sluicegate demo $(if $(KEEP),--keep)

test: $(READY)  ## every test, in N processes; T="path, or any arguments of pytest": those, in one
	$(BIN)/python -m pytest $(or $(T),-n $(N) tests)

quick: $(READY)  ## all day: tests/unit without those marked slow, which `make test` runs
	$(BIN)/python -m pytest -n $(N) tests/unit -m "not slow" --hypothesis-profile=quick \
	    --durations=5 --durations-min=1

lint: $(READY)  ## formatting, style, types, layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

pages: $(READY)  ## tables, suites and schemas that follow from the registry of signals
	$(BIN)/python docs/pages.py

dev: $(READY)  ## commit hooks
	$(BIN)/pre-commit install

doctor: $(READY)  ## what this machine can run
	$(BIN)/sluicegate doctor

requirements:  ## renew the pins; needs uv
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-header \
	    --no-annotate --upgrade .ci/requirements/dev.in -o .ci/requirements/dev.txt

clean:
	rm -rf $(VENV) .demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# The pins are complete, so pip need not resolve: its resolver looks at the newest release of a
# package with an extra (pydantic[email]) before it sees our pin, and fails when there is a newer one.
$(READY): .ci/requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --require-hashes --no-deps --requirement .ci/requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $(READY)
