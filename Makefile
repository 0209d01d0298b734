# Every target makes the environment it needs and is quick the second time.
# Needed beforehand: Python 3.11 or newer, and make.

PYTHON ?= python3
IMAGE ?=
SEED ?= 7
ARGS ?=

DEV := .venv/.installed-dev
DEMO_VENV := $(if $(wildcard $(DEV)),.venv,.venv-demo)
DEMO := $(if $(wildcard $(DEV)),$(DEV),.venv-demo/.installed)
GPU := .venv-gpu/.installed
BIN := .venv/bin
PIP := bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PACKAGES := proto models server client training export
PROTO_FILES := $(addprefix hunique_proto/,v1/hand_features.proto \
  inference/open_inference.proto inference/model_configuration.proto)
MYPY_PACKAGES := $(foreach name,models server client training export,-p hunique_$(name))
GPU_FOUND := $(if $(filter verify-gpu,$(MAKECMDGOALS)),$(shell nvidia-smi --list-gpus 2>/dev/null))
DEMO_IMAGE := $(or $(IMAGE),demo-out/hand.png)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench verify-gpu proto clean python-new-enough stubs-fresh demo-hand

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(DEMO) demo-hand ## Find the features of a drawn hand, or of IMAGE=photo.jpg, with a private server
	@echo "Segmenting $(DEMO_IMAGE): a private server is started, used and ended"
	@$(DEMO_VENV)/bin/hunique-client segment "$(DEMO_IMAGE)" --out demo-out --overwrite
	@echo "Written to demo-out/:"
	@ls -1 demo-out | sed 's/^/  demo-out\//'

test: $(DEV) ## Run every test; ARGS='tests/models -k mask' narrows them
	@$(BIN)/python -m pytest $(ARGS)

check: $(DEV) stubs-fresh ## Lint, formatting, types, import directions, fresh stubs
	@echo "ruff check" && $(BIN)/ruff check .
	@echo "ruff format" && $(BIN)/ruff format --check .
	@echo "mypy" && $(BIN)/mypy $(MYPY_PACKAGES)
	@echo "import-linter" && $(BIN)/lint-imports
	@echo "All checks passed"

bench: $(DEV) ## Load a private server for about three minutes; RECORD=1 keeps the row
	@$(BIN)/python benchmarks/serving.py $(if $(RECORD),--record) $(ARGS)

verify-gpu: $(if $(GPU_FOUND),$(GPU)) ## Run the tests that need an NVIDIA GPU, or say that there is none
ifeq (,$(GPU_FOUND))
	@echo "SKIPPED: no NVIDIA GPU here (nvidia-smi lists none), so nothing was verified on one."
else
	@echo "$(GPU_FOUND)"
	@.venv-gpu/bin/python -m pytest -m gpu -rs $(ARGS)
endif

proto: $(DEV) ## Write the gRPC stubs anew from the .proto files
	@$(BIN)/python -m grpc_tools.protoc -I proto --python_out=proto --pyi_out=proto \
	  --grpc_python_out=proto $(addprefix proto/,$(PROTO_FILES))
	@echo "Stubs written beside $(addprefix proto/,$(PROTO_FILES))"

clean: ## Remove environments, caches and demo output
	rm -rf .venv .venv-demo .venv-gpu .bench-venvs .cache demo-out build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

stubs-fresh: $(DEV)
	@echo "stubs" && rm -rf .cache/stubs && mkdir -p .cache/stubs
	@$(BIN)/python -m grpc_tools.protoc -I proto --python_out=.cache/stubs \
	  --pyi_out=.cache/stubs --grpc_python_out=.cache/stubs $(addprefix proto/,$(PROTO_FILES))
	@for stub in $$(cd .cache/stubs && find . -type f); do \
	  cmp ".cache/stubs/$$stub" "proto/$$stub" \
	    || { echo "The stubs do not follow from the .proto files: run 'make proto'"; exit 1; }; \
	done

demo-hand: $(DEMO)
	@mkdir -p demo-out
	@$(if $(IMAGE),test -r "$(IMAGE)" || { echo "IMAGE=$(IMAGE): no such file"; exit 1; },\
	  $(DEMO_VENV)/bin/python -m hunique_models.drawn --seed $(SEED) --out demo-out/hand.png \
  --view hand --feature tattoo --feature ring --feature polished_nail)

python-new-enough:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Expected Python 3.11 or newer, found: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }

# torch goes first and by its plain name, so that a CPU build at hand is taken.
$(DEV): pyproject.toml constraints.txt | python-new-enough
	@echo "Setting up .venv for development (once; torch makes it a matter of minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@.venv/$(PIP) torch
	@.venv/$(PIP) --editable '.[dev]'
	@touch $@

.venv-demo/.installed: pyproject.toml constraints.txt | python-new-enough
	@echo "Setting up .venv-demo with client and server (once, about a minute; no torch)"
	@test -x .venv-demo/bin/python || $(PYTHON) -m venv .venv-demo
	@.venv-demo/$(PIP) --editable '.[client,server]'
	@touch $@

# onnxruntime and onnxruntime-gpu are one folder on disk: the second must be the last one in.
$(GPU): pyproject.toml constraints.txt | python-new-enough
	@echo "Setting up .venv-gpu for development with the gpu extra (once)"
	@test -x .venv-gpu/bin/python || $(PYTHON) -m venv .venv-gpu
	@.venv-gpu/$(PIP) --editable '.[dev,gpu]'
	@.venv-gpu/bin/python -m pip uninstall --quiet --yes onnxruntime
	@.venv-gpu/$(PIP) --force-reinstall --no-deps onnxruntime-gpu
	@touch $@
