# Everything a newcomer types. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
export HORSETRUST_CHAT_BIN := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/horsetrust-chat

.PHONY: help run test lint deny build test-rust test-js test-browser test-crash torture test-python test-bench test-monitoring load bench micro fuzz clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: ## Install what is missing, build, and run the server with demo data on a private Postgres
	scripts/ensure.sh rust cc postgres
	scripts/place.sh
	$(CARGO) build --release --locked
	exec $(or $(CARGO_TARGET_DIR),target)/release/horsetrust-chat serve --demo

test: ## Install what the tests need and run all of them
	scripts/ensure.sh rust cc postgres openssl curl node python chromium
	$(MAKE) lint build test-rust test-js test-browser test-python test-bench test-monitoring test-crash

lint: ## Formatting, lints, documentation and dependencies; every warning is an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked --document-private-items
	$(MAKE) deny

deny: ## What the dependencies are, against deny.toml: licences, duplicates, sources, known defects
	scripts/ensure.sh rust cc deny
	scripts/deny.sh

build: ## Build the binaries that the tests run
	$(CARGO) build --workspace --locked --bins

test-rust: build ## Unit tests and the black-box tests in Rust
	$(CARGO) test --workspace --locked

test-js: build ## The contract, with the stock JavaScript client
	cd tests/js && npm ci --no-audit --no-fund && npm test

test-browser: build ## The chat page, in Chromium; pictures of what was seen go to tests/browser/shots
	scripts/ensure.sh node chromium
	cd tests/js && npm ci --no-audit --no-fund
	cd tests/browser && npm ci --no-audit --no-fund && npm test

test-crash: build ## Server, Postgres and network fail under load; CRASH_KILLS=n for more than 20, TORTURE_SECONDS=n than 60
	@scripts/ensure.sh faketime || echo 'the torture goes on without steps of the clock'
	cd tests/js && npm ci --no-audit --no-fund
	cd tests/crash && npm ci --no-audit --no-fund && npm test

torture: build ## The same for MINUTES=30, unless set, each; and 100,000 clients over each transport that leave nothing behind
	$(MAKE) test-crash TORTURE_SECONDS=$$(($(or $(MINUTES),30) * 60)) CRASH_KILLS=$$(($(or $(MINUTES),30) * 10))
	LEAK_CONNECTS=$(or $(LEAK_CONNECTS),100000) $(CARGO) test --workspace --locked --test leaks -- --nocapture

test-python: build ## The contract, with the stock Python client
	python3 -m venv tests/python/.venv
	tests/python/.venv/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	cd tests/python && .venv/bin/python -m pytest

test-bench: ## The benchmark's own arithmetic and tables
	python3 -m unittest discover load/bench

test-monitoring: ## The alert rules, with promtool where it can be had
	scripts/monitoring.sh

load: ## Measure: ARGS='rate --rate 1500', or another scenario of load/README.md
	scripts/ensure.sh rust cc postgres
	$(CARGO) build --release --workspace --locked
	load/run.sh $(or $(CARGO_TARGET_DIR),target)/release $(ARGS)

# Looked at before the build, which is a load of its own.
bench: export LOAD_BEFORE_BUILD := $(shell cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)
bench: ## Compare with the peers, for hours: writes load/RESULTS.md; ARGS=--quick, or ARGS=--help for more
ifneq (,$(filter -h --help,$(ARGS)))
	python3 load/bench/bench.py --help
else
	scripts/ensure.sh rust cc postgres node python
	$(CARGO) build --release --workspace --locked
	$(CARGO) build --release --locked --manifest-path load/peers/socketioxide/Cargo.toml
	cd load/peers/node && npm ci --no-audit --no-fund
	python3 -m venv load/bench/.venv
	load/bench/.venv/bin/pip install --quiet --disable-pip-version-check -r load/bench/requirements.txt
	load/bench/.venv/bin/python load/bench/bench.py $(ARGS)
endif

micro: ## Micro-benchmarks of parser, encoder and batch builder; ARGS='encoder' for some of them
	scripts/ensure.sh rust cc openssl
	$(CARGO) bench --locked --bench micro -- $(ARGS)

# What it finds goes beside the kept corpus, which `make test` runs through, too.
fuzz: ## Fuzz what reads others' bytes (needs nightly Rust and cargo-fuzz), SECONDS_TO_RUN=60 each; TARGET=packet for one
	cd fuzz && targets=$(or $(TARGET),$$(cargo fuzz list)) && for target in $$targets; do \
		mkdir -p found/$$target; \
		cargo +nightly fuzz run $$target found/$$target corpus/$$target -- -max_total_time=$(or $(SECONDS_TO_RUN),60); \
	done

clean: ## Remove what was built; the data directory stays
	$(CARGO) clean
	rm -rf tests/js/node_modules tests/browser/node_modules tests/browser/shots tests/crash/node_modules tests/python/.venv load/peers/node/node_modules load/peers/socketioxide/target load/artillery/node_modules load/bench/.venv
