# make demo, make test and make e2e do all their own set-up; see README.md.
BIN      := bin
PROGRAMS := $(BIN)/ceph-ganeti-exporter $(BIN)/cephctl
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -X github.com/prometheus/common/version.Version=$(VERSION)
SUDO     := $(if $(filter-out 0,$(shell id -u)),sudo)

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := .tools/$(GOLANGCI_LINT_VERSION)/golangci-lint

.PHONY: build install deb setup demo demo-exporter test e2e e2e-long nodes-test lint bench docs clean

build:
	@e2e/setup.sh build
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/ceph-ganeti-exporter
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/cephctl

# After make build, as root needs no Go then. Where to: DESTDIR, PREFIX (/usr/local), SYSCONFDIR (/etc).
install: $(PROGRAMS)
	@for program in $(PROGRAMS); do VERSION=$(VERSION) packaging/install.sh $$program || exit; done

# Packages in bin/, for nodes without Go.
deb: build
	@for program in $(PROGRAMS); do packaging/deb.sh $$program $(BIN) || exit; done

$(PROGRAMS):
	@$(MAKE) --no-print-directory build

setup:
	@e2e/setup.sh

demo:
	@e2e/setup.sh demo
	@mkdir -p $(BIN)
	@echo 'Building the demo (the first time, this takes a minute)'
	@$(BUILD_DEMO) -o $(BIN)/demo ./e2e/demo
	@$(BIN)/demo

# Called by the demo, while Ceph starts.
demo-exporter:
	@$(BUILD_DEMO) -ldflags '-s -w $(LDFLAGS)' -o $(BIN)/demo-exporter ./cmd/ceph-ganeti-exporter

# Nobody wants to wait for a demo: without the optimizers, the tables for debuggers and C's resolver, the first build takes a
# third less CPU time.
BUILD_DEMO = CGO_CFLAGS=-O0 go build -tags netgo,osusergo -gcflags 'all=-N -l -dwarf=false'

test: setup
	go test -timeout 30m -parallel 3 $$(go list ./... | grep -v '/e2e/nodes$$')

# The tests on nodes, as root. The first time, this makes the folder that the nodes are overlays of.
e2e: nodes-test
	$(NODES_TEST) CI=true ../../$(BIN)/nodes.test -test.v -test.parallel 4 -test.timeout 60m

# Virtual machines, twenty live migrations, Ganeti as in Debian 13, and cephctl killed at each of its steps, on a cluster of
# its own each time. Takes two hours and more.
e2e-long: nodes-test
	$(NODES_TEST) CI=true TEST_LONG=1 ../../$(BIN)/nodes.test -test.v -test.parallel 3 -test.timeout 6h -test.run '$(LONG)'

LONG       = TestVolumes$$|TestKernelspace$$|TestInterruptedAlone$$|TestGanetiTrixie$$|TestGaneti$$/^instances$$
NODES_TEST = cd e2e/nodes && $(SUDO) env TEST_CEPHCTL=../../$(BIN)/cephctl-faults TEST_EXPORTER=../../$(BIN)/exporter

nodes-test:
	@e2e/setup.sh e2e
	@mkdir -p $(BIN)
	go build -ldflags '-s -w' -o $(BIN)/exporter ./cmd/ceph-ganeti-exporter
	CGO_ENABLED=0 go build -ldflags '-s -w' -tags faults -o $(BIN)/cephctl-faults ./cmd/cephctl
	go test -c -o $(BIN)/nodes.test ./e2e/nodes

lint: setup $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) run

$(GOLANGCI_LINT):
	@echo 'Building golangci-lint $(GOLANGCI_LINT_VERSION), once: takes about two minutes'
	@GOBIN=$(abspath $(@D)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

bench: setup
	go test -run '^$$' -bench . -benchmem ./...

docs: setup
	go test ./cmd/ceph-ganeti-exporter ./cmd/cephctl ./control/cephstorage ./control/instance -run 'Reference|Example|ManPages|Commands' -update

clean:
	rm -rf $(BIN) .tools
