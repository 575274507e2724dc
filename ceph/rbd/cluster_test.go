package rbd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// TestNoConnectionIsNotGone checks that what librados says of the key is not taken for what the cluster says of an image.
func TestNoConnectionIsNotGone(t *testing.T) {
	dir := t.TempDir()
	config, malformed := filepath.Join(dir, "ceph.conf"), filepath.Join(dir, "malformed")
	write(t, config, "[global]\nmon host = 127.0.0.1:1\nauth client required = cephx\n")
	write(t, malformed, "[client.exporter]\n\tkey = AQ\n")
	image := Entry{Image: ceph.Image{Pool: "vms", Name: "disk"}, ID: "1234"}
	for keyring, path := range map[string]string{"missing": filepath.Join(dir, "missing"), "malformed": malformed} {
		c := Cluster{Conn: rados.New(rados.Options{Config: config, User: "exporter", Keyring: path})}
		t.Cleanup(c.Conn.Close)
		for call, f := range map[string]func(context.Context) error{
			"list":  func(ctx context.Context) error { _, err := c.List(ctx, "vms"); return err },
			"read":  func(ctx context.Context) error { _, err := c.Read(ctx, image); return err },
			"used":  func(ctx context.Context) error { _, err := c.Used(ctx, image); return err },
			"place": func(ctx context.Context) error { _, err := c.Place(ctx, "", image); return err },
			"perf":  func(ctx context.Context) error { _, err := c.Perf(ctx); return err },
		} {
			t.Run(keyring+"/"+call, func(t *testing.T) {
				err := f(t.Context())
				if !errors.Is(err, rados.ErrNoConnection) || errors.Is(err, ErrGone) || errors.Is(err, ErrNoPerf) {
					t.Errorf("%v, want only that there is no connection", err)
				}
			})
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
