# Two commands do everything: `make chat` and `make test`. Needs git, make and Python 3.11+.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
GPUS   := $(shell nvidia-smi -L 2>/dev/null | grep -c GPU)

.PHONY: chat test format pictures clean
chat: $(VENV)/.chat
	@$(BIN)/deepseek-tui $(ARGS)

test: $(VENV)/.test
	$(BIN)/ruff format --check deepseek_tui tests assets
	$(BIN)/ruff check deepseek_tui tests assets
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadscope tests

format: $(VENV)/.test
	$(BIN)/ruff format deepseek_tui tests assets
	$(BIN)/ruff check --fix deepseek_tui tests assets

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "deepseek-tui needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make chat PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

NATIVE := $(wildcard deepseek_tui/native/*.[ch])

$(VENV)/.chat: pyproject.toml $(NATIVE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@if [ "$(GPUS)" != 0 ]; then \
	  $(BIN)/python -m pip uninstall --quiet --yes mlx-cpu; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cuda]'; fi
	@$(BIN)/python -m deepseek_tui.native.build
	@touch $@

$(VENV)/.test: pyproject.toml $(NATIVE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m deepseek_tui.native.build
	@touch $@ $(VENV)/.chat

pictures: $(VENV)/.test
	$(BIN)/python assets/pictures.py

clean:
	rm -rf $(VENV) build dist
