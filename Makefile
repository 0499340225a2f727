# Every target sets up what it needs. `make setup PYTHON=python3.12` chooses the interpreter.
SHELL := /bin/bash
PYTHON ?=
PY := .venv/bin/python
READY := .venv/.ready
TOOLS := .venv/.tools
PROJECTS := pyproject.toml $(wildcard kernel/pyproject.toml plugins/*/pyproject.toml)
# Every folder of ours that holds Python (mypy refuses one that holds none).
TYPED = $(foreach folder,kernel/src kernel/tests $(wildcard plugins/*/src plugins/*/tests plugins/*/bench examples/*/) tests bench tools,\
	$(if $(shell find $(folder) -name '*.py' -print -quit 2>/dev/null),$(folder)))

# A PYTHON of another version than .venv's asks for a new .venv.
ifneq ($(PYTHON),)
MINOR := import sys; print(sys.version_info[:2])
ifneq ($(shell { $(PYTHON) -c '$(MINOR)'; } 2>/dev/null),$(shell { $(PY) -c '$(MINOR)'; } 2>/dev/null))
.PHONY: $(READY)
endif
endif

# Tests, demo and bench start many processes: without byte code on disk each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

# Two more than there are cores: tests of processes wait half their time.
WORKERS := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))

SITE := .venv-docs/.ready

.PHONY: setup test check docs natlab demo bench proto dist
setup: $(READY)

$(READY): $(PROJECTS) constraints.txt tools/setup.sh
	@tools/setup.sh $(PYTHON)

$(TOOLS): $(READY)
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt --only-binary :all: --group check
	@touch $@

# The rules of the architecture are `make check`'s.
test: setup
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/architecture

check: setup $(TOOLS)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy conftest.py $(TYPED)
	$(PY) tools/proto.py --check
	$(PY) -m pytest -q tests/architecture

# The site of all documents, with the reference from the docstrings, in site/. A link or an anchor that leads nowhere fails it.
docs: $(SITE)
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build -q
	@echo "site/index.html"

# An environment of its own: the generator reads our sources and imports none of them.
$(SITE): pyproject.toml constraints.txt | $(READY)
	@$(PY) -m venv --without-pip .venv-docs
	@$(PY) -m pip --python .venv-docs/bin/python install -q --disable-pip-version-check -c constraints.txt --only-binary :all: --group docs
	@touch $@

# Every kind of NAT against every kind (docs/natlab.md): needs root. Settings: JSON=1, RUNS=20, KINDS="none double", TRANSPORTS=udp.
natlab: setup
	@$(foreach name,JSON RUNS KINDS TRANSPORTS,$(if $($(name)),$(name)="$($(name))")) $(PY) -m tests.natlab

demo: setup
	.venv/bin/peerkit demo $(if $(KEEP),--keep)

bench: setup
	@bench/peers/setup.sh
	$(PY) -m bench $(if $(QUICK),--quick)

proto: setup $(TOOLS)
	$(PY) tools/proto.py

dist: setup
	rm -rf dist
	$(PY) -m pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps -w dist . ./kernel $(wildcard ./plugins/*/)
	@ls dist
