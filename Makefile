# Two commands for a fresh machine with Python 3.11 or later: `make train` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test clean

train: .venv/.installed
	$(BIN)/jaxcnn train --out runs/digits --overwrite

test: .venv/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q

.venv/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build dist
