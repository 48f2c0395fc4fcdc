# The commands of this project; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
TORCH := $(shell cat torch-version.txt)
CORES ?= all
# Where this is set, as in many containers, each process compiles torch and pandas anew: twice the
# processor time of most commands.
export PYTHONDONTWRITEBYTECODE :=
# An environment is no place for packages of the user.
export PIP_USER := 0
# A container may run as a user without a home, and tools keep their caches there.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.home
endif
# What the lock is made of. Folders with wheels are left out: they may hold other builds.
LOCK := UV_FIND_LINKS= $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
  --generate-hashes --no-deps --no-annotate --no-header
AUDITOR := 2.10.1
OF_TORCH := '^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)=='

.DEFAULT_GOAL := help
.PHONY: help setup smoke paper publish pages docs push pull faults slurm-up slurm-down test test-slurm test-page lint format lock audit schema check-mnist benchmark benchmark-history clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed  ## make the environment .venv from the lock

# Every package has the hash of the lock. Torch too, unless it comes from a folder of the user's.
.venv/.installed: installer.lock requirements.lock torch.lock torch-version.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r installer.lock
	set -e; settings=$$($(BIN)/python tools/uv_settings.py); eval "$$settings"; \
	uv="$(BIN)/uv pip install --python .venv"; \
	$$uv --require-hashes --no-deps --build-constraints requirements.lock -r requirements.lock; \
	if [ -n "$${UV_FIND_LINKS-}" ]; then $$uv --compile-bytecode 'torch==$(TORCH)'; \
	else $$uv --compile-bytecode --require-hashes --no-deps -r torch.lock; fi; \
	$$uv --no-deps --no-build-isolation --editable .
	touch $@

# In jobs of many runs: with so little to train, most of a job would be its start.
smoke: setup  ## run the whole pipeline on small embedded data
	$(BIN)/snakemake --cores $(CORES) --configfile config/smoke.yaml --default-resources runs_per_job=27

paper: setup  ## run the paper's grid on MNIST
	$(BIN)/snakemake --cores $(CORES)

publish: setup  ## publish the trained runs of the paper's grid: results/published, docs/results.md, README
	test -d results/paper/runs || $(BIN)/vaebench import results/published/paper
	VAEBENCH_FINISHED_ONLY=1 $(BIN)/snakemake --cores $(CORES)
	$(BIN)/vaebench export --tier paper --out results/published/paper --unpacked --thin
	$(BIN)/vaebench verify --tier results/published/paper
	$(BIN)/vaebench pages

pages: setup  ## write the pages on results in docs/ and the README's results
	$(BIN)/vaebench pages

docs: setup  ## build the documentation as a site: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

test: setup  ## run the quick tests, some 1,700
	$(BIN)/pytest

test-workflow: setup  ## run the tests that run Snakemake, build the wheel, kill processes and damage files
	$(BIN)/pytest -m "workflow or wheel or faults"

push: setup  ## record finished tiers with DVC and send them to its remote; TIERS="smoke quick"
	$(BIN)/vaebench push $(addprefix --tier ,$(TIERS))

pull: setup  ## bring recorded tiers into this clone; snakemake then has nothing to do
	$(BIN)/vaebench pull $(addprefix --tier ,$(TIERS))

faults: setup  ## the long tests of kills, full disks, damage and random input; writes the table of docs/faults.md
	VAEBENCH_FAULTS=long VAEBENCH_FAULTS_PAGE=1 $(BIN)/pytest -m faults --numprocesses 2 tests/faults tests/unit

slurm-up:  ## start a real Slurm of one node on this machine; as root
	slurm/one-node up

slurm-down:  ## stop it
	slurm/one-node down

test-slurm: setup  ## run the tests on a real Slurm of one node; as root
	$(BIN)/pytest -m slurm --numprocesses 0

test-page: setup  ## after `make smoke`: look at its page and the published one in Debian's Chromium, installed if missing (as root)
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	$(BIN)/pytest -m browser --numprocesses 2

check-mnist: setup  ## a few epochs on real MNIST against known bounds
	$(BIN)/pytest -m mnist --numprocesses 0

lint: setup  ## ruff, mypy, snakefmt and snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: setup  ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

lock: setup  ## resolve pyproject.toml anew into the locks (names, versions and hashes; no addresses)
	UV_FIND_LINKS= $(BIN)/uv lock --quiet --python .venv --upgrade
	$(BIN)/uv export --quiet --frozen --all-groups --extra workflow --extra docs --no-hashes --no-emit-project --no-annotate --no-header > .venv/pins.txt
	rm uv.lock
	sed -nE 's/^torch==([0-9.]+).*/\1/p' .venv/pins.txt > torch-version.txt
	grep -vE $(OF_TORCH) .venv/pins.txt | $(LOCK) - -o requirements.lock
	grep -E $(OF_TORCH) .venv/pins.txt | $(LOCK) - -o torch.lock
	echo uv | $(LOCK) - -o installer.lock

audit: setup  ## ask a public list for known faults of the packages in the locks; needs the network
	$(BIN)/uv tool run pip-audit@$(AUDITOR) --strict --disable-pip --require-hashes -r requirements.lock -r torch.lock

schema: setup  ## write config/schema.json and docs/config.md from the models of the config
	$(BIN)/python -m vaebench schema > config/schema.json
	$(BIN)/python -m vaebench schema --markdown > docs/config.md

benchmark: setup  ## measure and write docs/performance.md; PARTS="starts scale", PEERS="--pythae PYTHON --jax PYTHON"
	$(BIN)/python benchmarks/report.py $(PARTS) $(PEERS)

benchmark-history: setup  ## time the parts of training, keep the times, compare with the last ones
	$(BIN)/pytest benchmarks -o addopts= --benchmark-autosave --benchmark-compare --benchmark-columns=median,iqr,rounds

clean:  ## remove all results and the store of trained runs; keeps data, published results and .venv
	test ! -d results || find results -mindepth 1 -maxdepth 1 ! -name published -exec rm -rf {} +
	rm -rf .vaebench .snakemake logs
