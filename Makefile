# make demo          two use cases on real files, then stays up until Ctrl-C   (ONCE=1: then stops)
# make test          every test, installing what it needs
# make bench         the lane beside rsync, scp, rclone, Syncthing and others   (ARGS="--scale 0.1 --case small")
# make lint          ruff, mypy, import-linter
# make audit         known vulnerabilities of every dependency (asks the registries), and their licences
# make licences      the licences alone; fails if something is shipped that may not be
# make wire          the console's types, from the models in events/
# make clean         forget the demonstration's state and every environment

SHELL := /bin/bash
SETUP := infra/local/setup.sh
BIN   := .crosshaul/env/bin
ONCE  ?=
# Stories wait more than they work: one more than there are cores.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))

.PHONY: demo test bench lint audit licences format wire locks clean

demo:
	@$(SETUP) env cloud node web
	@$(BIN)/python -m infra.local.demo $(if $(ONCE),--once)

test:
	@$(SETUP) env cloud node web browser
	@cd web && npm run --silent test
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=10

bench:
	@$(SETUP) env cloud node web bench
	@$(BIN)/python -m tests.bench $(ARGS)

lint:
	@$(SETUP) env node web
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml
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

# Rewrites the lock files from pyproject.toml; run it after a change of dependencies.
locks:
	@infra/local/lock.sh

clean:
	rm -rf .crosshaul web/node_modules web/dist
