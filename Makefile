# Everything that a person or CI does here. `make run` and `make test` need Python >= 3.11, a Rust toolchain and make;
# what else is missing they install, saying so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build run test test-rust test-lanes test-python fuzz check check-rust check-python check-web bench bench-build bench-peers \
	bench-kernels bench-boundary bench-profile results bench-control peers wasm web types screenshots wheel clean system

PYTHON ?= python3
VENV := .venv
PROFILE ?= ci
FUZZ_SECONDS ?= 20
ARGS ?=
# Tests marked `alone` mostly listen to sound while it is spoken: one at a time, nothing else runs beside them. All others run
# side by side, one on each core. `pytest` alone runs everything in one process.
ALONE := grep -lr --include='test_*.py' 'mark\.alone' tests | sort
# cmake (libopus is built from source) comes as a wheel into the environment.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

# Python's caches serve thousands of tests and hundreds of processes, whatever the machine's images want of them.
unexport PYTHONDONTWRITEBYTECODE
# What waits for the network, for one core or for several does so at once.
AT_ONCE = --no-print-directory $(if $(filter --jobserver%,$(MAKEFLAGS)),,-j3)

STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools
ENGINE := $(VENV)/.engine
REQUIREMENTS := $(VENV)/.requirements
EXTRAS := server,captions,bench,demo,test,dev
RUST := $(shell find engine-rs -name '*.rs' -not -path '*/target/*' -o -name Cargo.toml -not -path '*/target/*') Cargo.toml Cargo.lock

# The web app: built anew when something in web/ or the decoder changed. What is generated there is no source.
SITE := spaces_ctl/api/site/index.html
RECEIVER := web/src/live/receiver.wasm
PACKAGES := web/node_modules/.package-lock.json
WEB := $(shell find web -type f -not -path 'web/node_modules/*' -not -path web/src/api/openapi.json \
	-not -path web/src/api/schema.d.ts -not -path 'web/public/icons/*' -not -path $(RECEIVER))

help:
	@echo "make run ARGS=...   a live Space with real speech: prints a link, records, shows a dashboard (ARGS=--help)"
	@echo "make test           all tests, Rust and Python"
	@echo "make check          format, lints, types, import contracts, stubs, licences"
	@echo "make bench          our fan-out beside a plain quinn server, same core, same run (ARGS=--help)"
	@echo "make bench-peers    installs moq-relay, Icecast and mumble-server, to compare with"
	@echo "make results        everything that bench/RESULTS.md says, measured again (an hour; QUICK=1 shows that it works)"
	@echo "make bench-kernels  criterion: AEAD, bundles, ring and cursors, the mix"
	@echo "make bench-boundary pytest-benchmark: what a call from Python into the engine costs"
	@echo "make bench-profile  where each microsecond of a packet goes (perf)"
	@echo "make bench-control  what a large audience costs the Python side"
	@echo "make fuzz           every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) seconds"
	@echo "make peers          the heavier independent peers (not in CI)"
	@echo "make web            the web app, into spaces_ctl/api/site (Node comes from PyPI if there is none)"
	@echo "make screenshots    a picture of every main view, into docs/screenshots"
	@echo "make wheel          a wheel with the web app in it, into dist/"
	@echo "make build          .venv with everything, .venv/bin/spaces"

