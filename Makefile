# Each target is a line or two; what takes more is in scripts/.  ARGS goes to the program: make test ARGS="-k demo"
INSTALLED = .venv/.installed
RUN = .venv/bin/

help:  ## this text
	@awk -F':.*## ' '/^[a-z-]+:.*##/ {printf "  %-12s %s\n", $$1, $$2}' Makefile

demo: $(INSTALLED)  ## an order shop on an embedded broker with live workers, and the product on top of it
	@$(RUN)flower demo $(ARGS)

test: lint servers  ## install what the tests need, check everything, run all tests
	@scripts/tests $(ARGS)

lint: $(INSTALLED)  ## format, lint rules, types and imports of Python and of the page scripts
	@scripts/lint

format: $(INSTALLED)  ## what ruff and Biome can correct by themselves
	@$(RUN)ruff check --fix-only --quiet && $(RUN)ruff format
	@scripts/page-tools && PATH=$(CURDIR)/.venv/bin:$$PATH node_modules/.bin/biome check --write

test-compat: $(INSTALLED) servers  ## the tests of Flower's contract, against Flower 2.2.0 as well
	@COMPAT_KINDS=flower,bellflower $(RUN)pytest tests/flower_e2e $(ARGS)

bench: $(INSTALLED) servers  ## Bellflower beside Flower 2.2.0 on this machine
	@scripts/bundle && $(RUN)python -m bench $(ARGS)

chaos: $(INSTALLED) servers  ## faults on a real cluster, every task compared with the truth; SEED=, ARGS="--only NAME --broker MODE"
	@$(RUN)python -m chaos --jobs $${JOBS:-2} $(ARGS)

fuzz: $(INSTALLED)  ## random inputs for decoders and parsers, guided by coverage; ARGS="--seconds 600 fold_events"
	@VIRTUAL_ENV=$(CURDIR)/.venv $(RUN)uv sync --frozen --quiet --group fuzz --inexact --python $(RUN)python && $(RUN)python -m fuzz $(ARGS)

screenshots: $(INSTALLED) servers  ## pictures of the pages for docs/, in some six minutes; ARGS=FOLDER: of all sizes
	@$(RUN)python -m tests.ui.screenshots $(ARGS)

servers:
	@scripts/test-servers

$(INSTALLED): pyproject.toml uv.lock scripts/bootstrap
	@scripts/bootstrap && touch $@

clean:  ## remove all that the other targets made in this checkout
	rm -rf .venv node_modules .bench .chaos .fuzz .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test test-compat lint format bench chaos fuzz screenshots servers clean
