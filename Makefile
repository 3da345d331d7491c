# `make` shows the targets. A bare machine needs Python 3.11 or newer, git and make; the rest
# is installed here, into this folder. ARGS="..." is handed on to the program a target starts.

PYTHON := .venv/bin/python
ANY_PYTHON := $(shell $(PYTHON) -I -S -c "" 2>/dev/null && echo $(PYTHON) || echo python3)
COMPILE := .venv/bin/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help install run test test-long check format docs bench redteam lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: ## create or update the environment in .venv
	@$(ANY_PYTHON) -I -S deploy/environment.py runtime

run: ## start Flotilla and print a sign-in link
	@$(ANY_PYTHON) -I -S deploy/environment.py installer
	@$(PYTHON) -I -S frontend/build.py & page=$$!; \
	$(PYTHON) -I -S deploy/environment.py runtime || exit 1; \
	wait $$page || echo "-- the page could not be built; starting without it"; \
	exec $(PYTHON) -m orchestrator up $(ARGS)

test: ## run everything CI runs: static checks, tests, front end, browser
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@exec $(PYTHON) -m tests.checks.run $(ARGS)

test-long: ## run the tests that `make test` leaves out because they take long
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@exec $(PYTHON) -m pytest -q -m long $(ARGS)

check: ## run the static checks only
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@exec $(PYTHON) -m tests.checks.run static

format: ## format Python and front-end sources and mend what can be mended
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@$(PYTHON) -m ruff check --fix --quiet .
	@$(PYTHON) -m ruff format --quiet .
	@$(PYTHON) -I -S frontend/build.py npm run --silent format

docs: ## rewrite the generated tables of the READMEs, openapi.json and .env.example
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@$(PYTHON) -m tests.checks.docs --write
	@$(PYTHON) -I -S frontend/build.py npm run --silent types

bench: ## run the benchmarks
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@exec $(PYTHON) -m tests.benchmarks $(ARGS)

redteam: ## attack the policy with a model that obeys every attacker
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@exec $(PYTHON) -m tests.redteam $(ARGS)

lock: ## write the lock files anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(ANY_PYTHON) -I -S deploy/environment.py tests
	@$(COMPILE) pyproject.toml -o requirements.lock $(ARGS)
	@$(COMPILE) pyproject.toml --group test -c requirements.lock -o tests/requirements.lock $(ARGS)
	@$(COMPILE) --group pyproject.toml:installer -o deploy/requirements.lock $(ARGS)
	@$(COMPILE) --group pyproject.toml:node -o frontend/requirements.lock $(ARGS)
	@$(COMPILE) --group pyproject.toml:redteam -o tests/redteam/requirements.lock $(ARGS)

clean: ## remove what was built and installed here; data/ and logs/ stay
	@rm -rf .venv .venv-redteam frontend/dist frontend/dist.next frontend/node_modules tests/node/node_modules
	@rm -rf .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache .loq_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
