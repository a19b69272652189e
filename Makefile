# The two commands of the README are `make leaderboard` and `make test`; both set up .venv first if it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RESULTS ?= results
SITE ?= site

# torchvision would otherwise pull in another PyTorch and gigabytes of CUDA libraries.
export PIP_CONSTRAINT := $(CURDIR)/constraints-cpu.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help install leaderboard test test-data check lint format types floors smoke bench schema docs full results clean

help:  ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# What is compiled before it is imported takes longer to install than all else.
PIP := $(BIN)/python -m pip install --quiet --no-compile --editable

$(VENV)/.runtime: pyproject.toml constraints-cpu.txt
	@echo "Setting up $(VENV); this takes a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(PIP) .
	@touch $@

$(VENV)/.installed: $(VENV)/.runtime
	$(PIP) '.[dev]'
	@touch $@

install: $(VENV)/.installed  ## Set up .venv with the package and the tools to develop it.

leaderboard: $(VENV)/.runtime  ## Run the quick suite on real data and build site/index.html.
	@$(BIN)/unlearnbench suite quick --results $(RESULTS) || test $$? -eq 1
	@$(BIN)/unlearnbench board --results $(RESULTS) --out $(SITE)

test: install  ## Run all tests; those that measure time or memory at the end, with nothing beside them.
	$(BIN)/python -m pytest $(PARALLEL) --durations 40 --durations-min 5 -m "not alone"
	$(BIN)/python -m pytest -m alone

test-data: install  ## Run the tests that want real data: make test-data UNLEARNBENCH_DATA=FOLDER.
	@test -d "$(UNLEARNBENCH_DATA)" || { echo "Set UNLEARNBENCH_DATA to a folder with cifar10, mnist, ... (see CONTRIBUTING.md)."; exit 1; }
	UNLEARNBENCH_DATA=$(UNLEARNBENCH_DATA) $(BIN)/python -m pytest $(PARALLEL) -rs -m data

check: lint types floors  ## Lint, types, floors and the fast tests.
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not gpu and not alone"

lint: install  ## Lint and check the format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## Format the code and mend what the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The repository's root is the package, so the type checker sees it through a link of the package's name.
types: install  ## Check the types.
	@mkdir -p $(VENV)/types && ln -sfn "$(CURDIR)" $(VENV)/types/unlearnbench
	MYPYPATH=$(VENV)/types $(BIN)/mypy -p unlearnbench

floors: install  ## Check who imports whom, that nothing imports in circles, and how long files are.
	$(BIN)/python -m pytest -m "not slow" tests/test_layers.py

smoke: install  ## One short run of the main job and its board, in a minute.
	rm -rf $(VENV)/smoke
	$(BIN)/unlearnbench run digits-ddpm sfron --set steps=5 --results $(VENV)/smoke/results
	$(BIN)/unlearnbench board --results $(VENV)/smoke/results --out $(VENV)/smoke/site

bench: install  ## Measure the harness's cost beside a bare loop.
	$(BIN)/python -m pytest --benchmark-enable --benchmark-only tests

schema: install  ## Write docs/record.schema.json anew.
	$(BIN)/python -m unlearnbench.docs.make.schema > docs/record.schema.json

docs: install  ## Write anew what the registry knows: docs/methods.md, and what the site says of methods and tasks.
	$(BIN)/python -m unlearnbench.docs.make.methods > docs/methods.md
	$(BIN)/python -m unlearnbench.docs.make.facts > docs/facts.tmp && mv docs/facts.tmp leaderboard/site/facts.json

full: install  ## Run the full suite into leaderboard/results.
	@$(BIN)/unlearnbench suite full --results leaderboard/results

results: install  ## Write anew what follows from the committed records: docs/results.md, the guard's rates, the picture, what was recomputed.
	$(BIN)/python -m unlearnbench.docs.make.results > docs/results.md
	$(BIN)/python -m unlearnbench.docs.make.guarding
	$(BIN)/python -m unlearnbench.docs.make.picture
	$(BIN)/unlearnbench validate leaderboard/results --attest leaderboard/verifications/recomputed.json

clean:  ## Remove everything that the commands above made.
	rm -rf $(VENV) $(RESULTS) $(SITE) *.egg-info build dist
