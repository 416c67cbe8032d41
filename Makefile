# One command per task. `make train` is the place to start: it installs, trains and compares with the baselines.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2
ARGS ?=

# One thread a process: on a busy machine OpenMP's spinning threads cost far more than they give.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

.PHONY: help train evaluate tensorboard test lint format calibrate interventions equivalence validate accounting benchmark mutants tune yardstick opponents learners headroom shifts results example world-cup clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv: $(INSTALLED)  ## the virtual environment, with the exact versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

train: $(INSTALLED)  ## train PPO, then compare it with the baselines on seeds it has never seen (ARGS="--seed 1")
	@run="$$($(BIN)/python scripts/train.py $(ARGS))" && \
	$(BIN)/python scripts/evaluate.py --policies "do_nothing,hpa,playbook,playbook_hpa,tuned_expert,agent=$$run" && \
	echo "The agent is in $$run; how its training went: make tensorboard"

evaluate: $(INSTALLED)  ## compare baselines and agents on held-out seeds (ARGS="--help")
	$(BIN)/python scripts/evaluate.py $(ARGS)

tensorboard: $(INSTALLED)  ## look at the runs: http://localhost:6006
	$(BIN)/tensorboard --logdir runs

test: lint  ## lint, then every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(INSTALLED)  ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## put the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

calibrate: $(INSTALLED)  ## measure the system as found against the brief's figures; writes docs/calibration.md
	$(BIN)/python scripts/calibrate.py $(ARGS)

interventions: $(INSTALLED)  ## measure what each control, fixed settings and slack are worth; writes docs/interventions.md (ARGS=--redraw)
	$(BIN)/python scripts/interventions.py $(ARGS)

equivalence: $(INSTALLED)  ## hold the two engines against each other, event by event
	$(BIN)/python scripts/equivalence.py $(ARGS)

validate: $(INSTALLED)  ## theory, Ciw, published failures, controllers; writes docs/validation.md (ARGS="--only theory")
	$(BIN)/python scripts/validate.py $(ARGS)

accounting: $(INSTALLED)  ## 10^6 random control steps: every account and bound, exactly (ARGS="--steps 10000", "--case N")
	$(BIN)/python scripts/accounting.py $(ARGS)

benchmark: $(INSTALLED)  ## measure how fast it is, side by side; writes docs/performance.md (ARGS="--only growth")
	$(BIN)/python scripts/benchmark.py $(ARGS)

mutants: $(INSTALLED)  ## break the engine on purpose and see whether the tests notice; the page of `make validate` quotes it
	$(BIN)/python scripts/mutants.py $(ARGS)

tune: $(INSTALLED)  ## search the numbers of the tuned fixed setting and the tuned expert, 2 million steps each (an hour; goes on where it was)
	for form in static expert; do \
	$(BIN)/python scripts/tune.py $$form $(ARGS) && \
	$(BIN)/python scripts/tune.py $$form --plan tuning-again --folder runs/tuning-again $(ARGS) || exit 1; done

yardstick: $(INSTALLED)  ## what foresight could have won in single episodes; hours, and it goes on where it was
	$(BIN)/python scripts/yardstick.py $(ARGS)

opponents: $(INSTALLED)  ## every opponent on 50 held-out episodes a scenario, and what each part of the expert is worth; for docs/results.md
	$(BIN)/python scripts/opponents.py $(ARGS)

learners: $(INSTALLED)  ## train PPO with five seeds, twice, and evaluate them as the opponents; for docs/results.md (ARGS="--total-steps 100000")
	$(BIN)/python scripts/learners.py $(ARGS)

headroom: $(INSTALLED)  ## score policies and the yardstick on the yardstick's episodes; for docs/results.md
	$(BIN)/python scripts/headroom.py $(ARGS)

shifts: $(INSTALLED)  ## the shift tests; for docs/results.md
	$(BIN)/python scripts/shifts.py $(ARGS)

results: $(INSTALLED)  ## write docs/results.md and README's summary from what the five commands above have kept; seconds
	$(BIN)/python scripts/results.py $(ARGS)

# Both evaluate into a folder of results/ first: a failure leaves what is in docs/ as it was.
example: $(INSTALLED)  ## train one PPO and write docs/example: tables and pictures of 5 held-out episodes a scenario
	@rm -rf results/next && run="$$($(BIN)/python scripts/train.py --seed 0 $(ARGS))" && \
	$(BIN)/python scripts/evaluate.py --policies "do_nothing,hpa,playbook,playbook_hpa,tuned_expert,agent=$$run" --out results/next && \
	rm -rf docs/example && mv results/next docs/example

world-cup: $(INSTALLED)  ## write docs/world-cup: the baselines on 24 June 1998 (configs/examples says where its file lies)
	@rm -rf results/next-world-cup && \
	$(BIN)/python scripts/evaluate.py --scenarios configs/examples/world-cup-day.yaml --num-seeds 3 --out results/next-world-cup && \
	rm -rf docs/world-cup && mv results/next-world-cup docs/world-cup

clean:  ## remove what was built; runs/ and results/ stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
