# `make` lists the targets.
#
# Each target prepares .venv first; a machine needs Python 3.11 or newer and make, nothing else. After the first
# installation nothing here asks the network again until pyproject.toml or constraints.txt change.
#
#   PYTHON=...        the Python that .venv is made from (default: the first one found that is new enough)
#   PIP_FLAGS=...     more options for pip, for instance an index that holds a build of torch for this machine
#   JOBS=2            processes for the tests
#   LAB_ARGS=...      more options for JupyterLab, for instance --no-browser

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
PIP_FLAGS ?=
JOBS ?= 2
LAB_ARGS ?=

BIN := .venv/bin
STAMP := .venv/installed
CHAPTERS := $(sort $(wildcard book/*.ipynb)) $(wildcard book/appendices/*.ipynb)
ROOT_USER := $(if $(filter 0,$(shell id -u)),--allow-root)
BROWSER := tests/browser/node_modules/installed

# Nothing of the tests or of the book calls out, or reads settings of the person who runs them.
QUIET := JUPYTER_PLATFORM_DIRS=1 IPYTHONDIR=$(CURDIR)/.venv/ipython OMP_NUM_THREADS=1 PYTHONHASHSEED=0

.PHONY: lab doctor test lint unit chapters book handout bench reproduce quick strip outputs figure browser scripts coverage oldest fuzz clean help

help:
	@printf '%s\n' \
	  'make lab       open JupyterLab on the first chapter' \
	  'make doctor    is this laptop ready? packages, numbers, threads, data, notebooks, with what to do' \
	  'make test      lint, unit tests, docstring examples, every chapter against its stored outputs' \
	  'make book      the static book in _build/html' \
	  'make handout   one zip for a room without a network: dist/wdl_tutorial_handout.zip' \
	  'make scripts   the JavaScript: ESLint, types, form; and the workflows (needs Node.js)' \
	  'make browser   the built book and JupyterLab in a real browser (needs Node.js and Chromium)' \
	  'make coverage  which lines the unit tests run: a table, and pages in build/coverage' \
	  'make oldest    the core on the oldest versions that pyproject.toml allows' \
	  'make fuzz      every public door with odd arguments: 20,000 calls' \
	  'make bench     speed and memory beside other packages' \
	  'make reproduce every figure and table of the four papers: hours, and goes on where it stopped' \
	  'make quick     the same, smaller, in minutes' \
	  'make outputs   run chapters and store their text outputs (CHAPTERS=book/NN_name.ipynb for one)' \
	  'make strip     drop images and widget state from the chapters' \
	  'make figure    draw the figure of the README' \
	  'make clean     remove .venv and everything built'

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "$(PYTHON) -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into .venv: once, a minute or two, and the only time the network is asked."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e ".[book,test,deep]"
	@mkdir -p .venv/share/jupyter/lab/settings
	@cp book/lab_settings.json .venv/share/jupyter/lab/settings/overrides.json
	@touch $(STAMP)

lab: $(STAMP)
	$(BIN)/jupyter lab $(ROOT_USER) --LabApp.news_url=None --LabApp.extension_manager=readonly \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate --ServerApp.root_dir=. \
	  $(LAB_ARGS) $(firstword $(wildcard book/00_*.ipynb) $(CHAPTERS))

doctor: $(STAMP)
	$(BIN)/python -m wdl_tutorial.doctor

test: lint unit chapters

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

unit: $(STAMP)
	$(QUIET) $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

# Every public door with odd arguments, ten times as many calls as the unit tests make.
fuzz: $(STAMP)
	WDL_TUTORIAL_FUZZ=20000 $(QUIET) $(BIN)/python -m pytest -q -n $(JOBS) tests/test_fuzz.py

coverage: $(STAMP)
	$(QUIET) $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --cov --cov-report=term --cov-report=html

# The lower bounds of pyproject.toml are promises: the core has to run on them.
OLDEST_TESTS := test_array test_barycenters test_costs test_dictionary test_fast test_gradients test_histograms test_iterate \
  test_kernels test_leastsquares test_linear test_losses test_metrics test_optimize test_rowwise test_scaling test_transport

oldest:
	$(PYTHON) -m venv build/oldest
	build/oldest/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) $$($(PYTHON) tools/oldest.py)
	PYTHONPATH=$(CURDIR) $(QUIET) build/oldest/bin/python -m pytest -q -o filterwarnings= -n $(JOBS) --dist loadfile \
	  $(OLDEST_TESTS:%=tests/%.py)

# The stored outputs are made without real scenes, so that they are the same on every machine. Two kernels that start at once
# may take each other's port, and one dies before its first word: then, and only then, all is run once more.
CHECKED = env -u WDL_TUTORIAL_DATA $(QUIET) $(BIN)/python -m pytest -q -o addopts= -p no:cacheprovider --nbval \
  --nbval-current-env --nbval-sanitize-with tests/sanitize.cfg -n $(JOBS) --dist loadfile $(CHAPTERS)

chapters: $(STAMP)
ifneq ($(CHAPTERS),)
	@mkdir -p build
	$(CHECKED) > build/chapters.log 2>&1; status=$$?; cat build/chapters.log; \
	  if [ $$status != 0 ] && grep -q "Kernel died before replying" build/chapters.log; then $(CHECKED); else exit $$status; fi
else
	@echo "book/ holds no chapter yet"
endif

# The cache of executed chapters is keyed by their code alone, so it goes when the package changes.
_build/.package: $(STAMP) $(shell find wdl_tutorial -name '*.py' -o -name '*.js' -o -name '*.css' 2>/dev/null)
	rm -rf _build
	mkdir -p _build && touch $@

book: _build/.package
	$(QUIET) $(BIN)/python book/execute.py --cache _build/.jupyter_cache --jobs $(JOBS) $(CHAPTERS)
	$(QUIET) $(BIN)/jupyter-book build book --config _config.yml --path-output . -W --keep-going

# Slides, worksheets and the book as one file to print; then all of it with the notebooks, the wheel and the pins in one zip,
# which the teachers' page of the built book links.
handout: book
	$(BIN)/python book/kit.py
	$(BIN)/python book/handout.py

bench: $(STAMP)
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# The table of truth anew, from an empty ledger that survives an interruption; then it replaces the one in the package.
reproduce: $(STAMP)
	$(BIN)/python -m wdl_tutorial.reproduce --jobs 2 --out reproduced.json
	$(BIN)/python -m wdl_tutorial.reproduce --adopt reproduced.json

# The same experiments, smaller: minutes. What comes out is not kept.
quick: $(STAMP)
	$(QUIET) $(BIN)/python -m wdl_tutorial.reproduce --quick --fresh --jobs $(JOBS) --out build/reproduced-quick.json

# Text outputs only in what is committed: images and widget state go.
strip: $(STAMP)
	$(BIN)/python book/strip.py $(CHAPTERS)

# Run chapters from a clean kernel and store their text outputs: make outputs CHAPTERS=book/01_two_peaks.ipynb
outputs: $(STAMP)
	$(QUIET) $(BIN)/python book/strip.py --execute $(CHAPTERS)

figure: $(STAMP)
	$(BIN)/python book/readme_figure.py

# Every built page, every slider, over http and from file://; needs Node.js and Debian's chromium.
$(BROWSER): tests/browser/package.json
	npm install --prefix tests/browser --no-package-lock --no-audit --no-fund --silent
	@touch $(BROWSER)

# The JavaScript, read: ESLint, the types of its JSDoc, and its form; and the workflows.
SCRIPTS := wdl_tutorial/widgets/*.js book/_ext/static/*.js tests/js/*.mjs tests/browser/*.mjs tests/browser/*.js tests/browser/*.ts
READERS := tests/browser/node_modules/.bin

scripts: $(BROWSER)
	$(READERS)/eslint --config tests/browser/eslint.config.js wdl_tutorial/widgets book/_ext/static tests/js tests/browser
	$(READERS)/tsc -p tests/browser/jsconfig.json
	$(READERS)/prettier --print-width 100 --log-level warn --check $(SCRIPTS)
	node tests/browser/workflows.mjs .github/workflows/*.yml

browser: $(STAMP) $(BROWSER)
	@test -f _build/html/index.html || $(MAKE) book
	$(BIN)/python -m pytest -q -o addopts= -p no:cacheprovider tests/browser

clean:
	rm -rf .venv _build build dist handout *.egg-info tests/browser/node_modules .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
