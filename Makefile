# `make help` lists the targets. All that is needed beforehand: make and Python >= 3.11 with its venv module.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
EXAMPLE := examples/gpu-platform
WEEK := scenarios/gpu-platform-week.yaml
CONTROL_PLANE := PYTHONPATH=tests $(BIN)/python -m support.controlplane_serve
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header $(ARGS)

.PHONY: help demo test e2e dev-cluster bench bench-live lock picture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/run.stamp ## plan the GPU platform example, then live through a week of it: prints, and writes week.html
	@$(BIN)/fretsaw plan -f $(EXAMPLE) $(ARGS)
	@echo
	@$(BIN)/fretsaw simulate $(WEEK) --html week.html

test: $(VENV)/dev.stamp ## every check: lint, format, types, import contracts, tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 $(ARGS)

e2e: $(VENV)/dev.stamp ## tests against a real control plane (Go builds it once, which takes minutes; or KUBEBUILDER_ASSETS)
	@$(CONTROL_PLANE) build
	$(BIN)/pytest -n 0 -rs tests/e2e $(ARGS)

dev-cluster: $(VENV)/dev.stamp ## such a control plane with Fretsaw's kinds, to try things on, until Ctrl-C
	@$(CONTROL_PLANE) serve dev-cluster.kubeconfig

bench: $(VENV)/dev.stamp ## speed and price against the bound; ARGS go to bench/run.py
	$(BIN)/python bench/run.py $(ARGS)
	$(BIN)/python -m bench.simulate

bench-live: $(VENV)/dev.stamp ## `fretsaw run` on a real control plane: 10, 500 and 5,000 pods, and five minutes of rest
	$(BIN)/python -m bench.live $(ARGS)

lock: $(VENV)/dev.stamp ## renew all lock files from pyproject.toml (newest releases: ARGS=--upgrade)
	$(UV_COMPILE) --group build --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) --group build --group dev --extra catalog --output-file requirements-dev.lock pyproject.toml
	$(UV_COMPILE) --extra run --extra aws --constraints requirements-dev.lock --output-file requirements-run.lock pyproject.toml

picture: $(VENV)/run.stamp ## renew the demo's output in README.md and docs/demo.svg
	@$(BIN)/python docs/picture.py

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first of these that is new enough and can make virtual environments; `make PYTHON=/path/to/python` overrules it.
$(BIN)/pip:
	@for python in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if [ -n "$$python" ] && "$$python" -c \
	      'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo "make: no Python >= 3.11 with the venv and ensurepip modules was found." >&2; \
	echo "Install one (Debian: python3 and python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; \
	exit 1

# Every wheel is checked against its hash; the package itself is then linked in without asking for anything more.
define install
	@echo "Installing $(1) (the first time takes a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/pip
	$(call install,requirements.lock)

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/pip
	$(call install,requirements-dev.lock)
	@touch $(VENV)/run.stamp
