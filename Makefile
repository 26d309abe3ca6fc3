# make demo    set everything up and diagnose a sample case
# make test    set everything up, check style and types, run all tests
# make venv | lint | types | picture | sums | startup | clean

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
PACKAGES := core model knowledge tools agent app
BIN := $(VENV)/bin

.PHONY: demo test venv lint types pytest picture sums startup clean

demo: $(VENV)/.installed
	$(BIN)/videopath demo

test: lint types pytest

venv: $(VENV)/.installed-test

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .

types: $(VENV)/.installed-test build/links
	$(BIN)/mypy $(addprefix -p videopath.,$(PACKAGES))

pytest: $(VENV)/.installed-test
	$(BIN)/python -m pytest

picture: $(VENV)/.installed
	$(BIN)/python docs/picture.py

# What `videopath doctor` holds the bundled weights against; written anew with new weights.
sums:
	cd model/nano && sha256sum $$(find . -type f -name '*.json' -o -name '*.safetensors' -o -name 'merges.txt' | sed 's|^\./||' | sort) > sha256.txt

startup: $(VENV)/.installed
	$(BIN)/python benchmarks/startup.py

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

# The type checker reads the folders under their import names.
build/links: Makefile
	mkdir -p $@/videopath
	for package in $(PACKAGES); do ln -sfn ../../../$$package $@/videopath/$$package; done
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
