# Two commands do everything on a fresh machine: `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
TEST_ARGS ?= -n 2

# uv is quicker where it is set up to find the same packages as pip; pip works everywhere.
ifneq ($(UV_FIND_LINKS),)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: run demo test test-slurm test-faults docs lint reference format clean help

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/.installed ## install into .venv and make Table II of the embedded default, and the page
	$(BIN)/snakemake --cores $(CORES) results/table2.csv results/segmentations.png results/index.html
	@echo "The page: $(CURDIR)/results/index.html (Table II alone: results/table2.html, .csv; pictures: results/segmentations.png)"
	@echo "Next, from what is there:"
	@echo "  $(BIN)/snakemake --cores $(CORES) results/claims.csv        # the paper's sentences, tested on this run"
	@echo "  $(BIN)/snakemake --cores $(CORES) results/diagnosis.html    # what each pre-training learnt, and what is left of it"
	@echo "Then your own scans: $(BIN)/mcd init-cohort FOLDER (README.md, \"Your own scans\")"

demo: $(VENV)/.installed ## install, and make a page of one small cohort and three methods, in demo/ (two minutes)
	$(BIN)/snakemake --cores $(CORES) --configfile configs/demo.yaml --directory demo results/index.html
	@echo "The page: $(CURDIR)/demo/results/index.html"

test: $(VENV)/.installed-test ## install into .venv and run the tests
	$(BIN)/python -m pytest $(TEST_ARGS)

test-slurm: $(VENV)/.installed-slurm ## install Slurm from Debian, start one here and run the workflow on it (as root, minutes)
	@command -v slurmctld slurmd munged >/dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge; } \
	>/dev/null 2>&1 || echo "Slurm cannot be installed here (it takes root and apt-get): its tests are skipped"
	$(BIN)/python -m pytest -m slurm tests/slurm

FAULTS ?= 100
test-faults: $(VENV)/.installed-test ## kill the workflow at FAULTS random moments, fill its disk, delete its files (about an hour)
	$(BIN)/python -m pytest -m faults tests/faults --faults $(FAULTS)

# Not --quiet: it hides warnings from --strict.
docs: $(VENV)/.installed-docs ## build the documentation as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/.installed-test ## format, lint, types, workflow lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

reference: $(VENV)/.installed ## generate the tables of docs/reference/configuration.md and settings.md, and configs/schema.json
	$(BIN)/python -m mcd.config.reference --write

format: $(VENV)/.installed-test ## put code and rules into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile rules

clean: ## remove what the workflow made in this folder, but not the splits
	rm -rf work results logs data/hecktor data/brats demo .snakemake

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (about 2 minutes, 2 GB)"
	$(INSTALL) -c constraints.txt -e .
	@touch $@

# axe-core, by which the page's accessibility is tested; without npm those tests are skipped and say so.
$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) -c constraints.txt -e '.[test]'
	@npm install --silent --no-save --no-audit --no-fund --prefix $(VENV) axe-core@4.14.1 >/dev/null 2>&1 || \
	echo "axe-core cannot be installed here (it takes npm): its tests are skipped"
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.installed-slurm: $(VENV)/.installed-test
	$(INSTALL) -c constraints.txt -e '.[slurm]'
	@touch $@
