# make run            find the duplicates in a small album; DIR=~/Pictures for your own
# make review         look at duplicates side by side and decide, in the browser; DIR=~/Pictures
# make test           set up and run the tests, two files at a time
# make check          ruff and mypy
# make train          train an encoder; DATA="folder shards.tar ..." for a real one
# make bench          measure, and write bench.html; DIR=folder [GROUPS=groups.json] [SCALE=1: and scale.html]
# make peers          imagededup, difPy and cleanvision beside twinpix, in their own environment; DIR=folder
# make torture        bad files, crashes, kills, full disks: does everything survive? NASTY=folder of bad images, if you have one
# make lookalikes     drawn pages of one template, flat pictures, states of one program, products, animations: none match?
# make scale          measure all pairs of up to 1,000,000 vectors, and write scale.html; DIR=folder
ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
PYTHON ?= python3
VENV ?= $(ROOT)/.venv
BIN := $(VENV)/bin
# one install at a time: each target adds its extras to the same environment, at the versions that were tested
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint "$(ROOT)/constraints.txt" --editable
# in quotes the shell leaves ~ as it is
home = $(patsubst ~/%,$(HOME)/%,$(1))
DIR ?=
DATA ?=
CALIBRATION ?=
GROUPS ?=
ARGS ?=
# with SCALE=1, `make bench` measures all pairs of so many vectors, too
SCALE ?=
SIZES ?= 10000,100000,1000000
# bad image files of your own, for `make torture`
NASTY ?=

.PHONY: run review test check train bench scale torture peers lookalikes screenshots clean

run: $(VENV)/.run
ifeq ($(strip $(DIR)),)
	@$(BIN)/twinpix demo
else
	@$(BIN)/find-duplicates "$(call home,$(DIR))" $(ARGS)
endif

review: $(VENV)/.run
	@$(BIN)/twinpix review "$(call home,$(DIR))" $(ARGS)

test: $(VENV)/.dev
	cd "$(ROOT)" && $(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev $(ROOT)/.typecheck/twinpix/__init__.pyi
	cd "$(ROOT)" && $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

train: $(VENV)/.train
	$(BIN)/twinpix train $(foreach d,$(DATA),--data $(d)) $(foreach c,$(CALIBRATION),--calibration $(c)) $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/twinpix bench "$(call home,$(DIR))" $(if $(GROUPS),--groups "$(call home,$(GROUPS))") --html bench.html $(ARGS)
	$(if $(SCALE),$(SCALING))

# every torture prints its figures, and fails by itself; all of them run
torture: $(VENV)/.dev
	@cd "$(ROOT)" && failed=; for script in tests/torture/*.py; do \
		echo "== $$script"; NASTY="$(call home,$(NASTY))" $(BIN)/python "$$script" || failed="$$failed $$script"; \
	done; test -z "$$failed" || { echo "missed its bar:$$failed"; exit 1; }

peers: $(VENV)/.run
	@$(BIN)/python "$(ROOT)/tests/bench/peers.py" "$(call home,$(DIR))"

lookalikes: $(VENV)/.run
	@$(BIN)/python "$(ROOT)/tests/bench/lookalikes.py"

# an installed package has its bytecode from pip; this checkout, where Python is told to write none, would be compiled
# again at every start
INSTALLED = @$(BIN)/python -m compileall -q "$(ROOT)/encoder" "$(ROOT)/pipeline" "$(ROOT)/train" && touch $@

SCALING = $(BIN)/twinpix scale "$(call home,$(DIR))" --sizes $(SIZES) --json scale.json --html scale.html

scale: $(VENV)/.bench
	$(SCALING) $(ARGS)

# the pictures of the README, in the system's Chromium
screenshots: $(VENV)/.dev
	$(BIN)/python "$(ROOT)/tests/pipeline/review/screenshots.py" "$(ROOT)/pipeline/review/shots"

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(ROOT)/pyproject.toml $(ROOT)/constraints.txt | $(BIN)/pip
	$(INSTALL) "$(ROOT)[cpu,demo,review]"
	$(INSTALLED)

$(VENV)/.train: $(ROOT)/pyproject.toml $(ROOT)/constraints.txt | $(BIN)/pip
	$(INSTALL) "$(ROOT)[cpu,train]"
	$(INSTALLED)

$(VENV)/.dev: $(ROOT)/pyproject.toml $(ROOT)/constraints.txt | $(BIN)/pip
	$(INSTALL) "$(ROOT)[cpu,demo,heif,parquet,pandas,ray,review,service,milvus-lite,pgvector,train,bench,dev]"
	$(INSTALLED)

# PDQ is built from source; without a compiler the bench runs without it and says so
$(VENV)/.bench: $(ROOT)/pyproject.toml $(ROOT)/constraints.txt | $(BIN)/pip
	$(INSTALL) "$(ROOT)[cpu,demo,bench]"
	-$(INSTALL) "$(ROOT)[pdq]"
	$(INSTALLED)

# mypy sees the folders under their import names through these links
$(ROOT)/.typecheck/twinpix/__init__.pyi:
	mkdir -p $(@D)
	for f in encoder pipeline train models; do ln -sfn ../../$$f $(@D)/$$f; done
	for f in __init__.py __init__.pyi; do ln -sfn ../../pipeline/api/$$f $(@D)/$$f; done

clean:
	cd "$(ROOT)" && find encoder pipeline train -name __pycache__ -prune -exec rm -rf {} + && rm -rf $(VENV) .peers .typecheck .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
