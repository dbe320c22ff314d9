# As in anybody's shell: these two hide what buffers and kept bytecode do.
unexport PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE

# Two commands: make demo, make test. Both need Python 3.11 or newer, pip and make, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := autotune tests search_spaces

.PHONY: demo test lint types clean

demo: .venv/.installed
	@$(BIN)/tune demo

test: .venv/.installed-for-tests lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: .venv/.installed-for-tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: .venv/.installed-for-tests
	$(BIN)/mypy

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage*

.venv/.created:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.created pyproject.toml constraints.txt
	@echo "installing into .venv; torch is large, this takes a few minutes"
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.installed-for-tests: .venv/.installed
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[test,dev]"
	@touch $@
