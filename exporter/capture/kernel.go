package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/krbd"
)

// attributes are what krbd may be read of a mapping. config_info, which holds the secret in clear, is none.
var attributes = []string{
	"pool", "pool_id", "pool_ns", "name", "image_id", "current_snap", "size", "features", "major", "minor",
	"client_id", "client_addr", "cluster_fsid",
}

// kernel takes what sysfs and procfs say of mapped images and of sockets.
func (t *take) kernel(ctx context.Context) {
	version, err := os.ReadFile(filepath.Join(t.opts.Procfs, "sys/kernel/osrelease"))
	if err == nil {
		t.versions["linux"] = strings.TrimSpace(string(version))
	}
	dir := "linux/" + release(t.versions["linux"]) + "/node"
	t.sockets(dir)
	t.mappings(ctx, dir)
}

func (t *take) mappings(ctx context.Context, dir string) {
	mappings, err := krbd.Mappings(ctx, t.opts.Sysfs)
	if err != nil && !errors.Is(err, krbd.ErrNoModule) {
		t.fail("mapped images", err)
	}
	for _, m := range mappings {
		t.known.Clusters = append(t.known.Clusters, m.FSID)
		device := filepath.Join("bus/rbd/devices", strings.TrimPrefix(m.Device, "rbd"))
		for _, name := range attributes {
			t.attribute(dir, filepath.Join(device, name))
		}
		t.attribute(dir, filepath.Join("block", m.Device, "stat"))
		t.attribute(dir, filepath.Join("block", m.Device, "inflight"))
	}
}

// attribute takes one file of sysfs. Older kernels lack some, and a mapping can go at any time.
func (t *take) attribute(dir, name string) {
	path := filepath.Join(t.opts.Sysfs, name)
	content, err := os.ReadFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.fail(path, err)
		}
		return
	}
	t.add(path, string(content), dir, name)
}

// sockets takes the lines of /proc/net/unix that tell who uses a monitor or an admin socket.
func (t *take) sockets(dir string) {
	path := filepath.Join(t.opts.Procfs, "net/unix")
	content, err := os.ReadFile(path)
	if err != nil {
		t.fail(path, err)
		return
	}
	var kept strings.Builder
	for line := range strings.Lines(string(content)) {
		name := filepath.Base(strings.TrimSuffix(line, "\n"))
		switch filepath.Ext(name) {
		case ".qmp", ".kvmd":
			t.known.Instances = append(t.known.Instances, strings.TrimSuffix(name, filepath.Ext(name)))
		case ".asok":
		default:
			continue
		}
		kept.WriteString(line)
	}
	if kept.Len() > 0 {
		t.add(path, kept.String(), dir, "net_unix")
	}
}
