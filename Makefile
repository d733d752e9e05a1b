# Everything a learner, a teacher or a maintainer types. `make` alone lists it.
# Needs make and Python 3.11 or newer; the environment is made in .venv once, a second run installs nothing.

SHELL := /bin/sh
.DEFAULT_GOAL := help
unexport PYTHONPATH PYTHONHOME

VENV := .venv
RUN := $(VENV)/bin/python
PYTHON ?=
WHEELS ?=
NOTEBOOK ?=
INPLACE ?=
LAB_FLAGS ?=
TORCH ?=
SEEDS ?= 20
FIRST ?= 1
FROM ?=
FLAGS ?=
PYTEST_FLAGS ?=

# Jupyter refuses to serve root (containers, some clouds) unless told that this is meant.
ROOT_FLAG := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)

define find_python
python=; for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
    python="$$candidate"; break; fi; \
done; \
if [ -z "$$python" ]; then \
  echo "Error: the course needs Python 3.11 or newer, and none was found (python3 here: $$(python3 --version 2>&1 | tail -n 1)); install one from https://www.python.org, or name yours with PYTHON=/path/to/python3." >&2; \
  exit 1; fi
endef

.PHONY: help environment lab test test-oldest test-browser lint run reset wheels checkpoints records bench \
        replicate pins clean

help: ## this list
	@echo "make lab                      JupyterLab at the first notebook (LAB_FLAGS=--no-browser for a server)"
	@echo "make test                     unit tests, then every notebook"
	@echo "make run [NOTEBOOK=02]        run the notebooks into build/, with seconds and memory (INPLACE=1: where they are)"
	@echo "make reset NOTEBOOK=02        a clean notebook; your copy is kept beside it"
	@echo "make wheels                   fill wheels/ for a room without network; there: make lab WHEELS=wheels"
	@echo ""
	@echo "make lint                     ruff over code and notebooks"
	@echo "make test-browser             a learner's path through JupyterLab in a real browser (needs Chromium)"
	@echo "make test-oldest              the tests with the oldest versions that pyproject.toml allows"
	@echo "make bench                    the performance table"
	@echo "make replicate SEEDS=20       how often each claim holds under other seeds (NOTEBOOK=02 for one)"
	@echo "make checkpoints, make records   train the shipped models and records again"
	@echo "make pins                     write requirements.txt anew from pyproject.toml"
	@echo "make clean                    remove build/ and the environments"

environment: ## the virtual environment, if it is not there yet
	@$(find_python); "$$python" tools/environment.py --wheels "$(WHEELS)"

lab: environment
	@$(RUN) -m jupyterlab --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ROOT_FLAG) $(LAB_FLAGS)

test: environment
	@status=0; \
	echo "Unit tests:"; $(RUN) -m pytest $(PYTEST_FLAGS) || status=1; \
	echo "Notebooks, every cell, each notebook in a fresh kernel (nbval):"; \
	$(RUN) -m tools.validate $(NOTEBOOK) || status=1; \
	exit $$status

test-oldest:
	@$(find_python); "$$python" tools/environment.py --venv .venv-oldest --requirements requirements-oldest.txt
	@status=0; \
	.venv-oldest/bin/python -m pytest $(PYTEST_FLAGS) || status=1; \
	.venv-oldest/bin/python -m tools.validate $(NOTEBOOK) || status=1; \
	exit $$status

test-browser: environment
	@$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements-browser.txt
	@$(RUN) -m pytest tests/browser $(if $(NOTEBOOK),--notebook $(NOTEBOOK)) $(PYTEST_FLAGS)

lint: environment
	@$(RUN) -m ruff check .

run: environment
	@$(RUN) -m tools.run $(NOTEBOOK) $(if $(INPLACE),--inplace)

reset: environment
	@$(RUN) -m tools.reset "$(NOTEBOOK)" $(if $(FROM),--from "$(FROM)")

wheels: environment
	@$(find_python); "$$python" tools/environment.py --fill $(if $(WHEELS),"$(WHEELS)",wheels)

checkpoints: environment
	@$(RUN) -m tools.checkpoints $(FLAGS)

records: environment
	@$(RUN) -m tools.records $(FLAGS)

bench: environment
	@for file in tests/bench_*.py; do \
	  [ -e "$$file" ] || { echo "There is no tests/bench_*.py."; exit 1; }; \
	  echo "== $$file"; $(RUN) "$$file" $(FLAGS) || exit 1; done

replicate: environment
	@$(RUN) -m tools.replicate $(NOTEBOOK) --seeds $(SEEDS) --first $(FIRST) $(FLAGS)

pins:
	@$(find_python); "$$python" -m tools.pins $(if $(TORCH),--torch $(TORCH))

clean:
	rm -rf build .venv .venv-oldest *.egg-info .pytest_cache .ruff_cache
