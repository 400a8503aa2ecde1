# Thin: each target is one command. The work is in cli/ and tests/.
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
RUN := .venv/bin/python -m
READY := .venv/.ready
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_LINK_MODE ?= copy

.PHONY: help demo down test check bench soak lock

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

demo: $(READY) ## start the stack, load the samples, ingest them once; the stack stays up
	.venv/bin/signoff demo

down: $(READY) ## stop everything that was started
	.venv/bin/signoff down

check: $(READY) ## lint, format, types, layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	.venv/bin/lint-imports

test: check ## every check, then every test
	@sh tests/system_tools.sh
	$(RUN) pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not soak" --doctest-modules --ignore=ledger/migrations $(or $(T),cli flows tasks ledger analytics classifiers policies tests)

bench: $(READY) ## measure side by side: all, or one by make bench B=ingest
	@set -e; for name in $(or $(B),$(basename $(notdir $(shell grep -l __main__ benchmarks/*.py)))); do $(RUN) benchmarks.$$name; done

soak: $(READY) ## long random runs; SIGNOFF_SOAK_S=60 ends each after so many seconds
	$(RUN) pytest -m soak --timeout 0 $(T)

lock: $(READY) ## resolve requirements.lock anew for Python 3.11 and later; UP=--upgrade takes newer versions
	.venv/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 $(UP) --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock
	@# whatever accelerator packages a torch wheel wants come with that wheel: pinned here, they would burden CPU machines
	sed -E -i.old -e 's/\+cpu//' -e '/^(nvidia|cuda|triton)[-=]/d' requirements.lock && rm requirements.lock.old

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Signoff needs Python 3.11 or later with venv (Debian: apt install python3-venv); found: $$(python3 --version 2>&1). PYTHON=/path/to/python names another."; exit 1; }
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@if .venv/bin/uv --version >/dev/null 2>&1 || .venv/bin/python -m pip install --quiet uv; then \
		set -x; .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python -r requirements.lock && \
		.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps -e .; \
	else \
		set -x; .venv/bin/python -m pip install --quiet $$(grep '^torch==' requirements.lock) && \
		.venv/bin/python -m pip install --quiet -r requirements.lock && \
		.venv/bin/python -m pip install --quiet --no-deps -e .; \
	fi
	@# as pip does by itself: a process of a flow starts in half the time, also where Python may write no bytecode
	@.venv/bin/python -m compileall -q cli flows tasks ledger analytics classifiers policies
	@touch $@
