SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
# agentctl does not import the agent, hence main.version, which it may have.
LDFLAGS := -X github.com/hostnic/hostnic/agent.Version=$(VERSION) -X main.version=$(VERSION)
PREFIX ?= /usr
FUZZTIME ?= 30s

# Tools of exact versions, each in a folder of its own, so that another project's
# version, or another branch's, is never taken for ours.
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hostnic/bin
BUF := $(TOOLS)/buf-v1.75.0/buf
GEN_GO := $(TOOLS)/protoc-gen-go-v1.36.12/protoc-gen-go
GEN_GRPC := $(TOOLS)/protoc-gen-go-grpc-v1.6.2/protoc-gen-go-grpc
GOLANGCI := $(TOOLS)/golangci-lint-v2.15.0/golangci-lint

# The race detector needs cgo and a C compiler; go says 0 here where one is missing.
ifeq ($(shell go env CGO_ENABLED),1)
RACE := -race
endif

# Tests that need a kernel have the build tag kernel. Each package of them is one
# boot of 2 s, so the others are left out. The longest begin first: one of them takes
# 5 minutes on a machine that is otherwise idle, and more on one that is not.
LONGEST := ./test/crash ./test/e2e ./test/scenario
KERNEL_PKGS ?= $(LONGEST) $(filter-out $(LONGEST),$(shell grep -rlE --include='*_test.go' '^//go:build .*\bkernel\b' . | xargs -r -n 1 dirname | sort -u))

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/hostnicd and bin/agentctl
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: test
test: FUZZTIME = 3s
test: setup-tests lint proto-check test-unit test-random fuzz test-kernel ## everything, installing what is missing; about what CI does

.PHONY: setup
setup:
	@test/run-in-kernel-setup

.PHONY: setup-tests
setup-tests:
	@test/run-in-kernel-setup servers

.PHONY: test-unit
test-unit: ## tests that run anywhere, without root
	$(if $(RACE),,@echo 'no C compiler: without the race detector')
	go test $(RACE) ./... $(FLAGS)

TRANSITIONS ?= 100000

.PHONY: test-random
test-random: ## random changes of configuration on the fake kernel; TRANSITIONS=1000000 for more
	go test ./netcfg/converge -run 'TestRandomTransitions$$' -transitions $(TRANSITIONS) -v | grep -v '^=== '

.PHONY: test-kernel
test-kernel: setup-tests build bin/hostnicd-crash ## tests in a kernel with bonds; KERNEL_PKGS=./test/bed FLAGS='-v -run LACP' for some
	@test/run-in-kernel-check
	HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl HOSTNICD_CRASH=$(CURDIR)/bin/hostnicd-crash HOSTNIC_NEED=$${HOSTNIC_NEED-all} \
		RUN_IN_KERNEL_TIMEOUT=$${RUN_IN_KERNEL_TIMEOUT-1800} go test -timeout 30m -tags kernel -exec '$(CURDIR)/test/run-in-kernel' $(KERNEL_PKGS) $(FLAGS)

# The daemon that dies, and is refused, where a test says.
.PHONY: bin/hostnicd-crash
bin/hostnicd-crash:
	CGO_ENABLED=0 go build -trimpath -tags crash -o $@ ./cmd/hostnicd

SOAK ?= 1000
SEED ?= 0

.PHONY: soak
soak: setup build bin/hostnicd-crash ## SOAK=1000 random kills of the daemon, and as many random documents beside foreign things; SEED=n repeats
	@HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl HOSTNICD_CRASH=$(CURDIR)/bin/hostnicd-crash HOSTNIC_NEED=all RUN_IN_KERNEL_TIMEOUT=86400 \
		go test -timeout 0 -tags kernel -exec '$(CURDIR)/test/run-in-kernel' ./test/crash -run 'TestSoak$$' -v -soak $(SOAK) -soak-seed $(SEED)
	@HOSTNIC_NEED=all RUN_IN_KERNEL_TIMEOUT=86400 \
		go test -timeout 0 -tags kernel -exec '$(CURDIR)/test/run-in-kernel' ./test/scenario -run 'TestForeign$$' -v -foreign $(SOAK) | grep -v '"level"'

.PHONY: demo
demo: setup build ## the agent at work on a bond, in a kernel of its own
	@HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl test/run-in-kernel test/demo/demo

.PHONY: bench
bench: build ## how long things take
	@HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl test/bench/run

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file _ name; do \
		echo "fuzz $$(dirname "$$file") $${name#func } for $(FUZZTIME)"; \
		go test -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$(dirname "$$file")"; \
	done

.PHONY: lint
lint: $(GOLANGCI) ## gofmt, go vet, golangci-lint, shellcheck where there is one
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "please gofmt -w" $$bad; exit 1; fi
	go vet ./...
	go vet -tags kernel ./...
	$(GOLANGCI) run
	@if command -v shellcheck >/dev/null; then \
		grep -rlE --exclude-dir=.git --exclude-dir=bin '^#!/bin/(ba)?sh' . | xargs shellcheck; fi

.PHONY: proto
proto: $(BUF) $(GEN_GO) $(GEN_GRPC) ## generate the Go code of proto/
	cd proto && PATH=$(dir $(GEN_GO)):$(dir $(GEN_GRPC)):$$PATH $(BUF) generate

.PHONY: proto-check
proto-check: $(BUF) $(GEN_GO) $(GEN_GRPC) ## lint proto/, and see that the Go code is what it generates
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && cd proto && $(BUF) lint && \
		PATH=$(dir $(GEN_GO)):$(dir $(GEN_GRPC)):$$PATH $(BUF) generate -o "$$tmp" && \
		if ! diff -r -x '*.proto' -x '*.yaml' . "$$tmp"; then echo 'please make proto'; exit 1; fi

.PHONY: install
install: ## what make build made, to DESTDIR and PREFIX (/usr)
	install -D -m 755 bin/hostnicd $(DESTDIR)$(PREFIX)/sbin/hostnicd
	install -D -m 755 bin/agentctl $(DESTDIR)$(PREFIX)/bin/agentctl
	@shopt -s nullglob; \
	for file in systemd/*.{service,socket,timer,target,path}; do \
		(set -x; install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system "$$file"); done; \
	for dir in sysusers.d tmpfiles.d modprobe.d modules-load.d; do for file in systemd/$$dir/*.conf; do \
		(set -x; install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/$$dir "$$file"); done; done; \
	for file in systemd/metrics/{dashboard.json,alerts.yaml}; do \
		(set -x; install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/hostnic "$$file"); done

.PHONY: clean
clean: ## remove what build made; the tools in ~/.cache/hostnic stay
	rm -rf bin

$(BUF):
	GOBIN=$(@D) go install github.com/bufbuild/buf/cmd/buf@v1.75.0
$(GEN_GO):
	GOBIN=$(@D) go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
$(GEN_GRPC):
	GOBIN=$(@D) go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
$(GOLANGCI):
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
