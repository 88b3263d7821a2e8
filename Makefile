# Cadreen. `make` alone prints what there is.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BIN         := bin/cadreen
SOURCES      = $$(find . -name '*.go' -not -path '*/node_modules/*')

.DEFAULT_GOAL := help
.PHONY: help build run test race chaos soak lint fuzz bench bench-doc bench-proxy fmt docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/cadreen, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/cadreen

run: ## run the proxy on 127.0.0.1:8080 with the built-in rehearsal model
	$(GO) run ./cmd/cadreen serve

test: ## run every test against real servers (redis-server, Node.js 20 or later)
	@.ci/needs
	$(GO) test -p 2 -timeout 15m ./...

race: ## run every test under the race detector, with memory that is given back made unreadable (slow, needs a C compiler)
	@.ci/needs
	CGO_ENABLED=1 $(GO) test -race -tags poison -p 2 -timeout 30m ./...

chaos: ## run the fault suite 20 times longer than make test does, about half an hour (CHAOS=20)
	@.ci/needs
	CHAOS=$(or $(CHAOS),20) $(GO) test -count=1 -v -timeout 2h -run 'Chaos|TheStoreIsAway|TheSuiteOn' ./cmd/cadreen ./store/...

soak: ## 300 requests a second for 15 minutes; fails if anything grows, writes docs/soak.md (ARGS="-for 2m -rate 100")
	$(GO) run ./bench/soak -docs docs $(ARGS)

lint: ## check formatting, go vet and staticcheck
	@unformatted=$$(gofmt -l $(SOURCES)); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed (make fmt):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fuzz: ## run every fuzzer and keep what it finds (FUZZTIME=20s, ONLY=part of a name)
	@GO=$(GO) .ci/fuzz

bench: ## measure what matters and print one table (BENCHTIME=0.3s, COUNT=3)
	@GO=$(GO) bench/run

bench-doc: ## measure, and write the table into docs/benchmarks.md
	@GO=$(GO) bench/run -doc

bench-proxy: ## measure beside plain proxies; a whole run, about 6 minutes, writes docs/benchmarks.md (ARGS="-rounds 3 -scenarios json-c64,stream,held -streams 0 -peer name=http://127.0.0.1:9000/v1")
	$(GO) run ./bench/proxy -docs docs $(ARGS)

fmt: ## format every Go file
	gofmt -w $(SOURCES)

docs: ## make the generated pages in docs/ anew
	$(GO) test ./fault -run TestDocsErrorsIsUpToDate -update
	$(GO) test ./config -run TestDocsSettingsIsUpToDate -update
	$(GO) test . -run TestAnswerTable -update
	$(GO) test ./governance/rule -run TheTable -update

clean: ## remove what was built; data and installed packages stay
	rm -rf bin coverage.*
