# Every target is one thought; what takes more than three lines is a program.
SHELL := bash
export PATH := $(CURDIR)/.bin:$(PATH)
INSTALL = GOWORK=off GOBIN=$(CURDIR)/.bin go -C

.DEFAULT_GOAL := help
.PHONY: help up demo build test test-data bench long faults fuzz lint generate current breaking client ci clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

up: build ## run the whole stack here until Ctrl-C; REPLICAS=2 runs two of each service
	bin/kefuctl up $(if $(REPLICAS),--replicas $(REPLICAS))

demo: build ## fill the running stack: DATA=DIR loads the data sets, without it samples are made
	bin/kefuctl demo $(if $(DATA),--data $(DATA))

build: ## build every program into bin/
	go build -o bin/ ./services/customer-registry ./services/service-ticket ./services/complaint ./services/survey ./gateway ./deploy/kefuctl

# -count 1: the end-to-end tests build other modules' programs, which Go's cache of
# results does not know of.
test: .bin/.test ## run all tests; RACE=1 with the race detector
	gotestsum --format pkgname --hide-summary skipped -- -timeout 20m -count 1 $(if $(RACE),-race) work
	@go test -count 1 -v -run '^TestMatrix' ./services/internal/access ./services/service-ticket/internal/server ./services/complaint/internal/server | grep -o '[a-z]*[a-z ]*: [0-9]* cells.*'

test-data: ## run the tests on real data sets: DATA=DIR
	@test -d "$(DATA)" || { echo "make test-data DATA=DIR: DATA must name the folder of the data sets" >&2; exit 2; }
	KEFU_TEST_DATA_DIR=$(abspath $(DATA)) go test -timeout 60m -count 1 -tags testdata -run '^TestData' work

bench: ## measure the running suite, the deadlines and what protection costs and print the tables; one and a half hours
	cd gateway/bench && go test -tags bench -count 1 -timeout 30m
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBench$$' ./services/internal/clock
	go test -tags bench -count 1 -timeout 60m -v -p 1 -run '^TestBench$$' ./services/customer-registry/internal/server ./services/service-ticket/internal/server ./services/survey/internal/server
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBench(Next|Find)$$' ./services/service-ticket/internal/server
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBenchImport$$' ./services/customer-registry/internal/server
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBenchTiers$$' ./services/customer-registry/internal/server
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBenchCampaign$$' ./services/survey/internal/server
	go test -tags bench -count 1 -timeout 30m -v -run '^TestBenchSearch$$' ./services/customer-registry/internal/server

long: ## run the long forms of tests: a million events, a hundred thousand repeated calls, millions of deadlines
	go test -tags long -count 1 -timeout 60m -v -run 'Crowd|Delay|Long|Repeated' ./runtime/audit ./runtime/event ./runtime/write ./services/internal/worktime ./services/internal/clock ./services/complaint/internal/db ./gateway/e2e

# Without the race detector: it makes programs five times as slow and as large, and two
# cores then starve the load before any fault does.
faults: .bin/.test ## break the running suite in every way, SEEDS=n times (3), and check what each call was told
	KEFU_FAULT_SEEDS=$(or $(SEEDS),3) gotestsum --format standard-verbose --hide-summary skipped -- \
		-tags faults -timeout $$(($(or $(SEEDS),3)*20))m -count 1 -run '^TestFaults' ./gateway/e2e

fuzz: ## fuzz every target for TIME (30s) each, and the REST API with REQUESTS (fifty thousand) of SEED
	tools/fuzz.sh $(or $(TIME),30s)
	KEFU_FUZZ_REQUESTS=$(or $(REQUESTS),50000) KEFU_FUZZ_SEED=$(SEED) go test -timeout 60m -count 1 -v -run '^TestFuzzREST$$' ./gateway/e2e

lint: .bin/.tools .bin/.buf .bin/.lint third_party/.stamp ## gofmt, go vet, staticcheck, buf lint
	tools/lint.sh

generate: .bin/.tools .bin/.buf .bin/.sqlc third_party/.stamp ## write all generated code and the OpenAPI document
	generate

current: .bin/.tools .bin/.buf .bin/.sqlc third_party/.stamp ## fail where generated code is not current
	generate -check

breaking: .bin/.buf third_party/.stamp ## compare the contracts with the last landed ones; BASE=COMMIT names others
	tools/breaking.sh $(BASE)

client: build ## compile a TypeScript client of the OpenAPI document and walk the journeys with it; needs npm
	cd tools/client && npm ci --silent && npm run --silent check

ci: lint current breaking client ## everything that must hold before a change lands
	cd gateway/bench && go test -tags bench -count 1 -run '^TestBench$$' -args -only create -rounds 1 -tickets 1000 -customers 1000
	$(MAKE) test RACE=1
	RACE=1 tools/fuzz.sh 500x
	$(MAKE) faults

clean: ## remove what is built; the data under .kefu stays
	rm -rf bin .bin third_party

.bin/.tools: tools/go.mod tools/go.sum $(wildcard tools/*/*.go)
	$(INSTALL) tools install tool ./protodeps ./generate
	@touch $@

# sqlc without cgo: it then carries its parser as WebAssembly, built in a minute
# and not in several.
.bin/.sqlc: export CGO_ENABLED := 0
.bin/.%: tools/%/go.mod tools/%/go.sum
	$(INSTALL) tools/$* install tool
	@touch $@

third_party/.stamp: .bin/.tools
	protodeps third_party
	@touch $@
