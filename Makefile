# make demo          run two use cases on real files, then stay up until Ctrl-C   (ONCE=1 stops instead)
# make test          install what the tests need and run all of them
# make e2e           run the twelve stories that accept a deployment: in the embedded cloud, or with STAGE=trial
# make bench         compare the lane with rsync, scp, rclone, Syncthing and others   (ARGS="--scale 0.1 --case small")
# make scale         simulate a fleet of 10,000 agents: cost, latency, what throttles   (ARGS="s3-burst --agents 1000")
# make vm            try installer, units, updater and uninstaller in virtual machines with systemd   (ARGS="--family trixie")
# make lint          run ruff, mypy, import-linter, the check for banned words and the console's checks
# make audit         check every dependency for known vulnerabilities (asks the registries) and its license
# make licences      check licenses only; fails if a shipped package has one that is not allowed
# make wire          generate the console's types and the list of problems from the Python rooms
# make clean         delete the demonstration's state and every environment

SHELL := /bin/bash
# Otherwise each of the thousands of processes that tests start compiles the packages again.
unexport PYTHONDONTWRITEBYTECODE
SETUP := infra/local/setup.sh
BIN   := .crosshaul/env/bin
ONCE  ?=
STAGE ?=
# Three workers run end-to-end tests (tests/support/scheduling.py), and the rest only others. All of them wait now
# and then, for agents and for disks, so there are four more workers than cores.
WORKERS ?= $(shell echo $$(($$(nproc) + 4)))

.PHONY: demo test e2e bench scale vm lint audit licences format wire locks clean

demo:
	@$(SETUP) env cloud node web
	@$(BIN)/python -m infra.local.demo $(if $(ONCE),--once)

test:
	@$(SETUP) env cloud node web browser
	@cd web && npm run --silent test
	@$(BIN)/pytest -n $(WORKERS) --durations=15 --durations-min=10

e2e:
	@$(SETUP) env browser $(if $(STAGE),,cloud node web)
	@CROSSHAUL_E2E_STAGE=$(STAGE) $(BIN)/pytest tests/e2e -m acceptance -v

bench:
	@$(SETUP) env cloud node web bench
	@$(BIN)/python -m tests.bench $(ARGS)

scale:
	@$(SETUP) env
	@$(BIN)/python -m tests.scale $(ARGS)

vm:
	@$(SETUP) env cloud node web vm
	@$(BIN)/python -m tests.vm $(ARGS)

lint:
	@$(SETUP) env node web
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml
	@$(BIN)/python -m infra.local.identifiers
	@cd web && npm run --silent lint

audit: licences
	@infra/local/audit.sh

licences:
	@$(SETUP) env
	@$(BIN)/python -m infra.local.licences

format:
	@$(SETUP) env
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

wire:
	@$(SETUP) env node web
	@PATH="$$(dirname "$$(cat .crosshaul/node.path)"):$$PATH" npm run --silent --prefix web wire

# Rewrite the lock files from pyproject.toml. Run this after changing dependencies.
locks:
	@infra/local/lock.sh

clean:
	rm -rf .crosshaul web/node_modules web/dist
