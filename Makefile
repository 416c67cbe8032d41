# One command per task. `make train` is the place to start: it installs, trains and compares with the baselines.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2
NAME ?=
ARGS ?=

# One thread a process: on a busy machine OpenMP's spinning threads cost far more than they give.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

.PHONY: help train evaluate suite tensorboard test lint format study studies equivalence clean

help:  ## this list
	@grep -E '^[a-z.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv: $(INSTALLED)  ## the virtual environment, with the exact versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

train: $(INSTALLED)  ## train an agent on cells that differ, then score it on held-out episodes (ARGS="--seed 1")
	@run="$$($(BIN)/python scripts/train.py --algorithm same_luck_ppo --scenario varied --total-steps 400000 --evaluate-every 60000 --num-evaluation-episodes 48 $(ARGS))" && \
	$(BIN)/python scripts/suite.py --levels varied --episodes 10 --by-scenario --policies "tuned_static,tuned_expert,agent=$$run" && \
	echo "The agent is in $$run. To look at its training: make tensorboard"

evaluate: $(INSTALLED)  ## compare baselines and agents on held-out seeds (ARGS="--help")
	$(BIN)/python scripts/evaluate.py $(ARGS)

suite: $(INSTALLED)  ## score policies on the benchmark suite (ARGS="--policies tuned_expert,runs/RUN")
	$(BIN)/python scripts/suite.py $(ARGS)

tensorboard: $(INSTALLED)  ## look at the trainings: http://localhost:6006
	$(BIN)/tensorboard --logdir runs

test: lint  ## lint, then every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(INSTALLED)  ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

study: $(INSTALLED)  ## run one study (NAME=validation ARGS=--quick)
	$(BIN)/python scripts/study.py $(NAME) $(ARGS)

studies: $(INSTALLED)  ## list the studies: what each reads and writes, and how long it takes
	@$(BIN)/python scripts/study.py

equivalence: $(INSTALLED)  ## compare the two engines, event by event; the same as NAME=equivalence
	$(BIN)/python scripts/study.py equivalence $(ARGS)

clean:  ## remove what was built; runs/ and results/ stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
