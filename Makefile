# `make help` lists what there is. Every target sets up what it needs by itself.
PYTHON := .venv/bin/python
RUN_ARGS ?=
SOAK_ARGS ?=
# The tests wait more than they compute: twice what two processors could do at once.
TEST_PROCESSES ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup demo start test check soak bench bench-scheduler bench-host bench-agents bench-peers lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

setup: ## make .venv with Python 3.13 and the pinned requirements
	@sh scripts/setup.sh

demo: setup ## run the translation fan-out once and print its output
	@$(PYTHON) -m local_runtime run agent_orchestration_workflow --input @orchestrations/samples/agent_orchestration_workflow.json

start: setup ## run the service in the foreground
	@$(PYTHON) -m local_runtime start $(RUN_ARGS)

test: setup ## run the test suite, a few files at a time
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: setup ## lint, types and the architecture test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/pyright
	@$(PYTHON) -m pytest -q tests/architecture

soak: setup ## half an hour of load with kills, stops, bad lines and bursts, then an audit
	@$(PYTHON) -m pytest -q -m soak
	@$(PYTHON) -m tests.soak $(SOAK_ARGS)

bench: bench-scheduler bench-host bench-agents ## measure scheduler, host and agents (half an hour)

bench-scheduler: setup ## measure the scheduler beside the SDK's in-memory backend (minutes)
	@$(PYTHON) -m bench.scheduler $(BENCH_ARGS)

bench-host: setup ## measure the Functions host: work, starts, HTTP functions, workers (minutes)
	@$(PYTHON) -m bench.host
	@$(PYTHON) -m bench.http_functions
	@$(PYTHON) -m bench.host_workers

bench-agents: setup ## measure agents beside bare activities (minutes)
	@$(PYTHON) -m bench.agents

bench-peers: setup ## measure the scheduler beside DBOS and LangGraph (minutes)
	@sh scripts/bench-peers.sh
	@$(PYTHON) -m bench.peers $(BENCH_ARGS)

lock: ## compile requirements-dev.in into requirements-dev.txt (needs uv)
	@uv pip compile --quiet --universal --python-version 3.13 --no-annotate --custom-compile-command "make lock" requirements-dev.in -o requirements-dev.txt

clean: ## remove the virtual environment and caches (keeps .local/)
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis
