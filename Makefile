# Everything a newcomer, a contributor and CI run. A machine needs Python >= 3.11, make and a network; `make help`.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# the first interpreter that is new enough; `make PYTHON=... install` chooses another
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$python && break; done)
# what `make prowl` runs needs Python 3.12: pyenv's are looked at as well, since it puts the chosen one only into the path
PROWL_PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 \
	$(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.1[234].*/bin/python3); do \
	$$python -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$python && break; done)
COVERAGE := 85
SEED ?= 1
SEEDS ?= 1,2,3,4,5
MINUTES ?= 25
CASES ?= 1000
JOBS ?= 2
# programs written in Go that are in no package registry of Python's: a folder each in ops/tools
TOOLS ?= $(notdir $(patsubst %/go.mod,%,$(wildcard ops/tools/*/go.mod)))
# of them, what is not found on the machine either; a system's Caddy is mostly older than the one that staging runs
LACKING = $(filter caddy,$(TOOLS)) $(foreach name,$(filter-out caddy,$(TOOLS)),$(if $(shell command -v $(name) 2> /dev/null),,$(name)))
SCENARIO ?= mixed
URL ?=
KEY ?=
# every extra but the one with PyTorch
LOCKED = $(shell $(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	print(*(f"--extra {name}" for name in extras if name != "embeddings"))')

.DEFAULT_GOAL := help
.PHONY: help install demo test up down check format docs site bench chaos chaos-full soak fuzz load scan sbom audit prowl chart staging smoke lock tools built hooks clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## prepare .venv with everything, and Kafka's jars (quick the second time)

demo: $(STAMP) ## run the sample job on the embedded stack, print answers and costs, stop everything
	@$(BIN)/python -m cli.demo

test: $(STAMP) built ## all tests on the embedded stack, with the coverage gate: two at a time, then one by one what drives whole products
	@$(BIN)/pytest -n 2 --dist loadfile -m "not e2e" --cov --cov-report=
	@$(BIN)/pytest -m e2e --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE)

up: $(STAMP) ## start the embedded stack and stay with it
	@$(BIN)/structured-prompt up

down: $(STAMP) ## stop the embedded stack
	@$(BIN)/structured-prompt down

check: $(STAMP) ## what CI checks beside the tests: style, types, rooms, drift, container files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m topics.generate --check
	$(BIN)/python -m cli.settings_page --check
	$(BIN)/python -m cli.pages --check
	$(BIN)/hadolint ops/docker/Dockerfile ops/staging/backup/Dockerfile
	$(BIN)/pytest -q tests/house

format: $(STAMP) ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(STAMP) ## write what is generated: schemas, and the pages of settings, commands and metrics
	$(BIN)/python -m topics.generate
	$(BIN)/python -m cli.settings_page
	$(BIN)/python -m cli.pages

# not --quiet: warnings that are not told are not counted either, and then nothing is strict
site: $(STAMP) ## build the documentation site into build/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP) ## measure the line beside a prototype, about ten minutes; docs/benchmarks.md says how to keep the figures
	@$(BIN)/python -m benchmarks

chaos: $(STAMP) ## break everything while 1,500 requests run, by SEED=1; exits 1 when anything was lost, doubled or paid twice
	@$(BIN)/python -m tests.chaos --form short --seeds $(SEED)

chaos-full: $(STAMP) ## the same with 10,000 requests, SEEDS=1,2,3,4,5, orderly stops and a rolling restart; about 25 minutes
	@$(BIN)/python -m tests.chaos --form full --seeds $(SEEDS)
	@$(BIN)/python -m tests.chaos --form stops
	@$(BIN)/python -m tests.chaos --form restarts

soak: $(STAMP) ## a steady load: 5 minutes to settle and MINUTES=25; exits 1 when memory, descriptors, threads or tasks grow
	@$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES)

lock: $(STAMP) ## resolve the dependencies anew into requirements/*.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes $(LOCKED) --group dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra litellm --extra otel --extra sentry --extra s3 --extra parquet --extra avro --extra protobuf --extra bigquery --extra sheets --extra snowflake pyproject.toml -o requirements/production.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra embeddings -c requirements/production.lock pyproject.toml -o requirements/embeddings.lock
	for name in scan=3.11 wapiti=3.12 chart=3.11; do \
		$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version $${name#*=} requirements/$${name%=*}.in -o requirements/$${name%=*}.lock; done

scan: .scan/installed ## look for dangerous code, secrets and workflows that are wrong: bandit, semgrep, detect-secrets; no network
	@$(BIN)/python -m ops.scan

sbom: .scan/installed ## write build/sbom.cdx.json, the bill of materials of the product (CycloneDX)
	@$(BIN)/python -m ops.scan.supply sbom

audit: .scan/installed ## ask which packages of any lock file have known faults (pip-audit, npm audit; over the network)
	@$(BIN)/python -m ops.scan.supply audit

fuzz: $(STAMP) ## CASES=1000 an operation of the API, made from its OpenAPI document, JOBS=2 at a time; exits 1 for a 5xx or what is not documented
	@$(BIN)/python -m tests.fuzz --cases $(CASES) --jobs $(JOBS)

prowl: .wapiti/installed ## wapiti attacks the running API (on the in-memory twins) and a door with planted faults; no network beyond this machine
	@$(BIN)/python -m tests.prowl

chart: .chart/installed .tools/helm ## render the chart with helm and hold it against Kubernetes' own schemas
	@$(BIN)/pytest -q tests/house/test_chart.py

staging: $(STAMP) ## everything on this machine behind TLS: DOMAIN=staging.example.com; WITH=processes where there are no containers
	@$(BIN)/python -m ops.staging --domain "$(DOMAIN)" --with $(or $(WITH),containers)

smoke: $(STAMP) ## is a deployment well: URL=https://… KEY=sp_live_…, ENV=a file with the addresses of Kafka and ClickHouse
	@$(BIN)/python -m ops.smoke.main --url "$(URL)" --key "$(KEY)" $(if $(CA),--ca "$(CA)") $(if $(ENV),--env "$(ENV)") \
		$(if $(HTTP_PORT),--http-port $(HTTP_PORT)) $(if $(OUTSIDE),--outside)

tools: $(addprefix .tools/,$(TOOLS)) ## build the Go programs of ops/tools into .tools, minutes each; TOOLS=caddy chooses

# what tests use and the machine has not: without Go, or a network, the tests that want it say so and are skipped
built:
	@! command -v go > /dev/null || $(MAKE) --no-print-directory --keep-going tools TOOLS="$(LACKING)" || \
		echo "not everything in ops/tools could be built" >&2

.tools/%: ops/tools/%/go.mod ops/tools/%/go.sum
	@command -v go > /dev/null || { echo "no Go found: install Go 1.26 or later to build $*" >&2; exit 1; }
	@echo "building $* into .tools: some minutes the first time"
	@mkdir -p .tools
	@GOFLAGS=-mod=readonly go -C ops/tools/$* build -trimpath -ldflags='-s -w' -o $(CURDIR)/.tools/$* tool
	@touch $@

load: $(STAMP) ## SCENARIO=mixed (steady, burst, soak) on URL= with KEY=, or on the stack of `make up`; exits 1 when a request failed
	@LOAD_KEY="$(KEY)" $(BIN)/python -m tests.load $(SCENARIO) --url "$(URL)"

hooks: $(STAMP) ## check before every commit
	$(BIN)/pre-commit install

clean: ## remove what can be made again; .local, with your data, stays
	rm -rf $(VENV) .scan .wapiti .chart .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage*

# scanners and judges have environments of their own: what they need never meets what the product needs
.scan/installed .chart/installed: FOR = $(BIN)/python
# where no interpreter is new enough, uv fetches one
.wapiti/installed: FOR = $(or $(PROWL_PYTHON),3.13)
.scan/installed .wapiti/installed .chart/installed: .%/installed: requirements/%.lock $(STAMP)
	@$(BIN)/uv venv --quiet --no-project --allow-existing --python $(FOR) .$*
	@$(BIN)/uv pip sync --quiet --require-hashes --python .$*/bin/python $<
	@touch $@

# uv comes from PyPI at the version and hashes of the lock file, then installs the rest of it
$(STAMP): requirements/dev.lock pyproject.toml ops/local/kafka_jars.sha256
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.14 found: install one, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "installing into $(VENV), and fetching Kafka: some minutes the first time"
	@awk '/^[^ #]/ {wanted = /^uv==/} wanted' requirements/dev.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.lock
	@$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	@$(BIN)/python -c 'from ops.local.kafka_jars import default_cache, fetched_jars; fetched_jars(default_cache())'
	@touch $@
