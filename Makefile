# `make demo` and `make test` do all the set-up on a machine with Python 3.11 and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test lint types check bench soak ui production kafka-up kafka-down kafka-demo kafka-demo-steps lock schemas clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	$(BIN)/scarecrow demo --out demo

test: lint types
	$(BIN)/python -m pytest -q -n 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy schemas pipelines dagster_project sql

bench: install
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/kafka.py
	$(BIN)/python benchmarks/rank.py

soak: install
	$(BIN)/python -m pytest -q --soak tests

# Runs, schedules and the rules of infra/dagster.yaml live in .dagster (or $DAGSTER_HOME), in SQLite instead of Postgres.
ui: export DAGSTER_HOME ?= $(CURDIR)/.dagster
ui: install
	mkdir -p "$$DAGSTER_HOME"
	test -e "$$DAGSTER_HOME/dagster.yaml" || sed '/^storage:/,/^$$/d' infra/dagster.yaml > "$$DAGSTER_HOME/dagster.yaml"
	$(BIN)/dagster dev -m dagster_project.definitions

kafka-up: install
	$(BIN)/python -m infra.kafka.up

kafka-down: install
	$(BIN)/python -m infra.kafka.down

# The whole way through a real broker (needs Java 17 and Maven), which ends with it, whatever fails on the way.
kafka-demo: install
	rm -rf build/kafka-demo
	$(BIN)/python -m infra.kafka.up --data build/kafka --port 19092
	@$(MAKE) --no-print-directory kafka-demo-steps; code=$$?; \
	$(BIN)/python -m infra.kafka.down --data build/kafka --delete; exit $$code

kafka-demo-steps:
	$(BIN)/scarecrow simulate --out build/kafka-demo/log --accounts 800 --seed 7 \
		--strategy round_robin:18 --strategy paraphrased_templates:15
	$(BIN)/scarecrow produce build/kafka-demo/log/requests.ndjson --to kafka://127.0.0.1:19092/llm-requests --create 4
	$(BIN)/scarecrow ingest --source kafka://127.0.0.1:19092/llm-requests --lake build/kafka-demo/lake
	$(BIN)/scarecrow lag --source kafka://127.0.0.1:19092/llm-requests --lake build/kafka-demo/lake
	$(BIN)/scarecrow rank --lake build/kafka-demo/lake --mart build/kafka-demo/mart.duckdb
	$(BIN)/scarecrow campaigns --mart build/kafka-demo/mart.duckdb
	$(BIN)/scarecrow suspects --mart build/kafka-demo/mart.duckdb

# Dagster with Postgres on a host (infra/RUNBOOK.md): a lock of its own, since dagster-postgres names one version of Dagster.
production:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes infra/requirements-postgres.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

# Versions and hashes without any address, so that every index will do. The second starts from the first, so that the
# two differ only where they must.
lock:
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --extra dev --extra dask pyproject.toml -o requirements.lock
	cp requirements.lock infra/requirements-postgres.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --extra postgres pyproject.toml -o infra/requirements-postgres.lock

schemas: install
	$(BIN)/python -m schemas.generate

clean:
	rm -rf demo dist .pytest_cache .mypy_cache .ruff_cache
