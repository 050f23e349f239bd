# `make` without a target lists them. Everything is installed into .venv; nothing outside is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check env train-env clean

help:  ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: env  ## Run the node on a simulated camera and measure it against the known truth
	$(BIN)/python -m kp3d_ros.demo

test: train-env check  ## Run everything CI runs: linters, type checker, tests
	$(BIN)/python -m pytest --durations=25

test-slow: train-env  ## Run the slow tests, too
	$(BIN)/python -m pytest -m ""

check: train-env  ## Run the linters and the type checker only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

env:  ## Set up .venv: packages, ROS 2 (sourced or from PyPI), messages
	@$(check-python)
	@$(PYTHON) scripts/setup_env.py demo

train-env:  ## The same plus PyTorch and the test tools
	@$(check-python)
	@$(PYTHON) scripts/setup_env.py train

clean:  ## Remove .venv and everything built or cached
	rm -rf $(VENV) build install log dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define check-python
command -v $(PYTHON) >/dev/null || { \
	echo "error: kp3d needs Python 3.10 to 3.14, no $(PYTHON) was found: sudo apt install python3" >&2; \
	exit 1; }
endef
