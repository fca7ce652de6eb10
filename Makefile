# `make demo` and `make test` work on a fresh machine with Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := files training tokenizer data generator evaluation app configs pretrained

.DEFAULT_GOAL := help
.PHONY: help demo test test-all soak lint types format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed  ## make videos from sentences with the model that ships here
	$(BIN)/kinetoscope demo --out outputs/demo

test: lint types  ## lint, type-check and run the quick tests, in two processes of one thread
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --durations=5

test-all: lint types  ## the same with the slow tests
	$(BIN)/python -m pytest -q --durations=15 -m "not gpu"

soak: $(VENV)/.developing  ## damaged files, kills and full disks by the thousand; takes hours
	KINETOSCOPE_SOAK=1 $(BIN)/python -m pytest -q --durations=15 -m soak $(TESTS)

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy follows plain installs only, so it checks a copy.
types: $(VENV)/.developing
	rm -rf build/types build/lib
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --target build/types .
	MYPYPATH=build/types $(BIN)/mypy -p kinetoscope

format: $(VENV)/.developing  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) build dist outputs *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		(echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 1)
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[studio]"
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt setuptools wheel --editable ".[dev]"
	touch $@
