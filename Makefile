# `make` prints what there is. A fresh machine needs only Python 3.11+ with venv, and make.

PYTHON ?= python3
ON     ?= embedded
T      ?=
SCALE  ?=
N      ?= 3
FAULTS ?=
GROWTH ?= 0

VENV   := .venv
PY     := $(VENV)/bin/python
SETUP  := $(VENV)/.installed
TOOLS  := build/audit
CODE    = $(wildcard shared services deploy tests benchmarks chaos conftest.py)
MACHINES = $(shell grep -rl "hypothesis" --include="test_*.py" shared services)
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
PIP     = -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r
LOCK    = $(VENV)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --quiet \
          --generate-hashes --no-emit-index-url --no-header

# A stack is some twenty processes, a run of the tests some hundreds: they share what the first of them compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo run stack up test check lint types style fresh compiled format docs tapes fuzz bench chaos containers proof servers lock sbom audit clean

help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

##@ See it
demo: $(SETUP)      ## carry one order from listing to review, showing each fact (ON=embedded, stack or compose)
	@$(PY) -m deploy.demo --on $(ON)

run: $(SETUP)       ## all services in one process on one port, seeded, until Ctrl-C
	@$(PY) -m deploy.embedded

stack: $(SETUP)     ## every service as its own processes on private real servers (SCALE="order=3 inventory=2")
	@$(PY) -m deploy.stack $(foreach one,$(SCALE),--scale $(one))

up:                 ## the same with docker compose, built from this tree, with the fake provider and carrier
	$(COMPOSE) -f docker-compose.yml -f deploy/containers/sandbox.yml --env-file deploy/dev.env up --build --detach

##@ Work on it
setup: $(SETUP)     ## make .venv and install what requirements/dev.txt locks

# Older than the lock only when the lock has changed: otherwise there is nothing to do. uv takes a tenth of pip's time, but
# reads no pip.conf: where an index is named only there, pip goes on alone.
$(SETUP): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Caravan needs Python 3.11 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) \
	  || { echo "Python lacks its venv module (Debian, Ubuntu: apt-get install python3-venv)"; exit 1; }
	@echo "Installing requirements/dev.txt into $(VENV); this takes half a minute, once"
	@$(PY) $(PIP) requirements/installer.txt
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements/dev.txt \
	  || $(PY) $(PIP) requirements/dev.txt
	@touch $@

test: servers       ## check, then all tests, real servers included (T=path for some, without the check)
	@$(if $(T),,$(MAKE) --no-print-directory --jobs 2 --output-sync check compiled)
	@$(PY) -m pytest -n $(N) --dist loadgroup $(T)

check: lint fresh   ## format, lint, types, fences between layers, and whether generated docs are fresh

lint: types style   ## the part of check that reads only the code

types: $(SETUP)
	@$(PY) -m mypy

style: $(SETUP)
	@$(PY) -m ruff format --check --output-format concise $(CODE)
	@$(PY) -m ruff check --quiet --output-format concise $(CODE)
	@$(VENV)/bin/lint-imports

fresh: $(SETUP)
	@$(PY) -m deploy.docs --check

# Once, rather than by each of the test processes at the same time. What is wrong with a module pytest says itself.
compiled: $(SETUP)
	@$(PY) -m pytest --collect-only -qq >/dev/null 2>&1 || true

format: $(SETUP)    ## put the code into its one form
	@$(PY) -m ruff check --quiet --fix-only $(CODE)
	@$(PY) -m ruff format $(CODE)

docs: $(SETUP)      ## make the generated pages anew
	@$(PY) -m deploy.docs

tapes: $(SETUP)     ## record the golden tapes anew; read the diff before you commit it
	@$(PY) -m pytest -q tests/journeys tests/replay --record-tapes

fuzz: $(SETUP)      ## invent 200 requests for each operation instead of 20
	@$(PY) -m pytest -q tests/doors/test_fuzz.py --fuzz-examples 200

bench: servers      ## measure, as ratios within one run (GROWTH=1000000 also loads so many orders and measures again)
	@$(PY) -m benchmarks --growth $(GROWTH)

chaos: servers      ## break one thing after another while orders flow (FAULTS="--fault broker --runs 5", --list shows all)
	@$(PY) -m chaos $(FAULTS)

containers: $(SETUP) ## the compose file in earnest on a container engine, and the broker's and the stores' tests on its images
	@$(PY) -m pytest --servers containers -m servers deploy/containers shared/messaging/tests/test_brokers.py shared/storage

proof: servers      ## every fault in every mode, as often as a release wants it, controls, containers, long fuzzing: days
	@$(PY) -m chaos --all --proof --mode all --controls
	@$(MAKE) containers
	@$(MAKE) fuzz
	@$(PY) -m pytest -q --timeout 14400 --hypothesis-profile=proof $(MACHINES)

##@ Keep it
servers: $(SETUP)   ## install the PostgreSQL, RabbitMQ, nginx and Prometheus packages if missing (root on Debian, Ubuntu)
	@$(PY) -m deploy.servers --install --check

lock:               ## resolve the newest versions that fit pyproject.toml into requirements/
	@test -x $(VENV)/bin/uv || $(MAKE) setup
	@$(LOCK) --upgrade --output-file requirements/run.txt
	@$(LOCK) --upgrade --constraint requirements/run.txt --extra otel --output-file requirements/otel.txt
	@$(LOCK) --upgrade --constraint requirements/otel.txt --extra otel --group test --group lint --group installer \
	  --output-file requirements/dev.txt
	@$(LOCK:pyproject.toml=--group pyproject.toml:installer) --constraint requirements/dev.txt \
	  --output-file requirements/installer.txt
	@$(LOCK:pyproject.toml=--group pyproject.toml:audit) --upgrade --output-file requirements/audit.txt

sbom: $(TOOLS)/.installed   ## write down what is delivered, from the locks, as CycloneDX JSON (build/sbom.json)
	@$(TOOLS)/bin/python -m deploy.supply

audit: $(TOOLS)/.installed  ## ask whether a weakness is known of anything that is delivered; says so when nobody can be asked
	@$(TOOLS)/bin/python -m deploy.supply audit

$(TOOLS)/.installed: requirements/audit.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python $(PIP) requirements/audit.txt
	@touch $@

clean:              ## remove .venv, caches and local stores; a .env with your secrets stays
	git clean -fdX --exclude '!.env' --exclude '!.env.*'
