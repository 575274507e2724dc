package e2e

import (
	"context"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

const exporterUser = "ceph-ganeti-exporter"

// startCeph starts a cluster that ends with the test.
func startCeph(t testing.TB) *lab.Ceph {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cluster, err := lab.StartCeph(ctx, lab.CephOptions{Progress: func(step string) { t.Log(step) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop() })
	return cluster
}

// exporterOptions makes the key that the manual asks for and returns how to connect with it.
func exporterOptions(t *testing.T, cluster *lab.Ceph) rados.Options {
	t.Helper()
	keyring, err := cluster.CreateExporterKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rados.Options{Config: cluster.Conf, User: exporterUser, Keyring: keyring}
}
