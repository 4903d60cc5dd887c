# make book    the site in _book/ (a preview by pandoc where Quarto cannot be had)
# make test    everything that must hold: style, types, tests, docstrings, chapters
# make bench   the table of speeds
# make clean   remove all that these made
#
# Each builds .venv first where it is missing or pyproject.toml or constraints.txt changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# As in an activated environment: Quarto's scripts and pyright find this Python first.
OUTER_PATH := $(PATH)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Two test processes on two cores: one thread each, or they wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# Quarto's own package fetches the program while it installs: tried once, for at most three minutes.
GET_QUARTO := import subprocess as s, sys; s.run([sys.executable, "-m", "pip", "install", "quarto-cli", \
	"-c", "constraints.txt"], stdout=s.DEVNULL, stderr=s.DEVNULL, timeout=180)

.PHONY: book test bench clean

$(STAMP): pyproject.toml constraints.txt
	PATH="$(OUTER_PATH)" $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --editable . --group test --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --group reference --constraint constraints.txt
	touch $@

$(VENV)/.quarto-tried: $(STAMP)
	@command -v quarto >/dev/null || { echo "Quarto is not on PATH: trying pip install quarto-cli"; \
		$(BIN)/python -c '$(GET_QUARTO)' 2>/dev/null || true; }
	@touch $@

book: $(VENV)/.quarto-tried
	$(BIN)/hdlib book

test: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(ONE_THREAD) $(BIN)/python -m pytest tests -n 2 --benchmark-disable
	$(BIN)/python -m pytest --doctest-modules hdlib
	$(BIN)/python -m pytest --nbval --nbval-current-env -o filterwarnings=default chapters

bench: $(STAMP)
	$(BIN)/python -m pytest tests/benchmarks/test_speed.py -s

clean:
	rm -rf $(VENV) _book assets .quarto .pytest_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	find hdlib tests chapters -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
