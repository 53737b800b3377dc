# Everything a developer or a CI machine runs. Needs Python 3.11+ (with venv) and make; nothing else.
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
CALLS ?= 3000
JOBS ?= 2  # test files at a time: most of them wait for processes

.PHONY: help setup demo test soak lint format protos audit bench jaeger otelcol otelcolkafka kafka interop telemetrygen argo clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-16s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml interceptors/pyproject.toml constraints.txt tools/setup.sh native/pyproject.toml $(wildcard native/grpc_mirror_native/*.p[xy]*)
	@sh tools/setup.sh $(VENV)

setup: $(VENV)/.ready ## make .venv with everything in it

demo: $(VENV)/.ready ## real Envoy, three replicas, the collector: a report in a minute
	@$(BIN)/mirror demo --calls $(CALLS) $(ARGS)

test: $(VENV)/.ready ## unit, property and live tests
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(VENV)/.ready ## what takes too long for make test: fifty kills, a hundred thousand pairs; a minute of twice the load; all that befalls workers
	@$(BIN)/python -m pytest -m soak $(ARGS)

lint: $(VENV)/.ready ## format, lint, types, layers, generated code
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/protos.py --check

format: $(VENV)/.ready ## let ruff rewrite what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

protos: $(VENV)/.ready ## generate the protobuf code anew (with protoc 25)
	@$(BIN)/python tools/protos.py

audit: $(VENV)/.ready ## known vulnerabilities of the versions in constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'pip-audit>=2.7,<3'
	@$(BIN)/python tools/audit.py

bench: $(VENV)/.ready ## ratios against peers, as tables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e interceptors -e '.[bench]'
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

jaeger: ## build the Jaeger that one live test uses (needs Go and ../shared)
	@sh tools/component.sh jaeger 2.13.0

otelcol: ## build the OpenTelemetry Collector that one live test uses (needs Go and ../shared)
	@sh tools/component.sh otelcol 0.160.0

otelcolkafka: ## build the OpenTelemetry Collector with the Kafka exporter that live tests use (needs Go and ../shared)
	@sh tools/component.sh otelcol-kafka 0.155.0

kafka: ## fetch the Kafka broker that live tests start (needs Java and Maven)
	@sh tools/kafka.sh

interop: ## install the interop client that one live test runs (needs Go and ../shared)
	@sh tools/go_program.sh interop v1.85.0 google.golang.org/grpc/interop/client

telemetrygen: ## install OpenTelemetry's generator of spans that live tests run (needs Go)
	@sh tools/go_program.sh telemetrygen v0.161.0 github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen

argo: ## build what measures the AnalysisTemplate as Argo Rollouts does (needs Go)
	@sh tools/argo.sh

clean: ## remove what the targets above made
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
