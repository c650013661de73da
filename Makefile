# masklab: `make lab` opens the course, `make test` proves it. `make` alone lists the rest.
#
# Both make the environment (.venv) when it is missing, or when pyproject.toml has changed.
#   LESSON=05  is about one lesson: make notebooks figures test LESSON=05
#   ARGS=…     is passed on:     make lab ARGS=--no-browser
#   PYTHON=…   names a Python:   make lab PYTHON=/opt/python3.13/bin/python3

PYTHON ?= python3.11 python3.12 python3.13 python3.14 python3
ARGS ?=
LESSON ?=

bin := .venv/bin
stamp := .venv/.done

# What the user's shell or home folder says must not change what a lesson shows.
unexport MPLBACKEND
export JUPYTER_PREFER_ENV_PATH := 1

# The first of $(PYTHON) that runs and is new enough, or nothing.
python = $(shell for p in $(PYTHON); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

# LESSON=05 → 05_attention_padding, which names its notebooks, → attention_padding, which names its modules and tests.
lessons := $(basename $(notdir $(sort $(wildcard notebooks/src/*.md))))
lesson := $(if $(filter 1,$(words $(LESSON))),$(filter $(LESSON)_%,$(lessons)))
module := $(lesson:$(LESSON)_%=%)

# What imports transformers takes ten seconds to collect: one lesson's tests leave it out, unless it is the lesson's own.
heavy = $(shell grep -rlE '^(import|from) transformers' tests)
ignored = $(strip $(if $(module),$(foreach file,$(heavy),$(if $(findstring $(module),$(file)),,--ignore=$(file)))))

# The modules of the live view, and how TypeScript checks the types that their comments declare.
page := $(wildcard masklab/view/page/*.js masklab/view/page/*.d.ts)
tsc := --noEmit --allowJs --checkJs --strict false --target es2022 --module esnext --lib es2024,dom,dom.iterable

# What can go wrong on the way, one sentence each. $(call stop,sentence) says it and ends with an error.
stop = { echo "$(1)" >&2; exit 1; }
old_python = masklab needs Python 3.11 or newer, and none of these is: $(PYTHON). Install one, or name it: make PYTHON=/path/to/python3
no_venv = $(python) cannot make a virtual environment: on Debian or Ubuntu, 'sudo apt install python3-venv' fixes that.
no_network = pip cannot reach the package index: check the network or the proxy, and run make again (details: .venv/pip.log).
no_install = pip could not install the packages: $$(grep -m1 '^ERROR' .venv/pip.log || tail -n1 .venv/pip.log) (details: .venv/pip.log)
no_format = Some code is not formatted: 'make format' fixes it; fix a notebook's code in notebooks/src.
no_lesson = There is no lesson '$(LESSON)'. The lessons are: $(lessons). Give its number: make test LESSON=05
no_tsc = The page's modules are not type-checked: there is no tsc here ('npm install --global typescript' installs it).
offline := ConnectionError|NewConnection|ConnectTimeout|ReadTimeout|ProxyError|name resolution|Network is unreachable

.PHONY: help lab test lint format notebooks check-notebooks figures bench doctor-survey environment known-lesson
.DEFAULT_GOAL := help

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

lab: $(stamp) ## open the course in JupyterLab (ARGS=--no-browser serves it only)
	@echo "Opening JupyterLab on notebooks/00_start_here.ipynb (Control-C stops it) …"
	@$(bin)/jupyter-lab $(if $(filter 0,$(shell id -u)),--allow-root) --ServerApp.root_dir="$(CURDIR)" \
		--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ARGS)

# Two workers on two cores: a second thread in each would only be waited for (5 min 38 s became 3 min 28 s).
test: export OMP_NUM_THREADS := 1

# In this order the browser, which takes longest, starts first, on one of the two workers. With LESSON only what has the
# lesson's name in its own is run: its notebooks, lab, check, figures, and what runs over all labs or all notebooks.
# nbval runs the solved notebooks; the learners' are run in JupyterLab (test_jupyterlab.py), each cell of them.
test: known-lesson $(stamp) lint ## run everything: style, types, tests, notebooks, browser (LESSON=05: one lesson)
	@echo "Running all tests$(if $(lesson), of $(lesson)), two at a time …"
	@$(bin)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --doctest-modules \
		--nbval --nbval-current-env --nbval-sanitize-with=tests/notebooks/sanitize.cfg \
		$(if $(module),-k $(module)) $(ignored) tests masklab notebooks/build.py \
		$(wildcard notebooks/solutions/*.ipynb) $(ARGS)

known-lesson:
	@$(if $(LESSON),$(if $(filter 1,$(words $(lesson))),:,$(call stop,$(no_lesson))),:)

lint: $(stamp) ## check the style and the types of the code, and the style of the notebooks
	@echo "Checking the style with ruff and the types with mypy …"
	@$(bin)/ruff format --check --quiet . || $(call stop,$(no_format))
	@$(bin)/ruff check --quiet .
	@$(bin)/mypy --no-error-summary
	@$(if $(page),command -v tsc >/dev/null || { echo "$(no_tsc)"; exit 0; }; tsc $(tsc) $(page))

format: $(stamp) ## format the Python code (not the lessons)
	@$(bin)/ruff format --exclude '*.ipynb' .
	@$(bin)/ruff check --fix --exclude '*.ipynb' .

notebooks: known-lesson $(stamp) ## write and run every notebook from its source in notebooks/src (LESSON=05: one lesson)
	@$(bin)/python notebooks/build.py $(LESSON) $(ARGS)

check-notebooks: $(stamp) ## list the notebooks that are out of date (ARGS=--run runs them too)
	@$(bin)/python notebooks/build.py --check $(ARGS)

figures: known-lesson $(stamp) ## draw the figures again (LESSON=05: of one lesson), and without a lesson the README's picture
	@for script in $(if $(module),figures/$(module).py,figures/*.py); do echo "Drawing $$script …"; PYTHONPATH=. $(bin)/python "$$script" || exit 1; done

bench: $(stamp) ## measure speed and memory (half an hour)
	@$(bin)/python -m tests.bench $(ARGS)

doctor-survey: $(stamp) ## give every language model of Transformers to the mask doctor (five minutes; ARGS='--version 5.17.0')
	@$(bin)/python -m tests.doctor.survey $(ARGS)

environment: $(stamp) ## make the environment in .venv, and nothing else
	@:

# The stamp holds the folder that it was made for: a .venv that was copied or moved still points to the old one,
# and one whose Python is gone is none. Python compiles what it imports when it first does: to compile all that pip
# installs beforehand takes as long as the installation (45 of 90 seconds).
ifneq ($(shell test -x $(bin)/python && cat $(stamp) 2>/dev/null),$(CURDIR))
.PHONY: $(stamp)
endif

$(stamp): pyproject.toml $(wildcard jupyter/*.json)
	@$(if $(python),,$(call stop,$(old_python)))
	@echo "Making the environment in .venv with $(python) (the first time takes some minutes) …"
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" && test -x $(bin)/python || rm -rf .venv
	@test -d .venv || $(python) -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; $(call stop,$(no_venv)); }
	@$(bin)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable '.[test]' >.venv/pip.log 2>&1 || { \
		! grep -qE '$(offline)' .venv/pip.log || $(call stop,$(no_network)); $(call stop,$(no_install)); }
	@echo "$(CURDIR)" >$@
