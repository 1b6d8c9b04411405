# Picket's chores. Needs Go, and gcc with the C++ library (DuckDB is linked in).

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: build test demo bench fuzz fuzz-short lab lab-quick lint score clean

build: ## the picket binary
	@scripts/cxx
	$(GO) build -o picket ./cmd/picket

test: ## everything that a change must pass; see scripts/test
	scripts/test

demo: build ## a live console with replayed reconnaissance; ends with Ctrl-C
	@scripts/demo

bench: ## throughput, CPU and memory, beside a floor and tshark
	scripts/bench

fuzz: ## every fuzz target for FUZZTIME each
	scripts/fuzz $${FUZZTIME:-5m}

fuzz-short: ## every fuzz target for a few seconds
	scripts/fuzz 3s

lab: build ## the whole evaluation: hours; results go to lab-results/
	./picket lab judge --full --out lab-results

lab-quick: build ## a part of it that takes minutes, with floors that fail it
	./picket lab judge --floors --out lab-results

lint: ## static checks
	STATICCHECK=$(STATICCHECK) GOVULNCHECK=$(GOVULNCHECK) scripts/lint

score: build ## recall and false alarms on the recorded runs
	scripts/score

clean:
	rm -f picket
	$(GO) clean -testcache
