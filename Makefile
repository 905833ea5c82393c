# `make demo` and `make test` are all the set-up there is; each makes its own virtual environment in .venv.
PY = .venv/bin/python

.PHONY: demo test check sbom audit release captures torture bench clean

demo: ## the whole product on this machine: press a pendant, watch the alert arrive (no root needed)
	@sh .ci/setup demo
	@.venv/bin/hearthline demo

test: check ## everything, the fault trials in their short form; installs what it needs from Debian (root or sudo)
	@sh .ci/servers
	@sh .ci/tests $(if $(HEARTHLINE_CAPTURES),,-m "not captures")

check: ## lint, format, types, import contracts, locks and licences
	@sh .ci/setup dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) .ci/supply.py check

sbom: ## what a gateway and a center are made of, as CycloneDX JSON in dist/, from the hashed locks
	@sh .ci/setup dev
	$(PY) .ci/supply.py sbom dist/hearthline.cdx.json

audit: ## known vulnerabilities of the locked versions, by pip-audit; needs a network, and says so without one
	@sh .ci/setup dev
	@$(PY) -m pip install --quiet --disable-pip-version-check pip-audit || true
	$(PY) .ci/supply.py audit

release: ## what a gateway is installed and updated from, in dist/: KEY=FILE signs it, MACHINE=aarch64 PYTHON=3.11 for a Pi
	@sh .ci/setup dev
	$(PY) .ci/release.py build $(if $(KEY),--key $(KEY)) $(if $(MACHINE),--machine $(MACHINE)) $(if $(PYTHON),--python $(PYTHON))

# Each file HEARTHLINE_CAPTURES/<driver>/<name> has <name>.expected.json beside it: what it holds.
CAPTURES = $(or $(HEARTHLINE_CAPTURES),../shared/captures)
captures: ## every recording decoded and compared with what is known of it: a table by driver at the end
	@test -d "$(CAPTURES)" || { echo "There are no recordings at $(CAPTURES); say where: make captures HEARTHLINE_CAPTURES=DIR" >&2; exit 2; }
	@sh .ci/setup dev
	HEARTHLINE_CAPTURES="$(CAPTURES)" $(PY) -m pytest tests/edge/outside

torture: ## the fault trials of docs/proof.md in their long form; hours long
	@sh .ci/setup dev
	@sh .ci/servers
	HEARTHLINE_TORTURE=long $(PY) -m pytest -m "torture or power or simulation or fuzz"

bench: ## the figures of docs/benchmarks.md
	@sh .ci/setup dev
	@sh .ci/servers
	$(PY) bench/latency.py
	$(PY) bench/ingest.py
	$(PY) bench/store.py
	$(PY) bench/dashboards.py
	$(PY) bench/charts.py
	$(PY) bench/edge_footprint.py
	$(PY) bench/desk.py
	$(PY) bench/figures.py
	$(PY) bench/database.py
	$(PY) bench/backup.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
