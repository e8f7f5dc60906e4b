# The steps are plain go commands; the longer ones stand in scripts/.

BENCH ?= .
FUZZTIME ?= 30s
SYSTEMS = windows linux darwin freebsd
TOOLS = .bin

.DEFAULT_GOAL := help
.PHONY: help test wine soak lint bench fuzz cover generate

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ifeq ($(OS),Windows_NT)
test: ## Run the tests, and off Windows those for Windows too, under Wine
	go test -timeout 10m ./...
else
test:
	go test -race -timeout 10m ./...
	GOOS=windows go vet ./...
	scripts/test-windows -timeout 10m ./...
endif

wine: ## Get Wine, which runs the Windows tests elsewhere (Debian 12 or later, as root)
	scripts/wine setup

soak: ## Run the long tests in full and show what they measured
	scripts/soak

lint: $(TOOLS)/built ## Check format, go vet, staticcheck, the workflows and the go.mod files
	SYSTEMS='$(SYSTEMS)' scripts/lint $(TOOLS)

bench: ## Run the benchmarks (BENCH=regexp)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 30m ./...

fuzz: ## Run each fuzz test for a while (FUZZTIME=30s)
	scripts/fuzz $(FUZZTIME)

cover: ## Show how much of the code the tests reach
	go test -timeout 10m -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -func cover.out

generate: $(TOOLS)/built ## Make the generated code anew (needs protoc)
	PATH="$(CURDIR)/$(TOOLS):$$PATH" go generate ./...

$(TOOLS)/built: tools/go.mod tools/go.sum
	go -C tools build -o "$(CURDIR)/$(TOOLS)/" tool
	@touch $@
