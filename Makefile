# Commands for a fresh machine with Python 3.11 or later: `make train` and `make test`.
PYTHON ?= python3
NEWEST_PYTHON ?= python3.13
BIN := .venv/bin
NEWEST := .venv-newest
# Peers that ask for other builds of PyTorch than the one that is tested with.
# grad-cam asks for OpenCV, which only its own pictures need.
PINNING_PEERS := facenet-pytorch==2.6.0 grad-cam==1.5.7 timm==1.0.31 torchaudio==2.11.1 \
    torchvision==0.29.1 ttach==0.0.3
# Series of the UCR and UEA archives with their published splits; its code, which asks for older
# releases of NumPy and pandas, is not used.
SERIES := aeon==1.6.0
TEST_OPTIONS := --numprocesses=2 --dist=loadscope

.PHONY: train test newest test-newest test-native test-long test-exhaustive test-peers test-peers-long \
    test-conformance docs bench bench-gpu dist dist-check clean

train: .venv/.installed
	$(BIN)/jaxcnn train --out runs/digits --overwrite

test: .venv/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/python -m pytest -q $(TEST_OPTIONS)

# What depends most on the versions of Python, jax and Flax, with the newest of them, in an
# environment of its own, where each call installs the newest releases.
newest: $(NEWEST)/bin/python
	$(NEWEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy=eager --editable '.[test]'

test-newest: newest
	$(NEWEST)/bin/python -m pytest -q $(TEST_OPTIONS) \
	    tests/interchange/test_model_file.py tests/interchange/test_stablehlo_files.py \
	    tests/layers/test_pickling.py tests/ops/test_export.py tests/ops/test_sharding.py \
	    tests/training/test_checkpoints.py tests/training/test_modes.py \
	    tests/training/test_training_step.py \
	    tests/test_modules.py tests/test_other_names.py tests/test_runtime.py

# The operations on compiled kernels, which are built for it in a cache of their own.
test-native: export XDG_CACHE_HOME := $(CURDIR)/.venv/cache
test-native: export JAXCNN_NATIVE := 1
test-native: .venv/.installed-test
	$(BIN)/jaxcnn native build
	$(BIN)/python -m pytest -q $(TEST_OPTIONS) tests/ops/native tests/ops/test_convolution.py
	$(BIN)/python -m pytest -q $(TEST_OPTIONS) -k conv tests/ops/test_every_op.py

# The tests marked `long`, which `make test` leaves out, and its searches with more examples, all
# compiled as users run them; and every page.
test-long: .venv/.installed-test docs
	$(BIN)/python -m pytest -q $(TEST_OPTIONS) --long

# Trainings killed twenty times, and checkpoints with every byte of every file flipped in turn.
test-exhaustive: .venv/.installed-test
	$(BIN)/python -m pytest -q -s --exhaustive -k "killed or damage" tests/training

# About 12 random configurations of each operation against PyTorch and Keras; the long form draws
# 2,000 new ones each time.
test-peers: .venv/.installed-peers
	$(BIN)/python -m pytest -q $(TEST_OPTIONS) tests/peers

test-peers-long: .venv/.installed-peers
	$(BIN)/python -m pytest -v $(TEST_OPTIONS) tests/peers --hypothesis-profile=peers_long

# The peers' own suites: ONNX's node cases and PyTorch's OpInfo; prints a table of both.
test-conformance: .venv/.installed-conformance
	$(BIN)/python -m pytest -q -s tests/conformance

# The site in both languages, every code cell of which is executed; a warning fails it.
docs: .venv/.installed-docs
	$(BIN)/python docs/build.py

# Every benchmark against PyTorch, Keras, Flax and Equinox: 20 to 40 minutes on two idle cores.
bench: .venv/.installed-bench
	$(BIN)/python examples/benchmarks/bench.py bench.json

# ResNet-50 and CIFAR-10 on one GPU, beside PyTorch on the same card: meant for 10 minutes.
bench-gpu: .venv/.installed-bench-gpu
	$(BIN)/python examples/benchmarks/gpu.py gpu.json

# The sdist, and the wheel that is built from it.
dist: .venv/.installed-release
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

# Both of them, tried outside of the repository in a fresh environment, with the Python of PYTHON=….
dist-check: dist
	PYTHON=$(PYTHON) .ci/check-dist

.venv/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python -m pip install --quiet --no-deps $(SERIES)
	touch $@

.venv/.installed-peers: .venv/.installed-test
	$(BIN)/python -m pip install --quiet --editable '.[peers]'
	$(BIN)/python -m pip install --quiet --no-deps $(PINNING_PEERS)
	touch $@

.venv/.installed-docs: .venv/.installed-peers
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

.venv/.installed-release: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable '.[release]'
	touch $@

.venv/.installed-conformance: .venv/.installed-peers
	$(BIN)/python -m pip install --quiet --editable '.[conformance]'
	touch $@

.venv/.installed-bench: .venv/.installed-peers
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

.venv/.installed-bench-gpu: .venv/.installed-bench
	$(BIN)/python -m pip install --quiet --editable '.[cuda]'
	touch $@

# pyenv's commands need the version that they are to run; others ignore the variable.
$(NEWEST)/bin/python:
	PYENV_VERSION=3.13 $(NEWEST_PYTHON) -m venv $(NEWEST)

clean:
	rm -rf .venv $(NEWEST) build dist
