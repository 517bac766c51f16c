# make demo | make test | make lint: each makes .venv on first use, installs the pinned dependencies and runs. Nothing is written outside of this folder.
# PYTHON=/path/to/python3.11 picks the interpreter (3.10 to 3.13); ARGS="..." goes to the command that is run.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test coverage fuzz lint types format docs clean

VENV := .venv
RUN := $(VENV)/bin/python

# All tests run in as many processes as the machine has cores and memory for (Testing/Python/conftest.py), one thread each. What ARGS name, or want to
# be asked at a terminal, runs in one.
ONE := $(filter Testing/% %.py --pdb --trace -s -n% --numprocesses% --dist%,$(ARGS))
PARALLEL := $(if $(ONE),,-n auto --dist loadfile)
PYTEST := $(if $(ONE),,OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1}) $(RUN) -m pytest $(PARALLEL)

# A virtual environment keeps absolute paths: one that was copied or moved here with the folder is made anew.
MOVED := $(shell if [ -f $(VENV)/.made-in ] && [ "$$(cat $(VENV)/.made-in)" != "$$(pwd -P)" ]; then rm -rf $(VENV); echo moved; fi)
STALE := $(shell if [ -d $(VENV) ] && ! $(RUN) -c "" 2>/dev/null; then rm -rf $(VENV); echo stale; fi)

help:
	@echo "make demo    segment the sample cohort case by case and write demo-output/report.html"
	@echo "make test    run all tests, or those in ARGS=Testing/Python/core"
	@echo "make coverage run all tests and say how much of the code they reach; fails below the floor in pyproject.toml"
	@echo "make fuzz    read many thousand damaged files (minutes)"
	@echo "make lint    check style (make format: repair it)"
	@echo "make types   check the types (Testing/type_errors.txt holds what is still allowed, and only shrinks)"
	@echo "make docs    build the documents as a site into build/site"
	@echo "make clean   remove $(VENV) and demo-output"

demo: $(VENV)/.installed-run
	@echo "==> Running the demo: a simulated radiologist goes through the sample cohort"
	@$(RUN) -m MultiverSegLib.cli demo --out demo-output $(ARGS)

test: $(VENV)/.installed-dev
	@echo "==> Running all tests"
	@$(PYTEST) $(ARGS)

coverage: $(VENV)/.installed-dev
	@echo "==> Running all tests and measuring what they reach"
	@$(RUN) -m coverage erase
	@$(PYTEST) --cov --cov-report= $(ARGS)
	@$(RUN) -m coverage report

fuzz: $(VENV)/.installed-dev
	@echo "==> Reading mutated files (FUZZ_CASES for each format; what fails is kept in build/fuzz)"
	@MULTIVERSEG_FUZZ_CASES=$(or $(FUZZ_CASES),3000) MULTIVERSEG_FUZZ_SEED=$(or $(FUZZ_SEED),1) MULTIVERSEG_FUZZ_KEEP=build/fuzz \
		$(RUN) -m pytest -q Testing/Python/fuzz $(ARGS)

lint: $(VENV)/.installed-dev
	@echo "==> Checking style"
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: $(VENV)/.installed-dev
	@echo "==> Checking types"
	@$(RUN) Testing/check_types.py $(ARGS)

format: $(VENV)/.installed-dev
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

docs: $(VENV)/.installed-docs
	@echo "==> Building build/site"
	@$(RUN) -m mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) demo-output build

$(VENV)/.made-in:
	@set -e; python=; \
	for candidate in "$(PYTHON)" python3.12 python3.11 python3.13 python3.10 python3 python; do \
	  [ -n "$$candidate" ] || continue; \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then python="$$candidate"; break; fi; \
	  if [ "$$candidate" = "$(PYTHON)" ]; then echo "error: PYTHON=$(PYTHON) is not a Python 3.10 to 3.13 with its venv module." >&2; exit 1; fi; \
	done; \
	if [ -z "$$python" ]; then echo "error: no Python 3.10 to 3.13 with its venv module found (on Debian and Ubuntu: apt install python3-venv); or set PYTHON=..." >&2; exit 1; fi; \
	echo "==> Making $(VENV) with $$("$$python" --version) ($$python)"; \
	rm -rf $(VENV); "$$python" -m venv $(VENV); pwd -P > $(VENV)/.made-in

$(VENV)/.installed-run: $(VENV)/.made-in pyproject.toml constraints.txt
	@echo "==> Installing MultiverSeg and what it runs with into $(VENV) (PyTorch, VTK and MRML are large: this takes minutes the first time)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made-in pyproject.toml constraints.txt
	@echo "==> Installing MultiverSeg, its extras and the test tools into $(VENV) (takes minutes the first time)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,eval,cluster,test]"
	@touch $(VENV)/.installed-run $@

$(VENV)/.installed-docs: $(VENV)/.made-in pyproject.toml constraints.txt
	@echo "==> Installing what builds the documents into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt "mkdocs>=1.6" "mkdocs-material>=9.5" "mkdocstrings[python]>=0.29"
	@touch $@
