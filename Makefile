# The steps are plain go commands; the longer ones stand in scripts/.

BENCH ?= .
FUZZTIME ?= 30s
FOR ?= 1h
SEED ?= 0
SYSTEMS = windows linux darwin freebsd
TOOLS = .bin
# Modules of their own, so that what they need stays out of the library's go.mod.
# interop/connect is run by a test of interop.
NESTED = examples/otel examples/prometheus bench bench/plugin internal/ui/browser interop/tableflip interop/h2spec
INTEROP = github.com/grpcpipe/grpcpipe/interop

.DEFAULT_GOAL := help
.PHONY: help test wine soak endure lint bench bench-quick benchmarks interop-table fuzz cover generate

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ifeq ($(OS),Windows_NT)
test: ## Run the tests, and off Windows those for Windows too, under Wine
	go test -timeout 10m ./...
else
# Without GORACE each program that a test starts sleeps a second at its end. The tests of interop
# move hundreds of megabytes to other programs and back: the race detector, which makes them three
# times as long, has watched the same code in its own packages, and watches them in the hosted runs.
test:
	GORACE=atexit_sleep_ms=10 go test -race -timeout 10m $$(go list ./... | grep -v '^$(INTEROP)')
	go test -timeout 15m ./interop/...
	for module in $(NESTED); do go -C $$module test -timeout 5m ./... || exit; done
	GOOS=windows go vet ./...
	scripts/test-windows -timeout 20m ./...
endif

wine: ## Get Wine, which runs the Windows tests elsewhere (Debian 12 or later, as root)
	scripts/wine setup

soak: ## Run the long tests in full and show what they measured
	scripts/soak

endure: ## Run servers and clients under troubles (FOR=1h, SEED=that of an earlier run)
	go test -run '^TestEndure$$' -count 1 -v -timeout 0 ./internal/testing/endure -args -for $(FOR) -seed $(SEED)

lint: $(TOOLS)/built ## Check format, go vet, staticcheck, the workflows and the go.mod files
	SYSTEMS='$(SYSTEMS)' scripts/lint $(TOOLS)

bench: ## Measure against the neighbors and update docs/performance.md (half an hour with .NET and Wine)
	go -C bench run . -json results.json
	go -C bench run . -report results.json -docs ../docs

bench-quick: ## Measure a few lines and compare them with the results that are kept (90 seconds)
	go -C bench run . -quick

benchmarks: ## Run the benchmarks that stand beside the code (BENCH=regexp)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 30m ./...

interop-table: ## Run the interop tests in full, here and under Wine, and update the tables in docs/interop.md (20 minutes)
	scripts/interop-table

fuzz: ## Run each fuzz test for a while (FUZZTIME=30s)
	scripts/fuzz $(FUZZTIME)

cover: ## Show how much of the code the tests reach
	go test -timeout 10m -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -func cover.out

generate: $(TOOLS)/built ## Regenerate the generated code (needs protoc)
	PATH="$(CURDIR)/$(TOOLS):$$PATH" go generate ./...

$(TOOLS)/built: tools/go.mod tools/go.sum
	go -C tools build -o "$(CURDIR)/$(TOOLS)/" tool
	@touch $@
