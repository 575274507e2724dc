package main

import (
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
)

// TestManPages holds the manual pages to the commands.
func TestManPages(t *testing.T) {
	clitest.ManPages(t, newRootCommand(), "../../packaging/man")
}
