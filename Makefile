# Two commands do everything: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
BIN := .venv/bin
LOCK := envs/requirements.lock
FIRST := envs/own_modules_first.pth
READY := .venv/.ready
CORES ?= all

.PHONY: demo test soak check bench gpu lint lock clean

demo: demo/corpus/about.txt
	$(BIN)/snakemake --cores $(CORES)
	@echo
	@echo "The report: $(CURDIR)/results/report.html"

# The cluster's tests wait a lot: a second process runs the others meanwhile.
test: $(READY)
	$(BIN)/pytest --numprocesses 2

# The cluster's tests with many more random kills: an hour. Writes the table of docs/reliability.md.
soak: $(READY)
	$(BIN)/pytest tests/cluster tests/workflow/test_kills.py --soak --reliability=docs/reliability.md

check: $(READY)
	$(BIN)/pytest tests/unit -m "not slow"

# Against the stock pipeline; such as BENCH="--clips 12 --frames 300 --precision int8 --direct"
bench: demo/corpus/about.txt
	$(BIN)/python bench/speed.py $(BENCH)

# Is it right on a GPU, and how fast? At most 8 minutes; such as GPU="--device cpu --small"
gpu: $(READY)
	$(BIN)/python bench/gpu/run.py $(GPU)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

demo/corpus/about.txt: | $(READY)
	$(BIN)/python workflow/scripts/make_demo_corpus.py --root $(@D)

# The locked environment. uv is fetched with the venv's own pip.
$(READY): $(LOCK) $(FIRST) pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r envs/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps \
		--compile-bytecode -r $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	cp $(FIRST) "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/zz_own.pth
	touch $@

# After a change of envs/requirements.in.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes --universal \
		--python-version 3.11 --override envs/overrides.txt envs/requirements.in -o $(LOCK)

clean:
	rm -rf demo/corpus results logs .snakemake
