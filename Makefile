SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
# agentctl does not import the agent, hence main.version, which it may have.
LDFLAGS := -s -w -X github.com/hostnic/hostnic/agent.Version=$(VERSION) -X main.version=$(VERSION)
PREFIX ?= /usr
# A number of inputs, not a time: at the end of a time, go test may call it a failure
# that a worker was not done (golang.org/issue/75804).
FUZZTIME ?= 50000x

# Tools of exact versions, each in a folder of its own, so that another project's
# version, or another branch's, is never taken for ours.
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hostnic/bin
BUF := $(TOOLS)/buf-v1.75.0/buf
GEN_GO := $(TOOLS)/protoc-gen-go-v1.36.12/protoc-gen-go
GEN_GRPC := $(TOOLS)/protoc-gen-go-grpc-v1.6.2/protoc-gen-go-grpc
GRPCURL := $(TOOLS)/grpcurl-v1.9.4/grpcurl
GHZ := $(TOOLS)/ghz-v0.120.0/ghz
NFPM := $(TOOLS)/nfpm-v2.43.0/nfpm
GOLANGCI := $(TOOLS)/golangci-lint-v2.15.0/golangci-lint

# The race detector needs cgo and a C compiler; go says 0 here where one is missing.
ifeq ($(shell go env CGO_ENABLED),1)
RACE := -race
endif

# Tests that need a kernel have the build tag kernel. Each package of them is one
# boot of 2 s, so the others are left out. The longest begin first: one of them takes
# 5 minutes on a machine that is otherwise idle, and more on one that is not.
LONGEST := ./test/crash ./test/e2e ./test/scenario
# So many kernels at a time: tests wait for a good part of theirs. No result is taken
# from the cache: what is tested is another program, of which go test does not know.
KERNELS ?= $(shell expr $$(nproc) + 1)
KERNEL_PKGS ?= $(LONGEST) $(filter-out $(LONGEST),$(shell grep -rlE --include='*_test.go' '^//go:build .*\bkernel\b' . | xargs -r -n 1 dirname | sort -u))

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Tracing of grpc, which nothing switches on, brings html/template along, and that calls
# methods by name, so that the linker keeps all there are: 3 MB. net/http serves metrics
# without TLS, where it speaks no HTTP/2, and grpc has an HTTP/2 of its own: 0.3 MB.
TAGS := grpcnotrace,nethttpomithttp2
.PHONY: build
build: ## bin/hostnicd and bin/agentctl
	CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: test
test: FUZZTIME = 5000x
test: setup-tests lint proto-check test-unit test-random fuzz test-kernel test-guest ## everything, installing what is missing; about what CI does

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
		RUN_IN_KERNEL_TIMEOUT=$${RUN_IN_KERNEL_TIMEOUT-1800} go test -count=1 -p $(KERNELS) -timeout 30m -tags kernel -exec '$(CURDIR)/test/run-in-kernel' $(KERNEL_PKGS) $(FLAGS)

