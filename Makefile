# What people type. Everything else is behind .venv/bin/host.
.PHONY: help bench engine-bench fleet-bench energy-bench report-bench history-bench engine-counts test test-long fuzz lint format docs setup setup-dev setup-train clean

# Data a user has already, searched by file name and checked by hash. A data folder beside the checkout is used by itself.
TINYJOULE_DATA ?= $(realpath ../shared/data)
export TINYJOULE_DATA
# PlatformIO: no telemetry, no question to its registry, which would cost a minute each on a closed network.
export PLATFORMIO_SETTING_ENABLE_TELEMETRY = no
export PLATFORMIO_DISABLE_UPGRADE_CHECK = true

BIN = .venv/bin
C_SOURCES = $(shell git ls-files --cached --others --exclude-standard 'firmware/*.[ch]' 'firmware/*.cc' 'host/*.[ch]' 'tests/*.[ch]')

help:
	@echo "make bench      set up, then measure latency, energy and operators of every task on an emulated Cortex-M4"
	@echo "make engine-bench  count the engine's instructions on every emulated core, beside upstream TFLM's"
	@echo "make fleet-bench   time an accuracy run on one emulated board and on two"
	@echo "make energy-bench  time integration, the PPK2's decoder, traces and plots"
	@echo "make report-bench  time making a report and opening it in Chromium"
	@echo "make history-bench time reading 10,000 results"
	@echo "make test       set up, then run the tests (make test-long: the long ones too)"
	@echo "make setup-train  TensorFlow (over 2 GB), to train the models: models/*/train.py"
	@echo "make fuzz       10 minutes of hostile models (TINYJOULE_FUZZ_S: how many seconds)"
	@echo "make lint       ruff, mypy --strict, clang-format and the C warnings as errors"
	@echo "make format     let the formatters have their way"
	@echo "make docs       build the guides and the reference pages: build/docs/index.html"
	@echo "make clean      remove everything that was made, results excepted"

setup:
	@tools/bootstrap.sh verify

setup-dev:
	@tools/bootstrap.sh dev

# TensorFlow, for models/*/train.py.
setup-train:
	@tools/bootstrap.sh train

bench: setup
	@$(BIN)/host bench --mode energy --profile

engine-bench: setup
	@$(BIN)/host engine-bench

fleet-bench: setup
	@$(BIN)/python tools/fleet_bench.py

energy-bench: setup
	@$(BIN)/python tools/energy_bench.py

report-bench: setup-dev
	@$(BIN)/python tools/report_bench.py

history-bench: setup
	@$(BIN)/python tools/history_bench.py

# What tests/e2e/test_engine_speed.py holds later builds against.
engine-counts: setup
	@$(BIN)/host engine-bench --engine tflite_c --record tests/e2e/engine_counts.json

# So many files of tests at a time; the tests of one file share what they build and emulate.
TEST_JOBS ?= 2
PARALLEL = -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

test: setup-dev
	@$(BIN)/python -m pytest $(PARALLEL) -m "not long"

test-long: setup-dev setup-train
	@$(BIN)/python -m pytest $(PARALLEL)

fuzz: export TINYJOULE_FUZZ_S ?= 600
fuzz: setup-dev
	@$(BIN)/python -m pytest tests/fuzz

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)
	@# -Werror is among the firmware's own flags: a warning fails the build.
	$(BIN)/python -m platformio run --silent

format: setup-dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_SOURCES)

# The theme's advertisement is no warning about the pages. Without --quiet, which hides warnings from --strict too.
docs: export NO_MKDOCS_2_WARNING = 1
docs: setup-dev
	@$(BIN)/mkdocs build --strict
	@echo build/docs/index.html

clean:
	rm -rf .venv .pio build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
