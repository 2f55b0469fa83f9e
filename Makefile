# Everything an operator and a contributor does with the source tree; `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Debian's interpreter is optimised by a profile: a call takes less processor time than with one that pyenv builds
PYTHON ?= $(shell command -v /usr/bin/python3.11 || command -v python3.11 || command -v python3 || echo python3)
VENV ?= .venv
CONFIG ?= config/vosd.yaml
PREFIX ?= /opt/vosd
WORKERS ?= $(shell expr 2 \* $$(nproc) + 1)
N ?= 20
ROUNDS ?= 500
CALLS ?= 500
API ?= 127.0.0.1:8080
EXAMPLE ?= var/example
MINUTES ?= 60
RATE ?= 20
DESTDIR ?=
export DESTDIR

BIN := $(VENV)/bin
# one at a time: where the machine has no node, the console takes it from PyPI while the environment is filled
PIP := flock $(VENV)/.pip $(BIN)/python -m pip

.PHONY: api-fuzz api-released help run install console test suites check check-program check-console explore chaos soak interop demo pictures bench bench-count bench-compare install-system clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: install ## switch and console in the foreground on config/vosd.yaml, with a link for the first log-in; CONFIG=path for another file, DEMO=1 for an example with calls
ifdef DEMO
	@cd tests && exec $(abspath $(BIN))/python -m doubles.showcase $(API) $(abspath $(EXAMPLE))
else
	@$(BIN)/vosd migrate -c $(CONFIG)
	@$(BIN)/vosd user first --wait -c $(CONFIG) & exec $(BIN)/vosd run -c $(CONFIG)
endif

install: $(VENV)/.installed console ## everything `make run` needs, without starting it

console: vosd/api/console_files/index.html ## the pages of the management API, from console/

# built again where its sources or the API's document have changed
vosd/api/console_files/index.html: $(shell find console/src console/public -type f ! -name schema.d.ts) $(wildcard console/*.json console/*.ts console/*.html) docs/openapi.json docs/operations/alarms.md scripts/console | $(BIN)/python
	@scripts/console build

# On a bare machine the packages take as long as the checks: they are loaded and written while these compute. The console
# is built while pip fills the environment, which uses one core.
test: $(BIN)/python ## all checks and all tests, with all their set-up; two processes a core and one more, or WORKERS=
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target system-packages check-program check-console
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile

suites: $(VENV)/.tested-with system-packages ## all tests N=20 times in a row, whatever fails: how long they take, how many runs fail
	@scripts/suites $(N) $(BIN)/pytest -q -n $(WORKERS) --dist loadfile

check: $(BIN)/python ## what runs before the tests: format, lint, types, import rules, the console's own tests; side by side, since each of them uses one core
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-program check-console

check-program: $(VENV)/.tested-with
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check-console: console
	@scripts/console check

explore: $(VENV)/.tested-with ## the property tests with new random examples, and many more of them
	@HYPOTHESIS_PROFILE=explore $(BIN)/pytest -o faulthandler_timeout=0 -n $(WORKERS) --dist loadfile tests/property $$(grep -rl doubles.exploring tests/contract tests/unit --include='*.py')

chaos: $(VENV)/.tested-with system-packages ## kill, stop, cut, fill and put back the switch and its database at random while calls run; ROUNDS=500 kills, SEED= to do the same again
	@cd tests && $(abspath $(BIN))/python -m chaos.campaign $(ROUNDS) $(if $(SEED),--seed $(SEED))

api-fuzz: $(VENV)/.tested-with system-packages ## requests made up from docs/openapi.json for the API beside a switch on MariaDB; SECONDS=120
	@$(BIN)/pip install --quiet "schemathesis>=4,<5"
	@cd tests && $(abspath $(BIN))/python -m fuzz.api $(SECONDS)

api-released: $(VENV)/.tested-with ## at a release: keep the management API, with which later versions are compared, in docs/openapi-released.json
	@cd tests && $(abspath $(BIN))/python -m released.api

soak: $(VENV)/.tested-with system-packages ## an even load for an hour: memory, descriptors, timers, transactions must stay flat; MINUTES=60 RATE=20
	@$(BIN)/python -m bench.soak --minutes $(MINUTES) --rate $(RATE)

restarts: $(VENV)/.tested-with system-packages ## CALLS=500 calls of every kind, over three restarts of the switch; every CDR and balance compared
	@cd tests && $(abspath $(BIN))/python -m restarts.campaign $(CALLS)

interop: $(VENV)/.tested-with system-packages ## calls with baresip, PJSIP, twinkle, Kamailio, rtpengine and linphone, installed where they are missing; sound in every mode, and kills under 200 calls
	@scripts/provide linphone-daemon:linphone-cli twinkle-console:twinkle-console sox:sox
	@$(BIN)/pytest tests/interop
	@cd tests && $(abspath $(BIN))/python -m interop.tones
	@cd tests && $(abspath $(BIN))/python -m interop.kills

demo: install ## four calls on a scratch database, their records, their money
	@cd tests && $(abspath $(BIN))/python -m doubles.demo

pictures: $(VENV)/.tested-with system-packages install ## the console as pictures in var/pictures: light and dark, 1440 and 360 pixels, English and Chinese
	@scripts/provide fc-list:fontconfig
	-@fc-list :lang=zh | grep -q . || scripts/provide fonts-wqy-microhei
	@cd tests && $(abspath $(BIN))/python -m console.pictures $(abspath var/pictures)

bench: $(VENV)/.tested-with system-packages ## the benchmarks as a table
	@$(BIN)/python -m bench

bench-count: $(VENV)/.tested-with ## processor instructions a call, counted by valgrind: a change of 1 % shows on a busy machine too
	@scripts/provide valgrind:valgrind
	@$(BIN)/python -m bench.count

bench-compare: $(VENV)/.tested-with system-packages var/sippy/.installed ## the same beside Sippy's B2BUA, with overload, latency at half load, many accounts
	@$(BIN)/python -m bench --compare

var/sippy/.installed:
	@$(PYTHON) -m venv var/sippy
	@var/sippy/bin/pip install --quiet --disable-pip-version-check sippy
	@touch $@

install-system: console ## unit, user, example configuration and an environment of its own; DESTDIR= PREFIX=
	@scripts/install-system $(PREFIX) $(PYTHON)

clean: ## remove what these targets made, but never var/ with its calls and money
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: system-packages
system-packages:
	@scripts/provide promtool:prometheus sipp:sip-tester stunnel:stunnel4 openssl:openssl mariadbd:mariadb-server-core systemd-analyze:systemd baresip:baresip-core kamailio:kamailio rtpengine:rtpengine-daemon freeradius:freeradius ip:iproute2 nft:nftables chromium-headless-shell:chromium-headless-shell mke2fs:e2fsprogs mount:mount curl:curl

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "vosd needs Python 3.11 or newer; say PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/provide python3-venv
	@$(PYTHON) -m venv $(VENV)

# the pins are complete, and most of what they bring is never imported: both save a third of the time
$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	@$(PIP) install --quiet --disable-pip-version-check --no-deps --no-compile --requirement requirements.txt
	@$(PIP) install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.tested-with: requirements-dev.txt $(VENV)/.installed
	@$(PIP) install --quiet --disable-pip-version-check --no-deps --no-compile --requirement requirements-dev.txt
	@touch $@