# A package of the same, with a higher version.
.PHONY: test-guest
test-guest: package ## a whole host: the .deb installed, rebooted, cut off from power, upgraded, removed; FLAGS='-v -run A11'
	@test/run-in-kernel-setup guest
	@test/package-check
	mkdir -p bin/next
	@SOURCE_DATE_EPOCH=$(PACKAGE_EPOCH) PACKAGE_VERSION='$(PACKAGE_VERSION)+next' \
		$(NFPM) package --config systemd/package/nfpm.yaml --packager deb --target bin/next/
	HOSTNIC_DEB=$$(echo $(CURDIR)/bin/*.deb) HOSTNIC_NEXT_DEB=$$(echo $(CURDIR)/bin/next/*.deb) \
		go test -count=1 -timeout 20m -tags guest ./test/guest $(FLAGS)

.PHONY: test-hardware
test-hardware: build ## a NIC with a driver and a cable, the race detector, another kernel: emulated, 15 minutes; PARTS=nic for some
	@HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl test/hardware/run $(PARTS)

LOAD ?= 1m

.PHONY: test-clients
test-clients: setup-tests build $(GRPCURL) $(GHZ) ## grpcurl and ghz as clients, over the socket and TLS, while commits run; LOAD=1m each
	GRPCURL=$(GRPCURL) GHZ=$(GHZ) HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl HOSTNIC_NEED=all \
		go test -count=1 -tags kernel,clients -exec '$(CURDIR)/test/run-in-kernel' ./test/controlplane -run 'TestGrpcurl|TestGhz' -load $(LOAD) -v $(FLAGS)

# The daemon that dies, and is refused, where a test says.
.PHONY: bin/hostnicd-crash
bin/hostnicd-crash:
	CGO_ENABLED=0 go build -trimpath -tags crash -o $@ ./cmd/hostnicd

DAYS ?= 30

# The kernel is built from Debian's source once, which takes ten minutes.
.PHONY: test-travel
test-travel: setup-tests ## weeks of leases in a minute, in a kernel whose clock leaps, built the first time; DAYS=365 for a year
	HOSTNIC_NEED=$${HOSTNIC_NEED-all} RUN_IN_KERNEL_TIMEOUT=$${RUN_IN_KERNEL_TIMEOUT-3600} go test -count=1 -timeout 0 -tags kernel,travel \
		-exec '$(CURDIR)/test/run-in-kernel-travel' ./agent/dhcp -run 'TestTravel$$' -v -days $(DAYS)

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

.PHONY: bench-storm
bench-storm: build ## 10,000 changes of links a second for 10 s, on this machine's own kernel; takes root
	@BENCH=native LEASES=0 HOSTNICD=$(CURDIR)/bin/hostnicd AGENTCTL=$(CURDIR)/bin/agentctl test/bench/run \
		-rack=false -n '' -events '' -reads '' -starts '' -storms 200,2000

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (50000x inputs), two at a time
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | sed -E 's#/[^/]*:[0-9]+:func # #' | xargs -P 2 -L 1 bash -c \
		'echo "fuzz $$0 $$1 for $(FUZZTIME)"; go test -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x -parallel 1 "$$0"'

.PHONY: lint
lint: $(GOLANGCI) ## gofmt, go vet, golangci-lint, shellcheck where there is one
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "please gofmt -w" $$bad; exit 1; fi
	go vet ./...
	go vet -tags kernel ./...
	go vet -tags kernel,travel ./agent/dhcp
	go vet -tags guest,man ./cmd/... ./test/guest
	go vet -tags kernel,hardware,clients ./test/hardware ./test/controlplane
	$(GOLANGCI) run
	@if command -v shellcheck >/dev/null; then \
		grep -rlE --exclude-dir=.git --exclude-dir=bin '^#!/bin/(ba)?sh' . | xargs shellcheck; fi

.PHONY: proto
proto: $(BUF) $(GEN_GO) $(GEN_GRPC) ## generate the Go code of proto/
	cd proto && PATH=$(dir $(GEN_GO)):$(dir $(GEN_GRPC)):$$PATH $(BUF) generate

.PHONY: proto-check
proto-check: $(BUF) $(GEN_GO) $(GEN_GRPC) ## lint proto/, and see that it breaks no client and that the Go code is what it generates
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && cd proto && $(BUF) lint && \
		PATH=$(dir $(GEN_GO)):$(dir $(GEN_GRPC)):$$PATH $(BUF) generate -o "$$tmp" && \
		if ! diff -r -x '*.proto' -x '*.yaml' -x testdata . "$$tmp"; then echo 'please make proto'; exit 1; fi
	@test/proto-breaking $(BUF)

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
	install -D -m 644 systemd/agent.yaml $(DESTDIR)/etc/hostnic/agent.yaml
	@if [ -d bin/man ]; then cd bin/man && for page in man*/*; do (set -x; install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/$$page); done; fi
	bin/agentctl completion bash | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/bash-completion/completions/agentctl
	bin/agentctl completion zsh | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_agentctl
	bin/agentctl completion fish | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/agentctl.fish

.PHONY: man
man: ## bin/man, from the commands, the settings and the API
	rm -rf bin/man
	go run -tags man ./cmd/agentctl man bin/man
	go run -tags man ./cmd/hostnicd man bin/man
	find bin/man -type f -exec gzip -9n {} +

# The packages follow from the commit alone: two builds are the same, wherever and
# whenever. Before the first tag the version is the time of the commit.
PACKAGE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
PACKAGE_VERSION ?= $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-/+/g' | grep . || \
	TZ=UTC git log -1 --date=format-local:%Y%m%d.%H%M%S --format='0~%cd.%h' 2>/dev/null || echo 0~unknown)

.PHONY: package
package: build man $(NFPM) ## bin/hostnic*.deb and bin/hostnic*.rpm, with NFPM of an exact version
	rm -rf bin/root bin/next bin/*.deb bin/*.rpm
	umask 022 && $(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/bin/root PREFIX=/usr
	install -D -m 644 systemd/package/copyright bin/root/usr/share/doc/hostnic/copyright
	install -D -m 644 README.md bin/root/usr/share/doc/hostnic/README.md
	install -D -m 644 systemd/package/lintian-overrides bin/root/usr/share/lintian/overrides/hostnic
	printf 'hostnic (%s-1) unstable; urgency=medium\n\n  * The changes are in the history of the source.\n\n -- hostnic maintainers <maintainers@hostnic.invalid>  %s\n' \
		'$(PACKAGE_VERSION)' "$$(LC_ALL=C date -u -R -d @$(PACKAGE_EPOCH))" | gzip -9n >bin/root/usr/share/doc/hostnic/changelog.Debian.gz
	find bin/root -exec touch -h -d @$(PACKAGE_EPOCH) {} +
	printf -- '- {semver: "%s", date: %s, packager: hostnic maintainers <maintainers@hostnic.invalid>, changes: [{note: The changes are in the history of the source.}]}\n' \
		'$(PACKAGE_VERSION)-1' "$$(date -u +%Y-%m-%dT%H:%M:%SZ -d @$(PACKAGE_EPOCH))" >bin/changelog.yaml
	{ echo 'changelog: bin/changelog.yaml'; cat systemd/package/nfpm.yaml; \
		(cd bin/root && find usr/share/{doc,man} -type f ! -name changelog.Debian.gz | sort) | sed 's|.*|  - {src: bin/root/&, dst: /&, type: doc}|'; } >bin/rpm.yaml
	export SOURCE_DATE_EPOCH=$(PACKAGE_EPOCH) PACKAGE_VERSION='$(PACKAGE_VERSION)'; \
		$(NFPM) package --config systemd/package/nfpm.yaml --packager deb --target bin/; \
		$(NFPM) package --config bin/rpm.yaml --packager rpm --target bin/

.PHONY: clean
clean: ## remove what build made; the tools in ~/.cache/hostnic stay
	rm -rf bin

$(BUF):
	GOBIN=$(@D) go install github.com/bufbuild/buf/cmd/buf@v1.75.0
$(GEN_GO):
	GOBIN=$(@D) go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
$(GEN_GRPC):
	GOBIN=$(@D) go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
$(GRPCURL):
	GOBIN=$(@D) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
$(GHZ):
	GOBIN=$(@D) go install github.com/bojand/ghz/cmd/ghz@v0.120.0
$(NFPM):
	GOBIN=$(@D) go install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
$(GOLANGCI):
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
