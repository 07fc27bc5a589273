# make tour    the whole way on the embedded road signs, in under two minutes
# make test    lint, unit tests and all lessons
# make lessons rebuild the lessons whose source changed
# make lab     open the lessons in JupyterLab
# make gauntlet  trainings and searches killed at random moments, to end as in one go
# make anywhere  the tests as other machines would run them (hours; see the script)
# make bench   measurements that take long (CNNKIT_DATA and KERAS_HOME name the data)

IMAGES ?= data/signs
MINUTES ?= 0.8
TUNE ?= 0.33
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$p && break; done)

ENV := .venv
BIN := $(ENV)/bin
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=1800 \
	--nbval-kernel-startup-timeout=600

.PHONY: tour test lint unit lessons lessons-test lab gauntlet anywhere bench clean
.DEFAULT_GOAL := tour

tour: $(ENV)/ready
	$(BIN)/python -m cnnkit train "$(IMAGES)" --minutes $(MINUTES) --tune $(TUNE)

test: lint unit lessons-test

lint: $(ENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(ENV)/ready
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

lessons-test: export IPYTHONDIR = $(CURDIR)/$(ENV)/ipython
lessons-test: export JUPYTER_RUNTIME_DIR = $(IPYTHONDIR)
lessons-test: $(ENV)/ready
	CNNKIT_STRICT=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(NBVAL) notebooks/*.ipynb

lessons: $(ENV)/ready
	$(BIN)/python notebooks/build.py

lab: $(ENV)/ready
	$(BIN)/jupyter lab notebooks/exercises

gauntlet: $(ENV)/ready
	$(BIN)/python tests/gauntlet/kills.py 50
	$(BIN)/python tests/gauntlet/kills.py 20 SIGINT
	$(BIN)/python tests/gauntlet/search_kills.py 20
	$(BIN)/python tests/gauntlet/search_memory.py

anywhere: $(ENV)/ready
	$(BIN)/python tests/anywhere.py

bench: $(ENV)/ready
	for script in tests/benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

$(ENV)/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "cnnkit needs Python 3.11, 3.12 or 3.13; none was found."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make an environment, as it lacks venv or ensurepip."; \
		echo "On Debian and Ubuntu: sudo apt install $(notdir $(PYTHON))-venv"; exit 1; }
	$(PYTHON) -m venv $(ENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[notebooks,tests]' --constraint constraints.txt
	@touch $@

clean:
	rm -rf $(ENV) .pytest_cache .ruff_cache
