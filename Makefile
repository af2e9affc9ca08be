# Lab Mitra. `make help` lists the targets; each does its own set-up.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TEST_STAMP := .venv/.installed-test
unexport PYTHONDONTWRITEBYTECODE  # else each of the programs that run compiles all modules anew

.PHONY: help install run demo-once test lint docs bench crash fuzz browser clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(STAMP)  ## make .venv and install from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

$(TEST_STAMP): requirements-test.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(TEST_STAMP) $(STAMP)

run: $(STAMP)  ## a whole lab with simulated analyzers, until Ctrl-C
	@exec $(BIN)/labmitra demo

demo-once: $(STAMP)  ## the same day without a person; exit 0 only when the books balance
	$(BIN)/labmitra demo --once

browser:  ## find Chromium, or install Debian's when root may
	@sh tests/browser/find_chromium.sh

lint: $(TEST_STAMP)  ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(TEST_STAMP) browser lint  ## everything: lint, unit, wire, pages, browser, system, PostgreSQL
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/browser
	$(BIN)/pytest -n 2 tests/browser  # apart: the browser's event loop never ends in its process

docs: $(STAMP)  ## make docs/analyzers.md anew from the drivers
	$(BIN)/labmitra driver list --markdown > docs/analyzers.md

bench: $(TEST_STAMP)  ## measure, print the table, write bench/results.md
	$(BIN)/python -m bench

crash: $(TEST_STAMP)  ## kill -9 the middleware N=200 times, then count; goes on where it stopped (ARGS=--help)
	$(BIN)/python -m tests.crash $(or $(N),200) $(ARGS)

fuzz: $(TEST_STAMP)  ## a million broken inputs are read or refused, nothing else (N=, SEED=, FIRST= to go on, JOBS=)
	$(BIN)/python -m tests.wire.fuzz --inputs $(or $(N),1000000) --seed $(or $(SEED),1) --first $(or $(FIRST),0) --processes $(or $(JOBS),1)

clean:  ## remove the virtual environment and the demo's data
	rm -rf .venv var
