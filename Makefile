# make demo and make test do all their own set-up; see README.md.
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -X github.com/prometheus/common/version.Version=$(VERSION)

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := .tools/$(GOLANGCI_LINT_VERSION)/golangci-lint

.PHONY: build install setup demo test lint bench docs clean

build:
	@e2e/setup.sh build
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/ceph-ganeti-exporter

# After make build, as root needs no Go then. Where to: DESTDIR, PREFIX (/usr/local), SYSCONFDIR (/etc).
install: $(BIN)/ceph-ganeti-exporter
	@VERSION=$(VERSION) packaging/install.sh $(BIN)/ceph-ganeti-exporter

$(BIN)/ceph-ganeti-exporter:
	@$(MAKE) --no-print-directory build

setup:
	@e2e/setup.sh

demo:
	@e2e/setup.sh demo
	@mkdir -p $(BIN)
	@echo 'Building the demo (the first time, this takes some minutes)'
	@go build -o $(BIN)/demo ./e2e/demo
	@$(BIN)/demo

test: setup
	go test -timeout 20m ./...

lint: setup $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) run

$(GOLANGCI_LINT):
	@echo 'Building golangci-lint $(GOLANGCI_LINT_VERSION), once: takes about two minutes'
	@GOBIN=$(abspath $(@D)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

bench: setup
	go test -run '^$$' -bench . -benchmem ./...

docs: setup
	go test ./cmd/ceph-ganeti-exporter -run 'Reference|Example|ManPages' -update

clean:
	rm -rf $(BIN) .tools