$(TOOLS): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@command -v cargo >/dev/null || { echo "a Rust toolchain is needed (rustup)"; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q maturin cmake
	touch $@

DEVELOP := VIRTUAL_ENV=$(CURDIR)/$(VENV) maturin develop --profile $(PROFILE) --features as-in-workspace

$(ENGINE): $(TOOLS) $(RUST)
	@echo "building the engine (the first time takes a few minutes) ..."
	$(DEVELOP) --skip-install
	touch $@

$(REQUIREMENTS): $(TOOLS) pyproject.toml
	python tools/requirements.py $(EXTRAS) | pip install -q -r /dev/stdin
	touch $@

$(STAMP): $(ENGINE) $(REQUIREMENTS)
	$(DEVELOP) -E $(EXTRAS)
	touch $@

build:
	$(MAKE) $(AT_ONCE) $(STAMP) $(PACKAGES) $(RECEIVER)
	$(MAKE) --no-print-directory web

web: $(SITE)

$(SITE): $(STAMP) $(WEB) $(RECEIVER) $(PACKAGES)
	@echo "building the web app ..."
	$(MAKE) types
	python tools/make_icons.py
	tools/npm run build

$(PACKAGES): $(TOOLS) web/package-lock.json
	tools/npm ci --no-fund --no-audit
	touch $@

# The API as TypeScript sees it.
types: $(STAMP) $(PACKAGES)
	spaces openapi > web/src/api/openapi.json
	tools/npm run -s types

# Pictures of every main view, for the README and to look at.
screenshots: build
	tools/system-packages chromium
	python -m tools.screenshots $(ARGS)

wheel: build
	maturin build --release --locked --out dist
	python tools/check_wheel.py dist

run: build
	spaces demo $(ARGS)

test: test-rust fuzz test-python

# What the tests need of Debian.
system:
	tools/system-packages ffmpeg opusinfo:opus-tools node:nodejs chromium firefox-esr pulseaudio psql:postgresql \
		/usr/share/pocketsphinx/test/data/librivox:pocketsphinx-testdata

test-rust: $(TOOLS) wasm
	tools/system-packages ffmpeg opusinfo:opus-tools node:nodejs
	cargo test --profile $(PROFILE) --locked --workspace
	$(MAKE) test-lanes

# The queues between shards in every interleaving and reordering that the memory model allows. Everything is built anew with
# the flag, so only this crate is, and beside the others.
test-lanes: $(TOOLS)
	RUSTFLAGS="--cfg loom" cargo test --profile $(PROFILE) --locked -p spaces-lanes --test model \
		--target-dir $(or $(CARGO_TARGET_DIR),target)/loom

test-python: build system
# In the order of collection: the longest file is among the first, not left for the end.
	pytest -q -n auto --dist loadfile --no-loadscope-reorder -m "not alone and not heavy"
	pytest -q -m "alone and not heavy" $$($(ALONE))

fuzz: $(TOOLS)
	engine-rs/fuzz/run $(FUZZ_SECONDS)

wasm: $(RECEIVER)

# Left alone if it comes out the same, so that the web app is not built again for it.
$(RECEIVER): $(RUST)
	rustup target add wasm32-unknown-unknown
	cargo build --profile wasm --locked --target wasm32-unknown-unknown -p spaces-wasm
	built=$(or $(CARGO_TARGET_DIR),target)/wasm32-unknown-unknown/wasm/spaces_wasm.wasm; cmp -s $$built $@ || cp $$built $@

# Side by side: most of Python's checks and of the web app's keep one core busy.
check: build
	$(MAKE) $(AT_ONCE) --output-sync=target check-rust check-python check-web

check-rust: $(TOOLS)
	cargo fmt --all --check
	cargo clippy --profile $(PROFILE) --locked --workspace --all-targets -- -D warnings
	@# With the binding, and so with the features for which clippy has checked everything below.
	RUSTDOCFLAGS="-D warnings" cargo doc -q --profile $(PROFILE) --locked --no-deps -p spaces-core -p spaces-moqt -p spaces-net \
		-p spaces-py --features spaces-py/as-in-workspace

check-python: $(STAMP) $(SITE)
	ruff format --check .
	ruff check .
	mypy
	python -m mypy.stubtest spaces_ctl._engine
	lint-imports
	python tools/licences.py

check-web: $(SITE)
	$(MAKE) types
	tools/npm run check

# What is measured is the wheel as users install it, and servers built like it: not the checkout's build for tests.
BENCH := target/bench
RELAY := 0.17.10
QUICK ?=

bench-build: build
	cargo build --release --locked -p spaces-bench-load -p spaces-bench-limit
	@# The load proves that it counts right in the profile in which it measures, not only in CI's.
	cargo test -q --release --locked -p spaces-bench-load
	maturin build -q --release --locked --out $(BENCH)/wheel
	pip install -q --no-deps --upgrade --target $(BENCH)/python $(BENCH)/wheel/*.whl
	pip install -q 'matplotlib>=3.10'

bench: bench-build
	spaces bench compare --server plain-quinn --server spaces $(ARGS)

# Not --locked: its lock file names versions that registries may not have.
bench-peers: build
	tools/system-packages icecast2 /usr/sbin/murmurd:mumble-server
	test -x $(BENCH)/peers/bin/moq-relay || cargo install moq-relay --version $(RELAY) --no-default-features --features noq \
		--root $(BENCH)/peers --target-dir $(BENCH)/peers/build

results: bench-build bench-peers
	spaces bench suite --directory bench/results $(if $(QUICK),--quick --rounds 1)
	spaces bench results --directory bench/results --document bench/RESULTS.md \
		$(if $(QUICK),,--calibration spaces_ctl/bench/calibration.json)

bench-kernels: $(TOOLS)
	cargo bench --locked -p spaces-core --features opus --bench kernels -- $(ARGS)

# The wheel's engine once more, with the symbols and line tables that wheels are stripped of: the code is the same.
bench-profile: bench-build
	tools/system-packages perf:linux-perf addr2line:binutils
	cargo build --release --locked -p spaces-py
	rm -rf $(BENCH)/profiled
	cp -r $(BENCH)/python $(BENCH)/profiled
	cp --remove-destination $(or $(CARGO_TARGET_DIR),target)/release/lib_engine.so $(BENCH)/profiled/spaces_ctl/_engine.abi3.so
	python -m bench.profile $(ARGS)

bench-boundary: build
	pip install -q 'pytest-benchmark>=5'
	pytest -q -o addopts= --import-mode=importlib bench/boundary $(ARGS)

bench-control: build
	python -m bench.control $(ARGS)

peers: build
	pytest -q -m heavy tests/peers

clean:
	rm -rf $(VENV) target engine-rs/fuzz/target dist web/node_modules spaces_ctl/api/site
