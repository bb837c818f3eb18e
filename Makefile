# Thin: the environment from the lock, then the real command. `make study` is `make env`, then plain `snakemake --cores 2`.
PYTHON ?= python3
CORES ?= all
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: help env demo study middle quick test test-slow test-cluster lint lock clean

help:
	@echo "make demo   set up the environment and run the embedded study on small sizes: a report to look at (CORES=$(CORES))"
	@echo "make study  set up the environment and run the default study, whose numbers README shows"
	@echo "make middle  a small study of Whisper tiny.en joined with SmolLM2-135M (CPU)"
	@echo "make quick  style, and the unit tests without the long ones: for one's own change"
	@echo "make test   set up the environment and run the tests"
	@echo "make test-slow  the slow tests, all or those of TESTS=file"
	@echo "make test-cluster  run the small study through a private Slurm (root; Debian: slurm-wlm, munge)"
	@echo "make env    only set up the environment, in $(VENV)"
	@echo "make lint   check style, types and the workflow"
	@echo "make lock   resolve envs/*.in into the locks and the conda environments"
	@echo "make clean  remove the environment, the results and everything that can be made again; downloads stay"

env: $(VENV)/runtime.stamp

demo: env
	$(VENV)/bin/snakemake --cores $(CORES) --configfile config/demo.yaml
	@echo "$(CURDIR)/results/report.html"

study: env
	$(VENV)/bin/snakemake --cores $(CORES)
	@echo "$(CURDIR)/results/report.html"

middle: env
	$(PIP) --no-deps -r envs/requirements-middle.txt
	$(VENV)/bin/snakemake --cores $(CORES) --configfile config/middle_small.yaml
	@echo "$(CURDIR)/results/report.html"

quick: $(VENV)/development.stamp
	$(VENV)/bin/ruff check .
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -m "not slow and not gpu and not thorough" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder tests/unit

test: $(VENV)/development.stamp
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m "not slow and not gpu" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/development.stamp
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m slow -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

test-cluster: $(VENV)/development.stamp
	$(VENV)/bin/python -m pytest tests/cluster

lint: $(VENV)/development.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	$(VENV)/bin/mypy workflow_scripts envs
	$(VENV)/bin/snakemake --lint

lock: $(VENV)/development.stamp
	$(VENV)/bin/python envs/lock.py

clean:
	rm -rf $(VENV) .snakemake .pytest_cache .hypothesis .ruff_cache .mypy_cache data/embedded data/models/tiny
	find results -mindepth 1 ! -name README.md -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/runtime.stamp: envs/requirements.lock
	@command -v $(PYTHON) > /dev/null || { echo "error: no $(PYTHON); install Python 3.11 or newer, or name it: make env PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is $$($(PYTHON) -V); Earwitness needs 3.11 or newer: make env PYTHON=python3.11" >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV) (some minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r envs/requirements.lock
	touch $@

$(VENV)/development.stamp: $(VENV)/runtime.stamp envs/requirements-dev.lock envs/requirements-ranks.txt
	$(PIP) -r envs/requirements-dev.lock
	$(PIP) --no-deps -r envs/requirements-ranks.txt
	touch $@
