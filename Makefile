# `make demo`: from nothing to a table. `make test`: what CI runs. Both set up what they need, once.
PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help install demo test clean

help:
	@echo "make demo    set up, draw a small shop, extract, split, tune four models, print the table"
	@echo "make test    set up, then formatting, lint, types and the test suite"
	@echo "make clean   remove what the demo made (data/demo, results/demo); the environment stays"

install: $(VENV)/installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "the module venv is missing; on Debian: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	@echo "installing (the first time downloads PyTorch, a few GB) ..."
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install -qq --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PY) -m pip install -qq --editable '.[test]'
	@touch $@

demo: $(VENV)/installed
	@$(PY) -m bottega.demo

test: $(VENV)/installed-test
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -n auto
	$(PY) -m pytest -m heavy

clean:
	rm -rf data/demo results/demo
